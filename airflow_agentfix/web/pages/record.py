"""What of a session's record is fetched when somebody opens it: earlier events, long texts whole, the check of its chain, all of
it as a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Path, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response, StreamingResponse  # noqa: TID253 - as above

from airflow_agentfix.core.session import Event
from airflow_agentfix.views import session as views
from airflow_agentfix.web.answers import readable
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import MOST_EVENTS, Service, SessionId
from airflow_agentfix.web.pages import shell

router = APIRouter(prefix="/sessions/{session_id}")

Number = Annotated[int, Path(ge=1, le=MOST_EVENTS)]


@router.get("/events", **page(Right.READ, reads="its earlier events"))
def events(
    request: Request,
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    before: Annotated[int, Query(ge=1, le=MOST_EVENTS)],
    since: Annotated[int | None, Query(ge=1, le=MOST_EVENTS)] = None,
) -> Response:
    """A page of the timeline before the first event that is shown; with `since` all from that one on."""
    entries = views.earlier(service, session_id, user, before=before, since=since)
    first = entries[0].number if entries else 1
    return shell.fragment(request, "session_earlier.html.j2", session_id=session_id, entries=entries, earlier=first - 1)


@router.get("/events/{number}/{place}", **page(Right.READ, reads="one event"))
def event(
    request: Request,
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    number: Number,
    place: Annotated[int, Path(ge=0, le=1_000)],
) -> Response:
    """One of its long texts, whole."""
    fold = views.whole_fold(service, session_id, user, number=number, place=place)
    return shell.fragment(request, "session_fold.html.j2", fold=fold)


@router.get("/audit", **page(Right.READ, reads="its events' hashes"))
def audit(request: Request, user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    """Whether the events are what was written."""
    return shell.fragment(request, "session_audit.html.j2", audit=service.audit(session_id, user))


@router.get("/audit.jsonl", **page(Right.READ, reads="all its events"))
def export(user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    """What `agentfix audit export` prints: an event a line, with its hash."""
    found = views.export(service, session_id, user)
    headers = {"Content-Disposition": 'attachment; filename="agentfix-session.jsonl"'}
    return StreamingResponse(_lines(session_id, found), media_type="application/jsonl", headers=headers)


def _lines(session_id: str, events: Iterator[Event]) -> Iterator[str]:
    for one in events:
        yield json.dumps({"session_id": session_id, **readable(one)}, ensure_ascii=False) + "\n"

"""The page of one session: what it found, did and asks, live."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Header, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.web.answers import readable
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service, SessionId
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import badge_of

router = APIRouter(prefix="/sessions/{session_id}")

Known = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("", **page(Right.READ, reads="the session and its events"))
def session(request: Request, user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    found = service.get(session_id, user)
    events = [readable(event) for event in service.events(session_id, user, after=0)]
    return shell.page(request, "session.html.j2", session=found, badge=badge_of(found), events=events, etag=f'"{found.version}"')


@router.get("/live", **page(Right.READ, reads="the session and its newest events"))
def live(
    request: Request,
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    after: Annotated[int, Query(ge=0)],
    known: Known = None,
) -> Response:
    """What has changed since event `after`: the parts of the page that it changes, and the new events."""
    found = service.get(session_id, user)
    if known == (etag := f'"{found.version}"'):
        return shell.unchanged()
    events = [readable(event) for event in service.events(session_id, user, after=after)]
    return shell.fragment(request, "session_live.html.j2", session=found, badge=badge_of(found), events=events, etag=etag)

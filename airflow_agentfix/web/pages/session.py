"""The page of one session: what it found, did and asks, live."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Header, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.views import session as views
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import MOST_EVENTS, Service, SessionId
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import Badge, badge_of

router = APIRouter(prefix="/sessions/{session_id}")

Known = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("", **page(Right.READ, reads="the session and its newest events"))
def session(request: Request, user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    view = views.whole(service, session_id, user)
    return shell.page(request, "session.html.j2", view=view, badge=_badge(view))


@router.get("/live", **page(Right.READ, reads="the session's version, how its rerun stands, and its newest events"))
def live(
    request: Request,
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    after: Annotated[int, Query(ge=0, le=MOST_EVENTS)],
    known: Known = None,
) -> Response:
    """What has changed since event `after`: the parts of the page that it changes, and the new events."""
    view = views.since(service, session_id, user, after=after, known=known)
    if view is None:
        return shell.unchanged()
    if view.is_erased:  # what the page holds is gone, all of it
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    badge = _badge(view) if "head" in view.sent else None
    return shell.fragment(request, "session_live.html.j2", view=view, badge=badge)


@router.get("/budget", **page(Right.READ, reads="what it used of what it may"))
def budget(request: Request, user: GetUserDep, session_id: SessionId, service: Service, known: Known = None) -> Response:
    """Changes with time, and with what other sessions of the day spend."""
    spent = views.spent(service, session_id, user)
    return shell.unchanged() if known == spent.tag else shell.fragment(request, "session_budget.html.j2", spent=spent)


def _badge(view: views.View) -> Badge:
    """Whom it waits for is known here, where the question is: lists cannot say that it is you."""
    if view.is_answered:
        return Badge("answered", "waits")
    is_yours = any(one.may != "nothing" for one in view.asks)
    return Badge("waits for you", "asks") if is_yours else badge_of(view.session)

"""The inbox: every session that a person may read, those that wait for somebody first."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request  # noqa: TID253 - the API server only
from fastapi.responses import HTMLResponse  # noqa: TID253 - as above

from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import badge_of

router = APIRouter()


@router.get("/", **page(Right.READ, reads="sessions of the DAGs that it may read"))
def inbox(request: Request, user: GetUserDep, service: Service) -> HTMLResponse:
    found = service.list(user)
    rows = [(session, badge_of(session)) for session in found.sessions]
    return shell.page(request, "inbox.html.j2", rows=rows, total=found.total)

"""The tab of a DAG run: the sessions on its failures, and whether it is on a fix commit."""

from __future__ import annotations

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.store.record import Wanted
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import badge_of
from airflow_agentfix.web.pages.task import Key

router = APIRouter(prefix="/run")


@router.get("", **page(Right.READ, reads="sessions on failures of the run"))
def run(request: Request, user: GetUserDep, service: Service, dag_id: Key, run_id: Key) -> Response:
    found = service.list(user, Wanted(dag_id, run_id))
    rows = [(session, badge_of(session)) for session in found.sessions]
    return shell.page(request, "run.html.j2", dag_id=dag_id, run_id=run_id, rows=rows)

"""The tab of a DAG run: what failed in it and whose it is, what was rerun or recovered, and whether it is on a fix commit."""

from __future__ import annotations

from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Header, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import Session
from airflow_agentfix.views import run as view
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import Badge, badge_of
from airflow_agentfix.web.pages.task import Key

router = APIRouter(prefix="/run")

Known = Annotated[str | None, Header(alias="If-None-Match")]


@router.get("", **page(Right.READ, reads="the run in Airflow, and sessions on failures of it"))
def run(request: Request, user: GetUserDep, service: Service, dag_id: Key, run_id: Key, known: Known = None) -> Response:
    shown = view.run(service, user, dag_id, run_id)
    etag = shown.etag
    if known == etag:
        return shell.unchanged()
    rows = [(row, badge_of(row.work.session) if row.work else None, _done(row, run_id)) for row in shown.rows]
    values: dict[str, Any] = {"run": shown, "rows": rows, "etag": etag}
    if shell.is_fragment(request):
        return shell.fragment(request, "run_live.html.j2", **values)
    return shell.page(request, "run.html.j2", **values)


def _done(row: view.Row, run_id: str) -> list[Badge]:
    """What the row's session did to its task in this run: rerun, then recovery."""
    if row.work is None:
        return []
    rerun, recovery = row.work.rerun, row.work.recovery
    told = [_rerun(rerun, row.work.session, run_id)] if rerun else []
    return [*told, RECOVERIES[recovery.state]] if recovery else told


_RERUNS = {"success": ("is green", "good"), "failed": ("failed", "bad")}
RECOVERIES = {
    RunState.STARTED: Badge("recovery is going", "busy"),
    RunState.GREEN: Badge("recovered with the merged fix", "good"),
    RunState.FAILED: Badge("recovery failed", "bad"),
    RunState.LEFT: Badge("left alone by the recovery", "plain"),
}


def _rerun(rerun: view.Rerun, session: Session, run_id: str) -> Badge:
    said, tone = _RERUNS.get(
        rerun.state or "", (f"is {rerun.state}" if rerun.state else "is gone", "busy" if rerun.state else "plain")
    )
    where = "rerun on the fix" if session.run_id == run_id else "rerun of its own run"
    return Badge(f"{where} {said}", tone)

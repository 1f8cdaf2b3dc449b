"""The tab of a task instance: the session on it, or what can be said of its failure and done about it."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.service import Failure
from airflow_agentfix.store.record import Wanted
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service, WithinRate
from airflow_agentfix.web.pages import shell

router = APIRouter(prefix="/task")

Key = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]
FormKey = Annotated[str, Form(max_length=250, pattern=r"^[^\x00]*$")]


def _index(said: str) -> int:
    """Airflow puts the very text {MAP_INDEX} where a task is not mapped."""
    return int(said) if said.isdecimal() else -1


@router.get("", **page(Right.READ, reads="sessions on failures of the task"))
def task(
    request: Request, user: GetUserDep, service: Service, dag_id: Key, run_id: Key, task_id: Key, map_index: Key = "-1"
) -> Response:
    found = service.list(user, Wanted(dag_id, run_id, task_id), limit=1)
    failure = Failure(dag_id, run_id, task_id, _index(map_index))
    return shell.page(request, "task.html.j2", session=next(iter(found.sessions), None), failure=failure)


@router.post(
    "/start",
    **page(Right.EDIT, reads="the task instance, in Airflow", changes="a session; starts a run of `agentfix_fix`"),
    dependencies=[WithinRate],
)
def start(
    request: Request,
    user: GetUserDep,
    service: Service,
    dag_id: FormKey,
    run_id: FormKey,
    task_id: FormKey,
    autonomy: FormKey,
    map_index: Annotated[int, Form()] = -1,
) -> Response:
    """A session for this failure; the browser goes to its page."""
    failure = Failure(dag_id, run_id, task_id, map_index, source="ui", autonomy=autonomy)
    taken = service.create(failure, user)
    return Response(status_code=204, headers={"HX-Redirect": f"{shell.root_of(request)}/sessions/{taken.id}"})

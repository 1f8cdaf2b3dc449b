"""The tab of a task instance: the page of the session on it, or what can be said of its failure and done about it.

The page comes at once and knows no log; its parts come after it, each by itself, and each may fail by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, Form, Header, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.redaction import told
from airflow_agentfix.service import Failure
from airflow_agentfix.views import offers
from airflow_agentfix.views import task as views
from airflow_agentfix.views.task import TaskKey
from airflow_agentfix.web.bodies import MOST_INDEX
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service, WithinRate
from airflow_agentfix.web.outward import outward
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import badge_of

router = APIRouter(prefix="/task")

Key = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]
FormKey = Annotated[str, Form(max_length=250, pattern=r"^[^\x00]*$")]
Message = Annotated[str, Form(max_length=8000)]
PARTS = {
    "found": ("What happened", "Reading the log and judging it by rules …", 6),
    "lineage": ("Data in and out", "Looking at assets and at what waits for them …", 4),
    "durations": ("How long it takes", "Reading earlier runs …", 3),
    "changes": ("What changed", "Asking the repository …", 3),
    "actions": ("What you can do", "Asking what fits and what is allowed …", 6),
}
"""of the page: heading, what it does while it loads, lines that it leaves free for that"""


def _key(dag_id: Key, run_id: Key, task_id: Key, map_index: Key = "-1") -> TaskKey:
    """Airflow puts the very text {MAP_INDEX} where a task is not mapped."""
    return TaskKey(dag_id, run_id, task_id, int(map_index) if map_index.isdecimal() and len(map_index) < 10 else -1)


Asked = Annotated[TaskKey, Depends(_key)]


@router.get("", **page(Right.READ, reads="the task instance, in Airflow; sessions on its failures"))
def task(request: Request, user: GetUserDep, service: Service, key: Asked, now: bool = False) -> Response:
    """`now`: the failure as it is, whatever session is on it."""
    opened = views.opened(service, user, key)
    if opened.leads_to and not now:
        return Response(status_code=303, headers={"Location": _session(request, opened.leads_to)})
    sessions = [(session, badge_of(session)) for session in opened.sessions]
    return shell.page(request, "task.html.j2", opened=opened, sessions=sessions, query=_query(key), parts=PARTS)


@router.get("/state", **page(Right.READ, reads="the task instance, in Airflow; sessions on its failures"))
def state(
    user: GetUserDep, service: Service, key: Asked, known: Annotated[str | None, Header(alias="If-None-Match")] = None
) -> Response:
    """A poll: the browser loads the page again where it would be another one."""
    if views.opened(service, user, key).mark == known:
        return shell.unchanged()
    return Response(status_code=204, headers={"HX-Refresh": "true"})


@router.get("/found", **page(Right.READ, reads="Airflow's database, and the ends of the task's log"))
async def found(request: Request, user: GetUserDep, service: Service, key: Asked) -> Response:
    return await outward(request, lambda: _part(request, "found", key, lambda: {"told": views.found(service, user, key)}))


@router.get("/lineage", **page(Right.READ, reads="Airflow's database, and the ends of the task's log"))
async def lineage(request: Request, user: GetUserDep, service: Service, key: Asked) -> Response:
    return await outward(request, lambda: _part(request, "lineage", key, lambda: {"picture": views.pictured(service, user, key)}))


@router.get("/durations", **page(Right.READ, reads="the task's newest runs, in Airflow"))
def durations(request: Request, user: GetUserDep, service: Service, key: Asked) -> Response:
    return _part(request, "durations", key, lambda: {"plot": views.timed(service, user, key)})


@router.get("/changes", **page(Right.READ, reads="commits between the last green run and this one, at the code host"))
async def changes(request: Request, user: GetUserDep, service: Service, key: Asked) -> Response:
    def looked() -> dict[str, Any]:
        changes, unknown = views.changed(service, user, key)
        return {"changes": changes, "unknown": unknown}

    return await outward(request, lambda: _part(request, "changes", key, looked))


@router.get(
    "/actions",
    **page(Right.READ, reads="configuration, `.agentfix.yaml` on the base branch, the day's dollars, the ends of the task's log"),
)
async def actions(request: Request, user: GetUserDep, service: Service, key: Asked) -> Response:
    def looked() -> dict[str, Any]:
        offered = views.offered(service, user, key)
        return {"offered": offered, "costs": offers.costs(offered)}

    return await outward(request, lambda: _part(request, "actions", key, looked))


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
    map_index: Annotated[int, Form(ge=-1, le=MOST_INDEX)] = -1,
    message: Message = "",
) -> Response:
    """A session for this failure; the browser goes to its page."""
    wanted = message.strip() or None
    failure = Failure(dag_id, run_id, task_id, map_index, source="ui", autonomy=autonomy, message=wanted)
    taken = service.create(failure, user)
    return Response(status_code=204, headers={"HX-Redirect": _session(request, taken.id)})


def _part(request: Request, name: str, key: TaskKey, look: Callable[[], dict[str, Any]]) -> Response:
    """A part of the page; where it cannot be had, it says why and offers to try again, and the others stay."""
    heading = PARTS[name][0]
    common: dict[str, Any] = {"part": name, "heading": heading, "key": key, "query": _query(key)}
    try:
        return shell.fragment(request, f"task_{name}.html.j2", **common, **look())
    except AgentFixError as error:
        return shell.fragment(request, "task_failed.html.j2", **common, message=told(error))


def _query(key: TaskKey) -> str:
    return urlencode({"dag_id": key.dag_id, "run_id": key.run_id, "task_id": key.task_id, "map_index": key.map_index})


def _session(request: Request, session_id: str) -> str:
    return f"{shell.root_of(request)}/sessions/{session_id}"

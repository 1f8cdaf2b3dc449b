"""The session API under /agentfix/api/v1: routes parse, ask one use case and translate; rights are the use cases' own.

Plain functions, not coroutines: they do database work, which would block the API server's loop; what asks a code host goes
`outward`. What each route `declared` is in the OpenAPI document; a docstring is its description there.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, FastAPI, Query, Request, Response  # noqa: TID253 - the API server only

from airflow_agentfix import __version__
from airflow_agentfix.core.audit import canonical
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.core.session import Outcome, State, WaitFor
from airflow_agentfix.ports import Json
from airflow_agentfix.recovering import Asked
from airflow_agentfix.service import Failure, SessionService
from airflow_agentfix.store.record import Wanted
from airflow_agentfix.web import schemas, worker
from airflow_agentfix.web.answers import BodyLimit, add_error_answers, readable
from airflow_agentfix.web.bodies import (
    CreateBody,
    EndPinBody,
    FailureBody,
    MessageBody,
    RecoverBody,
    ReplyBody,
    StopBody,
)
from airflow_agentfix.web.declared import Right, declared
from airflow_agentfix.web.document import Documented
from airflow_agentfix.web.given import MOST_EVENTS, DagId, Known, Service, SessionId, WithinRate
from airflow_agentfix.web.headers import Headers
from airflow_agentfix.web.outward import Lane, outward
from airflow_agentfix.web.pages import router as pages
from airflow_agentfix.web.pages.forgery import protected
from airflow_agentfix.web.rate import IntakeRate

ServiceFactory = Callable[[], SessionService]


def build_app(service_factory: ServiceFactory, *, secret: str, base_url: str = "", ui: bool = True) -> FastAPI:
    """The sub-app that the plugin mounts. The service is built at its first use, and again after that failed. `secret`: the API
    server's, the same in each of its processes; `base_url`: Airflow's address as people have it, empty where not known;
    `ui`: with the pages."""
    app = Documented(version=__version__)
    app.state.service = _Once(service_factory)
    app.state.intakes = IntakeRate()
    app.add_middleware(protected, secret=secret, base_url=base_url)
    app.add_middleware(BodyLimit)
    app.add_middleware(Headers)
    add_error_answers(app)
    for router in (_open, _people, worker.router):
        app.include_router(router, prefix="/api/v1")
    if ui:
        app.include_router(pages.router)
    return app


class _Once:
    """One service per process, built by whichever request comes first. `built`: None until then."""

    def __init__(self, factory: ServiceFactory) -> None:
        self._factory, self._lock = factory, threading.Lock()
        self.built: SessionService | None = None

    def __call__(self) -> SessionService:
        with self._lock:
            if self.built is None:
                self.built = self._factory()
            return self.built


_NOTICED = "nothing; one whose run of `agentfix_fix` ended without a word is ended as failed"

_open = APIRouter(tags=["people"])
_people = APIRouter(tags=["people"])


def _key(description: str) -> Any:
    return Query(max_length=250, pattern=r"^[^\x00]*$", description=description)


@_open.get("/health", **declared("Is the plugin there?", Right.NONE, answers=schemas.HealthAnswer, reads="its version"))
def health() -> Json:
    """Opens no database."""
    return {"status": "ok", "version": __version__}


@_people.post(
    "/failures",
    **declared(
        "Hand over a failed task",
        Right.EDIT,
        answers=schemas.TakenAnswer,
        status=202,
        reads="the task instance, in Airflow",
        changes="a session, or an occurrence of one; starts a run of `agentfix_fix`",
        refuses=(404, 409, 413, 429),
    ),
    dependencies=[WithinRate],
)
def report_failure(user: GetUserDep, body: FailureBody, service: Service) -> Json:
    """The same failure again gives the same session; a failure of a task that has a session at work is its occurrence. At most
    64 KB. `warning` says why no worker comes yet."""
    return service.intake(Failure(**body.model_dump(exclude={"hint"})), user).to_json()


@_people.post(
    "/sessions",
    **declared(
        "Start a session on a failed task",
        Right.EDIT,
        answers=schemas.TakenAnswer,
        status=201,
        also={200: "The session that works on this task already; the message was told to it."},
        reads="the task instance, in Airflow",
        changes="a session; starts a run of `agentfix_fix`",
        refuses=(404, 409, 413, 429),
    ),
    dependencies=[WithinRate],
)
def create(user: GetUserDep, body: CreateBody, service: Service, response: Response) -> Json:
    """Even if an earlier session on it ended."""
    taken = service.create(Failure(**body.model_dump()), user)
    response.status_code = 201 if taken.created else 200
    return taken.to_json()


@_people.get(
    "/sessions",
    **declared(
        "List sessions", Right.READ, answers=schemas.PageAnswer, reads="sessions of the DAGs that it may read", changes=_NOTICED
    ),
)
def sessions(
    user: GetUserDep,
    service: Service,
    dag_id: Annotated[str | None, _key("Only sessions of this DAG.")] = None,
    run_id: Annotated[str | None, _key("Only sessions on failures of this run.")] = None,
    task_id: Annotated[str | None, _key("Only sessions on failures of this task.")] = None,
    state: Annotated[State | None, Query(description="Only sessions in this state.")] = None,
    outcome: Annotated[Outcome | None, Query(description="Only sessions that ended so.")] = None,
    waiting_for: Annotated[WaitFor | None, Query(description="Only sessions that wait for this.")] = None,
    verdict: Annotated[Verdict | None, Query(description="Only sessions with this verdict.")] = None,
    pinned: Annotated[bool, Query(description="Only sessions whose run is on their fix commit.")] = False,
    unsettled: Annotated[
        bool, Query(description="Only done sessions with a fix that is open, or merged with runs left to recover.")
    ] = False,
    pull_request: Annotated[bool, Query(description="Only sessions that opened a pull request.")] = False,
    limit: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    offset: Annotated[int, Query(ge=0, description="How many of the newest to leave out.")] = 0,
) -> Json:
    """Newest first, of the DAGs this login may read; all that is given has to fit. Sessions that are made meanwhile move a later
    page; `total` tells of it."""
    wanted = Wanted(dag_id, run_id, task_id, state, outcome, waiting_for, verdict, pinned, unsettled, pull_request)
    return service.list(user, wanted, limit=limit, offset=offset).to_json()


@_people.get(
    "/sessions/{session_id}",
    **declared(
        "Get a session",
        Right.READ,
        answers=schemas.ShownAnswer,
        reads="the session, and what was spent today",
        changes=_NOTICED,
        refuses=(404,),
        tagged=True,
    ),
)
def session(user: GetUserDep, session_id: SessionId, service: Service, response: Response, if_none_match: Known = None) -> Any:
    """With what it has spent of what it may, where it stands and how it ended, and what of its fix was verified. The day's
    dollars are in `budget`: what other sessions spend is a change too."""
    found, budget = service.get(session_id, user), service.budget(session_id, user).to_json()
    spent = hashlib.sha256(canonical(budget).encode()).hexdigest()[:16]  # by other sessions too, and by time

    def answer() -> Json:
        stages, links = service.verified(session_id, user)
        verification = [stage.to_json() for stage in stages]
        return {"session": found.to_json(), "budget": budget, "verification": verification, "links": links.to_json()}

    return _unless_known(f'"{found.version}-{spent}"', if_none_match, response, answer)


@_people.get(
    "/sessions/{session_id}/events",
    **declared(
        "Get its events",
        Right.READ,
        answers=schemas.EventsAnswer,
        reads="its events",
        changes=_NOTICED,
        refuses=(404,),
        tagged=True,
    ),
)
def events(
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    response: Response,
    after: Annotated[int, Query(ge=0, le=MOST_EVENTS, description="Number of the last event you have.")] = 0,
    if_none_match: Known = None,
) -> Any:
    """Made to be polled every two seconds: while nothing happened, one indexed query and no body."""
    version = service.get(session_id, user).version

    def newer() -> Json:
        return {"events": [readable(event) for event in service.events(session_id, user, after=after)]}

    return _unless_known(f'"{version}-{after}"', if_none_match, response, newer)


@_people.get(
    "/sessions/{session_id}/audit",
    **declared("Check its chain of events", Right.READ, answers=schemas.AuditAnswer, reads="its events' hashes", refuses=(404,)),
)
def audit(
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    anchor: Annotated[
        str | None, Query(pattern=r"^[0-9a-f]{64}$", description="A hash kept elsewhere, which has to be in the chain.")
    ] = None,
) -> Json:
    """`broken_at`: number of the first event that is not what was written, or is missing."""
    return {"audit": service.audit(session_id, user, anchor=anchor).to_json()}


@_people.get(
    "/dags/{dag_id}/policy",
    **declared(
        "Get the policy for a DAG",
        Right.READ,
        answers=schemas.PolicyAnswer,
        reads="configuration, and `.agentfix.yaml` on the base branch",
        refuses=(404,),
    ),
)
async def policy(request: Request, user: GetUserDep, dag_id: DagId, service: Service) -> Json:
    """What a session on this DAG may do if it starts now, and where each value comes from. `problems`: sources that could not
    be used."""
    return await outward(request, lambda: {"dag_id": dag_id, **service.policy(dag_id, user).to_json()})


@_people.delete(
    "/sessions/{session_id}",
    **declared(
        "Stop and erase a session",
        Right.EDIT,
        answers=schemas.SessionAnswer,
        reads="the session",
        changes="what its events hold is gone; a run on its fix commit goes back to its own version",
        refuses=(404, 409),
    ),
)
def erase(user: GetUserDep, session_id: SessionId, service: Service) -> Json:
    """Hashes, decisions and what was done to runs stay."""
    return {"session": service.erase(session_id, user).to_json()}


@_people.post(
    "/sessions/{session_id}/message",
    **declared(
        "Tell it something",
        Right.EDIT,
        answers=schemas.TakenAnswer,
        reads="the session",
        changes="a note in it; a done one starts a new run of `agentfix_fix`",
        refuses=(404, 409, 413),
    ),
)
def message(user: GetUserDep, session_id: SessionId, body: MessageBody, service: Service) -> Json:
    """A session at work takes it in before its next model call; a done one goes on with it. With `comment` the note is its
    author's, and is no more than a note; a comment that the session was told before changes nothing."""
    return service.message(session_id, user, body.message, body.remark()).to_json()


@_people.post(
    "/sessions/{session_id}/continue",
    **declared(
        "Answer what waits",
        Right.APPROVER,
        answers=schemas.SessionAnswer,
        reads="the question",
        changes="the answer, and the approval of one commit; ends the question's run of `agentfix_ask`",
        approval="gives it",
        refuses=(404, 409, 413),
    ),
)
async def reply(request: Request, user: GetUserDep, session_id: SessionId, body: ReplyBody, service: Service) -> Json:
    """An approval that waits needs `decision` approve or reject, else 422 `DecisionRequired`."""
    return await outward(
        request, lambda: {"session": service.reply(session_id, user, **body.model_dump()).to_json()}, lane=Lane.DECISIONS
    )


@_people.post(
    "/sessions/{session_id}/stop",
    **declared(
        "Stop a session",
        Right.EDIT,
        answers=schemas.SessionAnswer,
        reads="the session",
        changes="the session ends; a run on its fix commit goes back to its own version",
        refuses=(404, 409, 413),
    ),
)
def stop(user: GetUserDep, session_id: SessionId, body: StopBody, service: Service) -> Json:
    """At once where no worker is on it; else with the worker's next step."""
    return {"session": service.stop(session_id, user, body.reason).to_json()}


@_people.post(
    "/sessions/{session_id}/end-pin",
    **declared(
        "Take the run off the fix commit",
        Right.EDIT,
        answers=schemas.SessionAnswer,
        reads="the version Airflow serves the DAG on",
        changes="the run's version: its own, or with the reason merged the one that new runs get",
        refuses=(404, 409, 413),
    ),
)
def end_pin(user: GetUserDep, session_id: SessionId, body: EndPinBody, service: Service) -> Json:
    """409 while session or run is at work."""
    return {"session": service.end_pin(session_id, user, version=body.version, reason=body.reason).to_json()}


@_people.post(
    "/sessions/{session_id}/recover",
    **declared(
        "Recover the runs of a merged fix",
        Right.EDIT,
        answers=schemas.RecoveryAnswer,
        reads="the runs of its cause, the version Airflow serves the DAG on, whether the fix is merged; for triage the policy",
        changes="failed tasks of these runs go on with the newest version of the DAG; an event for each run",
        refuses=(404, 409, 413),
    ),
)
async def recover(request: Request, user: GetUserDep, session_id: SessionId, body: RecoverBody, service: Service) -> Json:
    """409, and nothing done, where the fix is not merged or not served yet; `dry_run` says that as `warning`. Where the
    repository cannot tell, a person's word suffices; `found` is the triage DAG's, which needs the autonomy `recover`. No run is
    started twice."""
    asked = Asked(**body.model_dump())
    return await outward(request, lambda: {"recovery": service.recover(session_id, user, asked).to_json()}, lane=Lane.DECISIONS)


def _unless_known(tag: str, known: str | None, response: Response, answer: Callable[[], Json]) -> Any:
    if known == tag:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return answer()

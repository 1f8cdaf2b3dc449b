"""The session API under /agentfix/api/v1: routes parse, ask one use case and translate; rights are the use cases' own.

Plain functions, not coroutines: they do database work, which would block the API server's loop.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated, Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response  # noqa: TID253 - the API server only

from airflow_agentfix import __version__
from airflow_agentfix.core.session import State
from airflow_agentfix.ports import Json, WaitRun
from airflow_agentfix.service import Failure, SessionService
from airflow_agentfix.store.wire import claim_to_json, result_to_json
from airflow_agentfix.web.answers import BodyLimit, add_error_answers, readable
from airflow_agentfix.web.bodies import (
    AppendBody,
    ApprovalBody,
    AskBody,
    ClaimBody,
    CreateBody,
    EndPinBody,
    FailureBody,
    FinishBody,
    MessageBody,
    ParkBody,
    ReplyBody,
    RerunBody,
    StopBody,
)

ServiceFactory = Callable[[], SessionService]


def build_app(service_factory: ServiceFactory) -> FastAPI:
    """The sub-app that the plugin mounts. The service is built at its first use, and again after that failed."""
    app = FastAPI(title="AgentFix", version=__version__)
    app.state.service = _Once(service_factory)
    app.add_middleware(BodyLimit)
    add_error_answers(app)
    for router in (_open, _people, _worker):
        app.include_router(router, prefix="/api/v1")
    return app


class _Once:
    """One service per process, built by whichever request comes first."""

    def __init__(self, factory: ServiceFactory) -> None:
        self._factory, self._lock = factory, threading.Lock()
        self._service: SessionService | None = None

    def __call__(self) -> SessionService:
        with self._lock:
            if self._service is None:
                self._service = self._factory()
            return self._service


def _service(request: Request) -> SessionService:
    service: SessionService = request.app.state.service()
    return service


Service = Annotated[SessionService, Depends(_service)]

_open = APIRouter()
_people = APIRouter()
_worker = APIRouter(prefix="/sessions/{session_id}")


@_open.get("/health")
def health() -> Json:
    return {"status": "ok", "version": __version__}


# --- people and callbacks --------------------------------------------------------------------------------------------


@_people.post("/failures", status_code=202)
def report_failure(user: GetUserDep, body: FailureBody, service: Service) -> Json:
    return service.intake(Failure(**body.model_dump(exclude={"hint"})), user).to_json()


@_people.post("/sessions", status_code=201)
def create(user: GetUserDep, body: CreateBody, service: Service, response: Response) -> Json:
    taken = service.create(Failure(**body.model_dump()), user)
    response.status_code = 201 if taken.created else 200
    return taken.to_json()


@_people.get("/sessions")
def sessions(
    user: GetUserDep,
    service: Service,
    dag_id: Annotated[str | None, Query(max_length=250, pattern=r"^[^\x00]*$")] = None,
    state: State | None = None,
    pinned: bool = False,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Json:
    found = service.list(user, dag_id=dag_id, state=state, limit=limit, offset=offset, pinned=pinned)
    return {"sessions": [session.to_json() for session in found]}


@_people.get("/sessions/{session_id}")
def session(
    user: GetUserDep, session_id: str, service: Service, response: Response, if_none_match: Annotated[str | None, Header()] = None
) -> Any:
    found = service.get(session_id, user)
    return _unless_known(f'"{found.version}"', if_none_match, response, lambda: {"session": found.to_json()})


@_people.get("/sessions/{session_id}/events")
def events(
    user: GetUserDep,
    session_id: str,
    service: Service,
    response: Response,
    after: Annotated[int, Query(ge=0)] = 0,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Any:
    """Polled every two seconds: while nothing happened, one indexed query and no body."""
    version = service.get(session_id, user).version

    def newer() -> Json:
        return {"events": [readable(event) for event in service.events(session_id, user, after=after)]}

    return _unless_known(f'"{version}-{after}"', if_none_match, response, newer)


@_people.get("/sessions/{session_id}/audit")
def audit(
    user: GetUserDep, session_id: str, service: Service, anchor: Annotated[str | None, Query(pattern=r"^[0-9a-f]{64}$")] = None
) -> Json:
    return {"audit": service.audit(session_id, user, anchor=anchor).to_json()}


@_people.get("/dags/{dag_id}/policy")
def policy(user: GetUserDep, dag_id: str, service: Service) -> Json:
    return {"dag_id": dag_id, **service.policy(dag_id, user).to_json()}


@_people.delete("/sessions/{session_id}")
def erase(user: GetUserDep, session_id: str, service: Service) -> Json:
    return {"session": service.erase(session_id, user).to_json()}


@_people.post("/sessions/{session_id}/message")
def message(user: GetUserDep, session_id: str, body: MessageBody, service: Service) -> Json:
    return service.message(session_id, user, body.message).to_json()


@_people.post("/sessions/{session_id}/continue")
def reply(user: GetUserDep, session_id: str, body: ReplyBody, service: Service) -> Json:
    return {"session": service.reply(session_id, user, **body.model_dump()).to_json()}


@_people.post("/sessions/{session_id}/stop")
def stop(user: GetUserDep, session_id: str, body: StopBody, service: Service) -> Json:
    return {"session": service.stop(session_id, user, body.reason).to_json()}


@_people.post("/sessions/{session_id}/end-pin")
def end_pin(user: GetUserDep, session_id: str, body: EndPinBody, service: Service) -> Json:
    return {"session": service.end_pin(session_id, user, version=body.version, reason=body.reason).to_json()}


def _unless_known(tag: str, known: str | None, response: Response, answer: Callable[[], Json]) -> Any:
    if known == tag:
        return Response(status_code=304, headers={"ETag": tag})
    response.headers["ETag"] = tag
    return answer()


# --- the worker ------------------------------------------------------------------------------------------------------


@_worker.post("/claim")
def claim(user: GetUserDep, session_id: str, body: ClaimBody, service: Service) -> Json:
    return claim_to_json(service.worker.claim(session_id, user, worker=body.worker))


@_worker.post("/events")
def append(user: GetUserDep, session_id: str, body: AppendBody, service: Service) -> Json:
    drafts = [(event.kind, event.data) for event in body.events]
    written = service.worker.append(session_id, user, lease=body.lease, after=body.after, events=drafts)
    return {"events": [event.to_json() for event in written]}


@_worker.post("/ask")
def ask(user: GetUserDep, session_id: str, body: AskBody, service: Service) -> Json:
    return result_to_json(service.worker.ask(session_id, user, **body.model_dump()))


@_worker.post("/approval")
def approval(user: GetUserDep, session_id: str, body: ApprovalBody, service: Service) -> Json:
    return result_to_json(service.worker.approval(session_id, user, **body.model_dump()))


@_worker.get("/shape")
def shape(user: GetUserDep, session_id: str, lease: Annotated[str, Query(max_length=64)], service: Service) -> Json:
    return {"shape": service.worker.shape(session_id, user, lease=lease)}


@_worker.post("/rerun")
def rerun(user: GetUserDep, session_id: str, body: RerunBody, service: Service) -> Json:
    return result_to_json(service.worker.rerun(session_id, user, **body.model_dump()))


@_worker.post("/park")
def park(user: GetUserDep, session_id: str, body: ParkBody, service: Service) -> Json:
    wait = WaitRun(body.dag_id, body.run_id, body.waiting_for, body.call_id)
    return {"session": service.worker.park(session_id, user, lease=body.lease, wait=wait).to_json()}


@_worker.post("/finish")
def finish(user: GetUserDep, session_id: str, body: FinishBody, service: Service) -> Json:
    return {"session": service.worker.finish(session_id, user, **body.model_dump()).to_json()}

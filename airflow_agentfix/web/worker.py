"""The worker's routes: for the task of agentfix_fix that drives a session, each after `claim` with the lease that it gave."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Query, Request  # noqa: TID253 - the API server only

from airflow_agentfix.ports import Json, WaitRun
from airflow_agentfix.store.wire import claim_to_json, result_to_json
from airflow_agentfix.web import examples, schemas
from airflow_agentfix.web.bodies import AppendBody, ApprovalBody, AskBody, ClaimBody, FinishBody, ParkBody, RerunBody
from airflow_agentfix.web.declared import Right, declared
from airflow_agentfix.web.given import Service, SessionId
from airflow_agentfix.web.outward import Lane, outward

router = APIRouter(prefix="/sessions/{session_id}", tags=["worker"])

_LEASED = (404, 409, 413)
COMMIT_ID = r"^([0-9a-f]{40}|[0-9a-f]{64})$"


@router.post(
    "/claim",
    **declared(
        "Take the session",
        Right.EDIT,
        answers=schemas.ClaimAnswer,
        reads="the session, its events whole, the policy in force",
        changes="who holds the lease; writes the login down, which cannot approve from then on",
        refuses=_LEASED,
    ),
)
async def claim(request: Request, user: GetUserDep, session_id: SessionId, body: ClaimBody, service: Service) -> Json:
    """409 while another worker holds it and is alive."""
    return await outward(
        request, lambda: claim_to_json(service.worker.claim(session_id, user, worker=body.worker)), lane=Lane.WORK
    )


@router.post(
    "/events",
    **declared(
        "Append events and renew the lease",
        Right.LEASE,
        answers=schemas.EventsAnswer,
        reads="events above `after`",
        changes="appends events of a worker's kinds; with its incident the session may end as a duplicate",
        refuses=_LEASED,
    ),
)
def append(user: GetUserDep, session_id: SessionId, body: AppendBody, service: Service) -> Json:
    """A batch that has arrived before is not appended twice. At most 4 MB."""
    drafts = [(event.kind, event.data) for event in body.events]
    written = service.worker.append(session_id, user, lease=body.lease, after=body.after, events=drafts)
    return {"events": [event.to_json() for event in written]}


@router.post(
    "/ask",
    **declared(
        "Ask a person",
        Right.LEASE,
        answers=schemas.AskAnswer,
        reads="the answer",
        changes="a question; starts a run of `agentfix_ask`",
        refuses=_LEASED,
    ),
)
def ask(user: GetUserDep, session_id: SessionId, body: AskBody, service: Service) -> Json:
    """Once per call: repeated, it gives the answer as soon as there is one."""
    return result_to_json(service.worker.ask(session_id, user, **body.model_dump()))


@router.post(
    "/approval",
    **declared(
        "May the fix commit be run?",
        Right.LEASE,
        answers=schemas.ApprovalAnswer,
        reads="approvals of the commit",
        changes="a question where nobody has decided, with a run of `agentfix_ask`; or the waiver, written down",
        approval="asks for it",
        refuses=_LEASED,
    ),
)
async def approval(request: Request, user: GetUserDep, session_id: SessionId, body: ApprovalBody, service: Service) -> Json:
    """By a person's word on this very commit, or because policy waives it."""
    return await outward(
        request, lambda: result_to_json(service.worker.approval(session_id, user, **body.model_dump())), lane=Lane.WORK
    )


@router.get(
    "/signature",
    **declared(
        "Get the signature of a fix's tree",
        Right.LEASE,
        answers=schemas.SignatureAnswer,
        reads="the session, the deployment's signing key",
        changes="nothing",
        refuses=(404, 409),
    ),
)
def signature(
    user: GetUserDep,
    session_id: SessionId,
    lease: Annotated[str, Query(max_length=64, description="As `claim` gave it.", examples=[examples.LEASE])],
    tree: Annotated[str, Query(pattern=COMMIT_ID, description="Git's id of the fix's tree.", examples=[examples.COMMIT])],
    file: Annotated[str, Query(max_length=2_000, description="The DAG file in the repository.", examples=["dags/orders.py"])],
    service: Service,
) -> Json:
    """For the trailer `Agentfix-Sig` of its commit. It says who made a fix, not that it may be run; empty without a key."""
    return {"signature": service.worker.sign(session_id, user, lease=lease, tree=tree, file=file)}


@router.get(
    "/shape",
    **declared(
        "Get the shape of the failed run's DAG",
        Right.LEASE,
        answers=schemas.ShapeAnswer,
        reads="the DAG as the run was created with it",
        refuses=(404, 409),
    ),
)
def shape(
    user: GetUserDep,
    session_id: SessionId,
    lease: Annotated[str, Query(max_length=64, description="As `claim` gave it.", examples=[examples.LEASE])],
    service: Service,
) -> Json:
    """What a fix has to keep to be rerun."""
    return {"shape": service.worker.shape(session_id, user, lease=lease)}


@router.post(
    "/rerun",
    **declared(
        "Rerun on the recorded fix commit",
        Right.LEASE,
        answers=schemas.RerunAnswer,
        reads="the recorded fix, the failed run",
        changes="the failed run: its version and its failed tasks; a note on it and a row in Airflow's audit log",
        approval="of this very commit",
        refuses=_LEASED,
    ),
)
async def rerun(request: Request, user: GetUserDep, session_id: SessionId, body: RerunBody, service: Service) -> Json:
    """What is rerun is the server's own record, never the caller's word. 403 without the approval; 422 where it cannot be."""
    return await outward(
        request, lambda: result_to_json(service.worker.rerun(session_id, user, **body.model_dump())), lane=Lane.WORK
    )


@router.post(
    "/park",
    **declared(
        "Give the lease back and wait",
        Right.LEASE,
        answers=schemas.SessionAnswer,
        reads="the session",
        changes="the session waits",
        refuses=_LEASED,
    ),
)
def park(user: GetUserDep, session_id: SessionId, body: ParkBody, service: Service) -> Json:
    """409 for one that was stopped meanwhile."""
    wait = WaitRun(body.dag_id, body.run_id, body.waiting_for, body.call_id)
    return {"session": service.worker.park(session_id, user, lease=body.lease, wait=wait).to_json()}


@router.post(
    "/finish",
    **declared(
        "End the session",
        Right.LEASE,
        answers=schemas.SessionAnswer,
        reads="the session",
        changes="the session ends; rejected or stopped, its run goes back to its own version",
        refuses=_LEASED,
    ),
)
def finish(user: GetUserDep, session_id: SessionId, body: FinishBody, service: Service) -> Json:
    """`fixed` needs a rerun of the fix commit."""
    return {"session": service.worker.finish(session_id, user, **body.model_dump()).to_json()}

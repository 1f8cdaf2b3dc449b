"""What a person does to a session on its page: answer, tell, stop, end its pin, recover its runs.

The use cases check rights and refuse what is not possible; a refusal is a notice, and the page looks anew after either.
"""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.core.session import State
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.recovering import Asked
from airflow_agentfix.store.wire import Recovery
from airflow_agentfix.views import session as views
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service, SessionId
from airflow_agentfix.web.outward import Lane, outward
from airflow_agentfix.web.pages import shell

router = APIRouter(prefix="/sessions/{session_id}")

Prose = Annotated[str, Form(max_length=20_000)]
Line = Annotated[str, Form(max_length=2_000)]
Word = Annotated[str, Form(max_length=250)]


@router.post(
    "/reply",
    **page(Right.APPROVER, reads="the question", changes="the answer, and the approval of one commit", approval="gives it"),
)
async def reply(
    request: Request,
    user: GetUserDep,
    session_id: SessionId,
    service: Service,
    question_id: Word,
    decision: Word = "answer",
    option: Line = "",
    message: Prose = "",
) -> Response:
    """`option`: the one that was clicked; what was written beside it goes with it. A question that is just being shown is waited
    for."""
    words = ": ".join(one for one in (option.strip(), message.strip()) if one)

    def replied() -> Response:
        service.reply(session_id, user, decision=decision, message=words, question_id=question_id)
        return shell.fragment(request, "session_answered.html.j2", view=views.whole(service, session_id, user))

    return await outward(request, replied, lane=Lane.DECISIONS)


@router.post("/message", **page(Right.EDIT, reads="the session", changes="a note in it; a done one starts a new run"))
def message(request: Request, user: GetUserDep, session_id: SessionId, service: Service, message: Prose) -> Response:
    if not message.strip():
        raise InvalidRequest("There is nothing to tell yet; write what the agent should know.")
    taken = service.message(session_id, user, message.strip())
    goes_on = "It goes on with that in a new run." if taken.state is State.OPEN else "It takes that in with its next step."
    return _told(request, taken.warning or goes_on, is_told=True)


@router.post("/stop", **page(Right.EDIT, reads="the session", changes="the session ends; a run on its fix goes back"))
def stop(request: Request, user: GetUserDep, session_id: SessionId, service: Service, reason: Line = "") -> Response:
    stopped = service.stop(session_id, user, reason.strip())
    return _told(request, "It is stopped." if stopped.state is State.DONE else "It stops with the agent's next step.")


@router.post("/end-pin", **page(Right.EDIT, reads="the session's pin", changes="the run's version"))
def end_pin(request: Request, user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    service.end_pin(session_id, user)
    return _told(request, "The run is off the fix commit.")


@router.post(
    "/recover",
    **page(Right.EDIT, reads="the runs of its cause, and whether the fix is merged", changes="failed tasks of these runs go on"),
)
async def recover(request: Request, user: GetUserDep, session_id: SessionId, service: Service) -> Response:
    return await outward(
        request, lambda: _told(request, recovered(service.recover(session_id, user, Asked()))), lane=Lane.DECISIONS
    )


def recovered(found: Recovery) -> str:
    """What became of each run, in a sentence."""
    runs = "; ".join(f"{run.run_id}: {run.state}{f' ({run.reason})' if run.reason else ''}" for run in found.runs)
    told = [found.warning, found.needs_person, f"{runs or 'No run is left to recover'}."]
    return " ".join(one for one in told if one)


def _told(request: Request, text: str, *, is_told: bool = False) -> Response:
    return shell.fragment(request, "session_told.html.j2", text=text, is_told=is_told)

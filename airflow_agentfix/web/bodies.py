"""What the session API accepts: every field named, bounded, and nothing beside."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import EventKind, Outcome, PinEnd, WaitFor

Key = Annotated[str, Field(min_length=1, max_length=250, pattern=r"^[^\x00]+$")]
"""as Airflow's own ids"""
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]
Line = Annotated[str, Field(max_length=2_000)]
Prose = Annotated[str, Field(max_length=200_000)]
CallId = Annotated[str, Field(min_length=1, max_length=200)]
Lease = Annotated[str, Field(min_length=1, max_length=64)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Task(_Body):
    dag_id: Key
    run_id: Key
    task_id: Key
    map_index: int = Field(default=-1, ge=-1)
    try_number: int | None = Field(default=None, ge=1)
    autonomy: Autonomy | None = None


class FailureBody(_Task):
    source: Word = "callback"
    hint: dict[Word, Line] = Field(default_factory=dict, max_length=10)
    """accepted and not trusted: the worker reads the log itself"""


class CreateBody(_Task):
    source: Word = "api"
    message: Line | None = None


class MessageBody(_Body):
    message: Annotated[str, Field(min_length=1, max_length=20_000)]


class ReplyBody(_Body):
    decision: Literal["answer", "approve", "reject"] | None = None
    message: Annotated[str, Field(max_length=20_000)] = ""
    question_id: Word | None = None


class StopBody(_Body):
    reason: Line = ""


class EndPinBody(_Body):
    version: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")] | None = None
    reason: PinEnd = PinEnd.ASKED


class ClaimBody(_Body):
    worker: Annotated[str, Field(min_length=1, max_length=800, pattern=r"^[^\x00]+$")]


class _Leased(_Body):
    lease: Lease


class NewEvent(_Body):
    kind: EventKind
    data: dict[str, Any]


class AppendBody(_Leased):
    after: int = Field(ge=0)
    events: list[NewEvent] = Field(max_length=100)


class AskBody(_Leased):
    call_id: CallId
    subject: Line
    body: Prose
    options: list[Line] = Field(max_length=20)


class ApprovalBody(_Leased):
    call_id: CallId
    commit: Word


class RerunBody(_Leased):
    call_id: CallId


class ParkBody(_Leased):
    dag_id: Key
    run_id: Key
    waiting_for: WaitFor
    call_id: CallId | None = None


class FinishBody(_Leased):
    outcome: Outcome
    summary: Prose
    verdict: Word | None
    report: dict[str, Any] | None
    error: Prose | None

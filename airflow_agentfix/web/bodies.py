"""What the session API accepts: every field named, bounded, and nothing beside. The examples are in the OpenAPI document."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from airflow_agentfix.core.mentions import AUTHOR, MOST_CHARS, Remark
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import EventKind, Outcome, PinEnd, WaitFor
from airflow_agentfix.ports import Json
from airflow_agentfix.web import examples

Key = Annotated[str, Field(min_length=1, max_length=250, pattern=r"^[^\x00]+$")]
"""as Airflow's own ids"""
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00]+$")]
MOST_INDEX = 2**31 - 1
"""of what Airflow's database keeps as an integer"""
Line = Annotated[str, Field(max_length=2_000)]
Prose = Annotated[str, Field(max_length=200_000)]
CallId = Annotated[str, Field(min_length=1, max_length=200)]
Lease = Annotated[str, Field(min_length=1, max_length=64)]


def _like(*examples: Json) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": list(examples)})


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class _Task(_Body):
    dag_id: Key
    run_id: Key
    task_id: Key
    map_index: int = Field(default=-1, ge=-1, le=MOST_INDEX)
    """-1 is not mapped"""
    try_number: int | None = Field(default=None, ge=1, le=MOST_INDEX)
    """the newest one unless given"""
    autonomy: Autonomy | None = None
    """how far it may go at most; the deployment's own bound holds beside"""


class FailureBody(_Task):
    model_config = _like({**examples.FAILURE, "hint": {"exception": "AttributeError"}})

    source: Word = "callback"
    """who reports it: callback, triage, …"""
    hint: dict[Word, Line] = Field(default_factory=dict, max_length=10)
    """accepted and not trusted: the worker reads the log itself"""


class CreateBody(_Task):
    model_config = _like({**examples.FAILURE, "autonomy": "propose", "message": "The helper was renamed yesterday."})

    source: Word = "api"
    message: Line | None = None
    """what the agent should know"""


class CommentBody(_Body):
    id: Word
    """the code host's"""
    url: Annotated[str, Field(max_length=2_000, pattern=r"^https?://[^\s\x00]+$")]
    author: Annotated[str, Field(pattern=AUTHOR)]
    """login on the code host"""
    at: AwareDatetime
    """when it was written"""


class MessageBody(_Body):
    model_config = _like(
        {"message": "The column was renamed last week."}, {"message": "Use the gross amount.", "comment": examples.COMMENT}
    )

    message: Annotated[str, Field(min_length=1, max_length=MOST_CHARS)]
    comment: CommentBody | None = None
    """where it was written on the fix's pull request, by somebody with write access to the repository"""

    def remark(self) -> Remark | None:
        """The comment, its time in UTC."""
        said = self.comment
        return Remark(said.id, said.url, said.author, said.at.astimezone(UTC).isoformat()) if said else None


class ReplyBody(_Body):
    model_config = _like({"decision": "approve", "message": "Looks right."}, {"decision": "answer", "message": "Use gross."})

    decision: Literal["answer", "approve", "reject"] | None = None
    """an approval that waits needs approve or reject"""
    message: Annotated[str, Field(max_length=20_000)] = ""
    """the answer, or why"""
    question_id: Word | None = None
    """needed where several wait"""


class StopBody(_Body):
    model_config = _like({"reason": "We roll the helper back instead."})

    reason: Line = ""


class EndPinBody(_Body):
    model_config = _like({"reason": "asked"}, {"reason": "merged", "version": examples.COMMIT})

    version: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")] | None = None
    """with the reason merged, and only so: the commit that Airflow serves the DAG on"""
    reason: PinEnd = PinEnd.ASKED


class RecoverBody(_Body):
    model_config = _like({"dry_run": True}, {"found": "merged", "version": examples.COMMIT, "at_most": 10})

    dry_run: bool = False
    """tell what would be done, and do nothing"""
    again: bool = False
    """also runs that failed again, or were left alone; a person's to say"""
    found: Literal["merged", "gone"] | None = None
    """what the triage DAG found of the fix; a person leaves it out"""
    version: Annotated[str, Field(pattern=r"^([0-9a-f]{40}|[0-9a-f]{64})$")] | None = None
    """with merged: the commit that Airflow serves the DAG on, which has the fix; null where its bundle has no versions"""
    at_most: int | None = Field(default=None, ge=0, le=10_000)
    """runs to start now, where that is less than [agentfix] recover_per_triage"""


class ClaimBody(_Body):
    model_config = _like({"worker": examples.WORKER})

    worker: Annotated[str, Field(min_length=1, max_length=800, pattern=r"^[^\x00]+$")]
    """the task instance that drives the session: DAG/run/task/try"""


class _Leased(_Body):
    lease: Lease
    """as `claim` gave it"""


class NewEvent(_Body):
    kind: EventKind
    """one that a worker may write (`core.session.WORKER_KINDS`): incident, model, spent, new_transcript, intent, result, patch,
    fix or verified"""
    data: dict[str, Any]


class AppendBody(_Leased):
    model_config = _like({"lease": examples.LEASE, "after": 2, "events": [{"kind": "intent", "data": examples.INTENT}]})

    after: int = Field(ge=0)
    """number of the last event the worker knows"""
    events: list[NewEvent] = Field(max_length=100)
    """none: renews the lease and brings what is new"""


class AskBody(_Leased):
    model_config = _like(
        {"lease": examples.LEASE, "call_id": examples.CALL, "subject": "Gross or net?", "body": "", "options": ["Gross", "Net"]}
    )

    call_id: CallId
    """a call asks once: repeated, it gives the first one's answer"""
    subject: Line
    body: Prose
    options: list[Line] = Field(max_length=20)


class ApprovalBody(_Leased):
    model_config = _like({"lease": examples.LEASE, "call_id": examples.CALL, "commit": examples.COMMIT})

    call_id: CallId
    commit: Word
    """the recorded fix commit; any other is refused"""


class RerunBody(_Leased):
    model_config = _like({"lease": examples.LEASE, "call_id": examples.CALL, "shape_changes": []})

    call_id: CallId
    shape_changes: list[Line] = Field(default_factory=list, max_length=100)
    """in what the fix's DAG differs from the run's, one sentence each"""


class ParkBody(_Leased):
    model_config = _like(
        {"lease": examples.LEASE, "dag_id": "agentfix_ask", "run_id": examples.ASK_RUN, "waiting_for": "person", "call_id": None}
    )

    dag_id: Key
    """of the run that is waited for; it gives no right"""
    run_id: Key
    waiting_for: WaitFor
    call_id: CallId | None = None


class FinishBody(_Leased):
    model_config = _like(
        {
            "lease": examples.LEASE,
            "outcome": "reported",
            "summary": "The warehouse refused the login.",
            "verdict": "infra",
            "report": examples.REPORT,
            "error": None,
        }
    )

    outcome: Outcome
    summary: Prose
    verdict: Word | None
    report: dict[str, Any] | None
    error: Prose | None
    """why AgentFix itself could not go on"""

"""The worker's side of the session API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, WaitFor


@dataclass(frozen=True)
class WaitRun:
    """Wait, without a slot, until the DAG run is terminal; for a preview: until its DAG may be there, which the run is to be of.

    `until` (ISO 8601 in UTC): not longer than that.
    """

    dag_id: str
    run_id: str
    waiting_for: WaitFor
    call_id: str | None = None
    until: str | None = None


@dataclass(frozen=True)
class Claim:
    """What a worker gets when it takes a session: the lease, the session, all its events, and what it may do.

    A session that is done is given as it is, with an empty lease: there is nothing to do.
    """

    lease: str
    session: Session
    events: tuple[Event, ...]
    policy: Json
    """`core.policy.Policy` as JSON: the effective policy, decided by the server"""
    unpaid: str | None = None
    """why no model that costs anything may be asked: the day has no dollars for it; None where they are reserved"""


@dataclass(frozen=True)
class Answer:
    """What became of a question, as the server recorded it. `decision`: answer | approve | reject, or `nobody` where it ended
    without an answer: `message` says why then."""

    question_id: str
    decision: str
    message: str
    actor: str


@dataclass(frozen=True)
class Approved:
    """The commit may be run. `by` is the person, or `waived` with the policy's reason; `signature` is the server's word for those
    who serve previews (`CodeHost.approve`)."""

    commit: str
    by: str
    signature: str = ""


@dataclass(frozen=True)
class Rerun:
    """A rerun the server started (or had started for this commit before). Wait for (dag_id, run_id)."""

    way: str
    dag_id: str
    run_id: str
    commit: str
    task_ids: tuple[str, ...]
    map_index: int | None = None
    """which instance of the failed task was cleared; -1: every one that had failed"""
    reason: str = ""
    """why this way"""
    until: str | None = None
    """how long it is watched, ISO 8601 in UTC; None: for ever"""
    is_overdue: bool = False
    """whether that time is up"""
    ended_by_hand: str = ""
    """who set its run or one of its tasks to an end, where somebody did"""


class SessionClient(Protocol):
    """The narrow session API a worker has. Every call but `claim` needs the lease; a lost lease raises SessionConflict.

    `ask`, `approval` and `rerun` are idempotent per (session, call_id): a second call gives the first one's result.
    """

    def claim(self, session_id: str, *, worker: str) -> Claim: ...

    def append(
        self, session_id: str, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        """Append and renew the lease. Returns every event numbered above `after`, the own ones and those the server wrote
        meanwhile (notes, a stop)."""

    def ask(
        self, session_id: str, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        """Ask a person; WaitRun until answered, then the Answer."""

    def approval(self, session_id: str, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        """May this commit be run? Approved; a WaitRun on the question; or an Answer with decision `reject` or `nobody`."""

    def sign(self, session_id: str, *, lease: str, tree: str, file: str) -> str:
        """The deployment's signature of a tree for this session: the value of the trailer Agentfix-Sig. `file`: the DAG file's
        path in the repository."""

    def shape(self, session_id: str, *, lease: str) -> Json:
        """`core.shape` of the failed run's own serialized DAG."""

    def rerun(self, session_id: str, *, lease: str, call_id: str, shape_changes: Sequence[str] = ()) -> Rerun | WaitRun:
        """Rerun on the recorded fix commit, by the way the server chooses, or tell of the rerun there is. `shape_changes`: in
        what the fix's DAG differs from the run's, one sentence each. WaitRun(waiting_for=TASK) while the failed run is still
        going, PREVIEW while the fix's preview is not there yet. Raises RerunImpossible (PreviewBroken for a preview that does
        not import), NotAllowed (no approval)."""

    def park(self, session_id: str, *, lease: str, wait: WaitRun) -> None:
        """Give the lease back and wait."""

    def finish(
        self,
        session_id: str,
        *,
        lease: str,
        outcome: Outcome,
        summary: str,
        verdict: str | None,
        report: Json | None,
        error: str | None,
    ) -> Session: ...

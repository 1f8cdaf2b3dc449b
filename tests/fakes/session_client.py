"""The session API in memory: leases, append-only events, people who answer what a test wrote down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import WORKER_KINDS, Event, EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.core.signature import sign_fix
from airflow_agentfix.errors import InvalidTransition, RerunImpossible, SessionConflict, SessionNotFound
from airflow_agentfix.ports import Answer, Approved, Claim, Json, Rerun, WaitRun

SIGNATURE = "5" * 64
NOBODY = "Nobody answered within 24 hours."
AT = "2026-11-22T06:00:00+00:00"


class MemorySessionClient:
    """ports.SessionClient over one session.

    `approve`: what a person says to an approval: `approve`, `reject`, None while nobody has, `nobody` when time is up, `waived`.
    `pin` is called once per commit that is rerun; it makes the rerun's effect on Airflow.
    """

    def __init__(self, session: Session, *, policy: Policy | None = None, approve: str | None = "waived") -> None:
        self.session = session
        self.policy = policy or Policy(allow_unreviewed_reruns=True)
        self.approve = approve
        self.answers: dict[str, str] = {}
        self.unpaid: str | None = None
        self.events: list[Event] = []
        self.parked: WaitRun | None = None
        self.reruns: list[str] = []
        self.pin: Callable[[str], None] = lambda commit: None
        self.impossible: RerunImpossible | None = None
        self.way, self.rerun_dag = "pin", session.dag_id
        self.previews: Iterator[bool] | None = None
        """whether the preview is there, one answer a look; then it is not. None: nothing is waited for"""
        self.shape_changes: list[tuple[str, ...]] = []
        """as each call of `rerun` told them"""
        self.is_overdue, self.ended_by_hand = False, ""
        self.run_shape: Json = {"tasks": {}, "groups": {}}
        self.before_append: Callable[[list[EventKind]], None] = lambda kinds: None
        self.after_append: Callable[[list[EventKind]], None] = lambda kinds: None
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        """a driver's own clock is the real one"""
        self._lease: str | None = None
        self._leases = count(1)
        self.server(EventKind.CREATED, {"source": "test", "autonomy": str(self.policy.autonomy), "requested_by": None})

    # --- the worker's verbs ---

    def claim(self, session_id: str, *, worker: str) -> Claim:
        self._known(session_id)
        if self.session.state is State.DONE:
            return Claim("", self.session, tuple(self.events), self.policy.to_json())  # there is nothing to do
        self._lease = f"lease-{next(self._leases)}"
        self.parked = None
        self.server(EventKind.CLAIMED, {"worker": worker})
        self.session = replace(self.session, state=State.RUNNING, waiting_for=None)
        return Claim(self._lease, self.session, tuple(self.events), self.policy.to_json(), self.unpaid)

    def append(
        self, session_id: str, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        self._held(session_id, lease)
        kinds = [kind for kind, _ in events]
        assert set(kinds) <= WORKER_KINDS, f"a worker may not append {kinds}"
        self.before_append(kinds)
        for kind, data in events:
            self._add(kind, "worker", data)
        self.after_append(kinds)
        return [event for event in self.events if event.number > after]

    def ask(
        self, session_id: str, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        self._held(session_id, lease)
        asked = {"subject": subject, "body": body, "options": list(options), "commit": None}
        words = self.answers.get(subject)
        return self._asked(call_id, "question", asked, words, "nobody" if words == NOBODY else "answer")

    def approval(self, session_id: str, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        self._held(session_id, lease)
        if self.approve == "waived":
            return Approved(commit, "waived", SIGNATURE)
        asked = {"subject": f"Run {commit}?", "body": "", "options": ["Approve", "Reject"], "commit": commit}
        words = NOBODY if self.approve == "nobody" else self.approve and f"{self.approve}d"
        given = self._asked(call_id, "approval", asked, words, self.approve or "")
        return Approved(commit, "anna", SIGNATURE) if isinstance(given, Answer) and given.decision == "approve" else given

    def shape(self, session_id: str, *, lease: str) -> Json:
        self._held(session_id, lease)
        return self.run_shape

    def sign(self, session_id: str, *, lease: str, tree: str, file: str) -> str:
        self._held(session_id, lease)
        return sign_fix(b"key", tree=tree, dag_id=self.session.dag_id, file=file, session_id=session_id)

    def rerun(self, session_id: str, *, lease: str, call_id: str, shape_changes: Sequence[str] = ()) -> Rerun | WaitRun:
        self._held(session_id, lease)
        fix = next(event for event in reversed(self.events) if event.kind is EventKind.FIX)
        commit = fix.data["commit"]
        if self.impossible:
            raise self.impossible
        self.shape_changes.append(tuple(shape_changes))
        if commit not in self.reruns:
            if self.previews is not None and next(self.previews, False) is False:
                return WaitRun(self.rerun_dag, f"rerun_{len(self.reruns) + 1}", WaitFor.PREVIEW, call_id)
            self.reruns.append(commit)
            self.pin(commit)
            self.server(EventKind.RERUN, {**self._rerun(commit), "original_version": None})
        data = self._rerun(commit)
        return Rerun(
            **{**data, "task_ids": tuple(data["task_ids"])}, is_overdue=self.is_overdue, ended_by_hand=self.ended_by_hand
        )

    def _rerun(self, commit: str) -> Json:
        run_id = self.session.run_id if self.way == "pin" else f"rerun_{self.reruns.index(commit) + 1}"
        tasks = ["sum_revenue", "publish_report"]
        return {"way": self.way, "dag_id": self.rerun_dag, "run_id": run_id, "commit": commit, "task_ids": tasks}

    def park(self, session_id: str, *, lease: str, wait: WaitRun) -> None:
        self._held(session_id, lease)
        if self.of(EventKind.STOP):
            raise InvalidTransition(f"Session {session_id!r} was stopped; it does not wait.")
        where = {"waiting_for": str(wait.waiting_for), "dag_id": wait.dag_id, "run_id": wait.run_id, "call_id": wait.call_id}
        self.server(EventKind.PARKED, where)
        self.session = replace(self.session, state=State.WAITING, waiting_for=wait.waiting_for)
        self.parked, self._lease = wait, None

    def finish(
        self, session_id: str, *, lease: str, outcome: Outcome, summary: str, verdict: str | None, report: Json | None,
        error: str | None,
    ) -> Session:  # fmt: skip
        self._held(session_id, lease)
        data = {"outcome": str(outcome), "verdict": verdict, "summary": summary, "error": error, "report": report}
        self.server(EventKind.FINISHED, data)
        self.session = replace(self.session, state=State.DONE, outcome=outcome, summary=summary, verdict=verdict)
        self._lease = None
        return self.session

    # --- what people and the server do ---

    def server(self, kind: EventKind, data: Mapping[str, Any], *, actor: str = "server") -> None:
        """Write an event that a worker may not write."""
        self._add(kind, actor, data)

    def note(self, message: str, *, actor: str = "anna") -> None:
        self._add(EventKind.NOTE, actor, {"message": message})

    def stop(self, reason: str = "not now", *, actor: str = "anna") -> None:
        self._add(EventKind.STOP, actor, {"reason": reason})

    def kinds(self) -> list[str]:
        return [str(event.kind) for event in self.events]

    def of(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]

    # --- inside ---

    def _asked(self, call_id: str, about: str, asked: Json, message: str | None, decision: str) -> Answer | WaitRun:
        question = f"q_{call_id}"
        if not any(event.data["question_id"] == question for event in self.of(EventKind.QUESTION)):
            self.server(EventKind.QUESTION, {"question_id": question, "call_id": call_id, "about": about, **asked})
        if not message:
            return WaitRun("agentfix_ask", f"agentfix__{self.session.id}__{question}", WaitFor.PERSON, call_id)
        if not any(event.data["question_id"] == question for event in self.of(EventKind.ANSWER)):
            self._add(EventKind.ANSWER, "anna", {"question_id": question, "decision": decision, "message": message, "via": "api"})
        return Answer(question, decision, message, "anna")

    def _add(self, kind: EventKind, actor: str, data: Mapping[str, Any]) -> None:
        self.events.append(Event(len(self.events) + 1, kind, actor, self.clock().isoformat(), dict(data)))

    def _known(self, session_id: str) -> None:
        if session_id != self.session.id:
            raise SessionNotFound(f"No session {session_id!r}.")

    def _held(self, session_id: str, lease: str) -> None:
        self._known(session_id)
        if lease != self._lease:
            raise SessionConflict(f"Lease {lease!r} is not the session's.")

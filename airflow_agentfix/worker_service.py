"""What the holder of a session's lease may do: the server's side of `ports.SessionClient`.

Invariants: one lease at a time; a repeated call gives the first one's result; a commit is run only with its own approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow_agentfix import budgets
from airflow_agentfix.approving import Approving
from airflow_agentfix.core import questions
from airflow_agentfix.core.budget import Budget
from airflow_agentfix.core.policy import Effective
from airflow_agentfix.core.session import (
    SERVER,
    WORKER,
    WORKER_KINDS,
    Event,
    EventKind,
    Outcome,
    Session,
    State,
    takes_over,
)
from airflow_agentfix.core.signature import sign_fix
from airflow_agentfix.core.ways import Way
from airflow_agentfix.desk import Desk, again, policy_on_record
from airflow_agentfix.duplicates import settle
from airflow_agentfix.errors import (
    AirflowNotFound,
    BudgetExceeded,
    InvalidRequest,
    InvalidTransition,
    SessionConflict,
)
from airflow_agentfix.leases import Leases
from airflow_agentfix.ports import Answer, Approved, Claim, Json, Rerun, WaitRun
from airflow_agentfix.rerun_ways import RerunWays
from airflow_agentfix.reruns import Reruns
from airflow_agentfix.store.record import Draft, Stored

ASK_DAG = "agentfix_ask"
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_RED = frozenset({"failed", "upstream_failed"})
NOBODY = "The question's run ended without an answer."
NO_PERSON = "An approval by the login AgentFix itself works with does not count."


class WorkerService:
    """Use cases of the worker. `user` is its login; it needs the right to edit runs of the session's DAG."""

    def __init__(self, desk: Desk, *, on_done: Callable[[Session], None]) -> None:
        """`on_done` is told of each session that a worker finished, or that ended as a duplicate."""
        self._desk, self._on_done = desk, on_done
        self._store, self._airflow = desk.store, desk.airflow
        self._leases = Leases(desk)
        ways = RerunWays(desk)
        approving = Approving(self._leases, ways)
        self._approving, self._reruns = approving, Reruns(self._leases, ways, approving)

    # --- the lease

    @again
    def claim(self, session_id: str, user: Any, *, worker: str) -> Claim:
        """Take the session: no one holds it, its holder is silent, or the holder is known to be dead. One that is done is
        given without a lease: there is nothing to do. One that its day has no dollars for is given with the word that no model
        may be asked."""
        stored = self._desk.open(session_id, user, edit=True)
        if stored.session.state is State.DONE:
            return self._claim("", stored.session)
        held = stored.leased(self._desk.clock()) and stored.holder is not None
        if held and not takes_over(worker, stored.holder or ""):
            raise SessionConflict(
                f"Session {session_id!r} is in work by {stored.holder!r} until {stored.lease_until}; {worker!r} has to wait."
            )
        lease = self._desk.new_id()
        claimed = Draft(EventKind.CLAIMED, WORKER, {"worker": worker, "login": str(user.get_id())})
        policy = self._desk.policy_of(stored.session)
        drafts = [claimed, *self._policy_to_record(stored.session, policy)]
        mine: dict[str, Any] = {"lease": lease, "holder": worker, "lease_until": self._leases.end()}
        try:
            taken = self._desk.save(stored, *drafts, **mine, **budgets.reserving(self._desk, policy.policy))
            unpaid = None
        except BudgetExceeded as refusal:
            taken, unpaid = self._desk.save(stored, *drafts, **mine, **budgets.UNPAID), str(refusal)
        return self._claim(lease, self._settled(taken.session), unpaid)

    def _policy_to_record(self, session: Session, now: Effective) -> list[Draft]:
        """What is allowed from here on, where that is not what was written down before: the base branch may have moved."""
        before = policy_on_record(self._store.events(session.id, kinds=(EventKind.POLICY,)))
        is_known = before is not None and before.to_json() == now.to_json()
        return [] if is_known else [Draft(EventKind.POLICY, SERVER, now.to_json())]

    def _settled(self, session: Session) -> Session:
        """The worker before may have died after its incident was written and before others with its cause were looked for."""
        kinds = {event.kind for event in self._store.events(session.id)}
        if EventKind.INCIDENT in kinds and not kinds & {EventKind.MODEL, EventKind.FINISHED}:
            return settle(self._desk, session.id, on_done=self._on_done)
        return session

    def _claim(self, lease: str, session: Session, unpaid: str | None = None) -> Claim:
        policy = budgets.capped(self._desk, self._leases.policy(session))
        return Claim(lease, session, tuple(self._store.events(session.id)), policy.to_json(), unpaid)

    def budget(self, stored: Stored) -> Budget:
        """What the session used of what it may; not only for workers."""
        return budgets.shown(self._desk, stored, self._leases.policy(stored.session))

    # --- events

    @again
    def append(
        self, session_id: str, user: Any, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        """Append and renew the lease; a batch that has arrived before is not appended twice. With its incident the session
        may end: as a duplicate of one that works on the same cause."""
        stored = self._leases.held(session_id, user, lease)
        if foreign := sorted({kind.value for kind, _ in events} - {kind.value for kind in WORKER_KINDS}):
            raise InvalidRequest(f"A worker may not write {', '.join(foreign)}; the server alone does.")
        if after > stored.session.last_event:
            raise InvalidRequest(f"after is {after}, the session's last event is {stored.session.last_event}.")
        drafts = [Draft(kind, WORKER, data) for kind, data in events]
        if not self._arrived(stored, after, drafts) and (drafts or stored.session.state is State.RUNNING):
            self._save_work(stored, drafts)
        if any(draft.kind is EventKind.INCIDENT for draft in drafts):
            settle(self._desk, session_id, on_done=self._on_done)
        return self._store.events(session_id, after=after)

    def _save_work(self, stored: Stored, drafts: Sequence[Draft]) -> None:
        try:
            self._desk.save(stored, *drafts, lease_until=self._leases.end())
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            kinds = ", ".join(draft.kind for draft in drafts)
            raise InvalidRequest(f"An event's data is not as core.session.Event says ({kinds}): {error!r}") from error

    def _arrived(self, stored: Stored, after: int, drafts: Sequence[Draft]) -> bool:
        """Whether this very batch is there already. Other events of a worker above `after` mean that two write at once."""
        written = [e for e in self._store.events(stored.session.id, after=after) if e.kind in WORKER_KINDS]
        if not written:
            return False
        if [(e.kind, e.data) for e in written] == [(draft.kind, draft.data) for draft in drafts]:
            return True
        raise SessionConflict(f"Session {stored.session.id!r} has worker events after {after}; claim it again to see them.")

    # --- the fix and its rerun

    def ask(
        self, session_id: str, user: Any, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        """See `Approving.ask`."""
        return self._approving.ask(session_id, user, lease=lease, call_id=call_id, subject=subject, body=body, options=options)

    def approval(self, session_id: str, user: Any, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        """See `Approving.approval`."""
        return self._approving.approval(session_id, user, lease=lease, call_id=call_id, commit=commit)

    def rerun(
        self, session_id: str, user: Any, *, lease: str, call_id: str, shape_changes: Sequence[str] = ()
    ) -> Rerun | WaitRun:
        """See `Reruns.rerun`."""
        return self._reruns.rerun(session_id, user, lease=lease, call_id=call_id, shape_changes=shape_changes)

    def sign(self, session_id: str, user: Any, *, lease: str, tree: str, file: str) -> str:
        """The signature of a tree for this session; empty where this deployment has no key."""
        session = self._leases.held(session_id, user, lease).session
        if not self._desk.keys:
            return ""
        return sign_fix(self._desk.keys[0], tree=tree, dag_id=session.dag_id, file=file, session_id=session.id)

    def shape(self, session_id: str, user: Any, *, lease: str) -> Json:
        session = self._leases.held(session_id, user, lease).session
        return self._airflow.shape(session.dag_id, session.run_id)

    # --- the end

    @again
    def park(self, session_id: str, user: Any, *, lease: str, wait: WaitRun) -> Session:
        """Give the lease back and wait. A session that was stopped meanwhile does not wait any more."""
        stored = self._leases.held(session_id, user, lease)
        if stored.session.state is State.WAITING:
            return stored.session
        if any(event.kind is EventKind.STOP for event in questions.current(self._store.events(session_id))):
            raise InvalidTransition(f"Session {session_id!r} was stopped; it does not wait. Finish it as stopped.")
        where = {"waiting_for": wait.waiting_for.value, "dag_id": wait.dag_id, "run_id": wait.run_id, "call_id": wait.call_id}
        return self._desk.save(stored, Draft(EventKind.PARKED, WORKER, where), lease_until=None).session

    @again
    def finish(
        self,
        session_id: str,
        user: Any,
        *,
        lease: str,
        outcome: Outcome,
        summary: str,
        verdict: str | None,
        report: Json | None,
        error: str | None,
    ) -> Session:
        """End the session. A rejected fix leaves no pin behind."""
        stored = self._leases.held(session_id, user, lease)
        if stored.session.state is State.DONE:  # the call came before, and what follows it may have failed
            self._on_done(stored.session)
            return stored.session
        self._require_rerun_of_fixed(stored.session, outcome)
        end = {"outcome": outcome.value, "verdict": verdict, "summary": summary, "error": error, "report": report}
        open_questions = self._store.events(session_id)
        done = self._desk.save(stored, Draft(EventKind.FINISHED, WORKER, end), lease_until=None)
        self._desk.release_askers(done, open_questions, "The session has ended.")
        done = self._desk.end_pin(done) if outcome in (Outcome.REJECTED, Outcome.STOPPED) else done
        self._on_done(done.session)
        return done.session

    def _require_rerun_of_fixed(self, session: Session, outcome: Outcome) -> None:
        """`fixed` says that a rerun was green: there has to be one, of this commit, and the task that failed may not be red."""
        if outcome is not Outcome.FIXED:
            return
        reruns = self._store.events(session.id, kinds=(EventKind.RERUN,))
        of_fix = [event.data for event in reruns if event.data["commit"] == session.fix_commit]
        if not of_fix:
            raise InvalidRequest(f"outcome is fixed, but nothing was rerun on {session.fix_commit!r}; expected another outcome.")
        state = self._state_in(session, of_fix[-1])
        if state in _RED:
            raise InvalidRequest(f"outcome is fixed, but {session.task_id!r} is {state}; expected another outcome.")

    def _state_in(self, session: Session, rerun: Mapping[str, Any]) -> str | None:
        """Of the task that failed, in its rerun; of the whole run where the fix has no such task instance any more."""
        dag_id, run_id = rerun["dag_id"], rerun["run_id"]
        try:
            return self._airflow.resolve(dag_id, run_id, session.task_id, session.map_index).state
        except AirflowNotFound:
            if rerun["way"] == Way.PIN:
                raise
            return self._airflow.run_state(dag_id, run_id)

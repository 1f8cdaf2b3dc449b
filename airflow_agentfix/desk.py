"""What every use case of the server stands on: whose session it is, writing it down, and leaving nothing behind.

Invariant: who may not read a session's DAG does not learn that the session exists.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tenacity import retry, retry_if_exception_type, stop_after_attempt, stop_after_delay, stop_all, wait_random_exponential

from airflow_agentfix.core import pins, questions
from airflow_agentfix.core.pins import pinned
from airflow_agentfix.core.policy import Autonomy, Effective, Layer, Policy, combine
from airflow_agentfix.core.session import SERVER, Event, EventKind, PinEnd, Session, State, fix_run_id, fold, run_of
from airflow_agentfix.errors import AirflowError, AirflowNotFound, NotAllowed, SessionNotFound, StaleWrite
from airflow_agentfix.ports import CommitCheck, HumanAnswer, RepositoryPolicy, ServerAirflow, UnpinRequest
from airflow_agentfix.readers import Readers
from airflow_agentfix.redaction import told
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Change, Draft, Stored

if TYPE_CHECKING:
    from airflow_agentfix.core.budget import DayLimits
    from airflow_agentfix.core.incident import TaskRef
    from airflow_agentfix.store.sql import SqlStore

log = logging.getLogger(__name__)

FIX_DAG = "agentfix_fix"
ENDED = frozenset({"success", "failed"})


def enough(seconds: float) -> stop_all:
    """So long, and three times at the least: asking Airflow may have taken longer than that, and a person's answer must not fail
    of its own slowness."""
    return stop_all(stop_after_delay(seconds), stop_after_attempt(3))


_jitter = wait_random_exponential(multiplier=0.02, max=0.3)
again = retry(retry=retry_if_exception_type(StaleWrite), stop=enough(8), wait=_jitter, reraise=True)
"""A use case reads, decides and writes once: when another writer was in between, it is decided anew. A hundred mapped tasks that
fail at once all write to one session."""


class Desk:
    """Sessions, read and written with rights checked and events folded."""

    def __init__(
        self,
        store: SqlStore,
        airflow: ServerAirflow,
        settings: Settings,
        *,
        policies: RepositoryPolicy,
        commits: CommitCheck,
        keys: Sequence[bytes],
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.store = store
        self.airflow = airflow
        self.settings = settings
        self.policies = policies
        self.commits = commits
        self.keys = keys
        self.clock = clock
        self.new_id = new_id
        self.readers = Readers(airflow, clock)

    def at(self, moment: datetime | None = None) -> str:
        """The time as the store keeps it."""
        return (moment or self.clock()).astimezone(UTC).isoformat(timespec="milliseconds")

    def require_edit(self, user: Any, dag_id: str) -> None:
        if not self.airflow.may(user, dag_id, edit=True):
            raise NotAllowed(f"{user.get_name()!r} may not edit runs of DAG {dag_id!r}. Ask for the right, or an owner to do it.")

    def open(self, session_id: str, user: Any, *, edit: bool) -> Stored:
        """The session, for someone who may read it, and act on it where `edit`."""
        stored = self.store.get(session_id) if session_id.isprintable() else None  # Postgres takes no NUL
        if stored is None or not self.airflow.may(user, stored.session.dag_id, edit=False):
            raise SessionNotFound(f"No session {session_id!r}, or it is on a DAG you may not read.")
        if edit:
            self.require_edit(user, stored.session.dag_id)
        return stored

    def policy_for(self, dag_id: str, *further: Layer) -> Effective:
        """What deployment, repository and `further` allow on a DAG now. Asks the code host. AirflowNotFound."""
        dag = self.airflow.dag(dag_id)
        return combine([*self.settings.ceilings(dag_id, dag.tags), *self.policies.layers(dag), *further])

    def policy_of(self, session: Session) -> Effective:
        """The same for a session, with what was asked for when it was made. While its repository does not answer, what was
        written down before stays: an outage at the code host must not take back what a person has approved."""
        dag = self.airflow.dag(session.dag_id)
        said = self.policies.layers(dag)
        recorded = policy_on_record(self.store.events(session.id, kinds=(EventKind.POLICY,)))
        if recorded and not recorded.problems and any(layer.is_away for layer in said):
            said = [recorded.policy.as_layer("what was recorded before, as the repository does not answer")]
        return combine([*self.settings.ceilings(session.dag_id, dag.tags), *said, _asked_for(session)])

    def policy_in_force(self, session: Session) -> Policy:
        """What was written down when a worker took the session, and whatever the deployment has made stricter since."""
        recorded = policy_on_record(self.store.events(session.id, kinds=(EventKind.POLICY,)))
        layers = [*self.settings.ceilings(session.dag_id, self._tags(session.dag_id)), _asked_for(session)]
        return combine([*layers, *([recorded.policy.as_layer("recorded")] if recorded else [])]).policy

    def _tags(self, dag_id: str) -> tuple[str, ...]:
        try:
            return self.airflow.dag(dag_id).tags
        except AirflowNotFound:  # deleted since: what was recorded stays
            return ()

    def number(self, stored: Stored, drafts: Sequence[Draft]) -> tuple[list[Event], Stored]:
        """The drafts as the session's next events, and the session after them."""
        session, events, at = stored.session, [], self.at()
        for draft in drafts:
            event = Event(session.last_event + 1, draft.kind, draft.actor, at, draft.data)
            session = fold(session, event)
            events.append(event)
        return events, replace(stored, session=session)

    def create(
        self, session: Session, *drafts: Draft, failure: TaskRef, limits: DayLimits | None = None, **columns: Any
    ) -> Stored:
        """Write a new session. Raises StaleWrite where the failure or the task has one; with `limits` BudgetExceeded."""
        events, stored = self.number(Stored(session, **columns), drafts)
        return self.store.create(stored, events, failure=failure, limits=limits)

    def save(
        self,
        before: Stored,
        *drafts: Draft,
        failures: Sequence[TaskRef] = (),
        erase: Sequence[int] = (),
        limits: DayLimits | None = None,
        **columns: Any,
    ) -> Stored:
        """Append the drafts and set `columns` of `Stored`. Raises StaleWrite where another writer was first; with `limits`
        BudgetExceeded where the day has not what the session reserves."""
        change = self.change(before, *drafts, failures=failures, erase=erase, **columns)
        return self.store.write(replace(change, limits=limits))[0]

    def change(
        self, before: Stored, *drafts: Draft, failures: Sequence[TaskRef] = (), erase: Sequence[int] = (), **columns: Any
    ) -> Change:
        """The same, to be written together with changes of other sessions."""
        events, after = self.number(before, drafts)
        return Change(before, replace(after, **columns), events, failures, erase)

    def is_abandoned(self, stored: Stored) -> bool:
        """Its run of the fix DAG ended and left it undone (killed, or a broken installation), and no other DAG drives it."""
        run_id = fix_run_id(stored.session.id, stored.runs)
        if stored.session.state is State.DONE or self.airflow.run_state(FIX_DAG, run_id) not in ENDED:
            return False
        dag_id, other = run_of(stored.holder or "") or (FIX_DAG, run_id)
        return dag_id == FIX_DAG or self.airflow.run_state(dag_id, other) in (*ENDED, None)

    def works_on(self, session_id: str, user_id: str) -> bool:
        """Whether the session's workers log in as this user, as any task can: its yes is no person's. Where everybody is the
        same user it cannot be told."""
        claims = self.store.events(session_id, kinds=(EventKind.CLAIMED,))
        return user_id in questions.workers(claims) and not self.airflow.one_user_for_all()

    def decision(self, session: Session, question: Event, human: HumanAnswer) -> str:
        """What an answer under Required Actions says: answer | approve | reject. The yes of a login that worked on the session
        says nothing, nor that of one who is no approver any more."""
        decision = questions.decision_of(question, human.option, user=human.user)
        named = self.approvers(session, question)
        counts = (named is None or human.user in named) and not self.works_on(session.id, human.user)
        return "answer" if decision == "approve" and not counts else decision

    def approvers(self, session: Session, question: Event) -> tuple[str, ...] | None:
        """User ids whose word counts: those the question was put to whom policy still names. None where nobody is named."""
        named = [names for names in (question.data.get("approvers"), self.policy_in_force(session).approvers) if names]
        return tuple(one for one in named[0] if all(one in names for names in named)) if named else None

    def release_askers(self, stored: Stored, events: Sequence[Event], reason: str) -> None:
        """End the runs of questions nobody needs an answer to any more, so that no worker waits for them."""
        for question in questions.waiting(events):
            run_id = question.data["ask_run"]["run_id"]
            with _logged(f"Question {run_id} of session {stored.session.id} stays open"):
                self.airflow.withdraw(run_id, reason=reason)

    def end_pin(self, stored: Stored) -> Stored:
        """A session ends without its fix: set the run it pinned back. Where Airflow refuses, the pin stays and is logged."""
        pin = pinned(self.store.events(stored.session.id, kinds=pins.KINDS))
        if pin is None:
            return stored
        with _logged(f"Run {pin.data['run_id']} of {stored.session.dag_id} stays pinned to {pin.data['commit']}"):
            return self.unpin(stored, pin, reason=PinEnd.ENDED)
        return stored

    def unpin(self, stored: Stored, pin: Event, *, reason: PinEnd, version: str | None = None, by: str = SERVER) -> Stored:
        """Set the pinned run to `version`, else to its own, and write down who did. AirflowConflict while the run is going."""
        session, run_id, on = stored.session, pin.data["run_id"], None
        if self.airflow.run_state(session.dag_id, run_id) is not None:  # else it was deleted: there is nothing to set
            target = version or pin.data["original_version"]
            on = self.airflow.end_pin(UnpinRequest(session.id, session.dag_id, run_id, pin.data["commit"], target))
        return self.save(stored, Draft(EventKind.PIN_ENDED, by, {"run_id": run_id, "version": on, "reason": reason.value}))


def policy_on_record(events: Sequence[Event]) -> Effective | None:
    """The policy that was written down last; None before a worker has taken the session."""
    written = next((event for event in reversed(events) if event.kind is EventKind.POLICY), None)
    return Effective.from_json(written.data) if written else None


def _asked_for(session: Session) -> Layer:
    return Layer(f"the request ({session.source})", autonomy=Autonomy(session.autonomy))


@contextmanager
def _logged(consequence: str) -> Iterator[None]:
    """The session's own end counts, whatever Airflow says to the tidying up."""
    try:
        yield
    except AirflowError as error:
        log.warning("%s: %s", consequence, told(error))

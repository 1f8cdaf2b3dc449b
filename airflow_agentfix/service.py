"""What people and callbacks do with sessions: hand over a failure, read, tell, answer, stop, erase.

Runs in the API server. Rights are checked here, on the session's DAG, with the person's own login.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_agentfix import budgets, recovering
from airflow_agentfix.core import links, pins, questions, verification
from airflow_agentfix.core.budget import Budget
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.links import Links
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.pins import pinned
from airflow_agentfix.core.policy import Autonomy, Effective, Layer, combine, is_own
from airflow_agentfix.core.previews import is_preview
from airflow_agentfix.core.session import SERVER, Event, EventKind, Outcome, PinEnd, Session, State, fix_run_id
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.desk import ENDED, FIX_DAG, Desk, again
from airflow_agentfix.duplicates import occurrence, was_looked_at
from airflow_agentfix.errors import (
    AirflowError,
    BudgetExceeded,
    ConfigurationError,
    DecisionRequired,
    InvalidRequest,
    InvalidTransition,
    NotAllowed,
    SessionNotFound,
    StaleWrite,
)
from airflow_agentfix.ports import CommitCheck, HumanAnswer, RepositoryPolicy, ServerAirflow
from airflow_agentfix.redaction import redact, told
from airflow_agentfix.remarks import is_known, note_of
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Draft, Stored, Wanted
from airflow_agentfix.store.wire import Audit, Page, Recovery, Taken
from airflow_agentfix.worker_service import WorkerService

if TYPE_CHECKING:
    from airflow_agentfix.inspections import Inspections
    from airflow_agentfix.store.sql import SqlStore

log = logging.getLogger(__name__)

_KEPT_WHEN_ERASED = frozenset(
    {
        EventKind.CLAIMED,
        EventKind.POLICY,
        EventKind.APPROVAL,
        EventKind.RERUN,
        EventKind.PIN_ENDED,
        EventKind.RECOVERY,
        EventKind.ERASED,
    }
)
"""they hold no content, only who did what to which commit and run"""

_GOES_ON = frozenset({Outcome.FIXED, Outcome.PROPOSED, Outcome.REPORTED, Outcome.GAVE_UP, Outcome.REJECTED, Outcome.DUPLICATE})
_WENT_WELL = frozenset({"success", "skipped"})


@dataclass(frozen=True)
class Failure:
    """A task that failed for good, as it was reported: hints, until Airflow confirms them."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int | None = None
    source: str = "callback"
    autonomy: str | None = None
    message: str | None = None
    """what the person who asks wants the agent to know"""


class SessionService:
    """Use cases of sessions. `worker` is the part for whoever drives one."""

    def __init__(
        self,
        store: SqlStore,
        airflow: ServerAirflow,
        settings: Settings,
        *,
        policies: RepositoryPolicy,
        commits: CommitCheck,
        keys: Sequence[bytes] = (),
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
        inspections: Inspections | None = None,
        has_model: Callable[[], bool] = lambda: True,
    ) -> None:
        """`has_model`: whether a model that is paid for is configured, as far as this server can tell: workers decide."""
        self._inspections, self.has_model = inspections, has_model
        self.desk = Desk(store, airflow, settings, policies=policies, commits=commits, keys=keys, clock=clock, new_id=new_id)
        self._store, self._airflow, self.settings = store, airflow, settings
        self.worker = WorkerService(self.desk, on_done=self._go_on)

    @property
    def inspections(self) -> Inspections:
        """Looks at failures that no session is on."""
        if self._inspections is None:
            raise ConfigurationError("This server was made without a way to look at failures itself; start a report.")
        return self._inspections

    # --- the way in

    @again
    def intake(self, failure: Failure, user: Any) -> Taken:
        """Record a failure. The same failure gives the same session; another one of a task in work is its occurrence."""
        ref = self._resolved(failure, user)
        known = self._store.of_failure(ref)
        if known and (known.session.state is not State.DONE or was_looked_at(self.desk, known.session, ref)):
            return self._started(known)
        return self._joined_or_new(ref, failure, user, requested_by=None)

    @again
    def create(self, failure: Failure, user: Any) -> Taken:
        """A person asks for a session: the one in work on this task, or a new one, even if an earlier one ended."""
        ref = self._resolved(failure, user)
        known = self._store.of_failure(ref)
        if known and known.session.state is not State.DONE:
            return self._started(self._told(known, failure, user))
        return self._joined_or_new(ref, failure, user, requested_by=user.get_name())

    def _resolved(self, failure: Failure, user: Any) -> TaskRef:
        if is_own(failure.dag_id):
            raise InvalidRequest(f"{failure.dag_id!r} is one of AgentFix's own DAGs; it works on others only.")
        self.desk.require_edit(user, failure.dag_id)
        if is_preview(self._airflow.dag(failure.dag_id).tags):
            raise InvalidRequest(f"{failure.dag_id!r} is the preview of a fix; the session that made the fix judges its runs.")
        facts = self._airflow.resolve(failure.dag_id, failure.run_id, failure.task_id, failure.map_index)
        newest, wanted = facts.try_number, failure.try_number
        if newest < 1:
            raise InvalidRequest(f"Task {failure.task_id!r} is {facts.state} and has not run; name the task that failed.")
        if wanted is not None and not 1 <= wanted <= newest:
            raise InvalidRequest(f"Try {wanted} of {failure.task_id!r} does not exist; expected 1 to {newest}, or none given.")
        if facts.state in _WENT_WELL and (wanted or newest) == newest:
            raise InvalidRequest(f"Try {newest} of {failure.task_id!r} is {facts.state}: it did not fail. Name a try that did.")
        return TaskRef(failure.dag_id, failure.run_id, failure.task_id, wanted or newest, failure.map_index)

    def _joined_or_new(self, ref: TaskRef, failure: Failure, user: Any, *, requested_by: str | None) -> Taken:
        working = self._store.open_on(ref.dag_id, ref.run_id, ref.task_id)
        if working is None:
            return self._started(self._made(ref, failure, user, requested_by), created=True)
        if ref in self._store.failures(working.session.id):  # another report of it was first
            return self._started(self._told(working, failure, user))
        return self._started(self._told(self.desk.save(working, occurrence(ref), failures=(ref,)), failure, user))

    def _made(self, ref: TaskRef, failure: Failure, user: Any, requested_by: str | None) -> Stored:
        at, ceilings = self.desk.at(), self.settings.ceilings(ref.dag_id, self._airflow.dag(ref.dag_id).tags)
        asked = Layer("the request", autonomy=_autonomy(failure.autonomy) if failure.autonomy else None)
        policy = combine([*ceilings, asked]).policy  # the repository's word is asked for when a worker comes
        session = Session(
            id=self.desk.new_id(),
            dag_id=ref.dag_id,
            run_id=ref.run_id,
            task_id=ref.task_id,
            map_index=ref.map_index,
            try_number=ref.try_number,
            state=State.OPEN,
            autonomy=policy.autonomy.value,
            source=failure.source,
            created_at=at,
            updated_at=at,
            requested_by=requested_by,
        )
        how = {"source": failure.source, "autonomy": policy.autonomy.value, "requested_by": requested_by}
        drafts = [Draft(EventKind.CREATED, requested_by or SERVER, how), *_notes(failure, user)]
        try:
            return self.desk.create(session, *drafts, failure=ref, **budgets.reserving(self.desk, policy))
        except BudgetExceeded as refusal:  # what costs nothing is done all the same
            why = Draft(EventKind.NOTE, SERVER, {"message": f"No model is asked, only what is free is done. {refusal}"})
            return self.desk.create(session, *drafts, why, failure=ref, **budgets.UNPAID)

    def _go_on(self, done: Session) -> None:
        """Failures that were put behind a session and stand as reported get one of their own, the others behind it."""
        if done.outcome not in _GOES_ON:
            return
        behind = [
            ref for ref in self._store.failures(done.id) if ref.run_id == done.run_id and not was_looked_at(self.desk, done, ref)
        ]
        left = [ref for ref in behind if self._is_as_reported(ref)]
        if behind:
            told = (", ".join(map(str, refs)) or "none" for refs in (behind, left))
            log.info("Session %s is done. Behind it stand: %s. As reported: %s", done.id, *told)
        if not left:
            return
        first, *rest = left
        failure = Failure(
            first.dag_id, first.run_id, first.task_id, first.map_index, first.try_number, done.source, done.autonomy
        )
        try:
            made = self._made(first, failure, None, None)
            made = self.desk.save(made, *map(occurrence, rest), failures=rest) if rest else made
        except StaleWrite:  # a report was first, and has its session
            return
        self._started(made, created=True)

    def _is_as_reported(self, ref: TaskRef) -> bool:
        """Whether no later try came and this one did not go well; a try that was just reported may not be marked failed yet."""
        try:
            facts = self._airflow.resolve(ref.dag_id, ref.run_id, ref.task_id, ref.map_index)
        except AirflowError:  # gone, or Airflow cannot tell: triage looks again
            return False
        return facts.state not in _WENT_WELL and facts.try_number == ref.try_number

    def _told(self, stored: Stored, failure: Failure, user: Any) -> Stored:
        notes = _notes(failure, user)
        return self.desk.save(stored, *notes) if notes else stored

    def _started(self, stored: Stored, *, created: bool = False) -> Taken:
        """With a run of the fix DAG for it. Where that cannot be started the session waits, and says why."""
        session = stored.session
        if session.state is State.DONE:
            return Taken(session.id, session.state, created)
        unpaid = session.summary if stored.max_dollars == budgets.UNPAID["max_dollars"] else None
        try:
            run_state = self._airflow.run_state(FIX_DAG, fix_run_id(session.id, stored.runs))
            if run_state in ENDED:  # its worker died for good: the session goes on in a new run
                stored = self.desk.save(stored, runs=stored.runs + 1)
            if run_state in ENDED or session.state is State.OPEN:
                run_id = fix_run_id(session.id, stored.runs)
                self._airflow.start_run(FIX_DAG, run_id=run_id, conf={"session_id": session.id})
        except (ConfigurationError, AirflowError) as error:
            warning = f"Session {session.id} is kept, but nobody works on it yet: {told(error)}"
            if session.summary != warning[:2000]:
                self.desk.save(stored, Draft(EventKind.NOTE, SERVER, {"message": warning}))
            return Taken(session.id, session.state, created, warning, stalled=True)
        return Taken(session.id, session.state, created, unpaid)

    # --- reading

    def list(self, user: Any, wanted: Wanted | None = None, *, limit: int = 50, offset: int = 0) -> Page:
        """What is wanted of the DAGs this person may read, newest first. One that is found to be abandoned is ended and told as
        it is then, whatever state was asked for."""
        wanted = wanted or Wanted()
        dag_ids = [wanted.dag_id] if wanted.dag_id else self._store.dag_ids()
        readable = [one for one in dag_ids if self._airflow.may(user, one, edit=False)]
        found, total = self._store.sessions(readable, wanted, limit=limit, offset=offset)
        return Page(tuple(one if one.state is State.DONE else self._noticed(one.id).session for one in found), total)

    def get(self, session_id: str, user: Any) -> Session:
        return self.look(session_id, user).session

    def look(self, session_id: str, user: Any) -> Stored:
        """The session as it is kept, for who may read it. One that nobody works on any more is ended as failed."""
        stored = self.desk.open(session_id, user, edit=False)
        return self._noticed(session_id) if self.desk.is_abandoned(stored) else stored

    def budget(self, session_id: str, user: Any) -> Budget:
        """What the session used of what it may: turns, tokens, dollars, minutes; and where its day stands."""
        return self.worker.budget(self.desk.open(session_id, user, edit=False))

    def verified(self, session_id: str, user: Any) -> tuple[Sequence[Stage], Links]:
        """What was looked at of its fix and what was not, and where the session leads."""
        session = self.desk.open(session_id, user, edit=False).session
        events = self._store.events(session_id, kinds={*verification.KINDS, *links.KINDS})
        ref = TaskRef(session.dag_id, session.run_id, session.task_id, session.try_number or 0, session.map_index)
        page_of = session_id if self.settings.ui else None
        return verification.record(events), links.links_of(ref, events, base_url=self.settings.base_url, page_of=page_of)

    @again
    def _noticed(self, session_id: str) -> Stored:
        """The session; ended as failed where its run of the fix DAG ended without a word (killed, or a broken installation)."""
        stored = self._store.get(session_id)
        if stored is None:
            raise SessionNotFound(f"Session {session_id!r} went away while it was read.")
        if not self.desk.is_abandoned(stored):
            return stored
        run_id, events = fix_run_id(session_id, stored.runs), self._store.events(session_id, kinds=questions.KINDS)
        summary = f"Run {run_id!r} of {FIX_DAG} ended before the session did; its log says why. A message starts a new run."
        end = {"outcome": Outcome.FAILED.value, "verdict": None, "summary": summary, "error": summary, "report": None}
        failed = self.desk.save(stored, Draft(EventKind.FINISHED, SERVER, end))
        self.desk.release_askers(failed, events, "Nobody works on the session any more.")
        return failed

    def events(self, session_id: str, user: Any, *, after: int) -> Sequence[Event]:
        self.desk.open(session_id, user, edit=False)
        return self._store.events(session_id, after=after)

    def policy(self, dag_id: str, user: Any) -> Effective:
        """What a session on this DAG may do if it starts now."""
        if not self._airflow.may(user, dag_id, edit=False):
            raise NotAllowed(f"{user.get_name()!r} may not read DAG {dag_id!r}. Ask for the right, or an owner to look.")
        return self.desk.policy_for(dag_id)

    def audit(self, session_id: str, user: Any, *, anchor: str | None = None) -> Audit:
        """Whether the session's events are what was written. `anchor`: a hash of the chain that was kept elsewhere."""
        session = self.desk.open(session_id, user, edit=False).session
        hashes = self._store.hashes(session_id)
        anchored = anchor in hashes if anchor else None
        return Audit(session.id, len(hashes), hashes[-1] if hashes else None, self._store.broken_link(session_id), anchored)

    # --- taking part

    @again
    def message(self, session_id: str, user: Any, message: str, comment: Remark | None = None) -> Taken:
        """Tell the session something; one that is done goes on with it in a new run of the fix DAG. Raises BudgetExceeded, and
        changes nothing, where the day has no dollars for that. `comment`: where it was written on the fix's pull request."""
        stored = self.desk.open(session_id, user, edit=True)
        note = Draft(EventKind.NOTE, user.get_name(), {"message": redact(message)})
        if comment is not None:
            if is_known(self.desk, stored, comment):
                return self._started(stored)
            note = note_of(comment, redact(message), user)
        if stored.session.state is State.DONE:
            self._require_whole(stored)
            reserving = budgets.reserving(self.desk, self.desk.policy_in_force(stored.session))
            return self._started(self.desk.save(stored, note, runs=stored.runs + 1, **reserving))
        return self._started(self.desk.save(stored, note))

    @again
    def reply(
        self, session_id: str, user: Any, *, decision: str | None = None, message: str = "", question_id: str | None = None
    ) -> Session:
        """Answer the question that waits. Approving or rejecting binds to the commit the question names."""
        message = redact(message)
        stored = self.desk.open(session_id, user, edit=True)
        question = self._waiting(stored, question_id)
        if question.data["about"] == "approval":
            drafts, option = self._decided(stored, question, user, decision, message)
        else:
            drafts, option = _answered(question, user, decision, message)
        run_id = question.data["ask_run"]["run_id"]
        human = self._airflow.answer(run_id)
        if human is None:
            self._airflow.give_answer(run_id, option=option, message=message, user=user)
        elif (human.user, human.option) != (str(user.get_id()), option):  # ours is there where an earlier call got half-way
            self._refuse_second_answer(stored, question, human, decision)
        answered = self.desk.save(stored, *drafts)
        self._started(answered)  # its run of the fix DAG may have ended while it waited
        return answered.session

    def _refuse_second_answer(self, stored: Stored, question: Event, human: HumanAnswer, decision: str | None) -> None:
        """The first answer counts, wherever it was given. A click that decides nothing about an approval is none."""
        first = self.desk.decision(stored.session, question, human)
        is_question = question.data["about"] == "question"
        if is_question or (first in ("approve", "reject") and first != decision):
            raise InvalidTransition(
                f"{question.data['question_id']} was answered under Required Actions before, by {human.user!r} with "
                f"{human.option!r}; that one counts."
            )

    def _waiting(self, stored: Stored, question_id: str | None) -> Event:
        session, events = stored.session, self._store.events(stored.session.id, kinds=questions.KINDS)
        waiting = questions.waiting(events)
        ids = [question.data["question_id"] for question in waiting]
        if not waiting:
            raise InvalidTransition(
                f"Session {session.id!r} is {session.state} and asks nothing; {_was_first(events, question_id)}. "
                "A message tells it something, and needs no question."
            )
        if question_id is None and len(waiting) > 1:
            raise InvalidRequest(f"Several questions wait ({', '.join(ids)}); name one as question_id.")
        found = [one for one in waiting if question_id in (None, one.data["question_id"])]
        if not found:
            raise InvalidRequest(f"No question {question_id!r} waits in session {session.id!r}; expected {' or '.join(ids)}.")
        return found[0]

    def _decided(
        self, stored: Stored, question: Event, user: Any, decision: str | None, message: str
    ) -> tuple[Sequence[Draft], str]:
        session, commit = stored.session, question.data["commit"]
        if decision not in ("approve", "reject"):
            raise DecisionRequired(f"Session {session.id!r} waits for approval of commit {commit}; expected approve or reject.")
        if session.fix_commit != commit:
            raise InvalidTransition(f"The question is about commit {commit}; the fix is {session.fix_commit} now and asks anew.")
        who = str(user.get_id())  # FAB's ids are numbers
        approvers = self.desk.approvers(session, question)
        if approvers is not None and who not in approvers:
            raise NotAllowed(f"Policy names who decides this (approvers): {', '.join(approvers) or 'nobody'}; you are {who!r}.")
        if decision == "approve" and self.desk.works_on(session.id, who):
            raise NotAllowed(
                f"{who!r} is the login AgentFix itself works with; what it wrote it cannot approve. Log in as yourself (on a "
                "command line with AGENTFIX_AIRFLOW_URL and AGENTFIX_AIRFLOW_USERNAME and AGENTFIX_AIRFLOW_PASSWORD or "
                "AGENTFIX_AIRFLOW_TOKEN), or have the people who approve named in [agentfix] approvers."
            )
        question_id, options = question.data["question_id"], question.data["options"]
        answer = {"question_id": question_id, "decision": decision, "message": message, "via": "api"}
        approval = {"question_id": question_id, "commit": commit, "decision": decision, "via": "api"}
        drafts = [Draft(EventKind.ANSWER, user.get_name(), answer), Draft(EventKind.APPROVAL, user.get_name(), approval)]
        return drafts, options[0] if decision == "approve" else options[-1]

    @again
    def stop(self, session_id: str, user: Any, reason: str = "") -> Session:
        """Stop it. A worker that is on it sees the stop with its next call and ends it; else it is done at once."""
        stored = self.desk.open(session_id, user, edit=True)
        events, drafts = self._store.events(session_id, kinds=questions.KINDS), [_stop(user, reason)]
        if stored.leased(self.desk.clock()):
            return self.desk.save(stored, *drafts).session
        stopped = self.desk.save(stored, *drafts, _finished_by_stop(user, reason))
        self.desk.release_askers(stopped, events, f"{user.get_name()} stopped the session.")
        return self.desk.end_pin(stopped).session

    @again
    def erase(self, session_id: str, user: Any) -> Session:
        """Stop it, whoever works on it, and erase what it holds. Hashes, decisions and what was done to runs stay."""
        stored = self.desk.open(session_id, user, edit=True)
        events = self._store.events(session_id)
        ending = [] if stored.session.state is State.DONE else [_stop(user, "erased"), _finished_by_stop(user, "erased")]
        contents = [event.number for event in events if event.kind not in _KEPT_WHEN_ERASED]
        last = stored.session.last_event
        contents += range(last + 1, last + 1 + len(ending))
        erased = Draft(EventKind.ERASED, user.get_name(), {})
        gone = self.desk.save(stored, *ending, erased, erase=contents, lease=None, lease_until=None)
        self.desk.release_askers(gone, events, f"{user.get_name()} erased the session.")
        return self.desk.end_pin(gone).session

    @again
    def end_pin(self, session_id: str, user: Any, *, version: str | None = None, reason: PinEnd = PinEnd.ASKED) -> Session:
        """Take the run this session pinned off its fix commit: back to its own version, or to `version` once that has the fix."""
        stored = self.desk.open(session_id, user, edit=True)
        session, pin = stored.session, pinned(self._store.events(session_id, kinds=pins.KINDS))
        if session.state is not State.DONE:
            raise InvalidTransition(f"Session {session_id!r} is {session.state}; a pin ends when it is done. Stop it, or wait.")
        if pin is None:
            raise InvalidTransition(f"Session {session_id!r} keeps no run on its fix commit.")
        self._require_served(session, version, reason)
        return self.desk.unpin(stored, pin, reason=reason, version=version, by=user.get_name()).session

    @again
    def recover(self, session_id: str, user: Any, asked: recovering.Asked) -> Recovery:
        """Let the failed runs of its cause go on with the merged fix. Asks the code host for policy where nobody asked."""
        return recovering.recover(self.desk, session_id, user, asked)

    def _require_served(self, session: Session, version: str | None, reason: PinEnd) -> None:
        """What the caller may name is what new runs get anyway: else a clear would run a commit that nobody approved."""
        if (version is not None) is not (reason is PinEnd.MERGED):
            raise InvalidRequest(
                f"reason is {reason}, version is {version!r}; a version goes with the reason merged, and only so."
            )
        served = self._airflow.served_version(session.dag_id)
        if version is not None and version != served:
            raise InvalidTransition(
                f"Airflow serves DAG {session.dag_id!r} on {served!r}; expected that as version, not {version!r}."
            )

    def _require_whole(self, stored: Stored) -> None:
        if self._store.events(stored.session.id, kinds=(EventKind.ERASED,)):
            raise InvalidTransition(f"Session {stored.session.id!r} was erased; start a new one.")


def _notes(failure: Failure, user: Any) -> Sequence[Draft]:
    return [Draft(EventKind.NOTE, user.get_name(), {"message": redact(failure.message)})] if failure.message else []


def _was_first(events: Sequence[Event], question_id: str | None) -> str:
    """Why there is nothing to answer: whose answer was first, where there is one."""
    if (answer := questions.last_answer(events, question_id)) is None:
        return "expected a question that waits"
    said = f"{answer.data.get('question_id')} was answered before, by {answer.actor!r} with {answer.data.get('decision')!r}"
    return f"{said}; that one counts"


def _answered(question: Event, user: Any, decision: str | None, message: str) -> tuple[Sequence[Draft], str]:
    question_id, options = question.data["question_id"], question.data["options"]
    if decision not in (None, "answer") or not message:
        raise InvalidRequest(f"{question_id} is a question, not an approval; answer it with a message.")
    answer = {"question_id": question_id, "decision": "answer", "message": message, "via": "api"}
    chosen = (option for option in options if message == option or message.startswith(f"{option}: "))
    return [Draft(EventKind.ANSWER, user.get_name(), answer)], next(chosen, options[0])


def _stop(user: Any, reason: str) -> Draft:
    return Draft(EventKind.STOP, user.get_name(), {"reason": redact(reason)})


def _finished_by_stop(user: Any, reason: str) -> Draft:
    summary = f"Stopped by {user.get_name()}" + (f": {redact(reason)}" if reason else ".")
    end = {"outcome": Outcome.STOPPED.value, "verdict": None, "summary": summary, "error": None, "report": None}
    return Draft(EventKind.FINISHED, SERVER, end)


def _autonomy(name: str) -> Autonomy:
    try:
        return Autonomy(name)
    except ValueError:
        raise InvalidRequest(f"autonomy is {name!r}; expected one of {', '.join(Autonomy)}.") from None

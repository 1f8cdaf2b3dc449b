"""What the holder of a session's lease may do: the server's side of `ports.SessionClient`.

Invariants: one lease at a time; a repeated call gives the first one's result; a commit is run only with its own approval.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_agentfix import budgets, review
from airflow_agentfix.core import questions
from airflow_agentfix.core.budget import Budget
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Autonomy, Effective, Policy
from airflow_agentfix.core.session import (
    SERVER,
    WORKER,
    WORKER_KINDS,
    Event,
    EventKind,
    Outcome,
    Session,
    State,
    WaitFor,
    takes_over,
)
from airflow_agentfix.core.signature import sign_approval, sign_fix
from airflow_agentfix.desk import ENDED, Desk, again, policy_on_record
from airflow_agentfix.duplicates import settle
from airflow_agentfix.errors import (
    AirflowConflict,
    BudgetExceeded,
    InvalidRequest,
    InvalidTransition,
    NotAllowed,
    RerunImpossible,
    SessionConflict,
    SessionNotFound,
)
from airflow_agentfix.ports import Answer, Approved, Claim, Json, PinRequest, Question, Rerun, WaitRun
from airflow_agentfix.redaction import redact
from airflow_agentfix.store.record import Draft, Stored

ASK_DAG = "agentfix_ask"
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_RED = frozenset({"failed", "upstream_failed"})
NOBODY = "The question's run ended without an answer."
NO_PERSON = "An approval by the login AgentFix itself works with does not count."


@dataclass(frozen=True)
class _Asking:
    """A question to be put."""

    call_id: str
    about: str
    subject: str
    body: str
    options: tuple[str, ...]
    commit: str | None = None
    approvers: tuple[str, ...] = ()


class WorkerService:
    """Use cases of the worker. `user` is its login; it needs the right to edit runs of the session's DAG."""

    def __init__(self, desk: Desk, *, on_done: Callable[[Session], None]) -> None:
        """`on_done` is told of each session that a worker finished, or that ended as a duplicate."""
        self._desk, self._on_done = desk, on_done
        self._store, self._airflow = desk.store, desk.airflow

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
        mine: dict[str, Any] = {"lease": lease, "holder": worker, "lease_until": self._lease_end()}
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
        policy = budgets.capped(self._desk, self._policy(session))
        return Claim(lease, session, tuple(self._store.events(session.id)), policy.to_json(), unpaid)

    def _lease_end(self) -> str:
        return self._desk.at(self._desk.clock() + timedelta(seconds=self._desk.settings.lease_seconds))

    def _held(self, session_id: str, user: Any, lease: str) -> Stored:
        """The session, for its lease's holder. An expired lease that nobody took is still the holder's."""
        stored = self._desk.open(session_id, user, edit=True)
        if stored.lease != lease:
            raise SessionConflict(f"The lease on session {session_id!r} is {stored.holder!r}'s now; claim the session again.")
        return stored

    def _policy(self, session: Session) -> Policy:
        return self._desk.policy_in_force(session)

    def budget(self, stored: Stored) -> Budget:
        """What the session used of what it may; not only for workers."""
        return budgets.shown(self._desk, stored, self._policy(stored.session))

    # --- events

    @again
    def append(
        self, session_id: str, user: Any, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        """Append and renew the lease; a batch that has arrived before is not appended twice. With its incident the session
        may end: as a duplicate of one that works on the same cause."""
        stored = self._held(session_id, user, lease)
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
            self._desk.save(stored, *drafts, lease_until=self._lease_end())
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

    # --- questions

    @again
    def ask(
        self, session_id: str, user: Any, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        """Ask a person, once per call. What passes for an approval is refused: those are asked for by `approval` alone."""
        stored = self._held(session_id, user, lease)
        if passing := questions.passing_for_approval(options):
            raise InvalidRequest(f"options are {', '.join(passing)}; expected others: the server alone asks for approvals.")
        question = questions.question_of(self._store.events(session_id), call_id)
        if question is None:
            asking = _Asking(call_id, "question", subject, body, tuple(options) or ("OK",))
            stored, question = self._put(stored, asking)
        answer = self._answer(stored, question)
        return answer or self._wait_for(question, call_id)

    @again
    def approval(self, session_id: str, user: Any, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        """May this commit be run? By a person's word on this very commit, or because policy waives it."""
        stored = self._held(session_id, user, lease)
        self._require_rerun_allowed(stored.session)
        if stored.session.fix_commit != commit:
            raise InvalidRequest(f"commit is {commit!r}; the session's recorded fix is {stored.session.fix_commit!r}.")
        objections = self._reviewed(stored.session)
        if approved := self._approved(stored, objections):
            return approved
        question = questions.approval_question(self._store.events(session_id), commit)
        if question is not None:
            answer = self._answer(stored, question)
            if answer is None:
                return self._wait_for(question, call_id)
            if answer.decision in ("reject", "nobody"):
                return answer
            stored = self._held(session_id, user, lease)  # the answer was just written
            if approved := self._approved(stored, objections):
                return approved
        self._airflow.require_pinnable(stored.session.dag_id, stored.session.run_id)  # nobody is asked for what cannot be
        _, question = self._put(stored, self._approval_asking(stored, call_id, commit, objections))
        return self._wait_for(question, call_id)

    def _require_rerun_allowed(self, session: Session) -> None:
        autonomy = self._policy(session).autonomy
        if not autonomy.allows(Autonomy.RERUN):
            raise NotAllowed(f"Session {session.id!r} has autonomy {autonomy}; a rerun needs rerun. The fix stays a proposal.")

    def _reviewed(self, session: Session) -> Sequence[Finding]:
        """What a person has to look at. NotAllowed for what is refused whoever says yes; the fix is one commit for good, not a
        name that can move."""
        if not _COMMIT.fullmatch(session.fix_commit or ""):
            raise InvalidRequest(f"The recorded fix {session.fix_commit!r} is no commit id; expected 40 hexadecimal digits.")
        found = self._objections(session)
        refused = [one.reason for one in found if one.severity is Severity.REFUSE]
        if refused:
            raise NotAllowed(f"The recorded fix may not be run: {' '.join(refused)}")
        return found

    def _objections(self, session: Session) -> Sequence[Finding]:
        events = self._store.events(session.id)
        found = review.objections(events, self._policy(session))
        dag, commit = self._airflow.dag(session.dag_id), str(session.fix_commit)
        patches, failed_on = review.recorded_patches(events), self._failed_on(session, events)
        of_commit = self._desk.commits.objection(dag, commit, patches, failed_on=failed_on)
        return (*found, of_commit) if of_commit else found

    def _failed_on(self, session: Session, events: Sequence[Event]) -> str | None:
        """The version the failed run was made on: a rerun has put it on a fix since."""
        reruns = [event for event in events if event.kind is EventKind.RERUN]
        if reruns:
            original: str | None = reruns[0].data["original_version"]
            return original
        return self._airflow.run_version(session.dag_id, session.run_id)

    def _approved(self, stored: Stored, objections: Sequence[Finding]) -> Approved | None:
        session, commit = stored.session, stored.session.fix_commit
        if commit is None:
            return None
        written = self._store.events(session.id, kinds=(EventKind.APPROVAL,))  # not the table: the chain tells of a forged one
        decisions = [one for one in written if one.data["commit"] == commit]
        persons = [one for one in decisions if one.data["via"] != "waived"]
        if persons and persons[-1].data["decision"] == "approve":
            return self._word(commit, persons[-1].actor)
        reason = questions.waiver(self._policy(session), objections)
        if reason is None or persons:
            return None
        if not decisions:
            waived = {"question_id": None, "commit": commit, "decision": "approve", "via": "waived"}
            self._desk.save(stored, Draft(EventKind.APPROVAL, "waived", waived))
        return self._word(commit, f"waived: {reason}")

    def _word(self, commit: str, by: str) -> Approved:
        return Approved(commit, by, sign_approval(self._desk.keys[0], commit) if self._desk.keys else "")

    def _approval_asking(self, stored: Stored, call_id: str, commit: str, objections: Sequence[Finding]) -> _Asking:
        session, approvers = stored.session, self._policy(stored.session).approvers
        events = self._store.events(session.id)
        fix = next(event.data for event in reversed(events) if event.kind is EventKind.FIX)
        shown = {**fix, "diff": review.recorded_diff(events) or fix.get("diff")}
        return _Asking(
            call_id=call_id,
            about="approval",
            subject=questions.approval_subject(session, commit),
            body=questions.approval_body(session, shown, objections=objections, approvers=approvers),
            options=(questions.APPROVE if approvers else questions.APPROVED_ELSEWHERE, questions.REJECT),
            commit=commit,
            approvers=approvers,
        )

    def _put(self, stored: Stored, asking: _Asking) -> tuple[Stored, Event]:
        """Write the question down, then show it: a crash in between is made good by the next call."""
        session_id, number = stored.session.id, stored.session.last_event + 1
        data = {
            "question_id": f"q{number}",
            "call_id": asking.call_id,
            "about": asking.about,
            "subject": asking.subject,
            "body": asking.body,
            "options": list(asking.options),
            "commit": asking.commit,
            "ask_run": {"dag_id": ASK_DAG, "run_id": f"agentfix__{session_id}__q{number}"},
            "approvers": list(asking.approvers),
            "hours": self._desk.settings.answer_hours,
        }
        stored = self._desk.save(stored, Draft(EventKind.QUESTION, WORKER, data))
        question = self._store.events(session_id, after=number - 1)[0]
        self._show(question)
        return stored, question

    def _show(self, question: Event) -> None:
        data = question.data
        options, approvers, hours = tuple(data["options"]), tuple(data["approvers"]), data.get("hours") or 0.0
        body = questions.question_body(data["body"]) if data["about"] == "question" else data["body"]
        self._airflow.ask(Question(data["ask_run"]["run_id"], data["subject"], body, options, approvers, hours))

    def _wait_for(self, question: Event, call_id: str) -> WaitRun:
        run = question.data["ask_run"]
        return WaitRun(run["dag_id"], run["run_id"], WaitFor.PERSON, call_id)

    def _answer(self, stored: Stored, question: Event) -> Answer | None:
        """What was answered: as written down, or under Required Actions since."""
        question_id = question.data["question_id"]
        event = questions.answer_to(self._store.events(stored.session.id), question_id)
        if event is not None:
            return Answer(question_id, event.data["decision"], event.data["message"], event.actor)
        return self._collected(stored, question)

    def _collected(self, stored: Stored, question: Event) -> Answer | None:
        run_id, data = question.data["ask_run"]["run_id"], question.data
        state = self._airflow.run_state(ASK_DAG, run_id)  # before the answer, which ends the run
        self._show(question)  # starts the run if there is none; refuses one that shows anything else, before its answer counts
        human = self._airflow.answer(run_id)
        if human is not None:
            decision = self._desk.decision(stored.session, question, human)
            words = redact(human.message)
            said = f"{human.option}: {words}" if words else human.option
            message, actor, via = (words if data["about"] == "approval" else said), human.user, "required_actions"
            if decision == "answer" and human.option == questions.APPROVE and self._desk.works_on(stored.session.id, human.user):
                message = NO_PERSON
        elif state in ENDED:
            decision, message, actor, via = "nobody", self._nobody(question), SERVER, "required_actions"
        else:
            return None
        answer = {"question_id": data["question_id"], "decision": decision, "message": message, "via": via}
        drafts = [Draft(EventKind.ANSWER, actor, answer)]
        if decision in ("approve", "reject"):
            of_commit = {"question_id": data["question_id"], "commit": data["commit"], "decision": decision, "via": via}
            drafts.append(Draft(EventKind.APPROVAL, actor, of_commit))
        self._desk.save(stored, *drafts)
        return Answer(data["question_id"], decision, message, actor)

    def _nobody(self, question: Event) -> str:
        """Why a question that has ended has no answer: its time was up, or somebody ended its run."""
        hours = question.data.get("hours") or 0.0
        if hours and self._desk.clock() >= datetime.fromisoformat(question.at) + timedelta(hours=hours):
            return f"Nobody answered within {hours:g} hours."
        return NOBODY

    # --- the rerun

    def sign(self, session_id: str, user: Any, *, lease: str, tree: str, file: str) -> str:
        """The signature of a tree for this session; empty where this deployment has no key."""
        session = self._held(session_id, user, lease).session
        if not self._desk.keys:
            return ""
        return sign_fix(self._desk.keys[0], tree=tree, dag_id=session.dag_id, file=file, session_id=session.id)

    def shape(self, session_id: str, user: Any, *, lease: str) -> Json:
        session = self._held(session_id, user, lease).session
        return self._airflow.shape(session.dag_id, session.run_id)

    @again
    def rerun(
        self, session_id: str, user: Any, *, lease: str, call_id: str, shape_changes: Sequence[str] = ()
    ) -> Rerun | WaitRun:
        """Rerun on the recorded fix commit; what to run is the server's own record, never the caller's word."""
        if shape_changes:
            raise RerunImpossible(f"The fix changes the DAG's shape: {' '.join(shape_changes)} A pin cannot rerun it.")
        stored = self._held(session_id, user, lease)
        session, commit = stored.session, stored.session.fix_commit
        if commit is None:
            raise InvalidTransition(f"Session {session_id!r} has no fix yet; open_fix comes first.")
        self._require_rerun_allowed(session)
        objections = self._reviewed(session)
        events = self._store.events(session_id)
        done = [event for event in events if event.kind is EventKind.RERUN and event.data["commit"] == commit]
        if done:
            return _rerun_of(done[-1])
        if self._approved(stored, objections) is None:
            raise NotAllowed(f"Nobody has approved commit {commit}. An approval of another commit does not count for it.")
        return self._pin(self._held(session_id, user, lease), commit, call_id)

    def _pin(self, stored: Stored, commit: str, call_id: str) -> Rerun | WaitRun:
        if stored.session.state is not State.RUNNING:
            raise InvalidTransition(f"Session {stored.session.id!r} is {stored.session.state}; a rerun needs it running.")
        stored = self._desk.save(stored, lease_until=self._lease_end())  # who lost the session since it was read pins nothing
        session = stored.session
        tasks = self._failed_of_cause(session)
        own = tasks.pop(session.task_id)
        request = PinRequest(session.id, session.dag_id, session.run_id, session.task_id, own, commit, tuple(tasks.items()))
        try:
            pinned = self._airflow.pin(request)
        except AirflowConflict as error:
            if self._airflow.run_state(session.dag_id, session.run_id) in ENDED:
                raise RerunImpossible(str(error)) from error
            return WaitRun(session.dag_id, session.run_id, WaitFor.TASK, call_id)
        data = {
            "way": "pin",
            "dag_id": session.dag_id,
            "run_id": pinned.run_id,
            "commit": commit,
            "task_ids": list(pinned.task_ids),
            "map_index": own,
            "original_version": pinned.original_version,
        }
        self._record_rerun(stored, data)
        return Rerun("pin", session.dag_id, pinned.run_id, commit, pinned.task_ids, own)

    @again
    def _record_rerun(self, pinned: Stored, data: Json) -> None:
        """Write the pin down, whatever became of the session while it was made: nobody takes a run off a commit that it is not
        known to be on. SessionConflict, after that, for a worker that has lost the session."""
        now = self._store.get(pinned.session.id)
        if now is None:
            raise SessionNotFound(f"Session {pinned.session.id!r} went away; run {data['run_id']!r} is on {data['commit']}.")
        events = self._store.events(now.session.id)
        if not any(event.kind is EventKind.RERUN and event.data["commit"] == data["commit"] for event in events):
            self._desk.save(now, Draft(EventKind.RERUN, SERVER, data))
        if now.lease != pinned.lease:
            raise SessionConflict(f"Session {now.session.id!r} was taken from {pinned.holder!r} while its run was pinned.")

    def _failed_of_cause(self, session: Session) -> dict[str, int]:
        """Map index by task of what failed of this cause in the session's run; -1 where several indexes of a task did."""
        found = {session.task_id: session.map_index}
        for ref in self._store.failures(session.id):
            if ref.run_id == session.run_id and found.setdefault(ref.task_id, ref.map_index) != ref.map_index:
                found[ref.task_id] = -1
        return found

    # --- the end

    @again
    def park(self, session_id: str, user: Any, *, lease: str, wait: WaitRun) -> Session:
        """Give the lease back and wait. A session that was stopped meanwhile does not wait any more."""
        stored = self._held(session_id, user, lease)
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
        stored = self._held(session_id, user, lease)
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
        reruns = {e.data["commit"] for e in self._store.events(session.id) if e.kind is EventKind.RERUN}
        if session.fix_commit not in reruns:
            raise InvalidRequest(f"outcome is fixed, but nothing was rerun on {session.fix_commit!r}; expected another outcome.")
        task = self._airflow.resolve(session.dag_id, session.run_id, session.task_id, session.map_index)
        if task.state in _RED:
            raise InvalidRequest(f"outcome is fixed, but {session.task_id!r} is {task.state}; expected another outcome.")


def _rerun_of(event: Event) -> Rerun:
    data = event.data
    return Rerun(data["way"], data["dag_id"], data["run_id"], data["commit"], tuple(data["task_ids"]), data.get("map_index"))

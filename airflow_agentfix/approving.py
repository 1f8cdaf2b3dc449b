"""Questions to people, and the approval of a fix's commit: the part of a worker's use cases that waits for persons.

Invariants: a repeated call gives the first one's result; a commit is approved by a person's word on this very commit, or by a
waiver that policy gives and no objection of the gates takes away.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_agentfix import review
from airflow_agentfix.core import questions
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import SERVER, WORKER, Event, EventKind, Session, WaitFor
from airflow_agentfix.core.signature import sign_approval
from airflow_agentfix.core.urls import session_url, web_address
from airflow_agentfix.core.ways import Chosen, Way
from airflow_agentfix.desk import ENDED, again
from airflow_agentfix.errors import InvalidRequest, NotAllowed
from airflow_agentfix.leases import Leases
from airflow_agentfix.ports import Answer, Approved, Question, WaitRun
from airflow_agentfix.redaction import redact
from airflow_agentfix.rerun_ways import RerunWays
from airflow_agentfix.store.record import Draft, Stored

ASK_DAG = "agentfix_ask"
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
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
    rerun: Mapping[str, str] | None = None
    objections: tuple[Mapping[str, Any], ...] = ()


class Approving:
    """Questions and approvals of the sessions that `leases` knows."""

    def __init__(self, leases: Leases, ways: RerunWays) -> None:
        self._leases, self._ways = leases, ways
        self._desk = leases.desk
        self._store, self._airflow = leases.desk.store, leases.desk.airflow

    @again
    def ask(
        self, session_id: str, user: Any, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        """Ask a person, once per call. What passes for an approval is refused: those are asked for by `approval` alone."""
        stored = self._leases.held(session_id, user, lease)
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
        stored = self._leases.held(session_id, user, lease)
        self.require_rerun_allowed(stored.session)
        if stored.session.fix_commit != commit:
            raise InvalidRequest(f"commit is {commit!r}; the session's recorded fix is {stored.session.fix_commit!r}.")
        objections = self.reviewed(stored.session)
        if approved := self.approved(stored, objections):
            return approved
        question = questions.approval_question(self._store.events(session_id), commit)
        if question is not None:
            answer = self._answer(stored, question)
            if answer is None:
                return self._wait_for(question, call_id)
            if answer.decision in ("reject", "nobody"):
                return answer
            stored = self._leases.held(session_id, user, lease)  # the answer was just written
            if approved := self.approved(stored, objections):
                return approved
        chosen = self._ways.plan(stored.session).ways.choose()  # nobody is asked for what cannot be
        _, question = self._put(stored, self._approval_asking(stored, call_id, chosen, objections))
        return self._wait_for(question, call_id)

    def require_rerun_allowed(self, session: Session) -> None:
        autonomy = self._leases.policy(session).autonomy
        if not autonomy.allows(Autonomy.RERUN):
            raise NotAllowed(f"Session {session.id!r} has autonomy {autonomy}; a rerun needs rerun. The fix stays a proposal.")

    def reviewed(self, session: Session) -> Sequence[Finding]:
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
        found = review.objections(events, self._leases.policy(session))
        dag, commit = self._airflow.dag(session.dag_id), str(session.fix_commit)
        patches, failed_on = review.recorded_patches(events), self._failed_on(session, events)
        of_commit = self._desk.commits.objection(dag, commit, patches, failed_on=failed_on)
        return (*found, of_commit) if of_commit else found

    def _failed_on(self, session: Session, events: Sequence[Event]) -> str | None:
        """The version the failed run was made on: a rerun has put it on a fix since."""
        reruns = [event for event in events if event.kind is EventKind.RERUN and event.data["way"] == Way.PIN]
        if reruns:
            original: str | None = reruns[0].data["original_version"]
            return original
        return self._airflow.run_version(session.dag_id, session.run_id)

    def approved(self, stored: Stored, objections: Sequence[Finding]) -> Approved | None:
        session, commit = stored.session, stored.session.fix_commit
        if commit is None:
            return None
        written = self._store.events(session.id, kinds=(EventKind.APPROVAL,))  # not the table: the chain tells of a forged one
        decisions = [one for one in written if one.data["commit"] == commit]
        persons = [one for one in decisions if one.data["via"] != "waived"]
        if persons and persons[-1].data["decision"] == "approve":
            return self._word(commit, persons[-1].actor)
        reason = questions.waiver(self._leases.policy(session), objections)
        if reason is None or persons:
            return None
        if not decisions:
            waived = {"question_id": None, "commit": commit, "decision": "approve", "via": "waived"}
            self._desk.save(stored, Draft(EventKind.APPROVAL, "waived", waived))
        return self._word(commit, f"waived: {reason}")

    def _word(self, commit: str, by: str) -> Approved:
        return Approved(commit, by, sign_approval(self._desk.keys[0], commit) if self._desk.keys else "")

    def _approval_asking(self, stored: Stored, call_id: str, chosen: Chosen, objections: Sequence[Finding]) -> _Asking:
        session, approvers = stored.session, self._leases.policy(stored.session).approvers
        commit = str(session.fix_commit)
        events = self._store.events(session.id)
        fix = next(event.data for event in reversed(events) if event.kind is EventKind.FIX)
        settings = self._desk.settings
        page = session_url(settings.base_url, session.id) if settings.ui and web_address(settings.base_url) else None
        shown = {**fix, "diff": review.recorded_diff(events) or fix.get("diff")}
        return _Asking(
            call_id=call_id,
            about="approval",
            subject=questions.approval_subject(session, commit),
            body=questions.approval_body(session, shown, objections=objections, approvers=approvers, chosen=chosen, page=page),
            options=(questions.APPROVE if approvers else questions.APPROVED_ELSEWHERE, questions.REJECT),
            commit=commit,
            approvers=approvers,
            rerun={"way": chosen.way.value, "reason": chosen.reason},
            objections=tuple(map(asdict, objections)),
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
            "rerun": asking.rerun,
            "objections": list(asking.objections),
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

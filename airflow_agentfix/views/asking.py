"""What a session asks of people, who may answer, and what was answered. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from airflow_agentfix.core import questions
from airflow_agentfix.core.session import Event, EventKind, Session, State
from airflow_agentfix.views.sentences import objection

Events = Sequence[Event]
K = EventKind


@dataclass(frozen=True)
class Asker:
    """Who looks at the page. `is_worker`: it is the login AgentFix works with."""

    name: str
    id: str
    may_edit: bool
    is_worker: bool = False


@dataclass(frozen=True)
class Ask:
    """A question that waits. `may`: approve (with reject) | reject | answer | nothing; `who`: who can, where this person cannot,
    or why it cannot do more."""

    question_id: str
    is_approval: bool
    subject: str
    body: str
    at: str
    options: tuple[str, ...]
    may: str
    who: str = ""
    commit: str = ""
    way: str = ""
    reason: str = ""
    objections: tuple[str, ...] = ()
    hours: float = 0.0


@dataclass(frozen=True)
class Answered:
    """The newest answer, shown where its question was until the session goes on."""

    question_id: str
    says: str
    at: str


def asks(session: Session, events: Events, asker: Asker, approvers: Mapping[str, Collection[str] | None]) -> tuple[Ask, ...]:
    """`approvers` by question: user ids whose word counts, None where nobody is named."""
    found = questions.waiting(events) if session.state is not State.DONE else []
    return tuple(_ask(session, one, asker, approvers.get(one.data["question_id"])) for one in found)


def _ask(session: Session, question: Event, asker: Asker, named: Collection[str] | None) -> Ask:
    data, is_approval = question.data, question.data["about"] == "approval"
    may, who = _may(session, asker, named, is_approval=is_approval)
    rerun = data.get("rerun") or {}
    return Ask(
        question_id=data["question_id"],
        is_approval=is_approval,
        subject=data["subject"],
        body="" if is_approval else data["body"],
        at=question.at,
        options=tuple(data["options"]),
        may=may,
        who=who,
        commit=data.get("commit") or "",
        way=rerun.get("way", ""),
        reason=rerun.get("reason", ""),
        objections=tuple(map(objection, data.get("objections") or ())),
        hours=data.get("hours") or 0.0,
    )


def _may(session: Session, asker: Asker, named: Collection[str] | None, *, is_approval: bool) -> tuple[str, str]:
    if not asker.may_edit:
        return "nothing", f"You may look. Answering takes the right to edit runs of DAG {session.dag_id}" + (
            f", and one of: {', '.join(named)}." if is_approval and named else "."
        )
    if not is_approval:
        return "answer", ""
    if named is not None and asker.id not in named:
        return "nothing", f"Policy names who decides this: {', '.join(named) or 'nobody'}. You are {asker.id}."
    if asker.is_worker:
        return "reject", f"{asker.id} is the login the agent itself works with; what it wrote it cannot approve."
    return "approve", ""


_DECIDED = {"approve": "approved it", "reject": "rejected it", "answer": "answered it"}


def answered(session: Session, events: Events) -> Answered | None:
    """While the session has not gone on, or has ended, after an answer: who gave it."""
    last = questions.last_answer(events)
    later = () if last is None else [e for e in events if e.number > last.number and e.kind in (K.CLAIMED, K.FINISHED)]
    if last is None or later or session.state is State.DONE or not last.data:
        return None
    decision = str(last.data.get("decision"))
    says = "Nobody answered in time." if decision == "nobody" else f"{last.actor} {_DECIDED.get(decision, decision)}."
    return Answered(str(last.data.get("question_id")), says, last.at)


def closed(session: Session, events: Events) -> str | None:
    """The newest question, where none waits."""
    asked = [str(event.data["question_id"]) for event in events if event.kind is K.QUESTION and event.data]
    waits = session.state is not State.DONE and questions.waiting(events)
    return asked[-1] if asked and not waits else None

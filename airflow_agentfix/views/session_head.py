"""The head of a session's page: what it is, whose it is, how it stands and what a person is to do. Pure.

Invariant: each is said once. What the page shows below (report, fix, checks) is not told here again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix.core import questions, transcript
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import Event, EventKind, Outcome, PinEnd, Session, State, WaitFor
from airflow_agentfix.core.urls import web_address
from airflow_agentfix.views.certainty import Certainty, certainty
from airflow_agentfix.views.evidence import listed
from airflow_agentfix.views.verdict import TITLES, TO_DO, whose

Events = Sequence[Event]
K = EventKind


@dataclass(frozen=True)
class Failed:
    """A further failure of the cause; `session_id`: of the session that ended as a duplicate because of it."""

    ref: str
    session_id: str | None


@dataclass(frozen=True)
class Head:
    """`now`: what the session does, or how it ended; `action`: what a person is to do. Both are Markdown. `sure`: of the verdict,
    where no green rerun has shown it."""

    now: str
    title: str = ""
    whose: str = ""
    sure: Certainty | None = None
    action: str = ""
    pull_request: str | None = None
    """where the action is done"""
    same_as: str | None = None
    """the session that has the cause of this one, a duplicate"""
    also: tuple[Failed, ...] = ()
    victims: tuple[str, ...] = ()


def head(session: Session, events: Events) -> Head:
    incident, report, fate = data_of(events, K.INCIDENT), newest_report(events), _fate(session, events)
    judgement = incident.get("judgement") or {}
    verdict = Verdict(session.verdict) if session.verdict in list(Verdict) else None
    owners = [str(one) for one in listed((incident.get("dag") or {}).get("owners"))]
    is_to_merge = session.outcome in _FIXES and not fate and not is_erased(events)
    is_over = is_erased(events) or fate == PinEnd.MERGED
    return Head(
        now=f"{_now(session, events)} {_FATES.get(fate, '')}".strip(),
        title=TITLES[verdict] if verdict else "",
        whose=whose(verdict, owners) if verdict else "",
        sure=None if session.outcome is Outcome.FIXED else certainty((report or judgement).get("confidence")),
        action="" if is_over else _action(session, verdict, report, judgement, is_closed=bool(fate)),
        pull_request=web_address(session.pull_request) if is_to_merge else None,
        same_as=str(end_of(events).get("duplicate_of") or "") or None,
        also=tuple(map(_failed, transcript.of_kind(events, K.OCCURRENCE))),
        victims=tuple(map(str, listed(incident.get("victims")))),
    )


def _failed(event: Event) -> Failed:
    return Failed(str(event.data.get("ref") or "(erased)"), event.data.get("session_id"))


def is_erased(events: Events) -> bool:
    return any(event.kind is K.ERASED for event in events)


def is_answered(session: Session, events: Events) -> bool:
    """Whether it waits for nobody any more, only for a worker."""
    return session.waiting_for is WaitFor.PERSON and not questions.waiting(events)


_FIXES = (Outcome.FIXED, Outcome.PROPOSED)
_FATES: Mapping[str, str] = {
    PinEnd.MERGED: "The fix is merged.",
    PinEnd.CLOSED: "The fix was not taken: its branch is gone, or its pull request was closed without a merge.",
}


def _fate(session: Session, events: Events) -> str:
    """What became of the newest fix, as far as it is on record, else empty; nothing of a session that is at work again. Runs are
    recovered after a merge alone."""
    fix = transcript.newest_fix(events) if session.outcome else None
    since = [event for event in events if fix and event.number > fix.number]
    if any(event.data.get("run_id") for event in transcript.of_kind(since, K.RECOVERY)):
        return PinEnd.MERGED
    reason = str(data_of(since, K.PIN_ENDED).get("reason"))
    return reason if reason in _FATES else ""


# --- how it stands ---------------------------------------------------------------------------------------------------

_WAITING = {
    WaitFor.TASK: "It waits until the failed run has ended. Only then can the fix run in it.",
    WaitFor.PERSON: "It waits for an answer to what it asks below.",
    WaitFor.RERUN: "The DAG runs on the fix. The session goes on when that run has ended.",
    WaitFor.PREVIEW: "It waits until Airflow has parsed the fix's preview DAG.",
}


def _now(session: Session, events: Events) -> str:
    if session.outcome is not None:
        return _ended(session, session.outcome, events)
    if is_answered(session, events):
        return "It was answered, and goes on as soon as a worker takes it."
    if session.waiting_for is not None:
        return _WAITING[session.waiting_for]
    if session.summary:
        return session.summary
    if session.state is State.OPEN:
        return "It is queued: a worker takes it as soon as Airflow has a slot."
    return "The agent is at work." if session.fingerprint else "The agent collects the evidence."


_BY_REPORT = {
    Outcome.FIXED: "Fixed: what had failed ran green on the fix.",
    Outcome.PROPOSED: "A fix is proposed; no rerun has shown that it works.",
    Outcome.GAVE_UP: "It found no fix.",
}
"""of sessions whose report the page shows below; the summary of others is all there is"""


def _ended(session: Session, outcome: Outcome, events: Events) -> str:
    end = end_of(events)
    if outcome is Outcome.REPORTED and session.autonomy == Autonomy.REPORT:
        return "A report was asked for; no code was changed."
    if outcome is Outcome.REPORTED:
        return f"No fix was made{'; no model was asked' if session.model in (None, 'rules') else ''}."
    if is_erased(events):
        return "It has ended, and what it held was erased. Decisions and what was done to runs stay on record."
    if outcome is Outcome.FAILED:
        return f"Agent Fix itself could not go on. {session.summary or ''}"
    if outcome in _BY_REPORT and end.get("report"):
        return _BY_REPORT[outcome]
    if end.get("duplicate_of"):
        return "Another session has the same cause; this failure is attached to it."
    return session.summary or "The session has ended."


# --- what a person is to do ------------------------------------------------------------------------------------------

_ACTIONS = {
    Outcome.FIXED: "Review the fix, and merge it.",
    Outcome.PROPOSED: "Review the fix; merge it if it is right.",
    Outcome.REJECTED: "Tell it what should be different, and it tries again; or correct the code by hand.",
    Outcome.OVER_BUDGET: "Go on by hand with what it found; or raise that limit, and send it a message.",
    Outcome.FAILED: "Remove what stopped it; then send it a message, and it goes on where it was.",
}

_CLOSED = "Correct the code in another way; or tell it why the fix was not taken, and it tries again."


def _action(
    session: Session, verdict: Verdict | None, report: Mapping[str, Any], judgement: Mapping[str, Any], *, is_closed: bool
) -> str:
    """The report's own words where it has some; the rules' where it agrees with them."""
    agrees = verdict is not None and judgement.get("verdict") == verdict
    said = str(report.get("owner_action") or (judgement.get("owner_action") if agrees else None) or "")
    if session.outcome is None:
        return said
    if session.outcome in _FIXES:
        return _CLOSED if is_closed else str(report.get("owner_action") or _ACTIONS[session.outcome])
    if session.outcome in (Outcome.REPORTED, Outcome.GAVE_UP):
        return said or (TO_DO[verdict] if verdict else "")
    return _ACTIONS.get(session.outcome, "")


# --- what of the events it rests on ----------------------------------------------------------------------------------


def data_of(events: Events, kind: EventKind) -> Mapping[str, Any]:
    """Of the newest event of a kind."""
    found = transcript.last(events, kind)
    return found.data if found else {}


def end_of(events: Events) -> Mapping[str, Any]:
    """How it ended, unless it went on since."""
    now = questions.current(events)
    went_on = any(event.kind in (K.CLAIMED, K.QUESTION) for event in now)
    return {} if went_on else data_of(events, K.FINISHED)


def newest_report(events: Events) -> Mapping[str, Any]:
    """The newest report there is: a follow-up begins from it."""
    told = [event.data.get("report") for event in events if event.kind is K.FINISHED]
    return next((one for one in reversed(told) if isinstance(one, Mapping)), {})

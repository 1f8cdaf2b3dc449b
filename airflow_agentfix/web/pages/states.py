"""A session's state as a badge: what it says and what tone it has. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix.core.session import Outcome, Session, State, WaitFor


@dataclass(frozen=True)
class Badge:
    """`tone`: good | bad | asks | busy | waits | plain, which the style sheet knows."""

    text: str
    tone: str


_OUTCOMES = {
    Outcome.FIXED: Badge("fixed", "good"),
    Outcome.PROPOSED: Badge("fix proposed", "good"),
    Outcome.REPORTED: Badge("reported", "plain"),
    Outcome.DUPLICATE: Badge("duplicate", "plain"),
    Outcome.REJECTED: Badge("rejected", "bad"),
    Outcome.GAVE_UP: Badge("gave up", "bad"),
    Outcome.OVER_BUDGET: Badge("over budget", "bad"),
    Outcome.FAILED: Badge("failed", "bad"),
    Outcome.STOPPED: Badge("stopped", "plain"),
}
_WAITS = {
    WaitFor.TASK: Badge("waits for the run's end", "waits"),
    WaitFor.PERSON: Badge("waits for a person", "asks"),
    WaitFor.RERUN: Badge("rerun going", "busy"),
    WaitFor.PREVIEW: Badge("waits for the preview", "waits"),
}


def badge_of(session: Session) -> Badge:
    if session.outcome is not None:
        return _OUTCOMES[session.outcome]
    if session.waiting_for is not None:
        return _WAITS[session.waiting_for]
    return Badge("at work", "busy") if session.state is State.RUNNING else Badge("queued", "waits")

"""What one triage does for fixes that may be merged by now: asks what became of them, and lets failed runs of their cause go on.

Invariants: nothing is recovered on a guess: a fix that is open, not served yet, or could not be looked at, waits. One triage asks
code hosts about `LOOKS` sessions at most, in turn, so that none is forgotten behind fixes that stay open for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import Session
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.pins import NOT_SERVED
from airflow_agentfix.ports import Fate
from airflow_agentfix.store.wire import Recovery

LOOKS = 25
_TURN_SECONDS = 900
"""the triage DAG's own interval: each look begins where the one before it ended"""


@dataclass(frozen=True)
class Looked:
    """What one triage found of one fix: its runs' `recovery`, or why there is none yet."""

    session: Session
    recovery: Recovery | None = None
    kept: str | None = None


class Fixes(Protocol):
    """Fixes of done sessions, as whoever recovers sees them."""

    def unsettled(self) -> Sequence[Session]:
        """Sessions with a fix of which the end has not been seen."""

    def fate(self, session: Session) -> Fate: ...

    def served(self, session: Session, commit: str) -> tuple[bool, str | None]:
        """Whether Airflow may serve the DAG with the commit, and on which version: None where its bundle has no versions."""

    def recover(self, session: Session, *, found: str, version: str | None, at_most: int) -> Recovery: ...


def recover(fixes: Fixes, *, at_most: int, now: datetime) -> tuple[Looked, ...]:
    """Look at fixes in turn and let at most so many runs go on. Fixes that are open are not told of."""
    looked: list[Looked] = []
    for session in in_turn(fixes.unsettled(), now=now):
        one = _looked(session, fixes, at_most)
        if one is not None:
            looked.append(one)
            at_most -= _started(one)
    return tuple(looked)


def in_turn(sessions: Sequence[Session], *, now: datetime) -> Sequence[Session]:
    """As many as one triage looks at: all, or those whose turn it is."""
    if len(sessions) <= LOOKS:
        return sessions
    start = int(now.timestamp()) // _TURN_SECONDS * LOOKS % len(sessions)
    return [*sessions[start:], *sessions[:start]][:LOOKS]


def _looked(session: Session, fixes: Fixes, at_most: int) -> Looked | None:
    try:
        fate = fixes.fate(session)
        if fate.state == "open":
            return None
        if fate.state == "gone":
            return Looked(session, fixes.recover(session, found="gone", version=None, at_most=0))
        is_served, version = fixes.served(session, fate.commit or str(session.fix_commit))
        if not is_served:
            return Looked(session, kept=NOT_SERVED)
        return Looked(session, fixes.recover(session, found="merged", version=version, at_most=at_most))
    except AgentFixError as error:  # the next triage looks again; the others are not held up
        return Looked(session, kept=str(error))


def _started(one: Looked) -> int:
    """Runs that this look started; one that was on its way before is told as going."""
    return sum(run.state is RunState.STARTED and not run.reason for run in one.recovery.runs) if one.recovery else 0


def lines(looked: Sequence[Looked]) -> Sequence[str]:
    """What the triage report says of them. A fix that brings nothing to recover is not told of."""
    told = [line for one in looked for line in _lines(one)]
    return ["Runs of merged fixes:", *told] if told else []


def _lines(one: Looked) -> Sequence[str]:
    head = f"  {one.session.dag_id} (session {one.session.id})"
    if one.recovery is None:
        return [f"{head}: waits: {one.kept}"]
    person = one.recovery.needs_person
    runs = [f"    {run.run_id}: {run.state}{_because(run.reason) if run.reason != person else ''}" for run in one.recovery.runs]
    return [f"{head}{_because(person)}", *runs] if runs else []


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""

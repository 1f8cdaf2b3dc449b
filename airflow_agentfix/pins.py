"""Runs that are on a fix commit, once it is known what became of the fix: on the base branch where it was merged, back on their
own version where it will not be.

Invariant: nothing is ended on a guess. A fix that is open, or that could not be looked at, keeps its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from airflow_agentfix.core.session import Outcome, PinEnd, Session
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.ports import Fate, OpenedFix

NOT_SERVED = "the fix is merged, and Airflow does not serve the DAG with it yet"


@dataclass(frozen=True)
class Pin:
    """A done session that keeps its run on this fix."""

    session: Session
    fix: OpenedFix


@dataclass(frozen=True)
class Settled:
    """What became of one pin: ended for `reason` (on `version`, else on the run's own), or `kept` says why not yet."""

    session: Session
    reason: PinEnd | None = None
    version: str | None = None
    kept: str | None = None


class Pins(Protocol):
    """Pins and fixes, as whoever settles them sees them."""

    def in_force(self) -> Sequence[Session]:
        """Done sessions whose run is on their fix commit."""

    def pin_of(self, session: Session) -> Pin: ...

    def fate(self, pin: Pin) -> Fate: ...

    def served(self, pin: Pin, commit: str) -> str | None:
        """The version Airflow serves the DAG on, if its history has the commit."""

    def end(self, session: Session, *, reason: PinEnd, version: str | None) -> None: ...


def settle(pins: Pins) -> tuple[Settled, ...]:
    """End every pin whose reason is gone. Open fixes are not told of."""
    settled = (_settled(session, pins) for session in pins.in_force())
    return tuple(one for one in settled if one is not None)


def _settled(session: Session, pins: Pins) -> Settled | None:
    try:
        one = _decided(session, pins)
        if one is not None and one.reason is not None:
            pins.end(session, reason=one.reason, version=one.version)
        return one
    except AgentFixError as error:  # the next triage looks again; the other pins are not held up
        return Settled(session, kept=str(error))


def _decided(session: Session, pins: Pins) -> Settled | None:
    if session.outcome in (Outcome.REJECTED, Outcome.STOPPED):
        return Settled(session, PinEnd.ENDED)
    pin = pins.pin_of(session)
    fate = pins.fate(pin)
    if fate.state == "open":
        return None
    if fate.state == "gone":
        return Settled(session, PinEnd.CLOSED)
    served = pins.served(pin, fate.commit or pin.fix.commit)
    return Settled(session, PinEnd.MERGED, served) if served else Settled(session, kept=NOT_SERVED)


def lines(settled: Sequence[Settled]) -> Sequence[str]:
    """What the triage report says of them."""
    head = [f"Runs on fix commits: {len(settled)}"] if settled else []
    return [*head, *(f"  {_run(one.session)}: {_said(one)}" for one in settled)]


def _run(session: Session) -> str:
    return f"{session.dag_id} / {session.run_id} (session {session.id})"


def _said(one: Settled) -> str:
    match one.reason:
        case None:
            return f"stays: {one.kept}"
        case PinEnd.MERGED:
            return f"now on {str(one.version)[:12]}, which has the merged fix"
        case PinEnd.CLOSED:
            return "back on its own version: the branch is gone or the pull request was closed"
        case _:
            return "back on its own version: the session ended without its fix"

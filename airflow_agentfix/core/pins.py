"""Which fix commit a session keeps a run on, read from its events."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_agentfix.core.session import Event, EventKind

KINDS = (EventKind.RERUN, EventKind.PIN_ENDED)
"""The kinds of events that tell of pins."""


def pinned(events: Sequence[Event]) -> Event | None:
    """The rerun whose pin is still in force."""
    of_pins = [e for e in events if e.kind is EventKind.PIN_ENDED or (e.kind is EventKind.RERUN and e.data["way"] == "pin")]
    return of_pins[-1] if of_pins and of_pins[-1].kind is EventKind.RERUN else None

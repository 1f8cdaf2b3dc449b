"""What the store keeps beside a session's columns, and events before they have a number."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.session import Event, EventKind, Session
from airflow_agentfix.errors import InvalidRequest

MAX_DEPTH = 50
_UNSTORABLE = re.compile(r"[\x00\ud800-\udfff]")


@dataclass(frozen=True)
class Stored:
    """A session and who works on it. A lease that was given back keeps its id, so that a repeated last call is known again."""

    session: Session
    runs: int = 1
    """how many runs of agentfix_fix it was given"""
    lease: str | None = None
    holder: str | None = None
    lease_until: str | None = None
    """ISO 8601; None once the lease was given back"""

    def leased(self, now: datetime) -> bool:
        return self.lease_until is not None and datetime.fromisoformat(self.lease_until) > now


@dataclass(frozen=True)
class Change:
    """What a write makes of one session: `after` in place of `before`, `events` appended, `failures` given to it."""

    before: Stored
    after: Stored
    events: Sequence[Event] = ()
    failures: Sequence[TaskRef] = ()
    erase: Sequence[int] = ()


@dataclass(frozen=True)
class Draft:
    """An event to be: the store numbers it."""

    kind: EventKind
    actor: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", storable(self.data))


def storable(value: Any, *, depth: int = 0) -> Any:
    """JSON that every database keeps and every answer can tell again: a value that could not be read back would lock its session.

    NUL and lone surrogates (bytes of a foreign file name, half a character) are taken out; InvalidRequest for deep nesting.
    """
    if isinstance(value, str):
        return _UNSTORABLE.sub("", value)
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"An event's data is nested over {MAX_DEPTH} levels deep; expected plain JSON.")
    if isinstance(value, Mapping):
        return {storable(name): storable(part, depth=depth + 1) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [storable(part, depth=depth + 1) for part in value]
    return value


@dataclass(frozen=True)
class Approval:
    """A person's decision on one commit (`person` is "waived" where policy decided)."""

    number: int
    """the approval event's number"""
    question_id: str | None
    commit: str
    decision: str
    person: str
    via: str
    at: str

"""What the store keeps beside a session's columns, and events before they have a number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_agentfix.core.budget import DayLimits
from airflow_agentfix.core.incident import TaskRef, Verdict
from airflow_agentfix.core.plain import plain
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, State, WaitFor


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
    max_dollars: float | None = None
    """what it may spend in all; while it is at work the rest is reserved of its day. None: it costs nothing"""

    def leased(self, now: datetime) -> bool:
        return self.lease_until is not None and datetime.fromisoformat(self.lease_until) > now


@dataclass(frozen=True)
class Wanted:
    """Which sessions to list: all that is named has to fit. `pinned`: only those whose run is on their fix commit;
    `unsettled`: only done ones with a fix of which triage has not seen the end: whether it is merged, and its runs recovered;
    `pull_request`: only those that opened one."""

    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None
    state: State | None = None
    outcome: Outcome | None = None
    waiting_for: WaitFor | None = None
    verdict: Verdict | None = None
    pinned: bool = False
    unsettled: bool = False
    pull_request: bool = False


@dataclass(frozen=True)
class Change:
    """What a write makes of one session: `after` in place of `before`, `events` appended, `failures` given to it.

    With `limits` only where the day has what the session then reserves.
    """

    before: Stored
    after: Stored
    events: Sequence[Event] = ()
    failures: Sequence[TaskRef] = ()
    erase: Sequence[int] = ()
    limits: DayLimits | None = None


@dataclass(frozen=True)
class Draft:
    """An event to be: the store numbers it."""

    kind: EventKind
    actor: str
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", plain(self.data))


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

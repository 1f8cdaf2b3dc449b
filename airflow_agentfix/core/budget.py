"""The budget of a session: what its events used against what its policy allows, and what its day still has.

Invariant: usage is summed from events, so it holds across retries, waits, workers and follow-ups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import WORKER, Event, EventKind, Session, Usage

COUNTED = frozenset({EventKind.MODEL, EventKind.SPENT})
"""what a model was paid for: turns, and calls that gave none"""


def usage_of(events: Iterable[Event]) -> Usage:
    """What the model calls among `events` used together, those that failed too."""
    total = Usage()
    for event in events:
        if event.kind in COUNTED:
            total = _plus(total, event)
    return total


def tokens(usage: Usage) -> int:
    """Tokens in and out together, cached ones included: what a model was made to read and write."""
    return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def exceeded(usage: Usage, policy: Policy, *, minutes: float = 0.0) -> str | None:
    """Which limit is used up, as a sentence; None while another model call is allowed."""
    if usage.turns >= policy.max_turns:
        return f"{usage.turns} of {policy.max_turns} model calls are used up (max_turns)."
    if tokens(usage) >= policy.max_tokens:
        return f"{tokens(usage)} of {policy.max_tokens} tokens are used up (max_tokens)."
    if usage.dollars > 0 and usage.dollars >= policy.max_dollars:
        return f"${usage.dollars:.2f} of ${policy.max_dollars:.2f} are used up (max_dollars)."
    if minutes >= policy.max_minutes:
        return f"{minutes:.0f} of {policy.max_minutes} minutes at work are used up (max_minutes)."
    return None


def told(usage: Usage) -> str:
    """The cost in a few words, for people."""
    calls = "1 model call" if usage.turns == 1 else f"{usage.turns} model calls"
    return f"{calls}, {tokens(usage):,} tokens, ${usage.dollars:.2f} so far"


def _plus(total: Usage, event: Event) -> Usage:
    used = event.data.get("usage") or {}

    def count(name: str) -> int:
        return int(used.get(name) or 0)

    return replace(
        total,
        turns=total.turns + 1,
        input_tokens=total.input_tokens + count("input_tokens"),
        output_tokens=total.output_tokens + count("output_tokens"),
        cache_read_tokens=total.cache_read_tokens + count("cache_read_input_tokens"),
        cache_write_tokens=total.cache_write_tokens + count("cache_creation_input_tokens"),
        dollars=total.dollars + float(event.data.get("dollars") or 0.0),
    )


# --- time ------------------------------------------------------------------------------------------------------------


TURNS = frozenset({EventKind.CLAIMED, EventKind.PARKED, EventKind.FINISHED})
"""where a worker's time begins and ends"""


def minutes_at_work(events: Iterable[Event], now: datetime | None) -> float:
    """Minutes that workers had the session: from each claim to its park or end. Waiting does not count.

    `now` is for the worker that has it at this moment. One that is gone, followed by another or by nobody (`now` None), counts
    up to its last event.
    """
    seconds = 0.0
    began: datetime | None = None
    seen: datetime | None = None
    for event in events:
        at = datetime.fromisoformat(event.at)
        if event.kind is EventKind.CLAIMED:
            seconds += _between(began, seen)  # of the one before, which never gave it back
            began = seen = at
        elif event.actor == WORKER or event.kind is EventKind.RERUN:
            seen = at
        if event.kind in TURNS - {EventKind.CLAIMED}:
            seconds += _between(began, seen)
            began = None
    return (seconds + _between(began, now or seen)) / 60


def _between(began: datetime | None, ended: datetime | None) -> float:
    return max(0.0, (ended - began).total_seconds()) if began and ended else 0.0


# --- the day ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DayLimits:
    """Dollars a day (UTC) has: for one DAG, and for the deployment."""

    day: str
    """YYYY-MM-DD"""
    dag: float
    total: float
    most: float = math.inf
    """what one DAG counts for in the deployment's sum at most: a worker's login may claim any cost, for its own DAGs alone"""


@dataclass(frozen=True)
class Day:
    """Dollars of one day: spent, and reserved by the sessions that are at work; of one DAG, and of all."""

    spent: float = 0.0
    reserved: float = 0.0
    total_spent: float = 0.0
    total_reserved: float = 0.0


def most_dollars(policy: Policy, total: float) -> float:
    """What a session may spend at most: no more than a whole day has for its DAG, and `total` for all."""
    return min(policy.max_dollars, policy.daily_dollars, total)


def refused(session: Session, day: Day, own: float, limits: DayLimits) -> str | None:
    """Why a session that reserves `own`, counted in `day`, may ask no model today; None where it may. A limit of 0 lets none be
    asked."""
    of_dag = (f"DAG {session.dag_id!r}", "daily_dollars", day.spent, day.reserved, limits.dag)
    of_all = ("the deployment", "daily_dollars_total", day.total_spent, day.total_reserved, limits.total)
    for whose, name, spent, reserved, limit in (of_dag, of_all):
        if limit <= 0:
            return f"{name} of {whose} is {limit:g}: only what is free is done. Raise it to have a model asked."
        if own > 0 and spent + reserved > limit + _ROUNDING:
            return (
                f"The dollars of {whose} for {limits.day} do not suffice: ${spent:.2f} spent and ${max(0.0, reserved - own):.2f} "
                f"reserved by other sessions, of ${limit:.2f} ({name}); this session may need ${own:.2f}. They are free again at "
                f"{_next_midnight(limits.day)}, in part earlier, where sessions end below what they reserved. Then start one "
                f"anew, or have this one go on with a message. Or have {name} raised."
            )
    return None


_ROUNDING = 1e-6
"""sums of floats"""


def _next_midnight(day: str) -> str:
    return datetime.combine(datetime.fromisoformat(day).date() + timedelta(days=1), time(), UTC).isoformat()


# --- told to people --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Used:
    """What is used of a limit."""

    used: float
    limit: float


@dataclass(frozen=True)
class Today:
    """US dollars of the day (UTC), of the session's DAG and of all DAGs."""

    used: float
    reserved: float
    """by sessions at work, this one among them"""
    limit: float
    total_used: float
    total_limit: float


@dataclass(frozen=True)
class Budget:
    """What a session used of what it may, and where its day stands."""

    turns: Used
    tokens: Used
    dollars: Used
    minutes: Used
    """at work; waiting does not count"""
    day: Today

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def overview(usage: Usage, policy: Policy, *, minutes: float, day: Day, limits: DayLimits) -> Budget:
    """The budget as people are shown it, without the noise of sums of floats."""
    spent, reserved, total = (round(dollars, 6) for dollars in (day.spent, day.reserved, day.total_spent))
    return Budget(
        turns=Used(usage.turns, policy.max_turns),
        tokens=Used(tokens(usage), policy.max_tokens),
        dollars=Used(round(usage.dollars, 6), policy.max_dollars),
        minutes=Used(round(minutes, 1), policy.max_minutes),
        day=Today(spent, reserved, limits.dag, total, limits.total),
    )

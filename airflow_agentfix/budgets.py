"""Budgets at the server: what a session reserves of its day, and what people are shown of it.

Invariant: a worker gets a session with its dollars reserved, or with the word that no model may be asked that costs any.
Evidence and the verdict by rules are free: a wave of failures is looked at whatever the day has left.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_agentfix.core.budget import Budget, DayLimits, minutes_at_work, most_dollars, overview
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.desk import Desk
from airflow_agentfix.store.record import Stored


def reserving(desk: Desk, policy: Policy) -> dict[str, Any]:
    """What a write that starts or resumes work says besides: `Desk.save` then raises BudgetExceeded where the day has not
    enough. A deployment that is offline spends nothing, and nothing stops it."""
    if desk.settings.offline:
        return {"max_dollars": None}
    return {"max_dollars": capped(desk, policy).max_dollars, "limits": limits(desk, policy)}


UNPAID: dict[str, Any] = {"max_dollars": 0.0}
"""what a write says of a session that its day has no dollars for"""


def capped(desk: Desk, policy: Policy) -> Policy:
    """The policy a worker gets: a session never has more than a whole day has."""
    return replace(policy, max_dollars=most_dollars(policy, desk.settings.daily_dollars_total))


def limits(desk: Desk, policy: Policy) -> DayLimits:
    own = desk.settings
    return DayLimits(desk.at()[:10], policy.daily_dollars, own.daily_dollars_total, most=own.daily_dollars)


def shown(desk: Desk, stored: Stored, policy: Policy) -> Budget:
    """What the session used of what it may, and where its day stands."""
    session, now, day = stored.session, desk.clock(), limits(desk, policy)
    minutes = minutes_at_work(desk.store.moments(session.id), now if stored.leased(now) else None)
    of_day = desk.store.day(session.dag_id, day)
    return overview(session.usage, capped(desk, policy), minutes=minutes, day=of_day, limits=day)

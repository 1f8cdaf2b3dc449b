"""Budgets at the server: what a session reserves of its day, how one ends that may not, and what people are shown of it.

Invariant: no run of the fix DAG is started, and no worker gets a session, before what it may spend is reserved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airflow_agentfix.agent.reporting import done_so_far
from airflow_agentfix.core import transcript
from airflow_agentfix.core.budget import Budget, DayLimits, minutes_at_work, most_dollars, overview
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import SERVER, Event, EventKind, Outcome, Session
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import BudgetExceeded
from airflow_agentfix.redaction import redact
from airflow_agentfix.store.record import Draft, Stored


def reserving(desk: Desk, policy: Policy) -> dict[str, Any]:
    """What a write that starts or resumes work says besides: `Desk.save` then raises BudgetExceeded where the day has not
    enough. A deployment that is offline spends nothing, and nothing stops it."""
    if desk.settings.offline:
        return {"max_dollars": None}
    return {"max_dollars": capped(desk, policy).max_dollars, "limits": limits(desk, policy)}


def capped(desk: Desk, policy: Policy) -> Policy:
    """The policy a worker gets: a session never has more than a whole day has."""
    return replace(policy, max_dollars=most_dollars(policy, desk.settings.daily_dollars_total))


def limits(desk: Desk, policy: Policy) -> DayLimits:
    return DayLimits(desk.at()[:10], policy.daily_dollars, desk.settings.daily_dollars_total)


def over_budget(refusal: BudgetExceeded, events: Sequence[Event] = ()) -> Draft:
    """The end of a session that its day has no dollars for, with what was found before."""
    said = redact(transcript.said(events))
    parts = [str(refusal), done_so_far(events), f"Findings so far: {said}" if said else ""]
    summary = " ".join(part for part in parts if part)
    end = {"outcome": Outcome.OVER_BUDGET.value, "verdict": None, "summary": summary, "error": None, "report": None}
    return Draft(EventKind.FINISHED, SERVER, end)


def end(desk: Desk, stored: Stored, refusal: BudgetExceeded, user: Any) -> Session:
    """End a session that nobody has; its findings stay."""
    events = desk.store.events(stored.session.id)
    done = desk.save(stored, over_budget(refusal, events), lease_until=None)
    desk.release_askers(done, events, user, "The session has ended.")
    return done.session


def shown(desk: Desk, stored: Stored, policy: Policy) -> Budget:
    """What the session used of what it may, and where its day stands."""
    session, now, day = stored.session, desk.clock(), limits(desk, policy)
    minutes = minutes_at_work(desk.store.moments(session.id), now if stored.leased(now) else None)
    of_day = desk.store.day(session.dag_id, day.day)
    return overview(session.usage, capped(desk, policy), minutes=minutes, day=of_day, limits=day)

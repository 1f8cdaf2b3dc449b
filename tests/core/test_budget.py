"""What a session used, and when that is too much."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from airflow_agentfix.core.budget import Day, DayLimits, exceeded, minutes_at_work, most_dollars, refused, tokens, usage_of
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind, Session, State, Usage

START = datetime.fromisoformat("2026-11-22T06:00:00+00:00")


def _model(number: int, **data: object) -> Event:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": None}
    return Event(number, EventKind.MODEL, "worker", "2026-11-22T06:00:00+00:00", {"usage": usage, "dollars": 0.25, **data})


def test_usage_is_the_sum_over_model_events_alone() -> None:
    other = Event(3, EventKind.NOTE, "anna", "2026-11-22T06:00:00+00:00", {"message": "hi"})
    assert usage_of([_model(1), _model(2), other]) == Usage(2, 20, 10, 200, 0, 0.5)


def test_a_call_that_gave_no_turn_is_counted_as_one() -> None:
    failed = Event(2, EventKind.SPENT, "worker", "2026-11-22T06:00:00+00:00", {"usage": {"input_tokens": 7}, "dollars": 0.5})
    assert usage_of([_model(1), failed]) == Usage(2, 17, 5, 100, 0, 0.75)


def test_a_turn_without_usage_still_counts_as_a_turn() -> None:
    assert usage_of([_model(1, usage={}, dollars=None)]) == Usage(turns=1)


def test_tokens_include_what_was_read_from_the_cache() -> None:
    assert tokens(usage_of([_model(1)])) == 115


@pytest.mark.parametrize(
    ("used", "named"),
    [(Usage(turns=3), "max_turns"), (Usage(output_tokens=1000), "max_tokens"), (Usage(dollars=1.0), "max_dollars")],
)
def test_a_limit_that_is_reached_is_named(used: Usage, named: str) -> None:
    said = exceeded(used, Policy(max_turns=3, max_tokens=1000, max_dollars=1.0))
    assert said is not None
    assert named in said


def test_below_every_limit_another_call_is_allowed() -> None:
    assert (
        exceeded(Usage(turns=2, output_tokens=999, dollars=0.99), Policy(max_turns=3, max_tokens=1000, max_dollars=1.0)) is None
    )


def test_minutes_are_a_limit_too() -> None:
    assert exceeded(Usage(), Policy(max_minutes=10), minutes=9.9) is None
    assert exceeded(Usage(), Policy(max_minutes=10), minutes=10.0) == "10 of 10 minutes at work are used up (max_minutes)."


# --- minutes at work


def _history(*happened: tuple[float, EventKind, str]) -> list[Event]:
    """Events as (minute, kind, actor)."""
    return [
        Event(number, kind, actor, (START + timedelta(minutes=minute)).isoformat(), {})
        for number, (minute, kind, actor) in enumerate(happened, 1)
    ]


WORKED = [(0, EventKind.CREATED, "server"), (5, EventKind.CLAIMED, "worker"), (7, EventKind.MODEL, "worker")]


def _minutes(*happened: tuple[float, EventKind, str], now: float | None = None) -> float:
    return minutes_at_work(_history(*happened), None if now is None else START + timedelta(minutes=now))


def test_a_session_that_nobody_took_has_not_worked() -> None:
    assert _minutes((0, EventKind.CREATED, "server"), now=60) == 0


def test_the_worker_that_has_it_counts_up_to_now() -> None:
    assert _minutes(*WORKED, now=15) == 10


def test_waiting_does_not_count() -> None:
    waited = [*WORKED, (8, EventKind.PARKED, "worker"), (500, EventKind.ANSWER, "anna"), (600, EventKind.CLAIMED, "worker")]
    assert _minutes(*waited, now=602) == 3 + 2
    assert _minutes(*waited[:5], now=9_000) == 3


def test_a_worker_that_died_counts_up_to_its_last_event_whoever_comes_after_it() -> None:
    assert _minutes(*WORKED, (90, EventKind.CLAIMED, "worker"), now=91) == 2 + 1
    assert _minutes(*WORKED, (50, EventKind.NOTE, "anna"), now=None) == 2
    assert _minutes(*WORKED, (50, EventKind.FINISHED, "server"), now=60) == 2


def test_a_follow_up_goes_on_with_the_minutes_of_before() -> None:
    again = [(9, EventKind.FINISHED, "worker"), (700, EventKind.NOTE, "anna"), (701, EventKind.CLAIMED, "worker")]
    assert _minutes(*WORKED, *again, now=704) == 4 + 3


def test_a_rerun_the_server_started_for_the_worker_is_a_sign_of_it() -> None:
    assert _minutes(*WORKED, (11, EventKind.RERUN, "server"), now=None) == 6


def test_a_clock_that_is_behind_takes_nothing_back() -> None:
    assert _minutes(*WORKED, now=1) == 0


# --- the day

SESSION = Session("s1", "orders", "monday", "load", -1, 1, State.OPEN, "rerun", "cli", START.isoformat(), START.isoformat())
LIMITS = DayLimits("2026-11-22", dag=10.0, total=20.0)


def test_the_last_dollars_of_a_day_may_be_taken_and_not_a_cent_more() -> None:
    assert refused(SESSION, Day(spent=5.0, reserved=5.0, total_spent=5.0, total_reserved=15.0), 5.0, LIMITS) is None
    assert refused(SESSION, Day(spent=5.01, reserved=5.0), 5.0, LIMITS) is not None


def test_a_refusal_says_which_budget_how_it_stands_when_it_is_free_and_what_to_do() -> None:
    said = refused(SESSION, Day(spent=3.25, reserved=9.0), 5.0, LIMITS) or ""
    assert "DAG 'orders' for 2026-11-22 do not suffice: $3.25 spent and $4.00 reserved by other sessions, of $10.00" in said
    assert "(daily_dollars); this session may need $5.00" in said
    assert "free again at 2026-11-23T00:00:00+00:00" in said
    assert "Then start one anew, or have this one go on with a message." in said


def test_the_budget_of_the_deployment_is_named_where_it_is_the_one() -> None:
    said = refused(SESSION, Day(spent=1.0, reserved=5.0, total_spent=16.0, total_reserved=5.0), 5.0, LIMITS) or ""
    assert "the deployment" in said
    assert "of $20.00 (daily_dollars_total)" in said


def test_who_has_nothing_left_to_spend_takes_nothing_from_the_day() -> None:
    assert refused(SESSION, Day(spent=99.0), 0.0, LIMITS) is None


def test_a_day_of_no_dollars_lets_nothing_start() -> None:
    said = refused(SESSION, Day(), 0.0, DayLimits("2026-11-22", dag=0.0, total=20.0))
    assert said == "daily_dollars of DAG 'orders' is 0: only what is free is done. Raise it to have a model asked."


def test_a_session_never_has_more_than_a_day() -> None:
    assert most_dollars(Policy(max_dollars=5.0, daily_dollars=3.0), 20.0) == 3.0
    assert most_dollars(Policy(max_dollars=5.0, daily_dollars=50.0), 2.0) == 2.0

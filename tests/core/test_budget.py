"""What a session used, and when that is too much."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.budget import exceeded, tokens, usage_of
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind, Usage


def _model(number: int, **data: object) -> Event:
    usage = {"input_tokens": 10, "output_tokens": 5, "cache_read_input_tokens": 100, "cache_creation_input_tokens": None}
    return Event(number, EventKind.MODEL, "worker", "2026-11-22T06:00:00+00:00", {"usage": usage, "dollars": 0.25, **data})


def test_usage_is_the_sum_over_model_events_alone() -> None:
    other = Event(3, EventKind.NOTE, "anna", "2026-11-22T06:00:00+00:00", {"message": "hi"})
    assert usage_of([_model(1), _model(2), other]) == Usage(2, 20, 10, 200, 0, 0.5)


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

"""What a call costs: published prices, and a deployment's own."""

from __future__ import annotations

import pytest

from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.models.prices import dollars
from airflow_agentfix.settings import Price, Settings

USAGE = {
    "input_tokens": 1_000_000,
    "output_tokens": 100_000,
    "cache_read_input_tokens": 2_000_000,
    "cache_creation_input_tokens": 500_000,
}


def priced(prices: str) -> tuple[Price, ...]:
    return Settings.from_mapping({"prices": prices}).prices


def test_a_price_of_the_deployment_wins_over_the_published_one():
    own = priced('{"claude-opus-5-5": {"input": 4, "output": 20, "cache_read": 0.4, "cache_write": 5}}')
    assert dollars("claude-opus-5-5", USAGE, own) == pytest.approx(4 + 2 + 0.8 + 2.5)
    assert dollars("claude-haiku-5-5", USAGE, own) == dollars("claude-haiku-5-5", USAGE)


def test_tokens_in_a_cache_without_a_price_of_their_own_cost_what_input_costs():
    assert dollars("ours", USAGE, priced('{"ours": {"input": 1, "output": 1}}')) == pytest.approx(3.5 + 0.1)


def test_the_first_name_or_glob_that_matches_counts():
    own = priced('{"eu.claude-opus*": {"input": 1, "output": 0}, "*": {"input": 2, "output": 0}}')
    assert dollars("eu.claude-opus-9", USAGE, own) == pytest.approx(3.5)
    assert dollars("anything", USAGE, own) == pytest.approx(7.0)


def test_a_model_that_is_paid_for_otherwise_may_cost_nothing():
    assert dollars("flat", USAGE, priced('{"flat": {"input": 0, "output": 0}}')) == 0.0


def test_a_model_without_a_known_price_is_counted_as_the_default_one():
    assert dollars("a-gateways-own-name", USAGE) == dollars(Settings.model, USAGE) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        "4",
        "[]",
        '{"a": 4}',
        '{"a": {"input": 4}}',
        '{"a": {"input": 4, "output": "20"}}',
        '{"a": {"input": 4, "output": true}}',
        '{"a": {"input": -4, "output": 20}}',
        '{"a": {"input": NaN, "output": 20}}',
        '{"a": {"input": 4, "output": 20, "cached": 1}}',
    ],
)
def test_a_price_that_is_none_is_refused_with_the_options_name(wrong: str):
    with pytest.raises(ConfigurationError, match=r"^\[agentfix\] prices is .*expected"):
        priced(wrong)

"""Patterns of a model: what never ends is given up."""

from __future__ import annotations

import time

import pytest

from airflow_agentfix.errors import ToolRefused
from airflow_agentfix.patterns import compiled, glob_spec


def test_a_pattern_that_would_run_for_hours_is_given_up() -> None:
    started = time.monotonic()
    with pytest.raises(ToolRefused, match="takes too long"):
        compiled("(a|a)*[bc]", seconds=0.2).search("a" * 60)
    assert time.monotonic() - started < 60


def test_the_time_counts_over_all_lines() -> None:
    pattern = compiled("a[0-9]", seconds=0.05)
    with pytest.raises(ToolRefused, match="takes too long"):
        all(not pattern.search("a" * 100_000) for _ in range(100_000))


def test_an_ordinary_pattern_says_what_occurs() -> None:
    pattern = compiled(r"to_euros?\(")
    assert pattern.search("x = to_euro(1)")
    assert not pattern.search("x = euro(1)")


@pytest.mark.parametrize(("glob", "path"), [("*a*a*b", "a" * 200), ("**/a/**/a/**/b", "/".join("a" * 300))])
def test_the_worst_glob_that_is_taken_answers_soon(glob: str, path: str) -> None:
    started = time.process_time()
    assert not glob_spec(glob).match_file(path)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("glob", ["*a*a*a*b", "**/a/**/a/**/a/**/b", "a" * 201])
def test_a_glob_with_more_wildcards_or_characters_is_refused(glob: str) -> None:
    with pytest.raises(ToolRefused, match="too many characters or wildcards"):
        glob_spec(glob)

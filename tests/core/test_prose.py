"""Sentences put together: what several wrote reads as one text."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.prose import prose, whole


def test_parts_without_a_full_stop_do_not_run_together() -> None:
    assert prose("rows hold 'orders'", "", None, "Fix on fix/a: Sum up; rerun green.") == (
        "rows hold 'orders'. Fix on fix/a: Sum up; rerun green."
    )


@pytest.mark.parametrize(
    "text", ["Done.", "Why?", "It says `x = 1.`", "(As it was.)", "", "Changed:\n- a\n- b", "```\nx = 1\n```"]
)
def test_what_ends_already_or_is_no_sentence_gets_no_full_stop(text: str) -> None:
    assert whole(text) == text


def test_what_has_lines_of_its_own_stays_a_paragraph() -> None:
    assert prose("Cause:\n\n- a\n- b", "Fix on fix/a; rerun green.") == "Cause:\n\n- a\n- b\n\nFix on fix/a; rerun green."

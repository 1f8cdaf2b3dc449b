"""A cause counts as reproduced where it was seen again, and not where nobody looked."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.reproduction import earlier_tries, reproduced
from airflow_agentfix.core.stages import StageState

CAUSE = "fp1:0123456789abcdef"


@pytest.mark.parametrize(
    ("try_number", "seen", "elsewhere", "state", "detail"),
    [
        (1, {}, 0, "not_run", "the cause was seen in one try only"),
        (3, {1: CAUSE, 2: CAUSE}, 0, "passed", "the same cause was seen before the fix in 3 tries of the task: 1, 2, 3"),
        (
            3,
            {1: "fp1:other", 2: CAUSE},
            0,
            "passed",
            "the same cause was seen before the fix in 2 tries of the task: 2, 3 (another one in try 1)",
        ),
        (2, {1: None}, 0, "not_run", "the cause was seen in one try only, 2; 1 before it was looked at (no log of try 1)"),
        (
            3,
            {1: "fp1:a", 2: "fp1:b"},
            0,
            "not_run",
            "the cause was seen in one try only, 3; 2 before it were looked at (another one in tries 1, 2)",
        ),
        (1, {}, 1, "passed", "the same cause was seen before the fix in 1 further failure"),
        (
            2,
            {1: CAUSE},
            4,
            "passed",
            "the same cause was seen before the fix in 2 tries of the task: 1, 2 and in 4 further failures",
        ),
    ],
)
def test_the_same_cause_in_another_try_or_failure_is_a_reproduction(
    try_number: int, seen: dict[int, str | None], elsewhere: int, state: str, detail: str
) -> None:
    stage = reproduced(CAUSE, try_number, seen, elsewhere=elsewhere)
    assert (stage.name, stage.state, stage.detail) == ("reproduced", StageState(state), detail)


def test_of_many_tries_the_newest_are_looked_at() -> None:
    assert [list(earlier_tries(number)) for number in (1, 2, 9)] == [[], [1], [4, 5, 6, 7, 8]]

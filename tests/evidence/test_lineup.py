"""Who failed first, and who is only a victim."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.incident import RunFacts, TaskFacts
from airflow_agentfix.evidence.lineup import first_failed, handlers, settled, victims

GRAPH = {
    "extract": ["transform"],
    "transform": ["load", "report"],
    "load": ["notify"],
    "report": ["notify"],
    "notify": [],
    "other": [],
}


def task(task_id: str, state: str | None, *, ended: str = "2026-11-22T12:00:00Z", map_index: int = -1) -> TaskFacts:
    return TaskFacts(task_id, map_index, 1, state, end_date=ended)


def test_a_failed_task_below_a_failed_one_is_not_first() -> None:
    tasks = [task("load", "failed", ended="2026-11-22T11:00:00Z"), task("transform", "failed"), task("extract", "success")]
    assert first_failed(tasks, GRAPH) == ("transform",)


def test_a_failure_far_upstream_is_first_whatever_stands_between() -> None:
    assert first_failed([task("extract", "failed"), task("transform", "upstream_failed"), task("notify", "failed")], GRAPH) == (
        "extract",
    )


def test_independent_failures_are_ordered_by_when_they_failed() -> None:
    tasks = [task("load", "failed", ended="2026-11-22T12:00:05Z"), task("other", "failed", ended="2026-11-22T12:00:01Z")]
    assert first_failed(tasks, GRAPH) == ("other", "load")


def test_a_mapped_task_counts_once_by_its_earliest_failure() -> None:
    tasks = [task("load", "failed", map_index=n, ended=f"2026-11-22T12:00:0{n}Z") for n in (9, 1)]
    assert first_failed([*tasks, task("other", "failed", ended="2026-11-22T12:00:05Z")], GRAPH) == ("load", "other")


def test_without_a_failure_nobody_is_first() -> None:
    assert first_failed([task("extract", "success")], GRAPH) == ()


def test_edges_that_close_a_circle_do_not_hide_the_failures() -> None:
    assert first_failed([task("a", "failed"), task("b", "failed")], {"a": ["b"], "b": ["a"]}) == ("a", "b")


def test_victims_are_what_did_not_run_below_the_failure() -> None:
    tasks = [task("transform", "failed"), *(task(name, "upstream_failed") for name in ("load", "report", "notify"))]
    assert victims("transform", [*tasks, task("other", "upstream_failed")], GRAPH) == ("load", "report", "notify")


def test_a_task_skipped_behind_one_that_ran_is_no_victim() -> None:
    tasks = [task("transform", "failed"), task("load", "success"), task("report", "success"), task("notify", "skipped")]
    assert victims("transform", tasks, GRAPH) == ()


def test_an_alarm_that_did_not_go_off_is_no_victim() -> None:
    tasks = [task("transform", "failed"), task("load", "skipped"), task("report", "upstream_failed")]
    rules = {"load": "all_failed", "report": "all_success", "notify": None}
    assert handlers(rules) == {"load"}
    assert victims("transform", tasks, {"transform": ["load", "report"]}, handlers=handlers(rules)) == ("report",)


def test_a_task_below_whose_rule_lets_it_run_and_that_fails_too_is_not_first() -> None:
    tasks = [task("transform", "failed"), task("load", "upstream_failed"), task("report", "failed", ended="2026-11-22T01:00:00Z")]
    assert first_failed(tasks, GRAPH) == ("transform",)
    assert victims("transform", tasks, GRAPH) == ("load",)


@pytest.mark.parametrize(
    ("task_state", "run_state", "expected"),
    [
        ("failed", "running", True),
        ("upstream_failed", "running", True),
        ("running", "running", False),
        ("up_for_retry", "running", False),
        (None, "running", False),
        ("running", "failed", False),
        ("restarting", "failed", False),
        (None, "failed", True),
        ("up_for_retry", "failed", True),
        ("deferred", "success", True),
        ("success", "queued", True),
    ],
)
def test_a_task_is_settled_when_nothing_will_move_it(task_state: str | None, run_state: str, expected: bool) -> None:
    assert settled(task("load", task_state), RunFacts("shop", "r1", run_state)) is expected

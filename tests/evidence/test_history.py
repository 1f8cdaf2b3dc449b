"""Earlier runs of a task."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.circumstances import Usual
from airflow_agentfix.core.incident import RunFacts, TaskFacts
from airflow_agentfix.evidence.history import against_usual, compared, earlier_runs, last_green, task_history
from tests.evidence.conftest import REF, RUN
from tests.fakes.airflow_rest import FakeAirflow


def test_each_run_of_the_task_is_a_line_with_its_code_version(api: RestAirflowApi) -> None:
    head, *lines = task_history(api, REF, limit=3).splitlines()
    assert head == "The newest 3 of task 'transform', newest first:"
    assert lines[0].startswith(f"{RUN} (this run): failed try 1 start 2026-11-22T12:00:00Z took 1.5 s code bbbbbbbbbb")
    assert lines[1].startswith("scheduled__2026-11-20: success try 1")
    assert lines[1].endswith("took 20.0 s code aaaaaaaaaa")
    assert len(lines) == 3


def test_a_task_that_never_ran_says_so(api: RestAirflowApi) -> None:
    assert task_history(api, replace(REF, task_id="zzz")) == "Task 'zzz' of 'shop' has not run yet."


def test_other_runs_are_counted_by_state_and_the_usual_duration_is_that_of_successes(api: RestAirflowApi) -> None:
    history = [("again", TaskFacts("transform", -1, 2, "success", duration=30.0)), *api.history("shop", "transform", limit=10)]
    found = earlier_runs(history, but=RUN)
    assert found.states == {"success": 4}
    assert found.retried == 1
    assert found.usual == Usual(4, 19.5, 18.0, 30.0)
    assert earlier_runs(history[1:2], but=RUN).usual is None


def test_an_instance_of_a_rerun_is_held_against_the_other_green_runs(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    took = TaskFacts("transform", -1, 2, "success", duration=62.0)
    slower = "3.3\N{MULTIPLICATION SIGN} slower than usual"
    assert against_usual(api, REF, took) == f"{slower} (median 19.0 s in 3 other green runs)"
    assert against_usual(api, REF, replace(took, duration=None)) == "median 19.0 s in 3 other green runs"
    assert against_usual(api, REF, replace(took, task_id="extract")) == ""  # green in this very run alone


@pytest.mark.parametrize(
    ("took", "words"),
    [(62.0, "3.1x slower than usual"), (29.0, "as usual"), (23.0, "as usual"), (2.0, "10.0x faster than usual"), (None, "")],
)
def test_a_duration_is_slower_or_faster_only_beyond_what_was_seen(took: float | None, words: str) -> None:
    assert compared(took, Usual(5, 20.0, 16.0, 25.0)).replace("\N{MULTIPLICATION SIGN}", "x") == words


def run(run_id: str, day: int, state: str = "success") -> RunFacts:
    return RunFacts("shop", run_id, state, start_date=f"2026-11-{day:02}T00:00:00Z")


def test_the_last_green_run_is_the_newest_before_this_one_in_which_the_task_succeeded() -> None:
    failed, later = run("failed", 20, "failed"), run("later", 21)
    runs = [later, failed, run("other task failed", 19, "failed"), run("green", 18)]
    history = [("later", state("success")), ("failed", state("failed")), ("other task failed", state("success"))]
    assert last_green(failed, runs, history) == runs[2]


def test_where_the_tasks_own_state_is_not_known_the_runs_counts() -> None:
    failed = run("failed", 20, "failed")
    assert last_green(failed, [run("red", 19, "failed"), run("green", 18)], []) == run("green", 18)
    assert last_green(failed, [failed, run("red", 19, "failed")], []) is None


def state(name: str) -> TaskFacts:
    return TaskFacts("transform", -1, 1, name)


@pytest.mark.parametrize("took", [0.5, 1.2])
def test_less_than_a_second_of_difference_is_as_usual_however_many_times_it_is(took: float) -> None:
    assert compared(took, Usual(9, 0.3, 0.2, 0.4)) == "as usual"


def test_without_a_usual_duration_nothing_is_compared() -> None:
    assert compared(3.0, None) == ""
    assert compared(3.0, Usual(2, 0.0, 0.0, 0.0)) == ""


def test_runs_of_the_same_second_are_ordered_by_its_fraction() -> None:
    failed, before, after = (
        RunFacts("shop", name, "success", start_date=f"2026-11-22T12:00:00{fraction}Z")
        for name, fraction in (("failed", ".5"), ("before", ""), ("after", ".75"))
    )
    assert last_green(failed, [after, failed, before], []) == before

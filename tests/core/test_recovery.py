"""Which runs are recovered, in which order, and which are left alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.recovery import Case, DagNow, Past, RunNow, RunState, Scene, Step, TaskNow, is_over, past_of, plan
from airflow_agentfix.core.session import Event, EventKind

OLD, SERVED = "a" * 40, "c" * 40
DUE, WAITING, STARTED, GREEN, FAILED, LEFT = RunState


def ref(run_id: str, *, task: str = "load", tries: int = 1, index: int = -1) -> TaskRef:
    return TaskRef("orders", run_id, task, tries, index)


def run(run_id: str, *, state: str = "failed", task: str | None = "failed", tries: int = 1, **more: Any) -> RunNow:
    """A run whose `load` is in this state."""
    return RunNow(run_id, state, **{"at": run_id, "version": OLD, "tasks": {("load", -1): TaskNow(task, tries)}, **more})


def case(*runs: RunNow, failures: tuple[TaskRef, ...] = (), dag: DagNow | None = None, **more: Any) -> Case:
    scene = Scene(dag or DagNow(version=SERVED), {one.run_id: one for one in runs})
    return Case(failures or tuple(ref(one.run_id) for one in runs), scene, **more)


def planned(*runs: RunNow, at_most: int = 10, **more: Any) -> list[tuple[str, RunState]]:
    return [(step.run_id, step.state) for step in plan(case(*runs, **more), at_most=at_most)]


def the_only(*runs: RunNow, **more: Any) -> Step:
    (step,) = plan(case(*runs, **more), at_most=10)
    return step


def test_failed_runs_are_due_oldest_first_whatever_their_names() -> None:
    assert planned(run("a", at="2026-11-22"), run("b", at="2026-11-20"), run("c", at="2026-11-21")) == [
        ("b", DUE),
        ("c", DUE),
        ("a", DUE),
    ]


def test_exactly_what_failed_of_the_cause_is_due_with_its_newest_try() -> None:
    tasks = {("load", 0): TaskNow("failed", 2), ("load", 1): TaskNow("success", 1), ("other", -1): TaskNow("failed", 1)}
    failures = (ref("r", index=0, tries=1), ref("r", index=0, tries=2), ref("r", index=1))
    step = the_only(run("r", tasks=tasks), failures=failures)
    assert (step.state, step.tasks) == (DUE, (ref("r", index=0, tries=2),))


LEFT_ALONE = [
    (run("r", task="success", state="success"), {}, "green already: somebody mended it, or it did not need what failed"),
    (run("r", state="success"), {}, "green already: somebody mended it, or it did not need what failed"),
    (run("r", task="success"), {}, "mended already: load is success"),
    (run("r", tries=3), {}, "somebody cleared it since: load is at try 3, try 1 failed of this cause"),
    (run("r", version=SERVED), {}, "it ran on cccccccccccc, which is what Airflow serves now, and failed there"),
    (run("r"), {"reran": {"r"}}, "it ran on the fix already and is red all the same"),
]


@pytest.mark.parametrize(("found", "more", "reason"), LEFT_ALONE)
def test_a_run_that_is_not_as_it_failed_is_left_alone_with_the_reason(found: RunNow, more: Any, reason: str) -> None:
    step = the_only(found, **more)
    assert (step.state, step.reason, step.is_news) == (LEFT, reason, True)


def test_a_run_that_was_deleted_is_left() -> None:
    step = the_only(failures=(ref("gone"),))
    assert (step.state, step.reason) == (LEFT, "the run is gone")


def test_without_versions_a_run_is_due_on_what_is_served() -> None:
    assert planned(run("r", version=None), dag=DagNow()) == [("r", DUE)]


@pytest.mark.parametrize("state", ["running", "queued"])
def test_a_run_that_is_going_waits_and_nothing_is_written_of_it(state: str) -> None:
    step = the_only(run("r", state=state))
    assert (step.state, step.reason, step.is_news) == (WAITING, f"the run is {state}", False)


@pytest.mark.parametrize(
    ("dag", "reason"), [(DagNow(is_paused=True), "the DAG is paused"), (DagNow(is_served=False), "does not serve")]
)
def test_a_dag_that_would_not_run_keeps_its_runs_waiting(dag: DagNow, reason: str) -> None:
    step = the_only(run("r"), dag=dag)
    assert (step.state, reason in step.reason) == (WAITING, True)


def test_the_sessions_own_rerun_that_is_green_is_no_news() -> None:
    step = the_only(run("r", state="success", task="success"), reran={"r"})
    assert (step.state, step.is_news) == (GREEN, False)


# --- how many, and one after the other


def test_no_more_start_at_once_than_are_allowed() -> None:
    runs = [run(name) for name in "abc"]
    assert planned(*runs, at_most=2) == [("a", DUE), ("b", DUE), ("c", WAITING)]
    assert planned(*runs, at_most=0) == [(name, WAITING) for name in "abc"]


def test_what_holds_all_is_the_reason_of_each() -> None:
    assert {step.reason for step in plan(case(run("a"), run("b"), hold="ask Ann"), at_most=10)} == {"ask Ann"}


ONE_BY_ONE = DagNow(one_by_one=True, version=SERVED)


def test_one_by_one_the_first_is_due_and_the_others_wait_for_it() -> None:
    assert planned(run("a"), run("b"), run("c"), dag=ONE_BY_ONE) == [("a", DUE), ("b", WAITING), ("c", WAITING)]


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (run("a", state="running", task=None), WAITING),
        (run("a", state="success", task="success"), DUE),
        (run("a", state="failed", task="failed", tries=2), LEFT),
    ],
)
def test_one_by_one_the_next_starts_once_the_one_before_is_green_and_never_after_a_red_one(first: RunNow, then: RunState) -> None:
    past = {"a": Past(STARTED, task_ids=("load",))}
    assert planned(first, run("b"), dag=ONE_BY_ONE, past=past)[1] == ("b", then)


def test_one_by_one_a_run_that_somebody_mended_or_deleted_holds_up_nobody() -> None:
    mended = run("a", state="success", task="success")
    failures = (ref("a"), ref("b"), ref("gone"))
    assert dict(planned(mended, run("b"), dag=ONE_BY_ONE, failures=failures)) == {"a": LEFT, "gone": LEFT, "b": DUE}


# --- what was started before


@pytest.mark.parametrize(
    ("now", "state", "reason"),
    [
        (run("r", state="running", task="running"), STARTED, "it is running"),
        (run("r", state="success", task="success", tries=2), GREEN, ""),
        (run("r", state="failed", task="failed", tries=2), FAILED, "failed again: load"),
        (run("r", state="failed", task="success", tries=2), LEFT, "failed of something else"),
    ],
)
def test_what_became_of_a_started_run_is_told(now: RunNow, state: RunState, reason: str) -> None:
    step = the_only(now, past={"r": Past(STARTED, task_ids=("load", "publish"))})
    assert (step.state, step.task_ids, step.is_news) == (state, ("load", "publish"), state is not STARTED)
    assert reason in step.reason


@pytest.mark.parametrize("word", [GREEN, FAILED, LEFT])
def test_the_last_word_on_a_run_stays_and_it_is_not_cleared_again(word: RunState) -> None:
    step = the_only(run("r", tries=2), past={"r": Past(word, "because")})
    assert (step.state, step.reason, step.is_news) == (word, "because", False)


def test_a_person_may_want_it_once_more_but_nothing_green_runs_again() -> None:
    past = {"a": Past(FAILED), "b": Past(LEFT), "c": Past(GREEN)}
    found = plan(case(run("a", tries=2), run("b", tries=5), run("c"), past=past, again=True), at_most=10)
    assert [(step.state, [one.try_number for one in step.tasks]) for step in found] == [(DUE, [2]), (DUE, [5]), (GREEN, [])]


def test_what_is_said_of_a_run_already_is_no_news() -> None:
    mended = run("r", state="success")
    first = the_only(mended)
    second = the_only(mended, past={"r": Past(first.state, first.reason)}, again=True)
    assert (first.is_news, second.is_news, second.reason) == (True, False, first.reason)


def test_a_clearing_that_was_not_written_down_is_found_and_not_repeated() -> None:
    step = the_only(run("r", state="queued", task=None, cleared=("load", "publish")))
    assert (step.state, step.task_ids, step.is_news) == (STARTED, ("load", "publish"), True)


def test_it_is_over_when_nothing_is_left_to_do_or_to_wait_for() -> None:
    done = [Step("a", GREEN), Step("b", FAILED), Step("c", LEFT)]
    assert is_over(done)
    assert [is_over([*done, Step("d", state)]) for state in (DUE, WAITING, STARTED)] == [False] * 3


def test_the_newest_word_of_the_events_counts_and_what_is_about_no_run_is_none() -> None:
    def event(number: int, run_id: str | None, state: str) -> Event:
        data = {"run_id": run_id, "state": state, "task_ids": ["load"], "reason": "", "by": "triage"}
        return Event(number, EventKind.RECOVERY, "server", "", data)

    started = Past(STARTED, task_ids=("load",))
    events = [event(1, "a", "started"), event(2, "b", "started"), event(3, "a", "green"), event(4, None, "over")]
    assert past_of(events) == {"a": replace(started, state=GREEN), "b": started}

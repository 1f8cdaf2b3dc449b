"""The triage run: what it finds, what it hands over, and that a failure is not lost between two runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.core.incident import RunFacts
from airflow_agentfix.core.previews import commit_tag
from airflow_agentfix.core.session import Session, State
from airflow_agentfix.errors import AirflowUnreachable, NotAllowed, RateLimited
from airflow_agentfix.triage_rest import RestFailures
from airflow_agentfix.triage_run import (
    FIRST_LOOK,
    LONGEST_LOOK,
    FailedTask,
    Report,
    in_order,
    knows,
    render,
    triage,
    watermark,
)
from tests.fakes.deployment import Deployment, run_json, task_json

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def at(minutes: int) -> str:
    """ISO time `minutes` before NOW."""
    return (NOW - timedelta(minutes=minutes)).isoformat()


def failed(run_id: str = "monday", task_id: str = "load", *, dag_id: str = "orders", tries: int = 1, ago: int = 5) -> FailedTask:
    return FailedTask(dag_id, run_id, task_id, tries, -1, at(ago))


def session(task: FailedTask, *, state: State = State.DONE, updated: int = 0) -> Session:
    return Session(
        id="s1",
        dag_id=task.dag_id,
        run_id=task.run_id,
        task_id=task.task_id,
        map_index=-1,
        try_number=task.try_number,
        state=state,
        autonomy="rerun",
        source="callback",
        created_at=at(60),
        updated_at=at(updated),
    )


class Sessions:
    """An intake that holds sessions and may refuse a DAG."""

    def __init__(self, *known: Session, refuses: dict[str, Exception] | None = None) -> None:
        self.known = known
        self.refuses = refuses or {}
        self.taken: list[FailedTask] = []

    def sessions_of(self, dag_id: str) -> Sequence[Session]:
        return [one for one in self.known if one.dag_id == dag_id]

    def take(self, task: FailedTask) -> str:
        if task.dag_id in self.refuses:
            raise self.refuses[task.dag_id]
        self.taken.append(task)
        return f"session-{len(self.taken)}"


def look(deployment: Deployment, intake: Sessions) -> Report:
    return triage(RestFailures(connect_with(Login(url=deployment.url), retries=0)), intake, now=NOW)


def test_failures_on_every_page_are_handed_over():
    with Deployment(page=2) as airflow:
        for number in range(7):
            airflow.add_run("orders", f"run{number}", state="failed", end=at(10 - number), failed=(("load", at(10 - number)),))
        intake = Sessions()
        look(airflow, intake)
    assert sorted(task.run_id for task in intake.taken) == [f"run{number}" for number in range(7)]


def test_a_failed_task_in_a_green_run_is_handed_over():
    with Deployment() as airflow:
        airflow.add_run("orders", "monday", state="success", end=at(1), failed=(("load", at(4)),))
        intake = Sessions()
        look(airflow, intake)
    assert [task.run_id for task in intake.taken] == ["monday"]


def test_a_run_that_still_goes_is_left_alone():
    with Deployment() as airflow:
        airflow.runs.append(run_json("orders", "monday", state="running", end=None))
        airflow.task_instances.append(task_json("orders", "monday", "load", end=at(4)))
        intake = Sessions()
        look(airflow, intake)
    assert intake.taken == []


def test_another_dags_run_of_the_same_id_is_not_mistaken_for_a_finished_one():
    with Deployment() as airflow:
        airflow.add_run("orders", "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        airflow.add_run("stock", "sunday", state="failed", end=at(1), failed=(("load", at(4)),))
        airflow.task_instances.append(task_json("stock", "monday", "load", end=at(4)))  # that run still goes
        intake = Sessions()
        look(airflow, intake)
    assert [(task.dag_id, task.run_id) for task in intake.taken] == [("orders", "monday"), ("stock", "sunday")]


def test_more_runs_than_one_request_takes_give_each_failed_task_once():
    with Deployment(page=100) as airflow:
        for number in range(70):  # two DAGs whose runs share their ids, on both sides of a request's hundred
            for dag_id in ("orders", "stock"):
                airflow.add_run(dag_id, f"run{number}", state="failed", end=at(1), failed=(("load", at(4)),))
        found = list(RestFailures(connect_with(Login(url=airflow.url), retries=0)).failed_tasks(since=NOW - FIRST_LOOK))
    assert len(found) == len(set(found)) == 140


def test_the_previews_of_fixes_are_their_sessions_to_judge():
    with Deployment() as airflow:
        for number in range(3):  # on more than one page
            dag_id = f"orders.fix-{number}"
            airflow.add_dag(dag_id, tags=[{"name": "agentfix"}, {"name": commit_tag("c" * 40)}])
            airflow.add_run(dag_id, "r1", state="failed", end=at(1), failed=(("load", at(4)),))
        airflow.add_dag("stock", tags=[{"name": "agentfix"}])
        airflow.add_run("stock", "r1", state="failed", end=at(1), failed=(("load", at(4)),))
        intake = Sessions()
        look(airflow, intake)
    assert [task.dag_id for task in intake.taken] == ["stock"]


def test_agentfix_does_not_work_on_its_own_dags():
    with Deployment() as airflow:
        airflow.add_run("agentfix_fix", "s1", state="failed", end=at(1), failed=(("drive", at(4)),))
        intake = Sessions()
        look(airflow, intake)
    assert intake.taken == []


def test_what_a_session_knows_is_counted_and_not_handed_over_again():
    with Deployment() as airflow:
        airflow.add_run("orders", "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        intake = Sessions(session(failed(ago=4)))
        report = look(airflow, intake)
    assert (intake.taken, report.known) == ([], 1)


def test_what_failed_before_the_last_successful_triage_started_is_not_looked_at_again():
    with Deployment() as airflow:
        airflow.runs.append(run_json("agentfix_triage", "t1", state="success", end=at(14), start=at(15)))
        airflow.add_run("orders", "old", state="failed", end=at(20), failed=(("load", at(20)),))
        airflow.add_run("orders", "new", state="failed", end=at(15), failed=(("load", at(15)),))
        intake = Sessions()
        look(airflow, intake)
    assert [task.run_id for task in intake.taken] == ["new"]


def test_a_retry_of_the_same_task_that_failed_after_its_session_ended_is_new():
    assert not knows(session(failed(tries=1), updated=30), failed(tries=2, ago=5))


def test_the_rerun_a_session_made_itself_is_known_to_it():
    ended_after_the_rerun = session(failed(tries=1), updated=4)
    still_at_work = session(failed(tries=1), state=State.WAITING, updated=30)
    assert knows(ended_after_the_rerun, failed(tries=2, ago=5))
    assert knows(still_at_work, failed(tries=2, ago=5))


def test_a_session_of_another_task_of_the_run_does_not_know_this_one():
    assert not knows(session(failed(task_id="publish")), failed(task_id="load"))


def run(state: str, minutes: int) -> RunFacts:
    return RunFacts("agentfix_triage", f"r{minutes}", state, start_date=at(minutes))


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], NOW - FIRST_LOOK),
        ([run("running", 0), run("failed", 15), run("success", 30), run("success", 45)], NOW - timedelta(minutes=30)),
        ([run("running", 0), run("failed", 15)], NOW - LONGEST_LOOK),
        ([run("success", 60 * 24 * 30)], NOW - LONGEST_LOOK),
    ],
    ids=["first run ever", "since the last success", "none succeeded yet", "after a month's pause"],
)
def test_the_watermark_is_the_start_of_the_last_triage_that_succeeded(runs: list[RunFacts], expected: datetime):
    assert watermark(runs, now=NOW) == expected


def test_every_failed_task_of_a_run_is_handed_over_the_first_one_first():
    tasks = [failed("a", "late", ago=1), failed("b", "only"), failed("a", "early", ago=9)]
    assert [task.task_id for task in in_order(tasks)] == ["early", "late", "only"]
    with Deployment() as airflow:
        airflow.add_run("orders", "monday", state="failed", end=at(1), failed=(("late", at(2)), ("early", at(4))))
        intake = Sessions()
        look(airflow, intake)
    assert [task.task_id for task in intake.taken] == ["early", "late"]


def test_a_session_that_no_worker_has_taken_is_handed_over_again_so_that_one_comes():
    task = failed()
    assert not knows(session(task, state=State.OPEN), task)
    assert knows(session(task, state=State.RUNNING), task)


def test_one_refused_failure_does_not_keep_the_others_back():
    with Deployment() as airflow:
        for dag_id in ("orders", "stock"):
            airflow.add_run(dag_id, "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        intake = Sessions(refuses={"orders": NotAllowed("No right to 'orders'.")})
        report = look(airflow, intake)
    assert [task.dag_id for task in intake.taken] == ["stock"]
    assert "not handed over: No right to 'orders'." in render(report)


def test_an_intake_that_is_away_fails_the_triage_so_that_the_next_one_looks_again():
    with Deployment() as airflow:
        airflow.add_run("orders", "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        with pytest.raises(AirflowUnreachable):
            look(airflow, Sessions(refuses={"orders": AirflowUnreachable("away")}))


def test_an_intake_that_takes_no_more_ends_this_triage_and_the_next_one_looks_again():
    with Deployment() as airflow:
        for dag_id in ("orders", "stock", "taxes"):
            airflow.add_run(dag_id, "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        intake = Sessions(refuses={"stock": RateLimited("Try again in 9 s.")})
        report = look(airflow, intake)
    assert [task.dag_id for task in intake.taken] == ["orders"]
    assert "orders: 1 failed task\n  monday · load try 1: session session-1\n2 failed tasks are not handed over yet" in render(
        report
    )
    with pytest.raises(RateLimited, match="the next triage run goes on"):
        report.require_whole()


def test_a_report_with_nothing_left_lets_the_triage_succeed():
    Report(NOW).require_whole()


def test_the_report_groups_by_dag_and_lists_files_that_do_not_import_without_their_secrets():
    with Deployment(page=1) as airflow:
        airflow.add_run("orders", "monday", state="failed", end=at(1), failed=(("load", at(4)),))
        airflow.add_run("orders", "tuesday", state="failed", end=at(1), failed=(("load", at(4)),))
        stack = "Traceback\n  File x\nValueError: postgresql://app:hunter2@db/shop\n"
        airflow.import_errors = [{"filename": f"{name}.py", "bundle_name": "shop", "stack_trace": stack} for name in "ab"]
        text = render(look(airflow, Sessions()))
    assert "orders: 2 failed tasks\n  monday · load try 1: session session-1\n" in text
    assert "DAG files that do not import: 2\n  a.py (bundle shop): ValueError: " in text
    assert "hunter2" not in text

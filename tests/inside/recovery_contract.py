"""What a recovery sees of runs and does to them, on this Airflow's real database."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.recovery import RunNow, TaskNow
from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import RecoverRequest
from airflow_agentfix.rerun.recovery import recover, scene
from tests.inside.database import FIRST, Deployment

_number = count()
SERVED = "c" * 40
FAILED = {"extract": "success", "transform": "failed", "load": "upstream_failed", "report": "success", "other": "failed"}


def source(dag_id: str, *, options: str = "", task_options: str = "", transform: str = "transform") -> str:
    """extract >> transform >> load; `report` runs below transform whatever became of it, `other` beside them."""
    return f"""
with DAG("{dag_id}", schedule=None{options}):
    @task
    def extract(): ...
    @task({task_options})
    def {transform}(): ...
    @task
    def load(): ...
    @task(trigger_rule="all_done")
    def report(): ...
    @task
    def other(): ...
    extract() >> {transform}() >> [load(), report()]
    other()
"""


def failed_shop(airflow: Deployment, **more: str) -> str:
    """A run failed on FIRST; Airflow serves the DAG on SERVED since."""
    dag_id = f"recovered_{next(_number)}"
    airflow.add_dag(source(dag_id))
    airflow.add_run(dag_id, FAILED)
    airflow.add_dag(source(dag_id, **more), version=SERVED)
    return dag_id


def request(dag_id: str, *, task: str = "transform", index: int = -1, tries: int = 1, version: str | None = SERVED) -> Any:
    return RecoverRequest("s1", dag_id, "r1", ((task, index, tries),), version)


def look(dag_id: str, *, task: str = "transform", session: str = "s1") -> RunNow:
    return scene(dag_id, [TaskRef(dag_id, "r1", task, 1)], session_id=session).runs["r1"]


def test_what_failed_and_what_it_kept_from_running_runs_again_and_nothing_else(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    assert recover(request(dag_id)) == ("load", "transform")
    assert airflow.states(dag_id) == {**FAILED, "transform": None, "load": None}


def test_the_run_goes_on_with_the_newest_version_of_its_dag_and_the_bundle_version_that_is_served(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow, task_options="retries=2")
    before = airflow.run(dag_id)
    recover(request(dag_id))
    after = airflow.run(dag_id)
    assert (before["bundle_version"], after["bundle_version"], after["state"]) == (FIRST, SERVED, "queued")
    assert after["dag_version"] != before["dag_version"]


def test_a_task_that_the_fix_added_is_there_in_the_recovered_run(airflow: Deployment) -> None:
    dag_id = f"recovered_{next(_number)}"
    airflow.add_dag(source(dag_id))
    airflow.add_run(dag_id, FAILED)
    airflow.add_dag(f"{source(dag_id)}    @task\n    def added(): ...\n    added()\n", version=SERVED)
    recover(request(dag_id))
    assert airflow.states(dag_id)["added"] is None


def test_a_recovery_leaves_an_audit_row_and_a_line_in_the_note(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.change_run(dag_id, note="ask Ann")
    recover(request(dag_id))
    (row,) = airflow.audit(dag_id, "agentfix_recover")
    assert row == {"session_id": "s1", "task_ids": ["load", "transform"], "from": FIRST, "to": SERVED}
    noted = f"AgentFix session s1: failed tasks run again on {SERVED[:12]}, with the merged fix."
    assert airflow.run(dag_id)["note"] == f"ask Ann\n{noted}"


def test_a_run_is_not_recovered_twice(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    recover(request(dag_id))
    with pytest.raises(AirflowConflict, match="queued"):
        recover(request(dag_id))
    airflow.set_states(dag_id, {"transform": "success", "load": "success"})
    with pytest.raises(AirflowConflict, match="success"):
        recover(request(dag_id))
    assert len(airflow.audit(dag_id, "agentfix_recover")) == 1


def test_a_later_try_than_was_looked_at_is_a_conflict_and_changes_nothing(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    with pytest.raises(AirflowConflict, match="try 1"):
        recover(request(dag_id, tries=2))
    assert (airflow.states(dag_id), airflow.run(dag_id)["bundle_version"]) == (FAILED, FIRST)


def test_another_version_than_was_looked_at_is_a_conflict(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    with pytest.raises(AirflowConflict, match=SERVED):
        recover(request(dag_id, version="d" * 40))
    assert airflow.states(dag_id) == FAILED


def test_a_task_that_the_served_dag_has_not_any_more_cannot_run_again(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow, transform="renamed")
    with pytest.raises(RerunImpossible, match="'transform'"):
        recover(request(dag_id))
    assert (airflow.states(dag_id), airflow.run(dag_id)["state"]) == (FAILED, "failed")


def test_a_run_that_is_not_there_is_not_found(airflow: Deployment) -> None:
    dag_id = f"recovered_{next(_number)}"
    airflow.add_dag(source(dag_id), version=SERVED)
    with pytest.raises(AirflowNotFound, match="no run 'r1'"):
        recover(request(dag_id))


def test_without_bundle_versions_the_run_goes_on_with_the_latest_code(airflow: Deployment) -> None:
    dag_id = f"recovered_{next(_number)}"
    airflow.add_dag(source(dag_id), bundle="plain", version=None)
    airflow.add_run(dag_id, FAILED)
    assert recover(request(dag_id, version=None)) == ("load", "transform")
    assert airflow.run(dag_id)["bundle_version"] is None
    assert airflow.run(dag_id)["note"] == "AgentFix session s1: failed tasks run again, with the merged fix."


def test_of_a_mapped_task_only_the_named_index_runs_again(airflow: Deployment) -> None:
    dag_id = f"recovered_{next(_number)}"
    mapped = f"""
with DAG("{dag_id}", schedule=None):
    @task
    def part(x): ...
    @task
    def total(): ...
    part.expand(x=[1, 2, 3]) >> total()
"""
    airflow.add_dag(mapped)
    airflow.add_run(dag_id, {"part[0]": "success", "part[1]": "failed", "part[2]": "failed", "total": "upstream_failed"})
    airflow.add_dag(mapped, version=SERVED)
    recover(request(dag_id, task="part", index=1))
    assert {name for name, state in airflow.states(dag_id).items() if state is None} == {"part[1]", "total"}


def test_the_setup_and_teardown_of_a_task_run_with_it(airflow: Deployment) -> None:
    dag_id = f"recovered_{next(_number)}"
    around = f"""
with DAG("{dag_id}", schedule=None):
    @setup
    def up(): ...
    @task
    def work(): ...
    @teardown
    def down(): ...
    u, w, d = up(), work(), down()
    u >> w >> d
    u >> d
"""
    airflow.add_dag(around)
    airflow.add_run(dag_id, {"up": "success", "work": "failed", "down": "success"})
    airflow.add_dag(around, version=SERVED)
    assert recover(request(dag_id, task="work")) == ("down", "up", "work")


# --- what it sees


def test_a_run_is_told_as_it_stands(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    found = look(dag_id)
    assert (found.state, found.version, found.cleared) == ("failed", FIRST, ())
    assert found.tasks == {("transform", -1): TaskNow("failed", 1)}
    recover(request(dag_id))
    after = look(dag_id)
    assert (after.state, after.cleared, look(dag_id, session="s2").cleared) == ("queued", ("load", "transform"), ())


def test_the_dag_is_told_as_it_is_served(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    found = scene(dag_id, [TaskRef(dag_id, "gone", "transform", 1)], session_id="s1")
    assert found.runs == {}
    assert (found.dag.is_served, found.dag.is_paused, found.dag.one_by_one, found.dag.version) == (True, False, False, SERVED)
    airflow.pause(dag_id)
    assert scene(dag_id, [], session_id="s1").dag.is_paused
    with pytest.raises(AirflowNotFound):
        scene("nowhere", [], session_id="s1")


@pytest.mark.parametrize(
    ("options", "task_options"),
    [(", max_active_runs=1", ""), ("", "depends_on_past=True"), ("", "wait_for_downstream=True")],
)
def test_a_dag_whose_runs_go_one_after_the_other_says_so(airflow: Deployment, options: str, task_options: str) -> None:
    dag_id = failed_shop(airflow, options=options, task_options=task_options)
    assert scene(dag_id, [], session_id="s1").dag.one_by_one

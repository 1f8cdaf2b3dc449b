"""What a pin does to a run, on this Airflow's real database."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest

from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import PinRequest, UnpinRequest
from airflow_agentfix.rerun.pin import end_pin, pin
from tests.inside.database import FIRST, FIX, Deployment

_number = count()


def shop(airflow: Deployment, *, options: str = "", bundle: str = "shop", version: str | None = FIRST) -> str:
    """extract >> transform >> load, and `other` beside them."""
    return airflow.add_dag(
        f"""
with DAG("shop_{next(_number)}", schedule=None{options}):
    @task
    def extract(): ...
    @task
    def transform(): ...
    @task
    def load(): ...
    @task
    def other(): ...
    extract() >> transform() >> load()
    other()
""",
        bundle=bundle,
        version=version,
    )


FAILED = {"extract": "success", "transform": "failed", "load": "upstream_failed", "other": "failed"}


def failed_shop(airflow: Deployment, **options: str) -> str:
    dag_id = shop(airflow, **options)
    airflow.add_run(dag_id, FAILED)
    return dag_id


def request(
    dag_id: str, *, task: str = "transform", index: int = -1, commit: str = FIX, session: str = "s1", also: tuple[str, ...] = ()
) -> PinRequest:
    others = tuple((other, -1) for other in also)
    return PinRequest(session_id=session, dag_id=dag_id, run_id="r1", task_id=task, map_index=index, commit=commit, also=others)


def test_a_pin_clears_the_failed_task_and_its_downstream_and_leaves_the_rest(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pinned = pin(request(dag_id))
    assert airflow.states(dag_id) == {"extract": "success", "transform": None, "load": None, "other": "failed"}
    assert (pinned.run_id, pinned.task_ids, pinned.original_version) == ("r1", ("load", "transform"), FIRST)


def test_another_task_that_failed_of_the_same_cause_runs_again_too(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pinned = pin(request(dag_id, also=("other",)))
    assert airflow.states(dag_id) == {"extract": "success", "transform": None, "load": None, "other": None}
    assert pinned.task_ids == ("load", "other", "transform")


def test_another_task_that_was_mended_meanwhile_is_left_alone(airflow: Deployment) -> None:
    dag_id = shop(airflow)
    airflow.add_run(dag_id, {**FAILED, "other": "success"})
    assert pin(request(dag_id, also=("other",))).task_ids == ("load", "transform")
    assert airflow.states(dag_id)["other"] == "success"


def test_the_pinned_run_is_queued_on_the_fix_commit_with_its_own_dag_version(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    before = airflow.run(dag_id)
    pin(request(dag_id))
    after = airflow.run(dag_id)
    assert (after["state"], after["bundle_version"], after["dag_version"]) == ("queued", FIX, before["dag_version"])


def test_a_newer_version_of_the_dag_does_not_overwrite_the_pin(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    own = airflow.run(dag_id)["dag_version"]
    source = f'with DAG("{dag_id}", schedule=None):\n    @task\n    def renamed(): ...\n    renamed()\n'
    airflow.add_dag(source, version="b" * 40)
    pin(request(dag_id))
    assert (airflow.run(dag_id)["bundle_version"], airflow.run(dag_id)["dag_version"]) == (FIX, own)


def test_pinning_twice_gives_the_first_answer_and_clears_nothing_again(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    first = pin(request(dag_id))
    airflow.set_states(dag_id, {"transform": "success", "load": "running"}, state="running")
    assert pin(request(dag_id)) == first
    assert airflow.states(dag_id)["load"] == "running"
    assert len(airflow.audit(dag_id, "agentfix_pin")) == 1


def test_a_run_that_is_still_going_is_a_conflict(airflow: Deployment) -> None:
    dag_id = shop(airflow)
    airflow.add_run(dag_id, FAILED, state="running")
    with pytest.raises(AirflowConflict, match="running"):
        pin(request(dag_id))
    assert airflow.run(dag_id)["bundle_version"] == FIRST


def test_an_unknown_run_is_not_found(airflow: Deployment) -> None:
    dag_id = shop(airflow)
    with pytest.raises(AirflowNotFound, match="no run 'r1'"):
        pin(request(dag_id))


def test_a_run_without_a_dag_version_is_refused(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.change_run(dag_id, created_dag_version_id=None)
    with pytest.raises(RerunImpossible, match="no DAG version"):
        pin(request(dag_id))


def test_a_run_without_a_bundle_version_is_refused(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.change_run(dag_id, bundle_version=None)
    with pytest.raises(RerunImpossible, match="no bundle version"):
        pin(request(dag_id))


def test_a_bundle_without_versions_is_refused(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow, bundle="plain", version=None)
    with pytest.raises(RerunImpossible, match=r"LocalDagBundle.*GitDagBundle"):
        pin(request(dag_id))


def test_a_paused_dag_is_for_a_person(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.pause(dag_id)
    with pytest.raises(RerunImpossible, match=f"airflow dags unpause {dag_id}"):
        pin(request(dag_id))


def test_a_dag_that_disables_bundle_versioning_is_refused(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow, options=", disable_bundle_versioning=True")
    airflow.change_run(dag_id, bundle_version=FIRST)
    with pytest.raises(RerunImpossible, match="disable_bundle_versioning"):
        pin(request(dag_id))
    assert airflow.states(dag_id)["transform"] == "failed"


def test_a_task_that_is_not_failed_any_more_is_a_conflict(airflow: Deployment) -> None:
    dag_id = shop(airflow)
    airflow.add_run(dag_id, {**FAILED, "transform": "success"})
    with pytest.raises(AirflowConflict, match="success"):
        pin(request(dag_id))


MAPPED = """
with DAG("mapped_{number}", schedule=None):
    @task
    def part(x): ...
    @task
    def total(): ...
    part.expand(x=[1, 2, 3]) >> total()
"""


@pytest.mark.parametrize(("index", "cleared"), [(1, {"part[1]"}), (-1, {"part[1]", "part[2]"})])
def test_of_a_mapped_task_the_failed_index_is_cleared_or_all_failed_ones(
    airflow: Deployment, index: int, cleared: set[str]
) -> None:
    dag_id = airflow.add_dag(MAPPED.format(number=next(_number)))
    airflow.add_run(dag_id, {"part[0]": "success", "part[1]": "failed", "part[2]": "failed", "total": "upstream_failed"})
    pin(request(dag_id, task="part", index=index))
    assert {name for name, state in airflow.states(dag_id).items() if state is None} == cleared | {"total"}


def test_in_a_mapped_group_only_the_same_index_is_downstream(airflow: Deployment) -> None:
    dag_id = airflow.add_dag(f"""
with DAG("grouped_{next(_number)}", schedule=None):
    @task
    def one(x): ...
    @task
    def two(): ...
    @task
    def end(): ...
    @task_group
    def g(x):
        one(x) >> two()
    g.expand(x=[1, 2]) >> end()
""")
    airflow.add_run(dag_id, {"g.one[0]": "success", "g.one[1]": "failed", "g.two[0]": "success", "g.two[1]": "upstream_failed",
                             "end": "upstream_failed"})  # fmt: skip
    pin(request(dag_id, task="g.one", index=1))
    assert {name for name, state in airflow.states(dag_id).items() if state is None} == {"g.one[1]", "g.two[1]", "end"}


def test_the_setup_of_a_cleared_task_runs_again(airflow: Deployment) -> None:
    dag_id = airflow.add_dag(f"""
with DAG("setup_{next(_number)}", schedule=None):
    @setup
    def up(): ...
    @task
    def work(): ...
    @teardown
    def down(): ...
    u, w, d = up(), work(), down()
    u >> w >> d
    u >> d
""")
    airflow.add_run(dag_id, {"up": "success", "work": "failed", "down": "success"})
    assert pin(request(dag_id, task="work")).task_ids == ("down", "up", "work")


def test_a_pin_leaves_an_audit_row_and_a_note_below_what_a_person_noted(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.change_run(dag_id, note="ask Ann")
    pin(request(dag_id))
    (row,) = airflow.audit(dag_id, "agentfix_pin")
    assert (row["session_id"], row["commit"], row["original_version"]) == ("s1", FIX, FIRST)
    assert airflow.run(dag_id)["note"] == f"ask Ann\nAgentFix session s1: on fix commit {FIX[:12]}."


def test_the_note_leads_to_the_pull_request_where_that_is_an_address(airflow: Deployment) -> None:
    address = "https://github.example/acme/dags/pull/7"
    for given, told in ((address, f", pull request {address}"), ("[x](https://evil.example)", "")):
        dag_id = failed_shop(airflow)
        pin(replace(request(dag_id), pull_request=given))
        assert airflow.run(dag_id)["note"] == f"AgentFix session s1: on fix commit {FIX[:12]}{told}."


def test_a_note_without_room_keeps_the_persons_text(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    airflow.change_run(dag_id, note="x" * 990)
    pin(request(dag_id))
    assert airflow.run(dag_id)["note"] == "x" * 990


def test_an_amended_fix_pins_again_and_remembers_the_first_version(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {"transform": "failed", "load": "upstream_failed"})
    again = pin(request(dag_id, commit="e" * 40))
    assert (again.original_version, airflow.run(dag_id)["bundle_version"]) == (FIRST, "e" * 40)


def test_a_second_cause_on_the_same_commit_clears_its_own_task(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {"transform": "success", "load": "success"})
    pinned = pin(request(dag_id, task="other", session="s2"))
    assert (pinned.task_ids, pinned.original_version) == (("other",), FIRST)
    assert airflow.states(dag_id) == {"extract": "success", "transform": "success", "load": "success", "other": None}


def unpin(dag_id: str, *, version: str = FIRST, session: str = "s1", commit: str = FIX) -> str | None:
    return end_pin(UnpinRequest(session, dag_id, "r1", commit, version))


@pytest.mark.parametrize("version", [FIRST, "c" * 40])
def test_the_end_of_a_pin_sets_the_run_to_the_named_version(airflow: Deployment, version: str) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {}, state="success")
    assert unpin(dag_id, version=version) == version
    assert airflow.run(dag_id)["bundle_version"] == version
    assert airflow.audit(dag_id, "agentfix_pin_end") == [{"session_id": "s1", "from": FIX, "to": version}]


def test_ending_a_pin_twice_changes_nothing_more_and_says_what_the_run_is_on(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {}, state="success")
    unpin(dag_id)
    assert unpin(dag_id, version="c" * 40) == FIRST
    assert airflow.run(dag_id)["bundle_version"] == FIRST


def test_a_run_that_a_person_moved_meanwhile_is_left_alone(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.change_run(dag_id, bundle_version="d" * 40)
    assert unpin(dag_id) == "d" * 40
    assert airflow.run(dag_id)["bundle_version"] == "d" * 40


@pytest.mark.parametrize("commit", [FIX, "e" * 40])
def test_the_end_of_one_sessions_pin_leaves_the_later_pin_of_another_alone(airflow: Deployment, commit: str) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {"transform": "success", "load": "success"})
    later = pin(request(dag_id, task="other", session="s2", commit=commit))
    airflow.set_states(dag_id, {}, state="success")
    assert unpin(dag_id) == commit
    assert unpin(dag_id, session="s2", commit=commit, version=str(later.original_version)) == FIRST


def test_a_pin_ends_without_its_audit_row(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    airflow.set_states(dag_id, {}, state="success")
    airflow.forget_audit(dag_id)  # as `airflow db clean` does
    assert unpin(dag_id) == FIRST


def test_a_pin_does_not_end_under_a_running_run(airflow: Deployment) -> None:
    dag_id = failed_shop(airflow)
    pin(request(dag_id))
    with pytest.raises(AirflowConflict, match="queued"):
        unpin(dag_id)
    assert airflow.run(dag_id)["bundle_version"] == FIX

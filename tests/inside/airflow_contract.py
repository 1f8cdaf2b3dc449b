"""What AirflowInside reads from and does in Airflow, on this Airflow's real database and its own auth manager."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from airflow.utils.state import TaskInstanceState

from airflow_agentfix.airflow_inside import AirflowInside
from airflow_agentfix.errors import AirflowConflict, AirflowForbidden, AirflowNotFound, ConfigurationError
from airflow_agentfix.ports import HumanAnswer, Question
from tests.inside.database import Deployment, show

_number = count()
PARKED = "awaiting_input" if "AWAITING_INPUT" in TaskInstanceState.__members__ else "deferred"  # the latter before 3.3


@pytest.fixture(scope="module")
def users(database: Path) -> dict[str, Any]:
    """People of the simple auth manager: vera may look, uma and ulf may also work."""
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    create_auth_manager()
    roles = {"vera": "viewer", "uma": "op", "ulf": "op", "nobody": None}
    return {name: SimpleAuthManagerUser(username=name, role=role) for name, role in roles.items()}


@pytest.fixture
def inside() -> AirflowInside:
    return AirflowInside(patience=0.2, settle=0)


@pytest.fixture
def ask_dag(airflow: Deployment) -> None:
    source = """
from airflow_agentfix.operators.ask import AskOperator
with DAG("agentfix_ask", schedule=None, is_paused_upon_creation=False):
    AskOperator(task_id="question")
"""
    airflow.add_dag(source, bundle="plain", version=None)


def question(**changes: Any) -> Question:
    values = {"subject": "Rerun on f00?", "body": "{{ diff }}", "options": ("Approve", "Reject"), "assigned_users": ()}
    return Question(run_id=f"agentfix__s__{next(_number)}", **{**values, **changes})


def asked(inside: AirflowInside, *, assigned: tuple[str, ...] = ()) -> str:
    """A question that is shown; its run id."""
    put = question(assigned_users=assigned)
    inside.ask(put)
    show(put.run_id)
    return put.run_id


SOURCE = """
with DAG("facts_{number}", schedule=None):
    @task
    def extract(): ...
    @task(queue="big")
    def part(x): ...
    part.expand(x=[1, 2]) << extract()
"""


def unshown(inside: AirflowInside) -> str:
    """A question whose task has not shown it yet; its run id."""
    put = question()
    inside.ask(put)
    return put.run_id


@pytest.fixture
def dag_id(airflow: Deployment) -> str:
    dag_id = airflow.add_dag(SOURCE.format(number=next(_number)))
    airflow.add_run(dag_id, {"extract": "success", "part[1]": "failed"})
    return dag_id


def test_a_dag_is_told_with_its_file_bundle_and_tags(inside: AirflowInside, airflow: Deployment) -> None:
    number = next(_number)
    dag_id = airflow.add_dag(
        f'with DAG("tagged_{number}", schedule=None, tags=["b", "a"]):\n    @task\n    def t(): ...\n    t()\n'
    )
    dag = inside.dag(dag_id)
    assert (dag.dag_id, dag.tags, dag.bundle_name) == (dag_id, ("a", "b"), "shop")
    assert dag.file.endswith(".py")
    with pytest.raises(AirflowNotFound, match="No DAG 'nope'"):
        inside.dag("nope")


def test_a_task_instance_is_resolved_as_it_stands(inside: AirflowInside, dag_id: str) -> None:
    facts = inside.resolve(dag_id, "r1", "part", 1)
    assert (facts.state, facts.try_number, facts.map_index, facts.queue, facts.dag_version) == ("failed", 1, 1, "big", "1")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dag_id": "nope"}, "No DAG 'nope'"),
        ({"run_id": "r2"}, "no run 'r2'.*'r1'"),
        ({"task_id": "extrct"}, "no task 'extrct'. Near to it: 'extract'"),
        ({"map_index": 7}, "no map index 7; it has map indexes 0 to 1"),
        ({"task_id": "extract", "map_index": 0}, "no map index 0; it is not mapped"),
    ],
)
def test_what_is_unknown_is_named_with_what_comes_near(
    inside: AirflowInside, dag_id: str, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(AirflowNotFound, match=message):
        inside.resolve(**{"dag_id": dag_id, "run_id": "r1", "task_id": "part", "map_index": 0, **changed})


def test_a_run_is_started_once_with_its_conf(inside: AirflowInside, airflow: Deployment, dag_id: str) -> None:
    inside.start_run(dag_id, run_id="agentfix__1", conf={"session_id": "1"})
    inside.start_run(dag_id, run_id="agentfix__1", conf={"session_id": "other"})
    assert inside.run_state(dag_id, "agentfix__1") == "queued"
    assert airflow.run(dag_id, "agentfix__1")["conf"] == {"session_id": "1"}


def test_a_run_tells_the_version_it_is_on(inside: AirflowInside, dag_id: str) -> None:
    assert inside.run_version(dag_id, "r1") == "a" * 40
    assert inside.run_version(dag_id, "never") is None


def test_an_unknown_run_has_no_state(inside: AirflowInside, dag_id: str) -> None:
    assert inside.run_state(dag_id, "never") is None


def test_the_tasks_of_a_run_are_told_by_state_mapped_ones_counted(
    inside: AirflowInside, airflow: Deployment, dag_id: str
) -> None:
    airflow.set_states(dag_id, {"extract": "success", "part[0]": "success", "part[1]": "failed"})
    found = inside.task_states(dag_id, "r1", ["part", "nope", "extract"])
    assert [(one.task_id, dict(one.counts), one.mapped) for one in found] == [
        ("part", {"success": 1, "failed": 1}, True),
        ("extract", {"success": 1}, False),
    ]
    assert inside.task_states(dag_id, "never", ["part"]) == ()


def test_a_task_that_was_not_scheduled_yet_has_no_status(inside: AirflowInside, airflow: Deployment, dag_id: str) -> None:
    airflow.add_run(dag_id, {}, run_id="fresh", state="queued")
    (extract,) = inside.task_states(dag_id, "fresh", ["extract"])
    assert dict(extract.counts) == {"no status": 1}


@pytest.mark.usefixtures("database")
def test_a_missing_dag_says_which_bundle_brings_it(inside: AirflowInside) -> None:
    with pytest.raises(ConfigurationError, match="AgentFixDags"):
        inside.start_run("agentfix_missing", run_id="r", conf={})


def test_a_paused_dag_says_how_to_unpause_it(inside: AirflowInside, airflow: Deployment, dag_id: str) -> None:
    airflow.pause(dag_id)
    with pytest.raises(ConfigurationError, match=f"airflow dags unpause {dag_id}"):
        inside.start_run(dag_id, run_id="r9", conf={})
    assert inside.run_state(dag_id, "r9") is None


@pytest.mark.usefixtures("ask_dag")
def test_a_question_is_asked_once(inside: AirflowInside, airflow: Deployment) -> None:
    put = question()
    inside.ask(put)
    inside.ask(put)
    assert airflow.run("agentfix_ask", put.run_id)["conf"]["body"] == "{{ diff }}"


@pytest.mark.usefixtures("ask_dag")
def test_a_run_with_that_id_and_other_words_is_not_taken_for_the_question(inside: AirflowInside) -> None:
    put = question()
    inside.start_run("agentfix_ask", run_id=put.run_id, conf={"subject": "harmless", "options": ["Approve"]})
    with pytest.raises(AirflowConflict, match="another question"):
        inside.ask(put)


@pytest.mark.usefixtures("ask_dag")
def test_an_answer_is_none_until_somebody_gave_it(inside: AirflowInside, users: dict[str, Any]) -> None:
    put = question()
    inside.ask(put)
    assert inside.answer(put.run_id) is None
    show(put.run_id)
    assert inside.answer(put.run_id) is None
    inside.give_answer(put.run_id, option="Approve", message="go", user=users["uma"])
    assert inside.answer(put.run_id) == HumanAnswer(option="Approve", message="go", user="uma")


@pytest.mark.usefixtures("ask_dag")
def test_a_second_answer_is_a_conflict_and_changes_nothing(inside: AirflowInside, users: dict[str, Any]) -> None:
    run_id = asked(inside)
    inside.give_answer(run_id, option="Approve", message="", user=users["uma"])
    with pytest.raises(AirflowConflict, match="already"):
        inside.give_answer(run_id, option="Reject", message="", user=users["ulf"])
    assert inside.answer(run_id) == HumanAnswer(option="Approve", message="", user="uma")


@pytest.mark.usefixtures("ask_dag")
def test_only_an_assigned_user_may_answer(inside: AirflowInside, users: dict[str, Any]) -> None:
    run_id = asked(inside, assigned=("uma",))
    with pytest.raises(AirflowForbidden, match="ulf"):
        inside.give_answer(run_id, option="Approve", message="", user=users["ulf"])
    assert inside.answer(run_id) is None
    inside.give_answer(run_id, option="Approve", message="", user=users["uma"])
    assert inside.answer(run_id) is not None


@pytest.mark.usefixtures("ask_dag")
@pytest.mark.parametrize("state", [PARKED, "running", "queued", "scheduled"])
def test_a_question_is_withdrawn_shown_or_not_and_whoever_it_was_put_to(
    inside: AirflowInside, airflow: Deployment, state: str
) -> None:
    run_id = asked(inside, assigned=("uma",)) if state == PARKED else unshown(inside)
    airflow.set_states("agentfix_ask", {"question": state}, run_id=run_id, state="running")
    inside.withdraw(run_id, reason="uma stopped the session.")
    run = airflow.run("agentfix_ask", run_id)
    assert (run["state"], run["note"]) == ("success", "uma stopped the session.")
    assert airflow.states("agentfix_ask", run_id)["question"] in ("success", "skipped")
    assert inside.answer(run_id) is None


@pytest.mark.usefixtures("ask_dag")
def test_a_question_whose_run_has_ended_or_never_was_is_left_alone(inside: AirflowInside, airflow: Deployment) -> None:
    run_id = unshown(inside)
    airflow.change_run("agentfix_ask", run_id, state="failed")
    inside.withdraw(run_id, reason="too late")
    inside.withdraw("agentfix__never", reason="too late")
    assert airflow.run("agentfix_ask", run_id)["state"] == "failed"


@pytest.mark.usefixtures("ask_dag")
def test_a_question_that_is_just_being_shown_is_waited_for(users: dict[str, Any]) -> None:
    inside = AirflowInside(patience=10, settle=0)
    put = question()
    inside.ask(put)
    later = Timer(0.7, show, (put.run_id,))
    later.start()
    inside.give_answer(put.run_id, option="Reject", message="no", user=users["uma"])
    later.join()
    assert inside.answer(put.run_id) == HumanAnswer(option="Reject", message="no", user="uma")


@pytest.mark.usefixtures("ask_dag")
def test_a_question_that_is_not_shown_in_time_says_try_again(inside: AirflowInside, users: dict[str, Any]) -> None:
    put = question()
    inside.ask(put)
    with pytest.raises(AirflowConflict, match=r"queued.*Try again"):
        inside.give_answer(put.run_id, option="Approve", message="", user=users["uma"])


@pytest.mark.usefixtures("ask_dag")
def test_a_question_whose_run_failed_is_not_waited_for(airflow: Deployment, users: dict[str, Any]) -> None:
    inside = AirflowInside(patience=30, settle=0)
    put = question()
    inside.ask(put)
    airflow.change_run("agentfix_ask", put.run_id, state="failed")
    with pytest.raises(AirflowConflict, match="failed without showing"):
        inside.give_answer(put.run_id, option="Approve", message="", user=users["uma"])


@pytest.mark.usefixtures("ask_dag")
def test_an_answer_to_an_unknown_question_is_not_found(inside: AirflowInside, users: dict[str, Any]) -> None:
    with pytest.raises(AirflowNotFound, match="no run 'agentfix__x'"):
        inside.give_answer("agentfix__x", option="Approve", message="", user=users["uma"])


def test_the_shape_is_that_of_the_runs_own_version(inside: AirflowInside, airflow: Deployment, dag_id: str) -> None:
    before = inside.shape(dag_id, "r1")
    airflow.add_dag(f'with DAG("{dag_id}", schedule=None):\n    @task\n    def new(): ...\n    new()\n', version="b" * 40)
    assert inside.shape(dag_id, "r1") == before
    assert set(before["tasks"]) == {"extract", "part"}


def test_the_served_version_is_that_of_the_newest_parse(inside: AirflowInside, airflow: Deployment) -> None:
    source = f'with DAG("served_{next(_number)}", schedule=None):\n    @task\n    def one(): ...\n    one()\n'
    dag_id = airflow.add_dag(source)
    airflow.add_dag(source, version="b" * 40)  # the same structure: no new DAG version
    assert inside.served_version(dag_id) == "b" * 40
    assert inside.served_version("nope") is None


def test_who_may_look_may_not_therefore_edit(inside: AirflowInside, users: dict[str, Any], dag_id: str) -> None:
    rights = {name: (inside.may(user, dag_id, edit=False), inside.may(user, dag_id, edit=True)) for name, user in users.items()}
    assert rights == {"vera": (True, False), "uma": (True, True), "ulf": (True, True), "nobody": (False, False)}


def test_of_many_dags_those_are_readable_that_are_one_by_one(
    inside: AirflowInside, airflow: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    ids = [airflow.add_dag(SOURCE.format(number=next(_number))) for _ in range(3)]
    user = SimpleAuthManagerUser(username="rita", role=f"read:{ids[0]} edit:{ids[2]}")
    with monkeypatch.context() as own:
        own.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.inside.own_manager.PerDagManager")
        create_auth_manager()
        readable = inside.readable(user, [*ids, "deleted_since"])
        assert readable == {one for one in [*ids, "deleted_since"] if inside.may(user, one, edit=False)} == {ids[0], ids[2]}
    purge_cached_app()
    create_auth_manager()


def test_a_run_is_seen_with_what_failed_in_it_and_the_tasks_that_were_asked_for(
    inside: AirflowInside, airflow: Deployment, dag_id: str
) -> None:
    seen = inside.run_seen(dag_id, "r1", task_ids=())
    assert seen is not None
    assert (seen.state, seen.version, seen.failed, seen.victims) == ("failed", "a" * 40, 1, 0)
    assert [(one.task_id, one.map_index, one.state) for one in seen.tasks] == [("part", 1, "failed")]
    airflow.set_states(dag_id, {"extract": "failed", "part[0]": "upstream_failed", "part[1]": "upstream_failed"})
    seen = inside.run_seen(dag_id, "r1", task_ids=("part",))
    assert seen is not None
    assert (seen.failed, seen.victims) == (1, 2)
    assert {(one.task_id, one.map_index): one.state for one in seen.tasks} == {
        ("extract", -1): "failed",
        ("part", 0): "upstream_failed",
        ("part", 1): "upstream_failed",
    }
    assert inside.run_seen(dag_id, "r2", task_ids=("part",)) is None


def test_states_are_told_of_those_runs_that_there_are(inside: AirflowInside, airflow: Deployment, dag_id: str) -> None:
    airflow.add_run(dag_id, {}, run_id="r2", state="running")
    assert inside.run_states(dag_id, ["r1", "r2", "r3"]) == {"r1": "failed", "r2": "running"}
    assert inside.run_states(dag_id, []) == {}
    assert inside.run_states("nope", ["r1"]) == {}


@pytest.mark.parametrize(("all_admins", "expected"), [("True", True), ("False", False)])
def test_everybody_is_the_same_user_where_all_are_admins(
    inside: AirflowInside, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch, all_admins: str, expected: bool
) -> None:
    assert users
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", all_admins)
    assert inside.one_user_for_all() is expected


def test_an_auth_manager_of_ones_own_knows_people_whatever_the_simple_one_is_told(
    inside: AirflowInside, users: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app

    assert users
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    with monkeypatch.context() as own:
        own.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.inside.own_manager.OwnManager")
        create_auth_manager()
        assert not inside.one_user_for_all()
    purge_cached_app()
    create_auth_manager()
    assert inside.one_user_for_all()


def test_the_same_file_imported_in_a_child_has_the_runs_own_shape(inside: AirflowInside, airflow: Deployment) -> None:
    from airflow_agentfix.code.import_check import import_shape

    source = f"""
with DAG("same_{next(_number)}", schedule="@daily", default_args={{"retries": 2, "pool": "default_pool"}}):
    @setup
    def up(): ...
    @task(executor_config={{"a": 1}}, retry_delay=7)
    def part(x): ...
    @task_group
    def g(x):
        part(x)
    up() >> g.expand(x=[1, 2]) >> part.expand(x=[3])
"""
    dag_id = airflow.add_dag(source)
    airflow.add_run(dag_id, {})
    assert import_shape(airflow.folder, dag_file="dags.py", dag_id=dag_id).shape == inside.shape(dag_id, "r1")

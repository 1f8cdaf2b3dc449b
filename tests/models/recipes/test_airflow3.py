"""DAGs written for Airflow 2, failing on the Airflow that is installed here."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.conversation import converse, fail, failed, write

TASK = "def task():\n    {}\n    return {}\n\ntask()\n"


@pytest.mark.parametrize(
    ("dag", "new"),
    [
        pytest.param(dag, new, id=name)
        for name, (dag, new) in {
            "moved_to_a_provider": (
                "from airflow.operators.bash_operator import BashOperator\n\nBashOperator(task_id='a', bash_command='b')\n",
                "from airflow.providers.standard.operators.bash import BashOperator\n",
            ),
            "renamed_and_moved": (
                "from airflow.operators.dummy import DummyOperator\n\nDummyOperator(task_id='a')\n",
                "from airflow.providers.standard.operators.empty import EmptyOperator\n\nEmptyOperator(task_id='a')\n",
            ),
            "moved_in_airflow": (
                "from airflow.hooks.base_hook import BaseHook\n\nprint(BaseHook)\n",
                "from airflow.hooks.base import BaseHook\n",
            ),
            "renamed_argument_of_the_dag": (
                "from airflow.sdk import DAG\n\nDAG('shop', schedule_interval='@daily')\n",
                "DAG('shop', schedule='@daily')\n",
            ),
        }.items()
    ],
)
def test_what_moved_is_taken_from_its_new_place(tmp_path: Path, dag: str, new: str) -> None:
    write(tmp_path, dags__dag_py=dag)
    story = converse(tmp_path, fail(tmp_path))
    assert story.outcome == "fixed", story.report["root_cause"]
    assert new in story.changed["dags/dag.py"]
    compile(story.changed["dags/dag.py"], "dag.py", "exec")


@pytest.mark.parametrize(
    "dag",
    [
        pytest.param("from airflow.utils.dates import days_ago\n\nprint(days_ago(2))\n", id="removed_without_a_replacement"),
        pytest.param("from airflow.operators.subdag import SubDagOperator\n\nSubDagOperator()\n", id="removed_for_good"),
        pytest.param("from airflow.contrib.mine import Thing\n\nThing()\n", id="never_there"),
        pytest.param("from airflow.providers.acme.hooks import Hook\n\nHook()\n", id="a_provider_that_is_not_installed"),
        pytest.param("from airflow.sdk import DAG\n\nDAG('shop', default_view='graph')\n", id="an_argument_that_is_gone"),
        pytest.param(
            "from airflow.sdk import DAG\n\nDAG('shop', **{'schedule_interval': '@daily'})\n", id="an_argument_computed"
        ),
        pytest.param("import importlib\n\nimportlib.import_module('airflow.operators.dummy')\n", id="imported_by_a_string"),
        pytest.param("from airflow.operators.dummy import DummyOperator\n\nprint('DummyOperator' in dir())\n", id="never_called"),
        pytest.param(
            "from airflow.utils.dates import days_ago, parse_execution_date\n\nprint(days_ago, parse_execution_date)\n",
            id="two_removed",
        ),
    ],
)
def test_without_a_replacement_a_person_must_choose(tmp_path: Path, dag: str) -> None:
    write(tmp_path, dags__dag_py=dag)
    story = converse(tmp_path, fail(tmp_path))
    assert (story.outcome, story.changed) == ("reported", {})


def test_a_file_that_does_not_use_what_is_missing_is_left_alone(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py="import helper\n\nhelper.run()\n", dags__helper_py="def run():\n    pass\n")
    incident = failed(
        tmp_path,
        "ModuleNotFoundError",
        "No module named 'airflow.operators.dummy'",
        [(str(tmp_path / "dags/dag.py"), 3, "<module>")],
    )
    assert converse(tmp_path, incident).outcome == "reported"

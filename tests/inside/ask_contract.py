"""A question from its run's conf to Required Actions and back, through Airflow's own task process and execution API."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from airflow_agentfix import resources
from airflow_agentfix.airflow_inside import AirflowInside
from airflow_agentfix.errors import AirflowConflict
from airflow_agentfix.ports import HumanAnswer, Question
from tests.inside.database import Deployment

pytestmark = pytest.mark.skipif(
    version("apache-airflow-core").startswith("3.2."), reason="3.2's in-process execution API serves before its lifespan has run"
)
BODY = "Look at `{{ conn.prod.password }}`\n{% for x in y %}"
_number = count()


@pytest.fixture(scope="module")
def task(database: Path) -> Any:
    """The task of the shipped DAG, stored as the DAG processor does."""
    dag = Deployment(database / "parsed").store(resources.dags_folder() / "agentfix_ask.py", bundle="plain")
    assert (dag.dag_id, dag.tags) == ("agentfix_ask", {"agentfix"})
    return dag.get_task("question")


@pytest.fixture
def uma() -> Any:
    from airflow.api_fastapi.app import create_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    create_auth_manager()
    return SimpleAuthManagerUser(username="uma", role="op")


def ask(**changes: Any) -> str:
    """Start the run; its id."""
    run_id = f"agentfix__ask__{next(_number)}"
    AirflowInside().ask(
        Question(**{"run_id": run_id, "subject": "{{ 1 + 1 }}?", "body": BODY, "options": ("Yes", "No"), **changes})
    )
    return run_id


def work(task: Any, run_id: str) -> str:
    """Let the task's process run until it waits or ends; its state."""
    from airflow.models import TaskInstance
    from airflow.sdk.api.datamodels._generated import TaskInstance as Message
    from airflow.sdk.execution_time.supervisor import run_task_in_process
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        instance = session.scalar(
            select(TaskInstance).where(TaskInstance.dag_id == "agentfix_ask", TaskInstance.run_id == run_id)
        )
        instance.dag_run.start_date = instance.dag_run.queued_at
        instance.state = TaskInstanceState.QUEUED
        instance.try_number = max(instance.try_number, 1)
        message = Message(
            id=UUID(str(instance.id)), task_id=instance.task_id, dag_id=instance.dag_id, run_id=run_id, map_index=-1,
            try_number=instance.try_number, dag_version_id=UUID(str(instance.dag_version_id)),
        )  # fmt: skip
    return str(run_task_in_process(ti=message, task=task).ti.state.value)


def sweep() -> None:
    """What the scheduler does now and then."""
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    SchedulerJobRunner(Job()).check_awaiting_input_timeouts()


def _instance(run_id: str) -> Any:
    from airflow.models import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    with create_session(scoped=False) as session:
        of_run = select(TaskInstance).where(TaskInstance.dag_id == "agentfix_ask", TaskInstance.run_id == run_id)
        return session.scalar(of_run.options(joinedload(TaskInstance.trigger)))


def _now() -> datetime:
    return datetime.now(UTC)


def shown(run_id: str) -> Any:
    from airflow.utils.session import create_session

    from airflow_agentfix.airflow_inside import _question

    with create_session(scoped=False) as session:
        return _question(session, run_id)


def test_the_question_is_shown_with_exactly_its_words(task: Any) -> None:
    run_id = ask(assigned_users=("uma", "ulf"))
    assert work(task, run_id) in {"awaiting_input", "deferred"}
    question = shown(run_id)
    assert (question.subject, question.body, list(question.options)) == ("{{ 1 + 1 }}?", BODY, ["Yes", "No"])
    assert [user["id"] for user in question.assigned_users] == ["uma", "ulf"]
    assert list(question.params) == ["message"]


def test_an_answer_ends_the_run_and_carries_its_message(task: Any, uma: Any) -> None:
    run_id = ask()
    if work(task, run_id) == "deferred":
        pytest.skip("before 3.3 the triggerer resumes the task: tests/e2e")
    AirflowInside().give_answer(run_id, option="No", message="wait for Ann", user=uma)
    assert AirflowInside().answer(run_id) == HumanAnswer(option="No", message="wait for Ann", user="uma")
    assert work(task, run_id) == "success"


def test_a_question_with_an_end_to_it_fails_without_an_answer_when_that_has_come(task: Any) -> None:
    run_id = ask(hours=1e-7)
    state = work(task, run_id)
    if state == "deferred":  # before 3.3 the triggerer ends the wait
        assert _instance(run_id).trigger.kwargs["timeout_datetime"] < _now()
        return
    sweep()
    assert AirflowInside().answer(run_id) is None
    assert work(task, run_id) == "failed"


def test_a_question_without_an_end_to_it_waits_for_ever(task: Any) -> None:
    run_id = ask()
    if work(task, run_id) == "deferred":
        assert _instance(run_id).trigger.kwargs["timeout_datetime"] is None
    else:
        assert _instance(run_id).trigger_timeout is None


def test_a_question_whose_end_was_configured_later_is_still_the_same_question(task: Any) -> None:
    run_id = ask()
    ask(run_id=run_id)
    with pytest.raises(AirflowConflict):
        ask(run_id=run_id, hours=1.0)


def test_a_run_without_a_question_fails_and_shows_nothing(task: Any) -> None:
    AirflowInside().start_run("agentfix_ask", run_id="by_hand", conf={})
    assert work(task, "by_hand") == "failed"
    assert shown("by_hand") is None

"""AgentFixOperator in Airflow's own task process: what it waits for, returns, links to and fails with."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from airflow_agentfix import resources
from airflow_agentfix.core.session import Outcome, Session, State, WaitFor
from airflow_agentfix.ports import WaitRun
from tests.inside.database import Deployment

pytestmark = pytest.mark.skipif(
    version("apache-airflow-core").startswith("3.2."), reason="3.2's in-process execution API serves before its lifespan has run"
)
AT = "2026-11-22T07:00:00+00:00"
ENDED = Session(
    "s1", "shop", "monday", "sum", -1, 1, State.DONE, "rerun", "callback", created_at=AT, updated_at=AT, outcome=Outcome.FIXED,
    summary="The run is green.", fix_branch="fix/shop", fix_commit="c" * 40, pull_request="https://git.example/pull/7",
)  # fmt: skip
_number = count()


@dataclass
class Drives:
    """A driver that gives what it was told to give, and remembers how it was called."""

    given: Any
    calls: list[dict[str, Any]] = field(default_factory=list)

    def drive(self, session_id: str, **how: Any) -> Any:
        self.calls.append({"session_id": session_id, **how})
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


@dataclass
class Ran:
    """How one try went."""

    run_id: str
    state: str
    driver: Drives
    result: Any


@pytest.fixture(scope="module")
def task(database: Path) -> Any:
    """The task of the shipped DAG, stored as the DAG processor does."""
    return Deployment(database / "parsed").store(resources.dags_folder() / "agentfix_fix.py", bundle="plain").get_task("drive")


def drive(task: Any, given: Any, *, run_id: str | None = None, try_number: int = 1, next_method: str | None = None) -> Ran:
    """One try in a run whose conf names session s1."""
    from airflow.models import TaskInstance
    from airflow.sdk.api.datamodels._generated import TaskInstance as Message
    from airflow.sdk.execution_time.supervisor import run_task_in_process
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    from airflow_agentfix.airflow_inside import AirflowInside

    driver = Drives(given)
    task.driver = lambda: driver
    if run_id is None:
        run_id = f"agentfix__s1__{next(_number)}"
        AirflowInside().start_run("agentfix_fix", run_id=run_id, conf={"session_id": "s1"})
    with create_session(scoped=False) as session:
        instance = session.scalar(
            select(TaskInstance).where(TaskInstance.dag_id == "agentfix_fix", TaskInstance.run_id == run_id)
        )
        instance.dag_run.start_date = instance.dag_run.queued_at
        instance.state, instance.try_number, instance.max_tries = TaskInstanceState.QUEUED, try_number, 3
        instance.next_method = next_method
        instance.next_kwargs = {"event": {}} if next_method else None
        message = Message(
            id=UUID(str(instance.id)), task_id=instance.task_id, dag_id=instance.dag_id, run_id=run_id, map_index=-1,
            try_number=try_number, dag_version_id=UUID(str(instance.dag_version_id)),
        )  # fmt: skip
    result = run_task_in_process(ti=message, task=task)
    return Ran(run_id, str(result.ti.state.value), driver, result)


def stored(ran: Ran) -> Any:
    """The task instance as the database has it, with its trigger."""
    from airflow.models import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    with create_session(scoped=False) as session:
        query = select(TaskInstance).options(joinedload(TaskInstance.trigger))
        return session.scalar(query.where(TaskInstance.dag_id == "agentfix_fix", TaskInstance.run_id == ran.run_id))


def xcom(ran: Ran, key: str) -> Any:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        row = session.scalar(select(XComModel).where(XComModel.run_id == ran.run_id, XComModel.key == key))
        return XComModel.deserialize_value(row) if row is not None else None


TRIGGERS = {"rerun": "RunEndedTrigger", "task": "RunEndedTrigger", "person": "AnsweredTrigger"}


@pytest.mark.parametrize("waiting_for", TRIGGERS)
def test_a_session_that_waits_gives_its_slot_back_until_that_run_has_ended(task: Any, waiting_for: str) -> None:
    ran = drive(task, WaitRun("shop", "monday", WaitFor(waiting_for), "c1", until="2026-11-23T07:00:00+00:00"))
    assert ran.state == "deferred"
    waiting = stored(ran)
    assert waiting.next_method == "resume"
    assert waiting.trigger.classpath == f"airflow_agentfix.operators.triggers.{TRIGGERS[waiting_for]}"
    kwargs = waiting.trigger.kwargs
    assert (kwargs["dag_id"], list(kwargs["run_ids"])) == ("shop", ["monday"])
    assert [str(state) for state in kwargs["states"]] == ["success", "failed"]
    assert kwargs["until"] == "2026-11-23T07:00:00+00:00"


def test_a_session_that_waits_for_a_preview_looks_again_after_a_while(task: Any) -> None:
    waiting = stored(drive(task, WaitRun("shop.fix-a", "rerun1", WaitFor.PREVIEW, "c1")))
    assert waiting.trigger.classpath == "airflow_agentfix.operators.triggers.PauseTrigger"
    assert waiting.trigger.kwargs == {"seconds": 15.0}


def test_the_session_of_the_runs_conf_is_driven_in_the_tasks_name(task: Any) -> None:
    ran = drive(task, ENDED)
    (call,) = ran.driver.calls
    assert call == {"session_id": "s1", "worker": f"agentfix_fix/{ran.run_id}/drive/1", "last_try": False}


def test_the_last_try_is_told_that_it_is_the_last(task: Any) -> None:
    ran = drive(task, ENDED, try_number=4)
    assert ran.driver.calls[0]["last_try"] is True


def test_a_woken_task_goes_on_in_the_same_name_whatever_the_event_says(task: Any) -> None:
    first = drive(task, WaitRun("shop", "monday", WaitFor.RERUN))
    woken = drive(task, ENDED, run_id=first.run_id, next_method="resume")
    assert woken.state == "success"
    assert woken.driver.calls == first.driver.calls


def test_the_ended_session_is_returned_and_linked(task: Any) -> None:
    ran = drive(task, ENDED)
    assert ran.state == "success"
    assert xcom(ran, "return_value") == {
        "session_id": "s1",
        "state": "done",
        "outcome": "fixed",
        "summary": "The run is green.",
        "fix_branch": "fix/shop",
        "fix_commit": "c" * 40,
        "pull_request": "https://git.example/pull/7",
    }
    assert xcom(ran, "_link_PullRequestLink") == "https://git.example/pull/7"
    assert xcom(ran, "_link_FailedRunLink") == "/dags/shop/runs/monday"


@pytest.mark.parametrize("outcome", [one for one in Outcome if one is not Outcome.FAILED])
def test_any_end_but_a_failure_of_ours_is_a_success_of_the_task(task: Any, outcome: Outcome) -> None:
    assert drive(task, replace(ENDED, outcome=outcome)).state == "success"


def test_a_failed_session_fails_the_task_and_is_not_tried_again(task: Any) -> None:
    ran = drive(task, replace(ENDED, outcome=Outcome.FAILED, summary="The key was refused."))
    assert ran.state == "failed"
    assert "Session 's1' failed: The key was refused." in str(ran.result.error)


def test_what_another_try_may_mend_is_tried_again(task: Any) -> None:
    from airflow_agentfix.errors import AirflowUnreachable

    assert drive(task, AirflowUnreachable("away")).state == "up_for_retry"

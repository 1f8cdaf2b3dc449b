"""The callback: what it hands over, and that it never makes a task's failure worse."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.api.datamodels._generated import TaskInstanceState

from airflow_agentfix import AgentFixNotifier, agentfix_on_failure, redaction
from airflow_agentfix.errors import ConfigurationError
from tests.fakes.deployment import API, Deployment, task_json


@dataclass
class Ti:
    """The part of Airflow's runtime task instance that a callback gets to see."""

    dag_id: str = "orders"
    run_id: str = "scheduled__2026-11-22T00:00:00+00:00"
    task_id: str = "load"
    try_number: int = 3
    map_index: int | None = -1
    state: TaskInstanceState | None = TaskInstanceState.FAILED


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[Deployment]:
    caplog.set_level(logging.INFO, "airflow_agentfix")
    with Deployment() as deployment:
        for name, value in deployment.environ.items():
            monkeypatch.setenv(name, value)
        yield deployment


def failures(airflow: Deployment) -> list[Any]:
    return airflow.sent("POST", f"{API}/failures")


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "airflow_agentfix.notifier"]


def test_a_failed_task_is_handed_over_in_one_request(airflow: Deployment):
    agentfix_on_failure(autonomy="propose")({"ti": Ti(map_index=7), "exception": KeyError("amount")})
    assert failures(airflow) == [
        {
            "dag_id": "orders",
            "run_id": "scheduled__2026-11-22T00:00:00+00:00",
            "task_id": "load",
            "try_number": 3,
            "map_index": 7,
            "source": "callback",
            "autonomy": "propose",
            "hint": {"exception": "KeyError", "message": "'amount'"},
        }
    ]
    assert [request.path for request in airflow.requests] == ["/auth/token", f"{API}/failures"]


@pytest.mark.usefixtures("airflow")
def test_one_line_names_the_session(caplog: pytest.LogCaptureFixture):
    AgentFixNotifier()({"ti": Ti(), "exception": KeyError("amount")})
    assert said(caplog) == ["AgentFix session s1 (open) has taken over orders/scheduled__2026-11-22T00:00:00+00:00/load."]


def test_a_warning_of_the_server_is_passed_on(airflow: Deployment, caplog: pytest.LogCaptureFixture):
    airflow.warning = "agentfix_fix is paused"
    AgentFixNotifier()({"ti": Ti()})
    assert "agentfix_fix is paused" in said(caplog)[0]


def test_an_intake_that_takes_no_more_is_asked_once_and_left_to_triage(airflow: Deployment, caplog: pytest.LogCaptureFixture):
    told = {"error": {"type": "RateLimited", "message": "600 failures within a minute."}}
    airflow.errors[f"POST {API}/failures"] = (429, told)
    AgentFixNotifier()({"ti": Ti(), "exception": KeyError("amount")})
    assert len(failures(airflow)) == 1
    assert said(caplog) == [
        "AgentFix was not told of this failure (RateLimited: 600 failures within a minute.). Its triage DAG will find it."
    ]


def test_secrets_in_the_exception_do_not_leave_the_task(airflow: Deployment):
    error = RuntimeError("could not connect to postgresql://app:hunter2@db:5432/shop " + "x" * 50_000)
    AgentFixNotifier()({"ti": Ti(), "exception": error})
    message = failures(airflow)[0]["hint"]["message"]
    assert "could not connect" in message
    assert "hunter2" not in message
    assert len(message) <= 1_000


def test_a_task_killed_from_outside_has_no_exception_and_is_handed_over(airflow: Deployment):
    AgentFixNotifier()({"ti": Ti(state=None)})
    assert [failure["hint"] for failure in failures(airflow)] == [{}]


def test_a_try_that_will_be_retried_is_left_alone_and_said_so(airflow: Deployment, caplog: pytest.LogCaptureFixture):
    AgentFixNotifier()({"ti": Ti(state=TaskInstanceState.UP_FOR_RETRY), "exception": KeyError("amount")})
    assert airflow.requests == []
    assert "Use on_failure_callback, not on_retry_callback" in said(caplog)[0]


def test_a_dag_level_callback_hands_over_the_task_that_failed_first(airflow: Deployment):
    airflow.task_instances = [
        task_json("orders", "monday", "extract", end="2026-11-22T06:00:00+00:00", state="success"),
        task_json("orders", "monday", "publish", end="2026-11-22T06:03:00+00:00", state="upstream_failed"),
        task_json("orders", "monday", "mail", end="2026-11-22T06:02:00+00:00"),
        task_json("orders", "monday", "load", end="2026-11-22T06:01:00+00:00", try_number=2),
    ]
    AgentFixNotifier()({"dag": DAG("orders", schedule=None), "run_id": "monday", "reason": "task_failure"})
    (failure,) = failures(airflow)
    assert (failure["task_id"], failure["try_number"]) == ("load", 2)
    assert failure["hint"]["message"] == "task_failure"


def test_the_task_instance_in_a_dag_level_context_is_not_taken_for_the_failed_one(airflow: Deployment):
    airflow.task_instances = [task_json("orders", "monday", "load", end="2026-11-22T06:01:00+00:00")]
    AgentFixNotifier()({"ti": Ti(run_id="monday", task_id="publish", state=None), "reason": "task_failure"})
    assert [failure["task_id"] for failure in failures(airflow)] == ["load"]


def test_a_dag_level_callback_of_a_run_without_a_failed_task_says_so(airflow: Deployment, caplog: pytest.LogCaptureFixture):
    AgentFixNotifier()({"dag": DAG("orders", schedule=None), "run_id": "monday", "reason": "timed_out"})
    assert failures(airflow) == []
    assert "Run 'monday' of 'orders' has no failed task instance" in said(caplog)[0]


def test_agentfix_does_not_work_on_its_own_dags(airflow: Deployment, caplog: pytest.LogCaptureFixture):
    AgentFixNotifier()({"ti": Ti(dag_id="agentfix_fix")})
    assert airflow.requests == []
    assert "own DAG agentfix_fix" in said(caplog)[0]


@pytest.mark.parametrize("away", ["nothing listens", "login refused", "no plugin", "hangs"])
def test_what_could_not_be_handed_over_is_one_line_and_no_error(
    away: str, airflow: Deployment, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    if away == "nothing listens":
        monkeypatch.setenv("AGENTFIX_AIRFLOW_URL", f"http://127.0.0.1:{closed_port()}")
    airflow.refuses_login = away == "login refused"
    airflow.refusals = {f"POST {API}/failures": (404, "Not Found")} if away == "no plugin" else {}
    airflow.delay = 60.0 if away == "hangs" else 0.0
    started = time.monotonic()
    AgentFixNotifier()({"ti": Ti(), "exception": KeyError("amount")})
    assert time.monotonic() - started < 40
    assert len(said(caplog)) == 1
    assert "Its triage DAG will find it." in said(caplog)[0]


@pytest.mark.usefixtures("airflow")
def test_patterns_that_cannot_be_read_are_one_line_and_no_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("AIRFLOW__AGENTFIX__REDACT_PATTERNS", "ACME-[")
    redaction._configured.cache_clear()
    try:
        AgentFixNotifier()({"ti": Ti(), "exception": KeyError("amount")})
    finally:
        redaction._configured.cache_clear()
    assert len(said(caplog)) == 1
    assert "[agentfix] redact_patterns is 'ACME-['" in said(caplog)[0]


@pytest.mark.usefixtures("airflow")
def test_a_context_that_is_none_of_a_callback_is_one_line_and_no_error(caplog: pytest.LogCaptureFixture):
    AgentFixNotifier()({"params": {}})
    assert "expected a task instance, or a DAG and its run" in said(caplog)[0]


def test_an_unknown_autonomy_is_an_error_of_the_dag_file():
    with pytest.raises(ConfigurationError, match="autonomy is 'everything'; expected one of report, propose, rerun, recover"):
        agentfix_on_failure(autonomy="everything")


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

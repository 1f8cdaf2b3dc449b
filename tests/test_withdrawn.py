"""A question nobody needs an answer to any more leaves Required Actions; an answer finds somebody who works on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, State, fix_run_id
from airflow_agentfix.ports import Claim, WaitRun
from airflow_agentfix.settings import Settings
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, READER, WORKER, Server
from tests.fakes.server_airflow import ASK_DAG


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """Where anna may edit the DAG's runs, and is no approver."""
    made = Server(new_database("sqlite", tmp_path), Settings(approvers=("boss",)))
    yield made
    made.close()


def asks(server: Server) -> tuple[Claim, WaitRun]:
    claim = server.claimed()
    wait: WaitRun = server.service.worker.ask(
        claim.session.id, WORKER, lease=claim.lease, call_id="call-1", subject="Which?", body="A or B", options=["A", "B"]
    )
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=wait)
    return claim, wait


def test_an_answer_to_a_session_whose_run_has_ended_is_worked_on_in_a_new_one(server: Server) -> None:
    claim, _ = asks(server)
    server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 1)] = "failed"
    server.service.reply(claim.session.id, ANNA, message="A")
    assert server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 2)] == "running"
    assert EventKind.ANSWER in {event.kind for event in server.claimed(claim.session.id, number=2).events}


def test_an_answer_to_a_session_whose_run_waits_starts_no_other(server: Server) -> None:
    claim, _ = asks(server)
    server.service.reply(claim.session.id, ANNA, message="A")
    assert ("agentfix_fix", fix_run_id(claim.session.id, 2)) not in server.airflow.runs


def test_a_question_of_an_abandoned_session_leaves_required_actions_when_that_is_noticed(server: Server) -> None:
    claim, wait = asks(server)
    server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 1)] = "failed"
    assert server.service.get(claim.session.id, READER).outcome is Outcome.FAILED
    assert server.airflow.runs[ASK_DAG, wait.run_id] == "success"
    assert server.airflow.answer(wait.run_id) is None


@pytest.mark.parametrize("verb", ["stop", "erase"])
def test_who_is_no_approver_stops_a_session_and_its_approval_leaves_required_actions(server: Server, verb: str) -> None:
    claim = server.with_fix()
    wait: Any = server.approval(claim)
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=wait)
    assert getattr(server.service, verb)(claim.session.id, ANNA).state is State.DONE
    assert server.airflow.runs[ASK_DAG, wait.run_id] == "success"
    assert server.airflow.answer(wait.run_id) is None

"""The session API's clients, against the API itself over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.core.session import EventKind, Outcome, PinEnd, State, WaitFor
from airflow_agentfix.errors import (
    AirflowNotFound,
    DecisionRequired,
    InvalidTransition,
    NotAllowed,
    SessionConflict,
    SessionNotFound,
)
from airflow_agentfix.ports import Answer, WaitRun
from airflow_agentfix.store.client import HttpSessionClient, SessionsApi
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import COMMIT, DAG, RUN, TASK, Server, approved, facts, fix_data, model_data, worker_of


class Token:
    """A login that is a name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def current(self) -> str:
        return self.name

    def renew(self, refused: str) -> str:
        return refused


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    yield server
    server.close()


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    with ApiServer(server.service) as api:
        yield api.url


@pytest.fixture
def people(url: str) -> SessionsApi:
    return SessionsApi(AirflowHttp(url, Token("anna")))


@pytest.fixture
def worker(url: str) -> HttpSessionClient:
    return HttpSessionClient(AirflowHttp(url, Token("agentfix-worker")))


def test_the_whole_way_from_failure_to_rerun_with_an_approval(
    server: Server, people: SessionsApi, worker: HttpSessionClient
) -> None:
    taken = people.intake(dag_id=DAG, run_id=RUN, task_id=TASK, hint={"exception": "KeyError"})
    claim = worker.claim(taken.id, worker=worker_of(taken.id))
    events = worker.append(
        taken.id, lease=claim.lease, after=3, events=[(EventKind.MODEL, model_data()), (EventKind.FIX, fix_data())]
    )
    assert [event.number for event in events] == [4, 5]
    assert worker.shape(taken.id, lease=claim.lease) == {"tasks": {TASK: {}}}

    wait = worker.approval(taken.id, lease=claim.lease, call_id="c1", commit=COMMIT)
    assert isinstance(wait, WaitRun)
    worker.park(taken.id, lease=claim.lease, wait=wait)
    assert people.get(taken.id).waiting_for is WaitFor.PERSON
    with pytest.raises(DecisionRequired):
        people.reply(taken.id, message="yes")
    people.reply(taken.id, decision="approve")

    lease = worker.claim(taken.id, worker=worker_of(taken.id)).lease
    assert worker.approval(taken.id, lease=lease, call_id="c1", commit=COMMIT) == approved("anna")
    assert facts(worker.rerun(taken.id, lease=lease, call_id="c1")) == ("pin", DAG, RUN, COMMIT, (TASK,), -1)
    done = worker.finish(
        taken.id, lease=lease, outcome=Outcome.FIXED, summary="Green.", verdict="code", report={"a": 1}, error=None
    )
    assert (done.state, done.outcome, done.fix_commit) == (State.DONE, Outcome.FIXED, COMMIT)
    assert people.list(dag_id=DAG, state="done") == [people.get(taken.id)]
    assert [event.kind.value for event in people.events(taken.id, after=5)] == [
        "question", "parked", "answer", "approval", "claimed", "rerun", "finished",
    ]  # fmt: skip

    server.airflow.runs[DAG, RUN], server.airflow.served[DAG] = "success", "5" * 40
    assert [one.id for one in people.list(pinned=True)] == [taken.id]
    people.end_pin(taken.id, version="5" * 40, reason=PinEnd.MERGED)
    assert server.airflow.versions[DAG, RUN] == "5" * 40
    assert people.list(pinned=True) == []


def test_a_question_and_its_answer(server: Server, people: SessionsApi, worker: HttpSessionClient) -> None:
    taken = people.create(dag_id=DAG, run_id=RUN, task_id=TASK, message="Be quick.")
    lease = worker.claim(taken.id, worker="w").lease
    ask = {"call_id": "c1", "subject": "Which?", "body": "A or B", "options": ["A", "B"]}
    wait = worker.ask(taken.id, lease=lease, **ask)
    assert isinstance(wait, WaitRun)
    server.airflow.required_action(wait.run_id, "A", user="ben")
    assert worker.ask(taken.id, lease=lease, **ask) == Answer("q5", "answer", "A", "ben")


def test_the_apis_errors_come_back_as_what_they_are(
    server: Server, url: str, people: SessionsApi, worker: HttpSessionClient
) -> None:
    taken = people.create(dag_id=DAG, run_id=RUN, task_id=TASK)
    worker.claim(taken.id, worker="one")
    with pytest.raises(SessionConflict, match="'one'"):
        worker.claim(taken.id, worker="two")
    with pytest.raises(SessionConflict):
        worker.append(taken.id, lease="stolen", after=2, events=[])
    with pytest.raises(InvalidTransition):
        people.reply(taken.id, message="?")
    with pytest.raises(SessionNotFound, match="No session 'unknown'"):
        people.get("unknown")
    with pytest.raises(NotAllowed):
        SessionsApi(AirflowHttp(url, Token("reader"))).stop(taken.id)
    with pytest.raises(AirflowNotFound, match="'lod'"):
        people.create(dag_id=DAG, run_id=RUN, task_id="lod")


def test_telling_stopping_and_deleting(server: Server, people: SessionsApi) -> None:
    taken = people.create(dag_id=DAG, run_id=RUN, task_id=TASK)
    assert people.message(taken.id, "hello").id == taken.id
    assert people.stop(taken.id, reason="enough").outcome is Outcome.STOPPED
    people.delete(taken.id)
    assert people.events(taken.id)[0].data == {}

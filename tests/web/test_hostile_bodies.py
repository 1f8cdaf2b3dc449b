"""What a hostile or broken client sends must be refused, or kept so that it can be told again; on SQLite and on Postgres."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_agentfix.core.session import EventKind
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.store import tables
from airflow_agentfix.store.engine import writing
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import DAG, RUN, TASK, WORKER, Server, model_data
from tests.web import routes

FAILURE = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
TOKEN = "ghp_" + "a1B2" * 9
INCIDENT = {"fingerprint": "f", "judgement": {"verdict": "code"}, "cause": {"line": "x"}}


@pytest.fixture(params=["sqlite", "postgresql"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    yield server
    server.close()


@pytest.fixture
def api(server: Server) -> Iterator[ApiServer]:
    with ApiServer(server.service) as api:
        yield api


def call(api: ApiServer, method: str, path: str, body: str | None = None, *, user: str = "anna") -> requests.Response:
    return routes.call(api, method, path, user=user, headers={"Content-Type": "application/json"}, data=body)


def append(api: ApiServer, server: Server, claim: Any, kind: str, data: str) -> requests.Response:
    """`data` is JSON as sent: some of it no Python value has."""
    last = server.store.get(claim.session.id).session.last_event
    body = f'{{"lease": "{claim.lease}", "after": {last}, "events": [{{"kind": "{kind}", "data": {data}}}]}}'
    return call(api, "POST", f"/sessions/{claim.session.id}/events", body, user="agentfix-worker")


def result(text: str) -> str:
    return f'{{"call_id": "c", "tool": "list_files", "text": "{text}", "is_error": false}}'


def test_text_no_database_or_answer_can_hold_does_not_lock_the_session(api: ApiServer, server: Server) -> None:
    """A file name that is no UTF-8 comes as a lone surrogate."""
    claim = server.claimed()
    assert append(api, server, claim, "result", result("caf\\udce9.py a\\u0000b")).status_code == 200
    assert append(api, server, claim, "incident", json.dumps({**INCIDENT, "fingerprint": "f\0"})).status_code == 200
    told = call(api, "GET", f"/sessions/{claim.session.id}/events").json()["events"]
    assert [event["data"]["text"] for event in told if event["kind"] == "result"] == ["caf.py ab"]
    assert server.store.broken_link(claim.session.id) is None


@pytest.mark.parametrize("depth", [60, 300, 900, 100_000])
def test_deep_nesting_is_refused_and_leaves_the_session_readable(api: ApiServer, server: Server, depth: int) -> None:
    claim = server.claimed()
    assert append(api, server, claim, "result", f'{{"a": {"[" * depth}{"]" * depth}}}').status_code == 422
    assert call(api, "GET", f"/sessions/{claim.session.id}/events").status_code == 200


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("model", '{"content": [], "dollars": 1e999}'),
        ("model", '{"content": [], "dollars": NaN}'),
        ("model", '{"content": [], "dollars": -5}'),
        ("model", '{"content": [], "usage": {"output_tokens": -1}}'),
        ("model", f'{{"content": [], "usage": {{"input_tokens": {10**30}}}}}'),
        ("model", '{"content": [], "basis": {"size": 5}}'),
        ("new_transcript", '{"text": "t", "because": ["model"], "basis": {"model": "m"}}'),
        ("new_transcript", '{"text": 5, "because": [], "before": {"model": "m"}, "basis": {"model": "m"}}'),
        ("new_transcript", '{"text": "t", "because": 5, "before": {"model": "m"}, "basis": {"model": "m"}}'),
        ("patch", '{"files": 5}'),
        ("patch", '{"files": [{"path": "a", "before": 1, "after": null}]}'),
        ("patch", '{"files": [], "findings": [5]}'),
        ("fix", '{"branch": "b", "commit": "c", "findings": ["x"]}'),
        ("incident", '{"fingerprint": ["f"], "judgement": {"verdict": {}}, "cause": {"line": 5}}'),
    ],
)
def test_numbers_and_shapes_that_would_break_a_later_reader_are_refused(
    api: ApiServer, server: Server, kind: str, data: str
) -> None:
    claim = server.claimed()
    before = server.store.get(claim.session.id)
    assert append(api, server, claim, kind, data).status_code == 422
    assert server.store.get(claim.session.id) == before


def test_long_words_are_cut_to_their_column(api: ApiServer, server: Server) -> None:
    claim = server.claimed()
    long = {"fingerprint": "f" * 500, "judgement": {"verdict": "v" * 500}, "cause": {"line": "x"}}
    assert append(api, server, claim, "incident", json.dumps(long)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/failures", json.dumps({**FAILURE, "source": "a\0"})),
        ("POST", "/failures", json.dumps({**FAILURE, "dag_id": "a\0"})),
        ("POST", "/failures", '{"\\ud800": 1}'),
        ("GET", "/sessions?dag_id=%00", None),
        ("GET", "/sessions/%00", None),
        ("POST", "/sessions/%00/stop", "{}"),
        ("POST", "/sessions/{id}/claim", json.dumps({"worker": "a\0"})),
    ],
)
def test_nul_is_no_servers_error(api: ApiServer, server: Server, method: str, path: str, body: str | None) -> None:
    answer = call(api, method, path.replace("{id}", server.taken()), body)
    assert answer.status_code in (404, 422)
    assert answer.json()["error"]["type"] in ("InvalidRequest", "SessionNotFound")


def test_a_secret_that_a_person_tells_is_not_kept(api: ApiServer, server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    session = f"/sessions/{claim.session.id}"
    said = json.dumps({"message": f"use {TOKEN}"})
    assert call(api, "POST", f"{session}/message", said).status_code == 200
    answer = {"decision": "approve", "message": f"the token is {TOKEN}"}
    assert call(api, "POST", f"{session}/continue", json.dumps(answer)).status_code == 200
    wait = server.service.worker.ask(
        claim.session.id, WORKER, lease=claim.lease, call_id="c2", subject="Which?", body="", options=["A", "B"]
    )
    server.airflow.required_action(wait.run_id, "A", user="ben", message=f"with {TOKEN}")
    server.service.worker.ask(claim.session.id, WORKER, lease=claim.lease, call_id="c2", subject="", body="", options=[])
    server.append(claim, (EventKind.MODEL, model_data()))
    assert call(api, "POST", f"{session}/stop", json.dumps({"reason": f"{TOKEN} is out"})).status_code == 200
    kept = json.dumps([dict(event.data) for event in server.store.events(claim.session.id)])
    assert TOKEN not in kept
    assert kept.count("***") >= 4
    assert TOKEN not in json.dumps([vars(answer) for answer in server.airflow.answers.values() if answer.user != "ben"])


def test_a_database_error_does_not_tell_what_was_to_be_written(server: Server) -> None:
    with pytest.raises(AgentFixError) as refused, writing(server.store.engine) as connection:
        connection.execute(tables.failure.insert().values(dag_id=TOKEN, run_id=object(), task_id="t", map_index=0, try_number=1))
    assert TOKEN not in str(refused.value)

"""The OpenAPI document says what the API does: each route's statuses are really given, and each answer fits its schema.

That answers fit is held by `tests.web.routes.call`, through which every test of this folder asks.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from openapi_spec_validator import OpenAPIV31SpecValidator

from airflow_agentfix import errors
from airflow_agentfix.core.session import Event, Session
from airflow_agentfix.errors import SessionConflict, StoreUnavailable
from airflow_agentfix.service import SessionService
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Change, Stored
from airflow_agentfix.store.sql import SqlStore
from airflow_agentfix.web import examples
from airflow_agentfix.web.answers import MAX_BODY, STATUS
from airflow_agentfix.web.declared import Right
from tests.fakes.api_server import ApiServer
from tests.fakes.server import COMMIT, RUN, Server, fix_data, patch_data, worker_of
from tests.web.conftest import example_session, server_in
from tests.web.routes import BASE, OPERATIONS, Operation, call, document, errors_of, example_call, operation, resolved

every_operation = pytest.mark.parametrize("one", OPERATIONS, ids=str)


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_document_is_openapi_3_1() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document()).iter_errors()] == []


def test_the_document_is_served_to_anyone_with_the_place_the_api_is_mounted_at(api: ApiServer) -> None:
    served = requests.get(f"{api.url}{BASE}/openapi.json", timeout=20).json()
    assert served == {**json.loads(json.dumps(document())), "servers": [{"url": BASE}]}


@every_operation
def test_an_operation_tells_what_it_does_takes_and_answers(one: Operation) -> None:
    told = one.told
    assert told["summary"] not in (told["operationId"], told["operationId"].replace("_", " ").title())
    assert told["description"]
    assert set(told["tags"]) <= {tag["name"] for tag in document()["tags"]}
    assert all(parameter["description"] for parameter in told.get("parameters", ()) if parameter["in"] != "path")


@every_operation
def test_an_operation_names_the_login_it_needs(one: Operation) -> None:
    schemes = document()["components"]["securitySchemes"]
    named = [schemes[name] for choice in one.told.get("security", ()) for name in choice]
    assert any(scheme.get("scheme") == "bearer" for scheme in named) is (one.right != Right.NONE)


@every_operation
def test_a_body_s_examples_are_what_the_route_takes(one: Operation) -> None:
    if one.body_schema is None:
        assert one.method in ("GET", "DELETE")
        return
    for example in one.body_schema["examples"]:
        assert errors_of(one.body_schema, example) == []


def test_every_example_of_an_answer_fits_its_schema() -> None:
    shown = [
        schema for name, schema in document()["components"]["schemas"].items() if name.endswith("Answer") if name != "ErrorAnswer"
    ]
    assert len(shown) >= 10
    for schema in shown:
        assert schema["examples"]
        assert [told for example in schema["examples"] for told in errors_of(schema, example)] == []


@pytest.mark.parametrize("kind", [Session, Event])
def test_the_document_has_every_field_that_is_served_and_no_other(kind: type) -> None:
    schema = document()["components"]["schemas"][kind.__name__]
    names = {field.name for field in fields(kind)}
    assert (set(schema["properties"]), set(schema["required"]), schema["additionalProperties"]) == (names, names, False)


@every_operation
def test_every_refusal_has_the_one_shape_and_an_error_of_ours_as_its_example(one: Operation) -> None:
    for code, told in one.told["responses"].items():
        if int(code) >= 400:
            content = told["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorAnswer"}
            assert errors_of(content["schema"], content["example"]) == []
            assert issubclass(getattr(errors, content["example"]["error"]["type"]), errors.AgentFixError)
            assert int(code) in {*STATUS.values(), 413, 429}
            assert told["description"] != http.client.responses[int(code)]


# --- what it says is done --------------------------------------------------------------------------------------------


class Contended(SqlStore):
    """Another writer is always first. (StaleWrite would be tried again for eight seconds before it is told.)"""

    def create(self, stored: Stored, *_: object, **__: object) -> Stored:
        raise SessionConflict(f"Session {stored.session.id!r} was made by another writer.")

    def write(self, *changes: Change) -> list[Stored]:
        raise SessionConflict(f"Another writer was first, {len(changes)} times.")


def contended(server: Server) -> SessionService:
    return beside(server, Contended(server.store.engine, key=b"k"), server.settings)


def impatient(server: Server) -> SessionService:
    """Takes one failure a minute."""
    return beside(server, server.store, replace(server.settings, intake_per_minute=1))


def beside(server: Server, store: SqlStore, settings: Settings) -> SessionService:
    more: Any = {"policies": server.policies, "commits": server.commits, "clock": server.clock, "new_id": lambda: "s"}
    return SessionService(store, server.airflow, settings, **more)


def failing() -> Any:
    raise StoreUnavailable("The database is locked. Try again.")


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[ApiServer]]]:
    """A server that works; its API, those where another writer is always first and where a minute has room for one failure, and
    the one that has no database."""
    server = server_in(Path(tmp_path_factory.mktemp("busy")))
    with ExitStack() as stack:
        services = (server.service, contended(server), impatient(server), failing)
        yield server, [stack.enter_context(ApiServer(service)) for service in services]
    server.close()


@every_operation
def test_every_refusal_that_is_documented_is_really_given(busy: tuple[Server, list[ApiServer]], one: Operation) -> None:
    server, (api, second, slow, broken) = busy
    session_id = example_session(server)
    server.airflow.fail(examples.DAG, examples.RUN, "new")
    server.airflow.rights["anna", "nowhere"] = "edit"
    another, unknown = ({"json": {**one.body, "task_id": task}} if _names_a_task(one) else {} for task in ("new", "nobody"))
    wrong: Any = {"json": {"what": 1}} if one.body else {"params": {"limit": 0}}
    refusals: dict[int, Callable[[], Any]] = {
        401: lambda: example_call(api, one, session_id, user=None),
        403: lambda: example_call(api, one, session_id, user="forged"),
        404: lambda: example_call(api, one, "unknown", dag_id="nowhere", **unknown),
        409: lambda: example_call(second, one, session_id, **another),
        413: lambda: example_call(api, one, session_id, data=b"x" * (MAX_BODY + 1), json=None),
        422: lambda: example_call(api, one, "x" * 65, dag_id="x" * 251, **wrong),
        429: lambda: [example_call(slow, one, session_id) for _ in range(2)][-1],
        503: lambda: example_call(broken, one, session_id),
    }
    documented = sorted(int(code) for code in one.told["responses"] if int(code) >= 400)
    assert set(documented) <= refusals.keys(), "A status is documented that this test has no way to: add one."
    assert [refusals[code]().status_code for code in documented] == documented


def _names_a_task(one: Operation) -> bool:
    return not one.of_session and one.body is not None


def test_every_success_that_is_documented_is_really_given(server: Server, api: ApiServer) -> None:
    given: set[tuple[str, int]] = set()

    def ask(name: str, path: str = "", **request: Any) -> Any:
        one = operation(name)
        answer = call(api, one.method, path or one.path, **request)
        given.add((name, answer.status_code))
        return answer

    failure = {"dag_id": "orders", "run_id": RUN, "task_id": "load"}
    ask("GET /health")
    ask("POST /sessions", json=failure)
    ask("POST /sessions", json=failure)
    session_id = ask("POST /failures", json=failure).json()["session_id"]
    ask("GET /sessions")
    ask("GET /dags/{dag_id}/policy", "/dags/orders/policy")

    def of(verb: str, **request: Any) -> Any:
        method, _, end = verb.partition(" ")
        template = f"/sessions/{{session_id}}{end}"
        return ask(f"{method} {template}", template.replace("{session_id}", session_id), **request)

    def work(verb: str, **body: Any) -> Any:
        return of(f"POST /{verb}", user="agentfix-worker", json=body).json()

    for look in ("GET ", "GET /events"):
        tag = of(look).headers["ETag"]
        of(look, headers={"If-None-Match": tag})
    lease = work("claim", worker=worker_of(session_id))["lease"]
    written = [{"kind": "patch", "data": patch_data()}, {"kind": "fix", "data": fix_data()}]
    work("events", lease=lease, after=3, events=written)
    assert work("ask", lease=lease, call_id="q", subject="Gross?", body="", options=["A", "B"])["type"] == "WaitRun"
    of("POST /continue", json={"message": "A"})
    assert work("ask", lease=lease, call_id="q", subject="Gross?", body="", options=["A", "B"])["type"] == "Answer"
    assert work("approval", lease=lease, call_id="c", commit=COMMIT)["type"] == "WaitRun"
    of("POST /continue", json={"decision": "approve"})
    assert work("approval", lease=lease, call_id="c", commit=COMMIT)["type"] == "Approved"
    of("GET /signature", params={"lease": lease, "tree": "a" * 40, "file": "dags/orders.py"})
    of("GET /shape", params={"lease": lease})
    assert work("rerun", lease=lease, call_id="c")["type"] == "Rerun"
    work("park", lease=lease, dag_id="orders", run_id=RUN, waiting_for="rerun")
    lease = work("claim", worker=worker_of(session_id))["lease"]
    of("POST /stop", json={})
    server.airflow.runs["orders", RUN] = "success"
    work("finish", lease=lease, outcome="fixed", summary="Green.", verdict="code", report={"a": 1}, error=None)
    of("POST /end-pin", json={})
    of("POST /recover", json={})
    of("POST /message", json={"message": "Look again."})
    of("GET /audit")
    of("DELETE ")
    documented = {(str(one), int(code)) for one in OPERATIONS for code in one.told["responses"] if int(code) < 400}
    assert documented - given == set()


def test_a_patch_of_megabytes_is_served_as_it_is(server: Server, api: ApiServer) -> None:
    claim = server.claimed()
    files = [{"path": "dags/a.py", "before": None, "after": "x = 1\n" * 300_000}]
    body = {
        "lease": claim.lease,
        "after": 3,
        "events": [{"kind": "patch", "data": {"files": files, "findings": [], "call_id": "c"}}],
    }
    answer = call(api, "POST", f"/sessions/{claim.session.id}/events", json=body)
    assert answer.json()["events"][0]["data"]["files"] == files
    assert resolved({"$ref": "#/components/schemas/Event"})["properties"]["data"]["additionalProperties"] is True

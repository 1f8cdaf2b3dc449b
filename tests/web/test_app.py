"""The session API over HTTP: who may call what, what is refused and how, and what polling costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi.routing import APIRoute

from airflow_agentfix import errors
from airflow_agentfix.core.session import EventKind
from airflow_agentfix.errors import AgentFixError, StoreUnavailable
from airflow_agentfix.store.wire import error_from_json
from airflow_agentfix.web.answers import MAX_BODY, MAX_FAILURE, STATUS, status_of
from airflow_agentfix.web.app import build_app
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import COMMIT, DAG, RUN, TASK, Server, fix_data, model_data, patch_data, worker_of

API = "/agentfix/api/v1"
FAILURE = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
LEASE = {"lease": "x"}
BODIES: dict[str, Any] = {
    "/failures": FAILURE,
    "/sessions": FAILURE,
    "/sessions/{session_id}/message": {"message": "hello"},
    "/sessions/{session_id}/continue": {"decision": "approve"},
    "/sessions/{session_id}/stop": {},
    "/sessions/{session_id}/end-pin": {},
    "/sessions/{session_id}/claim": {"worker": "w"},
    "/sessions/{session_id}/events": {**LEASE, "after": 0, "events": []},
    "/sessions/{session_id}/ask": {**LEASE, "call_id": "c", "subject": "s", "body": "b", "options": []},
    "/sessions/{session_id}/approval": {**LEASE, "call_id": "c", "commit": COMMIT},
    "/sessions/{session_id}/rerun": {**LEASE, "call_id": "c"},
    "/sessions/{session_id}/park": {**LEASE, "dag_id": DAG, "run_id": RUN, "waiting_for": "task"},
    "/sessions/{session_id}/finish": {
        **LEASE, "outcome": "reported", "summary": "s", "verdict": None, "report": None, "error": None,
    },
}  # fmt: skip
READS = {"/sessions/{session_id}", "/sessions/{session_id}/events", "/sessions/{session_id}/audit", "/dags/{dag_id}/policy"}


def every_route() -> list[tuple[str, str]]:
    """(method, path below the API's root) of all routes, from the app itself."""
    routes = [route for route in _flat(build_app(lambda: pytest.fail("no service is needed")).routes) if "/api/v1/" in route.path]
    return [(method, route.path.removeprefix("/api/v1")) for route in routes for method in sorted(route.methods or ())]


def _flat(routes: Any) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route


ROUTES = [route for route in every_route() if route != ("GET", "/health")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database("sqlite", tmp_path))
    yield server
    server.close()


@pytest.fixture
def api(server: Server) -> Iterator[ApiServer]:
    with ApiServer(server.service) as api:
        yield api


def call(api: ApiServer, method: str, path: str, *, user: str | None = "anna", **request: Any) -> requests.Response:
    headers = {**({"Authorization": f"Bearer {user}"} if user else {}), **request.pop("headers", {})}
    return requests.request(method, f"{api.url}{API}{path}", headers=headers, timeout=10, **request)


def on(api: ApiServer, method: str, route: str, session_id: str, user: str | None) -> requests.Response:
    body = BODIES[route] if method == "POST" else None
    params = {"lease": "x"} if route.endswith("/shape") else None
    return call(
        api, method, route.replace("{session_id}", session_id).replace("{dag_id}", DAG), user=user, json=body, params=params
    )


def test_the_routes_are_all_that_the_design_names() -> None:
    assert len(ROUTES) == 20
    assert {path for method, path in ROUTES if method == "POST"} == set(BODIES)


def test_health_is_open_and_needs_no_database() -> None:
    with ApiServer(lambda: pytest.fail("health opens no database")) as api:
        assert call(api, "GET", "/health", user=None).json() == {"status": "ok", "version": "0.1.0"}


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_without_a_login_every_route_refuses(api: ApiServer, server: Server, method: str, route: str) -> None:
    session_id = server.taken()
    answer = on(api, method, route, session_id, None)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "AirflowLoginRefused")
    assert server.kinds(session_id) == ["created"]


def test_a_token_airflow_did_not_make_is_a_refused_login(api: ApiServer) -> None:
    answer = call(api, "GET", "/sessions", user="forged")
    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "AirflowLoginRefused")


@pytest.mark.parametrize(("method", "route"), [route for route in ROUTES if route != ("GET", "/sessions")])
def test_without_a_right_on_the_dag_every_route_refuses_and_does_not_tell_whether_the_session_exists(
    api: ApiServer, server: Server, method: str, route: str
) -> None:
    session_id = server.taken()
    answer = on(api, method, route, session_id, "stranger")
    if "{session_id}" in route:
        unknown = on(api, method, route, "unknown", "stranger")
        assert answer.status_code == unknown.status_code == 404
        assert answer.text.replace(session_id, "") == unknown.text.replace("unknown", "")
    else:
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "NotAllowed")
    assert server.kinds(session_id) == ["created"]


@pytest.mark.parametrize(("method", "route"), [route for route in ROUTES if route != ("GET", "/sessions")])
def test_who_may_only_read_may_only_read(api: ApiServer, server: Server, method: str, route: str) -> None:
    session_id = server.taken()
    answer = on(api, method, route, session_id, "reader")
    assert answer.status_code == (200 if method == "GET" and route in READS else 403)
    assert server.kinds(session_id) == ["created"]


def test_a_dag_id_in_the_query_gives_no_right(api: ApiServer, server: Server) -> None:
    server.airflow.rights["stranger", "their_own"] = "edit"
    session_id = server.taken()
    assert call(api, "POST", f"/sessions/{session_id}/stop?dag_id=their_own", user="stranger", json={}).status_code == 404


def test_the_list_holds_what_the_person_may_read(api: ApiServer, server: Server) -> None:
    session_id = server.taken()
    assert call(api, "GET", "/sessions", user="stranger").json() == {"sessions": []}
    assert [one["id"] for one in call(api, "GET", "/sessions", user="reader").json()["sessions"]] == [session_id]
    assert call(api, "GET", "/sessions?state=done").json() == {"sessions": []}
    assert call(api, "GET", "/sessions?state=lost").status_code == 422


def test_a_failure_is_accepted_and_a_second_report_too(api: ApiServer) -> None:
    hint = {"exception": "KeyError", "message": "'total'"}
    first, second = (call(api, "POST", "/failures", json={**FAILURE, "hint": hint}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() | {"created": False} == second.json()


def test_a_paused_fix_dag_is_a_warning_in_the_answer(api: ApiServer, server: Server) -> None:
    server.airflow.paused.add("agentfix_fix")
    answer = call(api, "POST", "/sessions", json=FAILURE)
    assert answer.status_code == 201
    assert "unpause" in answer.json()["warning"]


@pytest.mark.parametrize(
    "body", [{}, {**FAILURE, "repository": "https://elsewhere"}, {**FAILURE, "dag_id": "x" * 251}, {**FAILURE, "try_number": 0}]
)
def test_a_malformed_failure_names_the_field_and_not_its_value(api: ApiServer, body: dict[str, Any]) -> None:
    answer = call(api, "POST", "/failures", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "InvalidRequest")
    assert "body." in answer.json()["error"]["message"]
    assert "elsewhere" not in answer.text


@pytest.mark.parametrize(("path", "limit"), [("/failures", MAX_FAILURE), ("/sessions/x/events", MAX_BODY)])
def test_a_body_over_the_bound_is_refused_with_and_without_its_length(api: ApiServer, path: str, limit: int) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b"x" * 65_536 for _ in range(limit // 65_536 + 1))

    for data in (b"x" * (limit + 1), pieces()):
        assert call(api, "POST", path, data=data).status_code == 413


@pytest.mark.parametrize("body", [{"version": "main"}, {"version": "c" * 39}, {"version": "C" * 40}, {"reason": "because"}])
def test_the_end_of_a_pin_names_a_whole_commit_and_a_known_reason(api: ApiServer, server: Server, body: dict[str, str]) -> None:
    answer = call(api, "POST", f"/sessions/{server.taken()}/end-pin", json=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "InvalidRequest")


def test_a_patch_of_three_megabytes_is_taken(api: ApiServer, server: Server) -> None:
    claim = server.claimed()
    data = {"files": [{"path": "a.py", "before": None, "after": "x" * 3_000_000}], "findings": [], "call_id": "c"}
    body = {"lease": claim.lease, "after": 2, "events": [{"kind": "patch", "data": data}]}
    assert call(api, "POST", f"/sessions/{claim.session.id}/events", json=body).status_code == 200


def test_polling_an_unchanged_session_costs_no_body(api: ApiServer, server: Server) -> None:
    claim = server.claimed()
    for path in (f"/sessions/{claim.session.id}", f"/sessions/{claim.session.id}/events?after=1"):
        first = call(api, "GET", path)
        known = {"If-None-Match": first.headers["ETag"]}
        assert call(api, "GET", path, headers=known).status_code == 304
    server.append(claim, (EventKind.MODEL, model_data()))
    newer = call(api, "GET", path, headers=known)
    assert [event["kind"] for event in newer.json()["events"]] == ["claimed", "policy", "model"]


def test_a_patch_is_read_without_secrets_and_given_whole_to_the_lease_holder(api: ApiServer, server: Server) -> None:
    claim, source = server.claimed(), "url = 'postgresql://app:hunter2@db/shop'\n"
    files = [
        {"path": "dags/a.py", "before": source, "after": source + "x = 1\n"},
        {"path": "b.py", "before": None, "after": None},
    ]
    server.append(claim, (EventKind.PATCH, {"files": files, "findings": [], "call_id": "c"}))
    read = call(api, "GET", f"/sessions/{claim.session.id}/events", user="reader")
    assert "hunter2" not in read.text
    told = read.json()["events"][-1]["data"]["files"]
    assert [file["path"] for file in told] == ["dags/a.py", "b.py"]
    assert (told[0]["after"].count("\n"), "x = 1" in told[0]["after"], told[1]["before"]) == (2, True, None)
    taken = call(api, "POST", f"/sessions/{claim.session.id}/claim", json={"worker": worker_of(claim.session.id)})
    assert taken.json()["events"][3]["data"]["files"] == files


def test_an_approval_that_waits_is_not_answered_by_words(api: ApiServer, server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    answer = call(api, "POST", f"/sessions/{claim.session.id}/continue", json={"message": "go on"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "DecisionRequired")


def test_a_second_answer_is_a_conflict(api: ApiServer, server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    answers = [call(api, "POST", f"/sessions/{claim.session.id}/continue", json={"decision": "approve"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 409]


def test_the_workers_token_does_not_approve_and_a_persons_does(api: ApiServer, server: Server) -> None:
    def worker(path: str, **body: Any) -> Any:
        return call(api, "POST", path, user="agentfix-worker", json=body).json()

    session_id = worker("/failures", **FAILURE)["session_id"]
    lease = worker(f"/sessions/{session_id}/claim", worker=worker_of(session_id))["lease"]
    written = [{"kind": "patch", "data": patch_data()}, {"kind": "fix", "data": fix_data()}]
    worker(f"/sessions/{session_id}/events", lease=lease, after=2, events=written)
    assert worker(f"/sessions/{session_id}/approval", lease=lease, call_id="c", commit=COMMIT)["type"] == "WaitRun"
    refused = worker(f"/sessions/{session_id}/continue", decision="approve")["error"]
    assert (refused["type"], "AGENTFIX_AIRFLOW_USERNAME" in refused["message"]) == ("NotAllowed", True)
    assert call(api, "POST", f"/sessions/{session_id}/continue", user="anna", json={"decision": "approve"}).status_code == 200
    assert [(one.person, one.decision) for one in server.store.approvals(session_id)] == [("anna", "approve")]


def test_deleting_erases(api: ApiServer, server: Server) -> None:
    claim = server.with_fix()
    assert call(api, "DELETE", f"/sessions/{claim.session.id}").json()["session"]["state"] == "done"
    assert "amount" not in call(api, "GET", f"/sessions/{claim.session.id}/events").text


def test_a_service_that_cannot_be_built_yet_is_built_by_a_later_request(server: Server) -> None:
    tries: list[int] = []

    def factory() -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise StoreUnavailable("The database is locked. Try again.")
        return server.service

    with ApiServer(factory) as api:
        assert [call(api, "GET", "/sessions").status_code for _ in range(3)] == [503, 200, 200]
    assert len(tries) == 2


def test_a_secret_in_an_error_s_message_does_not_leave_the_server(caplog: pytest.LogCaptureFixture) -> None:
    def factory() -> Any:
        raise StoreUnavailable("postgresql://app:hunter2@db/shop did not answer.")

    with ApiServer(factory) as api:
        told = call(api, "GET", "/sessions").json()["error"]["message"]
    assert told == "postgresql://app:***@db/shop did not answer."
    assert "hunter2" not in caplog.text


def test_every_error_has_a_status_and_comes_back_as_itself() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AgentFixError)]
    assert {status_of(kind("no")) for kind in kinds} == set(STATUS.values())
    for kind in kinds:
        assert type(error_from_json({"error": {"type": kind.__name__, "message": "no"}})) is kind


@pytest.mark.parametrize("body", [None, [], {}, {"error": "no"}, {"error": {"type": "os"}}, {"detail": "Not Found"}])
def test_an_answer_that_is_not_the_apis_is_no_error_of_ours(body: Any) -> None:
    assert error_from_json(body) is None

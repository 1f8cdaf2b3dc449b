"""The session API over HTTP: what is taken, what is refused and how, what polling costs. Who may call what: test_rights.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix import errors
from airflow_agentfix.core.session import EventKind
from airflow_agentfix.core.stages import ORDER
from airflow_agentfix.errors import AgentFixError, StoreUnavailable
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.wire import error_from_json
from airflow_agentfix.web.answers import MAX_BODY, MAX_FAILURE, STATUS, status_of
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import COMMIT, DAG, RUN, TASK, Server, fix_data, model_data, patch_data, worker_of
from tests.web.routes import call

FAILURE = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}


def test_health_is_open_and_needs_no_database() -> None:
    with ApiServer(lambda: pytest.fail("health opens no database")) as api:
        assert call(api, "GET", "/health", user=None).json() == {"status": "ok", "version": "0.1.0"}


def test_a_failure_is_accepted_and_a_second_report_too(api: ApiServer) -> None:
    hint = {"exception": "KeyError", "message": "'total'"}
    first, second = (call(api, "POST", "/failures", json={**FAILURE, "hint": hint}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() | {"created": False} == second.json()


@pytest.fixture
def few(tmp_path: Path) -> Iterator[ApiServer]:
    """Takes two failures a minute of each login."""
    server = Server(new_database("sqlite", tmp_path), Settings(intake_per_minute=2))
    with ApiServer(server.service) as api:
        yield api
    server.close()


def test_a_login_that_hands_over_too_much_at_once_is_told_when_to_come_again(few: ApiServer) -> None:
    taken = [call(few, "POST", path, json=FAILURE).status_code for path in ("/failures", "/sessions")]
    refused = [call(few, "POST", path, json=FAILURE) for path in ("/failures", "/sessions")]
    assert taken == [202, 200]
    assert [(one.status_code, one.json()["error"]["type"]) for one in refused] == [(429, "RateLimited")] * 2
    assert all(0 < int(one.headers["Retry-After"]) <= 60 for one in refused)
    assert "intake_per_minute" in refused[0].json()["error"]["message"]
    assert call(few, "POST", "/failures", user="agentfix-worker", json=FAILURE).status_code == 202  # another login's turn
    assert call(few, "GET", "/sessions").status_code == 200


def test_a_session_is_given_with_its_budget_and_another_ones_spending_is_news(api: ApiServer, server: Server) -> None:
    claim = server.claimed()
    path = f"/sessions/{claim.session.id}"
    first = call(api, "GET", path, user="reader")
    assert set(first.json()) == {"session", "budget", "verification", "links"}
    assert first.json()["budget"] == {
        "turns": {"used": 0, "limit": 40},
        "tokens": {"used": 0, "limit": 1_000_000},
        "dollars": {"used": 0.0, "limit": 5.0},
        "minutes": {"used": 0.0, "limit": 120},
        "day": {"used": 0.0, "reserved": 5.0, "limit": 50.0, "total_used": 0.0, "total_limit": 200.0},
    }
    server.airflow.fail(DAG, RUN, "another")
    server.taken(task_id="another")
    newer = call(api, "GET", path, headers={"If-None-Match": first.headers["ETag"]})
    assert newer.json()["budget"]["day"]["reserved"] == 10.0


def test_a_session_is_given_with_what_was_verified_and_where_it_leads(tmp_path: Path) -> None:
    server = Server(new_database("sqlite", tmp_path), Settings(base_url="https://air.example/airflow/"))
    claim = server.claimed(server.taken(autonomy="propose"))
    compiled = {"name": "compiled", "state": "passed", "detail": "with Python 3.12.4: a.py"}
    record = {"commit": COMMIT, "stages": [compiled], "call_id": "call-0"}
    pull = "https://github.example/acme/dags/pull/7"
    with ApiServer(server.service) as api:
        before = call(api, "GET", f"/sessions/{claim.session.id}", user="reader").json()
        server.append(claim, (EventKind.FIX, {**fix_data(), "pull_request": pull}), (EventKind.VERIFIED, record))
        after = call(api, "GET", f"/sessions/{claim.session.id}", user="reader").json()
    server.close()
    assert before["verification"] == []
    assert [stage["name"] for stage in after["verification"]] == [*ORDER]
    assert after["verification"][2] == compiled
    assert after["verification"][7]["detail"] == "autonomy is propose: nothing of the fix is executed"
    assert after["links"] == {
        "failed_run": f"https://air.example/airflow/dags/{DAG}/runs/{RUN}/tasks/{TASK}?try_number=1",
        "fix_run": f"https://air.example/airflow/dags/agentfix_fix/runs/agentfix__{claim.session.id}__1",
        "pull_request": pull,
        "rerun": None,
        "session": f"https://air.example/airflow/agentfix/sessions/{claim.session.id}",
    }


def test_a_message_the_day_has_no_dollars_for_is_a_conflict_that_says_so(tmp_path: Path) -> None:
    server = Server(new_database("sqlite", tmp_path), Settings(daily_dollars=5.0))
    session_id = server.taken()
    server.airflow.fail(DAG, RUN, "another")
    with ApiServer(server.service) as api:
        call(api, "POST", f"/sessions/{session_id}/stop", json={})
        server.taken(task_id="another")
        answer = call(api, "POST", f"/sessions/{session_id}/message", json={"message": "Look again."})
    server.close()
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "BudgetExceeded")
    assert "(daily_dollars)" in answer.json()["error"]["message"]


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

"""Who may call what: every route of the app, as itself declares it, asked by people of each kind with the API's own examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_agentfix.core.policy import NAMES
from airflow_agentfix.settings import Settings
from airflow_agentfix.web.declared import Right
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, DAG, Server
from tests.web.conftest import example_session, server_in
from tests.web.routes import OPERATIONS, Operation, call, example_call, operation

LIST = operation("GET /sessions")
every_operation = pytest.mark.parametrize("one", OPERATIONS, ids=str)


@dataclass(frozen=True)
class Guarded:
    """A session that refused calls must leave as it is."""

    api: ApiServer
    server: Server
    session_id: str

    def ask(self, one: Operation, user: str | None, *, session_id: str | None = None, **request: Any) -> requests.Response:
        before = self.server.store.get(self.session_id)
        answer = example_call(self.api, one, session_id or self.session_id, user=user, **request)
        assert self.server.store.get(self.session_id) == before
        assert len(self.server.service.list(ANNA).sessions) == 1
        return answer


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = server_in(Path(tmp_path_factory.mktemp("guarded")))
    with ApiServer(server.service) as api:
        yield Guarded(api, server, example_session(server))
    server.close()


def test_every_route_declares_one_of_the_rights() -> None:
    assert len(OPERATIONS) >= 20
    assert {one.right for one in OPERATIONS} == {right.value for right in Right}


def test_what_only_reads_is_a_get_and_what_changes_something_is_none() -> None:
    assert {str(one) for one in OPERATIONS if (one.method == "GET") is not one.declared["changes"].startswith("nothing")} == set()


def test_no_route_changes_policy_and_a_request_names_an_autonomy_at_most() -> None:
    """Which can only be stricter: `core.policy.combine`."""
    taken = {name for one in OPERATIONS if one.body_schema for name in one.body_schema["properties"]}
    assert taken & set(NAMES) == {"autonomy"}
    assert {one.method for one in OPERATIONS if "policy" in one.path} == {"GET"}


@every_operation
def test_without_a_login_only_what_needs_no_right_answers(guarded: Guarded, one: Operation) -> None:
    answers = [guarded.ask(one, user) for user in (None, "forged")]
    if one.right == Right.NONE:
        assert [answer.status_code for answer in answers] == [200, 200]
        return
    assert [answer.status_code for answer in answers] == [401, 403]  # Airflow's own statuses
    assert {answer.json()["error"]["type"] for answer in answers} == {"AirflowLoginRefused"}


@every_operation
@pytest.mark.parametrize("user", ["stranger", "outsider"])
def test_without_a_right_on_the_dag_nothing_is_told_of_the_session(guarded: Guarded, one: Operation, user: str) -> None:
    _tells_nothing(guarded, one, user)


@every_operation
def test_the_right_on_another_dag_gives_none_whatever_the_query_or_the_body_names(guarded: Guarded, one: Operation) -> None:
    body = {**one.body, "dag_id": "their_own"} if one.of_session and "dag_id" in (one.body or {}) else one.body
    _tells_nothing(guarded, one, "outsider", params={"dag_id": "their_own"}, json=body)


def _tells_nothing(guarded: Guarded, one: Operation, user: str, **request: Any) -> None:
    answer = guarded.ask(one, user, **request)
    if one.right == Right.NONE:
        assert answer.status_code == 200
    elif one == LIST:
        assert answer.json() == {"sessions": [], "total": 0}
    elif one.of_session:
        unknown = guarded.ask(one, user, session_id="unknown", **request)
        assert (answer.status_code, unknown.status_code) == (404, 404)
        assert answer.text.replace(guarded.session_id, "") == unknown.text.replace("unknown", "")
    else:
        assert answer.status_code in (403, 404)


@every_operation
def test_who_may_read_may_read_and_no_more(guarded: Guarded, one: Operation) -> None:
    answer = guarded.ask(one, "reader")
    if one.right in (Right.NONE, Right.READ):
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "NotAllowed")


@every_operation
def test_who_may_edit_may_do_all_but_what_needs_the_lease(api: ApiServer, server: Server, one: Operation) -> None:
    session_id = example_session(server)
    answer = example_call(api, one, session_id)
    if one.right == Right.LEASE:
        assert (answer.status_code, "The lease" in answer.json()["error"]["message"]) == (409, True)
        assert server.kinds(session_id) == ["created"]
    else:
        assert answer.status_code not in (401, 403, 404)


@pytest.mark.parametrize("one", [one for one in OPERATIONS if one.right == Right.LEASE], ids=str)
def test_a_lease_that_another_worker_has_now_is_none(api: ApiServer, server: Server, one: Operation) -> None:
    claim = server.claimed(example_session(server))
    server.clock.pass_seconds(10_000)
    server.claimed(claim.session.id, try_number=2)
    asked = {"json": {**one.body, "lease": claim.lease}} if one.body else {"params": {"lease": claim.lease}}
    answer = example_call(api, one, claim.session.id, **asked)
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "SessionConflict")


def test_only_who_is_named_approves_by_the_route_that_says_so(tmp_path: Path) -> None:
    (one,) = [one for one in OPERATIONS if one.right == Right.APPROVER]
    server = Server(new_database("sqlite", tmp_path), Settings(approvers=("anna",)))
    server.airflow.rights["ben", DAG] = "edit"
    claim = server.with_fix()
    server.approval(claim)
    with ApiServer(server.service) as api:
        asked = {user: example_call(api, one, claim.session.id, user=user) for user in ("ben", "agentfix-worker", "anna")}
    assert [answer.status_code for answer in asked.values()] == [403, 403, 200]
    assert [(one.person, one.decision) for one in server.store.approvals(claim.session.id)] == [("anna", "approve")]
    server.close()


def test_the_list_holds_what_the_person_may_read(guarded: Guarded) -> None:
    (listed,) = call(guarded.api, "GET", "/sessions", user="reader").json()["sessions"]
    assert listed["id"] == guarded.session_id
    for user, total in (("anna", 1), ("reader", 1), ("stranger", 0), ("outsider", 0)):
        for query in ("", f"?dag_id={listed['dag_id']}", f"?run_id={listed['run_id']}&limit=1".replace("+", "%2B")):
            assert call(guarded.api, "GET", f"/sessions{query}", user=user).json()["total"] == total

"""Who sees which page and sends which form: every one, as itself declares it, by people of each kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_agentfix.web.declared import Right
from airflow_agentfix.web.pages.forgery import HEADER
from tests.fakes.api_server import ApiServer
from tests.fakes.server import ANNA, Server
from tests.web.conftest import example_session, server_in
from tests.web.pages.visitor import HTMX, Visitor
from tests.web.routes import PAGES, Operation

GUARDED = [one for one in PAGES if one.right != Right.NONE]
every_page = pytest.mark.parametrize("one", GUARDED, ids=str)
every_page_in_both_ways = pytest.mark.parametrize("headers", [{}, HTMX], ids=["whole", "part"])


@dataclass(frozen=True)
class Guarded:
    """A session that refused calls must leave as it is."""

    api: ApiServer
    server: Server
    session_id: str

    def ask(self, one: Operation, user: str | None, *, session_id: str | None = None, headers: Any = None) -> requests.Response:
        before = self.server.store.get(self.session_id)
        visitor = Visitor(self.api, user)
        token = {HEADER: visitor.token} if one.method != "GET" and user not in (None, "forged") else {}
        wanted = {**(HTMX if one.method != "GET" else {}), **(headers or {}), **token}
        answer = visitor.ask(one, session_id or self.session_id, headers=wanted)
        assert self.server.store.get(self.session_id) == before
        assert len(self.server.service.list(ANNA).sessions) == 1
        return answer


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    server = server_in(Path(tmp_path_factory.mktemp("guarded")))
    session_id = example_session(server)
    server.service.message(session_id, ANNA, "a long note, which is folded. " * 200)
    with ApiServer(server.service) as api:
        yield Guarded(api, server, session_id)
    server.close()


def test_only_the_files_need_no_login() -> None:
    assert {one.path for one in PAGES if one.right == Right.NONE} == {"/static/{digest}/{name:path}"}


def test_what_only_shows_something_is_a_get_and_what_changes_something_is_none() -> None:
    assert {str(one) for one in PAGES if (one.method == "GET") is not one.declared["changes"].startswith("nothing")} == set()


@every_page
@every_page_in_both_ways
def test_without_a_login_nothing_is_shown(guarded: Guarded, one: Operation, headers: dict[str, str]) -> None:
    asked = {user: guarded.ask(one, user, headers=headers) for user in (None, "forged")}
    assert asked["forged"].status_code == 403
    assert asked[None].status_code == 401
    assert guarded.session_id not in asked[None].text.replace(f"sessions%2F{guarded.session_id}", "")


@every_page
@every_page_in_both_ways
@pytest.mark.parametrize("user", ["stranger", "outsider"])
def test_without_a_right_on_the_dag_nothing_is_told_of_the_session(
    guarded: Guarded, one: Operation, user: str, headers: dict[str, str]
) -> None:
    answer = guarded.ask(one, user, headers=headers)
    if one.of_session:
        unknown = guarded.ask(one, user, session_id="unknown", headers=headers)
        assert (answer.status_code, unknown.status_code) == (404, 404)
        assert _without_ids(answer.text, guarded.session_id) == _without_ids(unknown.text, "unknown")
    else:
        assert answer.status_code in ((200, 403, 404) if one.method == "GET" else (403, 404))
        assert guarded.session_id not in answer.text
        assert guarded.session_id not in str(answer.headers)


def _without_ids(text: str, session_id: str) -> str:
    """And without the token, which is another one for each new visitor."""
    return re.sub(r'(<meta name="agentfix-csrf" content=")[^"]+', r"\1", text).replace(session_id, "")


@every_page
def test_who_may_read_sees_the_pages_and_sends_no_form(guarded: Guarded, one: Operation) -> None:
    answer = guarded.ask(one, "reader")
    if one.right == Right.READ:
        assert answer.status_code in (200, 204, 303)  # 303: the tab of a task is the page of the session on it
    else:
        assert (answer.status_code, "may not" in answer.text.lower()) == (403, True)


@every_page
def test_who_may_edit_may_do_all_of_it(api: ApiServer, server: Server, one: Operation) -> None:
    session_id = example_session(server)
    visitor = Visitor(api, "anna")
    headers = {**HTMX, HEADER: visitor.token} if one.method != "GET" else {}
    assert visitor.ask(one, session_id, headers=headers).status_code not in (401, 403, 404)

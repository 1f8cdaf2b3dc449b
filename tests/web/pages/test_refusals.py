"""A refusal as a person meets it: a whole page where the browser asks, a notice where a page that is open does."""

from __future__ import annotations

from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from fastapi import HTTPException

from airflow_agentfix import errors
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.web.answers import MAX_FORM, STATUS
from airflow_agentfix.web.pages.forgery import HEADER
from tests.fakes.api_server import ApiServer
from tests.fakes.server import Server
from tests.web.conftest import server_in
from tests.web.pages.test_headers import is_guarded
from tests.web.pages.visitor import HTMX, Visitor

SECRET = "postgresql://app:hunter2@db/shop"
SAID = "Found <b>this</b>, expected that; do something."


class Failing:
    """A service that whatever is asked of it fails with this."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


def served_failing(error: Exception) -> ApiServer:
    def service() -> Any:
        raise error

    return ApiServer(service)


@pytest.mark.parametrize("kind", list(STATUS), ids=lambda kind: kind.__name__)
def test_an_error_is_a_page_of_its_own_or_a_notice_on_the_one_that_is_open(kind: type[AgentFixError]) -> None:
    with served_failing(kind(f"{SAID} {SECRET}")) as api:
        page, part = (Visitor(api, "anna").get("/", headers=headers) for headers in ({}, HTMX))
    for answer in (page, part):
        assert answer.status_code == STATUS[kind]
        assert is_guarded(answer)
        assert "hunter2" not in answer.text
        assert "<b>this</b>" not in answer.text
        if kind not in (errors.AirflowLoginRefused, errors.SessionNotFound):  # which are told in a person's terms
            assert SAID in unescape(answer.text)
    assert page.text.count("<h1>") == 1
    assert part.text.startswith('<p class="notice ')


def test_a_bug_is_told_as_one_and_nothing_of_it(capfd: pytest.CaptureFixture[str]) -> None:
    with served_failing(KeyError(f"secret detail {SECRET}")) as api:
        page, part = (Visitor(api, "anna").get("/", headers=headers) for headers in ({}, HTMX))
        plain = requests.get(f"{api.url}/agentfix/api/v1/sessions", headers={"Authorization": "Bearer anna"}, timeout=20)
    for answer in (page, part, plain):
        assert answer.status_code == 500
        assert not {"KeyError", "Traceback", "secret detail", "hunter2", "site-packages"} & set(answer.text.split())
        assert "secret detail" not in answer.text
    assert "Something broke" in page.text
    assert "the log of Airflow" in part.text
    assert is_guarded(page)
    assert is_guarded(part)
    assert "KeyError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("base_url", "root"), [("", ""), ("https://air.example/airflow", "/airflow")], ids=["at the top", "on a sub-path"]
)
def test_without_a_login_a_page_leads_to_airflow_s_login_and_back_to_itself(server: Server, base_url: str, root: str) -> None:
    with ApiServer(server.service, base_url=base_url) as api:
        answer = requests.get(f"{api.url}{root}/agentfix/run?dag_id=a%20b&run_id=%26x", timeout=20)
    assert answer.status_code == 401
    assert "Log in again" in answer.text
    back = f"{root}/agentfix/run?dag_id=a%20b&run_id=%26x".replace("%", "%25").replace("/", "%2F")
    back = back.replace("?", "%3F").replace("=", "%3D").replace("&", "%26")
    assert f'href="{root}/api/v2/auth/login?next={back}"' in answer.text


def test_an_expired_login_s_own_words_are_not_a_person_s(server: Server) -> None:
    def expired() -> Any:
        raise HTTPException(401, "Token Expired")

    with ApiServer(server.service, user=expired) as api:
        page, part = (Visitor(api, "anna").get("/", headers=headers) for headers in ({}, HTMX))
    assert (page.status_code, part.status_code) == (401, 401)
    for answer in (page, part):
        assert "has expired" in answer.text
        assert "Token Expired" not in answer.text
        assert "data-login" in answer.text


@pytest.fixture
def form(tmp_path: Path) -> Iterator[Visitor]:
    server = server_in(tmp_path)
    with ApiServer(server.service) as api:
        yield Visitor(api, "anna")
    server.close()


def test_a_form_over_the_bound_is_refused_in_its_page_s_terms(form: Visitor) -> None:
    headers = {**HTMX, HEADER: form.token}
    answer = form.send("POST", "/task/start", data={"dag_id": "x" * MAX_FORM}, headers=headers)
    assert (answer.status_code, "Too much" in answer.text) == (413, True)
    assert is_guarded(answer)


def test_a_form_with_something_wrong_names_the_field_and_not_what_was_in_it(form: Visitor) -> None:
    headers = {**HTMX, HEADER: form.token}
    answer = form.send("POST", "/task/start", data={"dag_id": "hunter2" * 100, "map_index": "hunter2"}, headers=headers)
    assert answer.status_code == 422
    assert "body.dag_id" in answer.text
    assert "hunter2" not in answer.text


def test_a_page_opened_by_itself_has_a_way_to_airflow_and_to_all_sessions(server: Server) -> None:
    with ApiServer(server.service, base_url="http://air.example/base") as api:
        text = requests.get(f"{api.url}/base/agentfix/", cookies={"_token": "anna"}, timeout=20).text
    bar = text.partition('<header id="bar"')[2].partition("</header>")[0]
    assert 'href="/base/agentfix/"' in bar
    assert 'href="/base/"' in bar


def test_the_kinds_of_refusals_are_those_of_the_errors() -> None:
    assert {401, 403, 404, 409, 422, 429, 503} == set(STATUS.values())
    assert issubclass(errors.RateLimited, AgentFixError)

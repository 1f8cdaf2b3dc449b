"""What another site makes a browser send changes nothing: every route that changes something, with the cookie of a login."""

from __future__ import annotations

import hashlib
import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from itsdangerous.url_safe import URLSafeSerializer

from airflow_agentfix.plugin import AgentFixPlugin
from airflow_agentfix.web.pages.forgery import COOKIE, HEADER
from tests.fakes.api_server import COOKIE as LOGIN
from tests.fakes.api_server import ApiServer
from tests.fakes.server import ANNA, Server
from tests.fakes.server_airflow import Person
from tests.web.conftest import example_session, server_in
from tests.web.pages.visitor import HTMX, Visitor, example_of
from tests.web.routes import BASE, OPERATIONS, PAGES, ROOT, Operation

API = [one for one in OPERATIONS if one.method != "GET"]
FORMS = [one for one in PAGES if one.method != "GET"]
PLAIN = (
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "text/plain",
    "text/plain; application/json",
    None,
)
"""what a form, or a script that asks nobody first, can declare its body to be"""


class Watched:
    """A server, and whether anything on it was changed since."""

    def __init__(self, server: Server) -> None:
        self.server, self.session_id = server, example_session(server)
        self._before = self._now()

    def _now(self) -> Any:
        sessions = self.server.service.list(ANNA).sessions
        return sessions, self.server.kinds(self.session_id), dict(self.server.airflow.runs)

    @property
    def is_as_before(self) -> bool:
        return bool(self._now() == self._before)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watched, ApiServer, ApiServer]]:
    """A server, with logins and where everybody is let in as the same user."""
    server = server_in(Path(tmp_path_factory.mktemp("served")))
    watched = Watched(server)
    with ApiServer(server.service) as api, ApiServer(server.service, user=lambda: Person("anna")) as everybody:
        yield watched, api, everybody
    server.close()


def send(visitor: Visitor, one: Operation, session_id: str, *, headers: dict[str, str] | None = None) -> requests.Response:
    """As our own pages do, all but the token."""
    if one in FORMS:
        return visitor.ask(one, session_id, headers={**HTMX, **(headers or {})})
    path = ROOT + one.path.format(**{**one.needed("path"), "session_id": session_id})
    return visitor.send(one.method, path, json=one.body, params=one.needed("query"), headers=headers)


@pytest.mark.parametrize("one", [*API, *FORMS], ids=str)
def test_with_the_cookie_of_a_login_and_no_token_every_change_is_refused(served: Any, one: Operation) -> None:
    watched, api, _ = served
    answer = send(Visitor(api, "anna"), one, watched.session_id)
    assert (answer.status_code, "no valid CSRF token" in answer.text) == (403, True)
    assert answer.headers["Content-Type"].startswith("text/html" if one in FORMS else "application/json")
    assert watched.is_as_before


@pytest.mark.parametrize("one", [*API, *FORMS], ids=str)
def test_with_a_token_that_is_not_the_cookie_s_every_change_is_refused(served: Any, one: Operation) -> None:
    watched, api, _ = served
    visitor, another = Visitor(api, "anna"), Visitor(api, "anna")
    own, swapped = visitor.token, another.token
    assert own != swapped
    for token in ("", "x", swapped, own[:-1], own + "x", own.swapcase(), "é", f"{own},{own}"):
        answer = send(visitor, one, watched.session_id, headers={HEADER: token.encode("latin-1")})  # type: ignore[dict-item]  # as sent
        assert answer.status_code == 403
    assert watched.is_as_before


@pytest.mark.parametrize("one", [*API, *FORMS], ids=str)
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_another_site_sent_is_refused_whatever_token_it_has(served: Any, one: Operation, site: str) -> None:
    watched, api, _ = served
    visitor = Visitor(api, "anna")
    answer = send(visitor, one, watched.session_id, headers={HEADER: visitor.token, "Sec-Fetch-Site": site})
    assert (answer.status_code, "a page of another site" in answer.text) == (403, True)
    assert watched.is_as_before


@pytest.mark.parametrize("one", [*API, *FORMS], ids=str)
def test_a_token_that_another_deployment_signed_is_none(served: Any, one: Operation) -> None:
    watched, api, _ = served
    token = _token_signed_with("of another deployment")
    visitor = Visitor(api, "anna")
    visitor.http.cookies.set(COOKIE, token)
    assert send(visitor, one, watched.session_id, headers={HEADER: token}).status_code == 403
    assert watched.is_as_before


def _token_signed_with(secret: str) -> str:
    own = hashlib.sha256(f"agentfix-csrf:{secret}".encode()).hexdigest()
    signed = URLSafeSerializer(own).dumps("chosen", "csrftoken")
    assert isinstance(signed, str)
    return signed


@pytest.mark.parametrize("one", FORMS, ids=str)
@pytest.mark.parametrize("kind", ["form", "multipart", "query"])
def test_a_token_anywhere_but_in_the_header_is_none(served: Any, one: Operation, kind: str) -> None:
    """One that somebody got for himself can be planted as a cookie by a site below the same domain, and sent in a form."""
    watched, api, _ = served
    visitor = Visitor(api, "anna")
    token = {"csrftoken": visitor.token}
    path, params, form = example_of(one, watched.session_id)
    sent: dict[str, Any] = {
        "form": {"data": {**token, **form}},
        "multipart": {"files": {name: (None, str(value)) for name, value in {**token, **form}.items()}},
        "query": {"params": {**token, **params}, "data": form},
    }[kind]
    assert visitor.send(one.method, path, headers=HTMX, **sent).status_code == 403
    assert watched.is_as_before


@pytest.mark.parametrize("one", [*API, *FORMS], ids=str)
def test_without_any_login_nothing_is_changed_by_what_a_plain_form_can_send(served: Any, one: Operation) -> None:
    """As with simple_auth_manager_all_admins, where no cookie is needed."""
    watched, _, everybody = served
    if one.method == "DELETE":
        return  # no form has it, and a script of another site has to ask first
    path = example_of(one, watched.session_id)[0] if one in FORMS else ROOT + one.path.replace("{session_id}", watched.session_id)
    for kind in PLAIN:
        for body in (b'{"reason": "x"}', b"dag_id=a&run_id=b", b"", b"\xff"):
            headers = {"Content-Type": kind} if kind else {}
            answer = requests.request(one.method, f"{everybody.url}{BASE}{path}", data=body, headers=headers, timeout=20)
            assert answer.status_code == (403 if one in FORMS else 422)
    assert watched.is_as_before


@pytest.fixture
def session_id(server: Server) -> str:
    return example_session(server)


def test_our_own_pages_and_scripts_send_what_is_needed(api: ApiServer, server: Server, session_id: str) -> None:
    visitor = Visitor(api, "anna")
    token = {HEADER: visitor.token}
    (start,) = [one for one in FORMS if one.path == "/task/start"]
    assert visitor.ask(start, session_id, headers={**HTMX, **token}).status_code < 300
    stopped = visitor.send("POST", f"{ROOT}/sessions/{session_id}/stop", json={"reason": "x"}, headers=token)
    assert (stopped.status_code, stopped.json()["session"]["outcome"]) == (200, "stopped")


def test_a_login_by_bearer_token_needs_none_whatever_cookies_are_beside_it(api: ApiServer, session_id: str) -> None:
    for scheme in ("Bearer", "bearer"):
        visitor = Visitor(api, "anna")
        visitor.http.cookies.set(COOKIE, "x")
        headers = {"Authorization": f"{scheme} anna", "Content-Type": "application/json"}
        told = visitor.send("POST", f"{ROOT}/sessions/{session_id}/message", data='{"message": "x"}', headers=headers)
        assert told.status_code == 200


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Basic YTpi", "Bearerx y"])
def test_what_is_no_bearer_token_excuses_from_nothing(api: ApiServer, session_id: str, authorization: str) -> None:
    visitor = Visitor(api, "anna")
    answer = visitor.send("POST", f"{ROOT}/sessions/{session_id}/stop", json={}, headers={"Authorization": authorization})
    assert answer.status_code == 403


def test_without_logins_our_own_pages_and_json_are_taken(server: Server, session_id: str) -> None:
    with ApiServer(server.service, user=lambda: Person("anna")) as everybody:
        visitor = Visitor(everybody, None)
        assert visitor.ask(next(one for one in FORMS if one.path == "/task/start"), session_id).status_code < 300
        assert visitor.send("POST", f"{ROOT}/sessions/{session_id}/stop", json={}).status_code == 200


def test_a_token_is_good_in_every_process_of_the_api_server_and_after_a_restart(server: Server, session_id: str) -> None:
    with ApiServer(server.service) as first:
        visitor = Visitor(first, "anna")
        token = visitor.token
    with ApiServer(server.service) as second:
        visitor.root = f"{second.url}{BASE}"
        path = f"{ROOT}/sessions/{session_id}/stop"
        assert visitor.send("POST", path, json={}, headers={HEADER: token}).status_code == 200
        assert visitor.token == token


@pytest.mark.parametrize(
    ("base_url", "attributes"),
    [
        ("", {"Path=/agentfix", "SameSite=Lax"}),
        ("http://air.example:8080", {"Path=/agentfix", "SameSite=Lax"}),
        ("https://air.example/", {"Path=/agentfix", "SameSite=Lax", "Secure"}),
        ("https://air.example/airflow/", {"Path=/airflow/agentfix", "SameSite=Lax", "Secure"}),
    ],
)
def test_the_cookie_goes_to_our_pages_alone_and_over_https_alone_where_people_come_so(
    server: Server, base_url: str, attributes: set[str]
) -> None:
    with ApiServer(server.service, base_url=base_url) as api:
        path = base_url.partition("example")[2].partition("/")[2].rstrip("/")
        answer = requests.get(f"{api.url}/{path}{'/' if path else ''}agentfix/", cookies={LOGIN: "anna"}, timeout=20)
    assert answer.status_code == 200
    name, *found = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert set(found) == attributes
    assert "Cookie" in answer.headers["Vary"]


def test_the_plugin_hands_over_the_secret_that_all_processes_share() -> None:
    first, second = (AgentFixPlugin().fastapi_apps[0]["app"] for _ in range(2))
    (given,) = {str(one.kwargs["secret"]) for app in (first, second) for one in app.user_middleware if "secret" in one.kwargs}
    assert given


# --- what a broken or hostile client sends ------------------------------------------------------------------------


def raw(api: ApiServer, method: str, path: str, headers: list[tuple[str, bytes]], body: bytes = b"") -> tuple[int, str]:
    """Exactly these headers, in this order."""
    connection = http.client.HTTPConnection(api.url.removeprefix("http://"), timeout=20)
    connection.putrequest(method, BASE + path)
    for name, value in [*headers, ("Content-Length", str(len(body)).encode())]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


JSON = ("Content-Type", b"application/json")
ODD = (b"\xff\xfe=1", b"a:b=1", b"foo[bar]=x", b"=", b";;;", b'q="unclosed', b"x=\xc3\xa9", b"a b c", b"k=" + b"v" * 4000)


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_other_cookies_of_whatever_form_break_neither_a_page_nor_a_change(api: ApiServer, session_id: str, odd: bytes) -> None:
    token = Visitor(api, "anna").token.encode()
    jars = [
        [odd + b"; %b=anna; agentfix_csrf=%b" % (LOGIN.encode(), token)],
        [b"%b=anna; agentfix_csrf=%b; " % (LOGIN.encode(), token) + odd],
    ]
    for jar in jars:
        cookies = [("Cookie", one) for one in jar]
        assert raw(api, "GET", "/", cookies)[0] == 200
        path = f"{ROOT}/sessions/{session_id}/message"
        assert raw(api, "POST", path, [*cookies, JSON], b'{"message": "x"}')[0] == 403
        assert raw(api, "POST", path, [*cookies, JSON, (HEADER, token)], b'{"message": "x"}')[0] == 200


def test_cookies_in_several_headers_as_http_2_has_them_are_all_seen(api: ApiServer, session_id: str) -> None:
    token = Visitor(api, "anna").token.encode()
    login, own = ("Cookie", f"{LOGIN}=anna".encode()), ("Cookie", b"agentfix_csrf=" + token)
    path = f"{ROOT}/sessions/{session_id}/message"
    for cookies in ([login, own], [own, login], [login, ("Cookie", b"")], [("Cookie", b""), login]):
        assert raw(api, "POST", path, [*cookies, JSON], b'{"message": "x"}')[0] == 403
    assert raw(api, "POST", path, [login, own, JSON, (HEADER, token)], b'{"message": "x"}')[0] == 200
    assert raw(api, "POST", path, [login, own, JSON, (HEADER, token), (HEADER, token)], b'{"message": "x"}')[0] == 403


@pytest.mark.parametrize(
    "kind", [b"multipart/form-data", b"multipart/form-data; boundary=", b"application/x-www-form-urlencoded", b"\xff"]
)
@pytest.mark.parametrize("body", [b"\xff\xfe", b"--x\r\n", b"csrftoken=\xff", b"%ff%zz&&&==="])
def test_a_form_that_cannot_be_read_is_refused_and_breaks_nothing(
    api: ApiServer, session_id: str, kind: bytes, body: bytes
) -> None:
    token = Visitor(api, "anna").token.encode()
    login = [("Cookie", f"{LOGIN}=anna; {COOKIE}=".encode() + token), ("Content-Type", kind), ("HX-Request", b"true")]
    for path in ("/task/start", f"{ROOT}/sessions/{session_id}/stop"):
        assert 400 <= raw(api, "POST", path, login, body)[0] < 500
        assert 400 <= raw(api, "POST", path, [*login, (HEADER, token)], body)[0] < 500

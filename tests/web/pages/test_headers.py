"""What every answer tells the browser: a page, a part of one, a file, a refusal, a bug, an answer of the API."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_agentfix.web.headers import POLICY
from airflow_agentfix.web.pages import static
from tests.fakes.api_server import ApiServer
from tests.web.conftest import example_session, server_in
from tests.web.pages.visitor import HTMX, Visitor
from tests.web.routes import BASE, OPERATIONS, PAGES, ROOT, Operation, example_call


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ApiServer, str]]:
    server = server_in(Path(tmp_path_factory.mktemp("served")))
    with ApiServer(server.service) as api:
        yield api, example_session(server)
    server.close()


def is_guarded(answer: requests.Response) -> bool:
    told = answer.headers
    return (
        told["Content-Security-Policy"] == POLICY
        and told["X-Content-Type-Options"] == "nosniff"
        and told["X-Frame-Options"] == "SAMEORIGIN"
        and told["Referrer-Policy"] == "same-origin"
        and told["Cache-Control"] == "no-store"
    )


@pytest.mark.parametrize("one", PAGES, ids=str)
@pytest.mark.parametrize("user", ["anna", "stranger", None])
def test_a_page_a_part_of_one_and_a_refusal_have_them_all(
    served: tuple[ApiServer, str], one: Operation, user: str | None
) -> None:
    api, session_id = served
    for headers in ({}, HTMX):
        assert is_guarded(Visitor(api, user).ask(one, session_id, headers=headers))


def test_a_poll_that_knows_everything_gets_them_and_no_body(served: tuple[ApiServer, str]) -> None:
    api, session_id = served
    visitor = Visitor(api, "anna")
    page = visitor.get(f"/sessions/{session_id}").text
    (poll,) = re.findall(r"<[^>]*/live[^>]*>", page)
    etag, address = (unescape(re.search(found, poll)[2]) for found in (r"data-etag=(['\"])(.*?)\1", r"hx-get=(['\"])(.*?)\1"))  # type: ignore[index]
    answer = visitor.get(address.removeprefix(BASE), headers={**HTMX, "If-None-Match": etag})
    assert (answer.status_code, answer.content, is_guarded(answer)) == (304, b"", True)


@pytest.mark.parametrize("path", ["/nowhere", "/sessions/", "/static/x/../../app.py", "/%00", "/sessions/a%2Fb"])
def test_what_is_not_there_is_a_page_that_says_so(served: tuple[ApiServer, str], path: str) -> None:
    answer = Visitor(served[0], "anna").get(path)
    assert (answer.status_code, is_guarded(answer)) == (404, True)
    assert "<h1>" in answer.text


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_an_answer_of_the_api_is_not_sniffed_kept_or_framed_elsewhere(served: tuple[ApiServer, str], one: Operation) -> None:
    for user in ("reader", None):
        assert is_guarded(example_call(served[0], one, served[1], user=user))


def test_the_document_s_own_pages_are_as_fastapi_makes_them_without_a_policy_that_would_empty_them(
    served: tuple[ApiServer, str],
) -> None:
    answer = Visitor(served[0], None).get("/docs")
    assert "swagger" in answer.text
    assert "Content-Security-Policy" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


# --- files -----------------------------------------------------------------------------------------------------------

FILES = [path.relative_to(static.FOLDER).as_posix() for path in sorted(static.FOLDER.rglob("*")) if path.is_file()]
TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain", ".md": "text/markdown"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_kept_for_good_at_the_address_of_its_content(served: tuple[ApiServer, str], name: str) -> None:
    address = static.address_of(name)
    got = Visitor(served[0], None).get(address)
    assert got.content == (static.FOLDER / name).read_bytes()
    assert got.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert got.headers["Content-Type"].startswith(TYPES[Path(name).suffix])
    assert got.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/static/0000000000000000/agentfix.css",
        "/static/x/../agentfix.css",
        "/static/{digest}/../agentfix.js",
        "/static/{digest}/%2e%2e/__init__.py",
        "/static/{digest}/..%2f..%2fapp.py",
        "/static/{digest}//etc/passwd",
        "/static/{digest}/agentfix.css%00",
        "/static/{digest}/agentfix.js",
        "/static//agentfix.css",
    ],
)
def test_any_other_address_is_no_file_and_is_not_kept(served: tuple[ApiServer, str], path: str) -> None:
    digest = static.address_of("agentfix.css").split("/")[2]
    request = requests.Request("GET", "http://x/").prepare()
    request.url = f"{served[0].url}/agentfix{path.format(digest=digest)}"  # as it is: the library would resolve the dots
    with requests.Session() as http:
        answer = http.send(request, timeout=20)
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_page_and_its_files_weigh_little_when_compressed_as_airflow_does(served: tuple[ApiServer, str]) -> None:
    page: Any = Visitor(served[0], "anna").get(f"/sessions/{served[1]}")
    own = [name for name in FILES if name.endswith((".css", ".js"))]
    assert (
        sum(len(gzip.compress(data, 5)) for data in [page.content, *((static.FOLDER / one).read_bytes() for one in own)])
        < 150_000
    )


def test_nothing_on_a_page_is_asked_of_another_host(served: tuple[ApiServer, str]) -> None:
    for path in ("/", f"/sessions/{served[1]}"):
        text = Visitor(served[0], "anna").get(path).text
        assert "http://" not in text.replace("http://www.w3.org", "")
        assert f"{ROOT}/" not in text

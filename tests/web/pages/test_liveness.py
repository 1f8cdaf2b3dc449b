"""What agentfix.js does in a real browser: polls, what a page says when nobody answers, one request for one click, focus.

Any page of ours has the script; here it is the one that says that nothing is there, with other content.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect, sync_playwright

from tests.fakes.api_server import COOKIE, ApiServer
from tests.fakes.server import Server
from tests.web.conftest import server_in
from tests.web.pages import world

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
HERE = "/agentfix/nowhere?a=1&b=x%20y"
POLLED = """<div id="live" hx-get="/agentfix/probe?after=1" hx-trigger="agentfix:poll from:body" hx-swap="outerHTML"
  hx-sync="this:drop" data-etag='"1"'></div>"""
FORM = """<form hx-post="/agentfix/probe" hx-target="#told">
    <button name="a" value="1">One</button><button name="a" value="2">Two</button>
  </form>
  <div id="told"></div>"""
PART = """<section id='part'>
    <details id='more'><summary>More</summary><a href='#x'>Where {n}</a><a href='#y'>Why</a></details>
  </section>"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        told = "no browser is installed; install one with: apt-get install chromium"
        pytest.fail(told) if os.environ.get("CI") == "true" else pytest.skip(told)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = server_in(Path(tmp_path_factory.mktemp("served")))
    with ApiServer(server.service) as api:
        yield api.url
    server.close()


class Shown:
    """A page of ours with this content; `answer` is what the probe that it asks is answered with, None for no answer at all."""

    def __init__(self, page: Page, url: str, content: str) -> None:
        self.page, self.asked, self._content = page, [], content
        self.answer: dict[str, Any] | None = {"status": 304}
        self.held: list[Route] = []
        self.hold = False
        page.clock.install(time="2026-11-26T08:00:00")
        page.clock.pause_at("2026-11-26T08:00:01")  # else it goes on by itself, however long the machine takes
        page.route("**/agentfix/nowhere*", self._with_content)
        page.route("**/agentfix/probe*", self._probe)
        page.goto(url + HERE)

    def _with_content(self, route: Route) -> None:
        response = route.fetch()
        before, _, rest = response.text().partition('<main id="main">')
        _, _, after = rest.partition("</main>")
        route.fulfill(response=response, status=200, body=f'{before}<main id="main">{self._content}</main>{after}')

    def _probe(self, route: Route) -> None:
        self.asked.append(route.request)
        if self.hold:
            self.held.append(route)
        else:
            self.give(route)

    def give(self, route: Route) -> None:
        if self.answer is None:
            route.abort()
        else:
            route.fulfill(**{"content_type": "text/html", **self.answer})

    def pass_seconds(self, seconds: int) -> list[int]:
        """At which of them the probe was asked."""
        at = []
        for second in range(1, seconds + 1):
            before = len(self.asked)
            self.page.clock.run_for(1000)
            self.page.wait_for_timeout(25)
            while self.page.locator(".htmx-request").count():  # seconds pass here at once, answers take as long as they take
                self.page.wait_for_timeout(10)
                self.page.clock.run_for(2)  # htmx lets an answer settle for a moment
            at += [second] * (len(self.asked) - before)
        return at


@pytest.fixture
def show(browser: Browser, url: str) -> Iterator[Callable[[str], Shown]]:
    context = browser.new_context()
    context.add_cookies([{"name": COOKIE, "value": "anna", "url": url}])
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    yield lambda content: Shown(page, url, content)
    context.close()
    assert complaints == []


def test_a_page_polls_every_two_seconds_with_the_tag_of_what_it_shows(show: Callable[[str], Shown]) -> None:
    shown = show(POLLED)
    assert len(shown.pass_seconds(10)) == 5
    assert {request.headers["if-none-match"] for request in shown.asked} == {'"1"'}
    expect(shown.page.locator("#away")).to_be_hidden()


def test_what_is_asked_for_by_the_minute_waits_while_nobody_looks_and_comes_at_once_then(show: Callable[[str], Shown]) -> None:
    shown = show(POLLED.replace("agentfix:poll", "agentfix:minute"))
    assert shown.pass_seconds(122) == [60, 120]
    hide = "hidden => Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden })"
    shown.page.evaluate(hide, True)
    assert shown.pass_seconds(90) == []
    shown.page.evaluate(hide, False)
    assert len(shown.pass_seconds(3)) == 1


@pytest.mark.parametrize("answer", [None, {"status": 503}, {"status": 502}, {"status": 429}], ids=str)
def test_while_airflow_is_away_the_page_says_so_and_asks_less_and_less_often(
    show: Callable[[str], Shown], answer: dict[str, Any] | None
) -> None:
    shown = show(POLLED)
    shown.answer = answer
    assert len(shown.pass_seconds(3)) == 1
    expect(shown.page.locator("#away")).to_be_visible()
    at = shown.pass_seconds(150)
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert pauses == sorted(pauses[:3]) + pauses[3:]
    assert max(pauses) <= 34
    assert min(pauses[3:]) >= 26
    expect(shown.page.locator("#live")).to_have_count(1)
    shown.answer = {"status": 304}
    shown.pass_seconds(35)
    expect(shown.page.locator("#away")).to_be_hidden()
    assert len(shown.pass_seconds(10)) >= 4


@pytest.mark.parametrize("answer", [{"status": 401, "body": "x"}, {"status": 302, "headers": {"Location": "/login"}}], ids=str)
def test_when_the_login_has_expired_the_page_says_so_and_asks_no_more(
    show: Callable[[str], Shown], answer: dict[str, Any]
) -> None:
    """Also where a proxy leads to a login page of its own, which is no part of ours."""
    shown = show(POLLED)
    shown.page.route(
        "**/login*", lambda route: route.fulfill(status=200, content_type="text/html", body="<p id='foreign'>Log in</p>")
    )
    shown.answer = answer
    shown.pass_seconds(4)
    expect(shown.page.locator("#expired")).to_be_visible()
    expect(shown.page.locator("#away")).to_be_hidden()
    expect(shown.page.locator("#foreign")).to_have_count(0)
    assert shown.pass_seconds(40) == []
    shown.page.route(
        "**/api/v2/auth/login*", lambda route: route.fulfill(status=200, content_type="text/html", body="<p>Log in</p>")
    )
    shown.page.locator("#expired a").click()
    shown.page.wait_for_url("**/api/v2/auth/login*")
    assert parse_qs(urlsplit(shown.page.url).query) == {"next": [HERE]}


def test_what_is_gone_is_told_once_and_asked_no_more(show: Callable[[str], Shown]) -> None:
    shown = show(POLLED)
    shown.answer = {"status": 404, "body": "<p class='notice'>No such session.</p>"}
    shown.pass_seconds(3)
    expect(shown.page.locator("#notices")).to_have_text("No such session.")
    assert shown.pass_seconds(20) == []


def test_a_part_that_did_not_come_is_asked_for_again(show: Callable[[str], Shown]) -> None:
    shown = show('<div id="part" hx-get="/agentfix/probe" hx-trigger="load" hx-swap="outerHTML">Loading</div>')
    shown.answer = {"status": 503}
    shown.page.reload()
    shown.page.wait_for_timeout(100)
    expect(shown.page.locator("#away")).to_be_visible()
    shown.answer = {"status": 200, "body": "<div id='part'>There</div>"}
    shown.pass_seconds(20)
    expect(shown.page.locator("#part")).to_have_text("There")
    expect(shown.page.locator("#away")).to_be_hidden()


def test_what_is_clicked_twice_is_sent_once_and_can_be_sent_again_after_a_refusal(show: Callable[[str], Shown]) -> None:
    shown = show(FORM)
    shown.hold = True
    one, two = (shown.page.get_by_role("button", name=name) for name in ("One", "Two"))
    one.dblclick()
    shown.page.wait_for_timeout(100)
    expect(one).to_be_disabled()
    expect(two).to_be_disabled()
    shown.page.locator("form").evaluate("form => form.requestSubmit()")
    shown.page.wait_for_timeout(100)
    assert [request.post_data for request in shown.asked] == ["a=1"]
    assert shown.asked[0].headers["hx-request"] == "true"
    assert shown.asked[0].headers["x-csrftoken"]
    shown.answer = {"status": 409, "body": "<p>Another was first.</p>"}
    shown.give(shown.held.pop())
    expect(shown.page.locator("#notices")).to_have_text("Another was first.")
    expect(one).to_be_focused()
    shown.hold, shown.answer = False, {"status": 200, "body": "Done."}
    two.click()
    expect(shown.page.locator("#told")).to_have_text("Done.")
    expect(shown.page.locator("#notices")).to_be_empty()
    assert len(shown.asked) == 2


def test_a_change_that_nobody_answered_is_told_as_not_known(show: Callable[[str], Shown]) -> None:
    shown = show(FORM)
    shown.answer = None
    shown.page.get_by_role("button", name="One").click()
    expect(shown.page.locator("#notices")).to_contain_text("not known whether this was done")
    expect(shown.page.get_by_role("button", name="One")).to_be_enabled()


def test_focus_and_what_was_unfolded_stay_when_a_part_is_replaced(show: Callable[[str], Shown]) -> None:
    shown = show(POLLED + PART.format(n=1))
    shown.page.locator("summary").click()
    shown.page.get_by_role("link", name="Why").focus()
    again = PART.format(n=2).replace("<section", "<section hx-swap-oob='true'")
    shown.answer = {"status": 200, "body": f"<div id='live'></div>{again}"}
    shown.pass_seconds(3)
    expect(shown.page.get_by_role("link", name="Where 2")).to_be_visible()
    expect(shown.page.get_by_role("link", name="Why")).to_be_focused()


def test_a_link_to_an_event_of_long_ago_leads_there_however_much_stands_between(
    browser: Browser, server: Server, api: ApiServer
) -> None:
    """What stands between comes in parts of some MB."""
    claim = world.at_work(server)
    for _ in range(14):
        server.append(claim, world.result("read_log", "a long line of a log\n" * 20_000))
    context = browser.new_context()
    context.add_cookies([{"name": COOKIE, "value": "anna", "url": api.url}])
    page = context.new_page()
    page.goto(f"{api.url}/agentfix/sessions/{claim.session.id}#event-2")
    expect(page.locator("#event-2")).to_be_in_viewport()
    context.close()

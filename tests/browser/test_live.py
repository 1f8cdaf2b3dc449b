"""A page keeps itself up to date. Time passes on it when a test says so: how long an answer takes is measured by `make bench`."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from airflow_agentfix.core.session import EventKind
from tests.browser.conftest import Visit
from tests.browser.stories import Shop

pytestmark = pytest.mark.e2e
NAME = "kept"
LIVE = "**/live?*"
POLL_SECONDS = 2


def opened(shown: Shop, visit: Visit) -> Page:
    """The page of a session that waits, before its first poll. Its clock stands still."""
    shown.until_asked(NAME)
    session = shown.session(NAME)
    shown.here.until(lambda: bool(shown.here.events(session, EventKind.PARKED)), f"{NAME} waits")
    admin = visit("admin")
    admin.page.clock.install(time="2026-11-26T08:00:00")
    admin.page.clock.pause_at("2026-11-26T08:00:01")
    return admin.our(shown.page(NAME))


def pass_seconds(page: Page, seconds: int) -> None:
    page.clock.run_for(seconds * 1000)


def test_an_event_shows_with_the_next_poll(shown: Shop, visit: Visit):
    page, session_id = opened(shown, visit), shown.session(NAME).id
    for number in range(4):
        shown.here.sessions("admin").message(session_id, f"Note {number}")
        stored = shown.here.deployment.sessions.get(session_id).last_event
        assert page.locator(f"#event-{stored}").count() == 0
        pass_seconds(page, POLL_SECONDS)
        page.locator(f"#event-{stored}").wait_for(state="attached")


def test_a_page_that_is_looked_at_again_asks_at_once(shown: Shop, visit: Visit):
    asked: list[str] = []
    page = opened(shown, visit)
    looks(page, away=True)
    page.on("request", lambda request: asked.append(request.url))
    pass_seconds(page, 60)
    page.wait_for_timeout(500)  # a request would be told of by now
    assert asked == []
    with page.expect_request(LIVE):
        looks(page, away=False)


def looks(page: Page, *, away: bool) -> None:
    """Playwright shows every page at all times, so the page is told what a window's would be, as in test_hidden.py."""
    state = "hidden" if away else "visible"
    page.evaluate(
        """(state) => {
          Object.defineProperty(document, 'hidden', { configurable: true, get: () => state === 'hidden' });
          Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
          document.dispatchEvent(new Event('visibilitychange'));
        }""",
        state,
    )


def test_a_poll_that_brings_nothing_new_leaves_the_page_as_it_is(shown: Shop, visit: Visit):
    page = opened(shown, visit)
    page.locator("main").evaluate("(one) => { one.dataset.seen = 'yes'; one.querySelector('h1').tabIndex = 0 }")
    for _ in range(3):
        with page.expect_response(LIVE) as answer:
            pass_seconds(page, POLL_SECONDS)
        assert answer.value.status == 304
    assert page.locator("main").get_attribute("data-seen") == "yes"

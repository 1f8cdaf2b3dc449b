"""A page keeps itself up to date."""

from __future__ import annotations

import pytest
from playwright.sync_api import Request

from tests.browser.conftest import Visit
from tests.browser.live import seconds_to_show
from tests.browser.stories import Shop

pytestmark = pytest.mark.e2e
NAME = "kept"
SECONDS = 3.0


def test_an_event_shows_within_three_seconds(shown: Shop, visit: Visit):
    shown.until_asked(NAME)
    page, session_id = visit("admin").our(shown.page(NAME)), shown.session(NAME).id
    assert max(seconds_to_show(shown.here, page, session_id, f"Note {number}") for number in range(4)) < SECONDS


def test_a_poll_that_brings_nothing_new_leaves_the_page_as_it_is(shown: Shop, visit: Visit):
    page = visit("admin").our(shown.page(NAME))
    answers: list[int] = []

    def keep(request: Request) -> None:
        if "/live" in request.url and (response := request.response()):
            answers.append(response.status)

    page.on("requestfinished", keep)
    page.locator("main").evaluate("(one) => { one.dataset.seen = 'yes'; one.querySelector('h1').tabIndex = 0 }")
    page.wait_for_timeout(4500)
    assert set(answers) == {304}
    assert page.locator("main").get_attribute("data-seen") == "yes"

"""What somebody types is not lost, whatever becomes of the page; and what the page has to say is in sight."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.alone import Alone, alone
from tests.web.pages import world

WORDS = "The shop renamed it on Monday"
RETURNS = "window.dispatchEvent(new Event('focus'))"


@pytest.fixture
def here(browser: Browser, tmp_path: Path) -> Iterator[Alone]:
    with alone(browser, tmp_path) as made:
        yield made


def typed(here: Alone) -> Page:
    """On the page of a session that asks, with words that were not sent."""
    page = here.anna.our(f"/sessions/{world.waiting_for_answer(here.server).session.id}")
    page.get_by_label("Or in your own words").fill(WORDS)
    return page


def test_words_outlive_a_reload_and_are_gone_once_they_are_sent(here: Alone):
    page = typed(here)
    page.reload()
    expect(page.get_by_label("Or in your own words")).to_have_value(WORDS)
    page.get_by_role("button", name="Answer").click()
    expect(page.locator("#timeline")).to_contain_text(WORDS)
    assert page.evaluate("Object.keys(sessionStorage).filter((key) => key.startsWith('agentfix:'))") == []


def test_a_login_that_ends_is_said_and_once_there_is_one_again_the_page_goes_on(here: Alone):
    page = typed(here)
    here.is_logged_out()
    expired = page.get_by_text("Your login to Airflow has expired")
    expired.wait_for()
    here.logs_in()
    page.evaluate(RETURNS)
    expired.wait_for(state="hidden")
    page.get_by_role("button", name="Answer").click()
    expect(page.locator("#timeline")).to_contain_text(WORDS)
    here.anna.forgives("status of 401", "Response Status Error Code 401")


def test_a_refusal_is_in_sight_wherever_one_has_scrolled_and_the_words_stay(here: Alone):
    page = typed(here)
    page.set_viewport_size({"width": 640, "height": 360})
    here.anna.context.clear_cookies(name="agentfix_csrf")
    page.get_by_role("button", name="Answer").click()
    expect(page.get_by_role("alert")).to_contain_text("no valid CSRF token")
    assert page.evaluate("scrollY") > 0
    expect(page.locator("#notices")).to_be_in_viewport(ratio=1)
    expect(page.get_by_label("Or in your own words")).to_have_value(WORDS)
    here.anna.forgives("status of 403", "Response Status Error Code 403")


def test_on_paper_it_is_light_whole_and_says_when_in_words_that_last(here: Alone):
    page = here.anna.our(f"/sessions/{world.waiting_for_approval(here.server).session.id}")
    page.locator("html").evaluate("(html) => { html.dataset.theme = 'dark' }")
    page.emulate_media(media="print")
    expect(page.get_by_role("button")).to_have_count(0)
    style = "([one, name]) => getComputedStyle(document.querySelector(one)).getPropertyValue(name)"
    assert page.evaluate(style, ["body", "background-color"]) == "rgb(255, 255, 255)"
    assert page.evaluate(style, [".tall", "max-height"]) == "none"
    content = page.evaluate("getComputedStyle(document.querySelector('#head time'), '::after').content")
    assert content == '"2026-11-22 07:00:00 UTC"'


def test_with_colours_of_the_readers_own_the_chosen_state_is_still_told(here: Alone):
    page = here.anna.our("/")
    page.emulate_media(forced_colors="active")
    colours = page.evaluate(
        "[...document.querySelectorAll('.groups span:not(.count)')].map((one) => getComputedStyle(one).borderBottomColor)"
    )
    assert colours[0] not in colours[1:]

"""The inbox: what waits for a person first, what is looked for found, and one click from a row to its session."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Visit
from tests.browser.stories import BY_CALLBACK, INBOX, Shop
from tests.browser.visitor import View

pytestmark = pytest.mark.e2e


def rows(view: View) -> Locator:
    return view.get_by_role("row").filter(has=view.get_by_role("link"))


def test_what_waits_for_a_person_is_first_and_leads_to_its_session(shown: Shop, visit: Visit):
    for name in BY_CALLBACK:
        shown.until_asked(name)
    tab = visit("admin").tab(INBOX)
    first = rows(tab).first
    expect(first).to_contain_text("waits for a person")
    first.get_by_role("link", name="valeu").click()
    tab.get_by_role("button", name=re.compile("^Approve")).wait_for()


def test_a_search_narrows_the_list_without_a_reload_and_is_in_the_address(shown: Shop, visit: Visit):
    shown.until_asked("rejected")
    page = visit("admin").our("/")
    page.locator("html").evaluate("(html) => { html.dataset.seen = 'yes' }")
    page.get_by_role("searchbox").fill("rejected")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("rejected")
    expect(page.locator("html")).to_have_attribute("data-seen", "yes")
    page.wait_for_url("**q=rejected*")
    page.reload()
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Clear filters").click()
    expect(rows(page)).not_to_have_count(1)


def test_the_group_of_a_state_holds_those_alone_and_a_keyboard_reaches_it(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    page = visit("admin").our("/")
    page.get_by_role("radio", name=re.compile("^Waiting", re.I)).focus()
    page.keyboard.press("Space")
    expect(rows(page).first).to_contain_text("waits for a person")
    page.wait_for_url("**group=*")
    assert {badge for badge in page.locator(".badge").all_inner_texts()} == {"waits for a person"}


def test_a_list_that_nobody_touches_brings_what_changed_and_keeps_the_focus(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    page = visit("admin").our("/")
    search = page.get_by_role("searchbox")
    search.focus()
    for _ in range(2):
        with page.expect_response("**/agentfix/*"):  # a poll's
            pass
    expect(search).to_be_focused()
    assert rows(page).count() > 0


def test_in_airflows_frame_a_keyboard_gets_in_and_out_again(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    person = visit("admin")
    rows(person.tab(INBOX)).first.wait_for()
    inside = []
    for _ in range(80):
        person.page.keyboard.press("Tab")
        inside.append(person.page.evaluate("document.activeElement.tagName === 'IFRAME'"))
        if inside[-2:] == [True, False]:
            return
    raise AssertionError(f"after 80 times Tab it never left: {inside}")


def test_in_airflows_frame_the_way_back_is_step_by_step(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    person = visit("admin")
    tab = person.tab(INBOX)
    search = tab.get_by_role("searchbox")
    search.fill("kept")
    expect(rows(tab)).to_have_count(1)
    person.page.wait_for_url("**q=kept")
    rows(tab).first.get_by_role("link", name="valeu").click()
    tab.locator("#timeline").wait_for()
    person.page.evaluate("history.back()")
    expect(rows(tab)).to_have_count(1)
    expect(search).to_have_value("kept")
    person.page.evaluate("history.back()")
    expect(search).to_have_value("")
    expect(rows(tab)).not_to_have_count(1)

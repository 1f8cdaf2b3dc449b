"""Whoever has a keyboard and a screen reader: the focus is never lost, what came of a key is said, and nothing is said twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from airflow_agentfix.views.inbox import PER_PAGE
from tests.browser.alone import Alone, alone
from tests.store.test_listing import ASKS, FIXED, put
from tests.web.pages import world
from tests.web.pages.world import says, turn

WHERE = "() => document.activeElement.id || document.activeElement.textContent.trim()"
LISTEN = """
() => {
  window.said = [];
  new MutationObserver((changes) => {
    for (const { target } of changes) {
      const live = (target.closest ? target : target.parentElement)?.closest('[role=status], [role=alert]');
      if (live?.textContent.trim()) window.said.push(live.textContent.trim());
    }
  }).observe(document.body, { subtree: true, childList: true, characterData: true });
}
"""


@pytest.fixture
def here(browser: Browser, tmp_path: Path) -> Iterator[Alone]:
    with alone(browser, tmp_path) as made:
        yield made


def press(page: Page, target: Locator, key: str = "Enter") -> None:
    target.focus()
    page.keyboard.press(key)


def test_who_approves_goes_on_from_there_and_hears_what_came_of_it(here: Alone):
    page = here.anna.our(f"/sessions/{world.waiting_for_approval(here.server).session.id}")
    press(page, page.get_by_role("button", name="Approve"))
    expect(page.locator("#spoken")).to_contain_text("Approved")
    assert page.evaluate(WHERE) in ("asks", "main")


def test_who_stops_it_is_left_beside_what_can_be_done_next(here: Alone):
    page = here.anna.our(f"/sessions/{world.waiting_for_answer(here.server).session.id}")
    press(page, page.get_by_text("Stop it"))
    page.keyboard.press("Tab")
    assert page.evaluate(WHERE) == "stop-why"
    page.keyboard.press("Enter")
    page.get_by_label("Go on with something more").wait_for()
    assert page.evaluate(WHERE) == "actions"
    page.keyboard.press("Tab")
    assert page.evaluate(WHERE) == "tell"


def test_what_a_check_of_the_record_found_is_said(here: Alone):
    page = here.anna.our(f"/sessions/{world.at_work(here.server).session.id}")
    page.evaluate(LISTEN)
    press(page, page.get_by_role("button", name="Check that it is whole"))
    page.get_by_text("are what was written").wait_for()
    assert "are what was written" in page.evaluate("window.said")[0]


def test_earlier_events_are_asked_for_again_and_again_from_the_same_place(here: Alone):
    claim = world.at_work(here.server)
    here.server.append(claim, *[turn(says(f"Step {number}")) for number in range(500)])
    page = here.anna.our(f"/sessions/{claim.session.id}")
    rows = page.locator("#timeline > li")
    before = rows.count()
    press(page, page.get_by_role("button", name="Show earlier"))
    expect(rows).not_to_have_count(before)
    then = rows.count()
    page.keyboard.press("Enter")
    expect(rows).not_to_have_count(then)


def test_an_event_of_long_ago_is_jumped_to_at_a_cost_that_grows_with_the_events_alone(here: Alone):
    claim = world.at_work(here.server)
    many = 700
    here.server.append(claim, *[turn(says(f"Step {number}")) for number in range(many)])
    here.anna.context.add_init_script("""
        window.told = 0;
        const format = Intl.RelativeTimeFormat.prototype.format;
        Intl.RelativeTimeFormat.prototype.format = function (...args) { window.told += 1; return format.apply(this, args); };
    """)
    page = here.anna.our(f"/sessions/{claim.session.id}#event-2")
    expect(page.locator("#event-2")).to_be_in_viewport()
    assert page.evaluate("window.told") < 5 * many


def test_a_page_of_the_list_begins_where_the_focus_is(here: Alone):
    for number in range(PER_PAGE + 3):
        put(here.server, f"s{number:02}", **FIXED, task_id=f"t{number}")
    page = here.anna.our("/")
    press(page, page.get_by_role("link", name="Next page"))
    page.wait_for_url("**after=*")
    expect(page.get_by_role("row")).to_have_count(1 + 3)
    assert page.evaluate(WHERE) == "list"
    page.keyboard.press("Tab")
    assert page.evaluate(WHERE).startswith("open-")
    page.go_back()
    expect(page.get_by_role("row")).to_have_count(1 + PER_PAGE)


def test_a_list_that_changes_by_itself_says_nothing_of_what_it_said_before(here: Alone):
    claim = world.at_work(here.server)
    page = here.anna.our("/")
    page.evaluate(LISTEN)
    here.server.append(claim, turn(says("More."), dollars=1.5))
    expect(page.get_by_role("row").last).to_contain_text("$1.55")
    assert page.evaluate("window.said") == []


def test_a_search_is_said_and_is_one_step_of_the_way_back(here: Alone):
    for number in range(3):
        put(here.server, f"s{number:02}", **FIXED, task_id=f"task{number}")
    page = here.anna.our("/")
    page.evaluate(LISTEN)
    before = page.evaluate("history.length")
    page.get_by_role("searchbox").fill("task1")
    page.wait_for_url("**q=task1")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.wait_for_timeout(600)  # longer than the search waits for another key
    here.anna.settles()
    assert page.evaluate("[history.length, [...new Set(window.said)]]") == [before + 1, ["1 session"]]
    page.go_back()
    expect(page.get_by_role("row")).to_have_count(1 + 3)
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_the_title_says_the_state_and_follows_it(here: Alone):
    session_id = world.waiting_for_approval(here.server).session.id
    page = here.anna.our("/")
    expect(page).to_have_title("(1) Sessions · Agent Fix")
    page = here.anna.our(f"/sessions/{session_id}")
    expect(page).to_have_title("Waits for you: orders / load · Agent Fix")
    page.get_by_role("button", name="Reject").click()
    expect(page).to_have_title("Answered: orders / load · Agent Fix")


def test_a_state_and_a_choice_filter_at_once_by_keyboard(here: Alone):
    put(here.server, "fixed", **FIXED)
    put(here.server, "asks", day=21, **ASKS)
    page = here.anna.our("/")
    press(page, page.get_by_role("radio", name="Fixed"), "Space")
    page.wait_for_url("**group=fixed")
    expect(page.get_by_role("row")).to_have_count(1 + 1)
    page.get_by_role("combobox", name="Since").select_option("Today")
    page.wait_for_url("**since=today*")
    assert page.get_by_role("radio", name="Fixed").evaluate("(one) => one.checked")

"""The main job in the browser: a failed task, its tab, Fix and rerun, watching, a yes in the page, a green run; and the noes.

Two people at once, one in the light with a mouse, one in the dark with nothing but a keyboard. Fixtures are the steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from airflow_agentfix.core.session import EventKind, Outcome
from tests.browser.conftest import Visit
from tests.browser.stories import BY_HAND, Shop, run_tab, task_tab
from tests.browser.visitor import View, Visitor, barriers, log_in, switch_theme, theme_of

pytestmark = pytest.mark.e2e
APPROVE = re.compile("^Approve")
MARK = "(html) => { html.dataset.opened = 'once' }"


@dataclass(frozen=True)
class Story:
    """One person's: `tab` is the frame in Airflow's page."""

    name: str
    person: Visitor
    tab: FrameLocator

    def press(self, name: str) -> None:
        """A button of our page: with the mouse in the light, by keyboard alone in the dark."""
        button = self.tab.get_by_role("button", name=re.compile(f"^{name}")).first
        button.wait_for()
        if self.name == "light":
            button.click()
        else:
            tab_to(self.person.page, button)
            self.person.page.keyboard.press("Enter")

    def is_the_page_that_was_opened(self) -> bool:
        return self.tab.locator("html").get_attribute("data-opened") == "once"


def tab_to(page: Page, target: Locator, most: int = 120) -> None:
    """Press Tab until it has the focus."""
    for _ in range(most):
        if target.evaluate("(one) => one === document.activeElement"):
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"after {most} times Tab the focus is not on {target}")


@pytest.fixture(scope="module")
def opened(browser: Browser, airflow: Shop) -> Iterator[dict[str, Story]]:
    """Both have opened the tab of their failed task."""
    with ExitStack() as stack:
        stories = {}
        for name in BY_HAND:
            airflow.fails(name)
            person = stack.enter_context(Visitor(browser, airflow.url))
            log_in(person, "admin")
            if name == "dark":
                switch_theme(person.page, "dark")
            stories[name] = Story(name, person, person.tab(task_tab(name)))
        yield stories


def test_before_anything_is_started_the_tab_says_what_happened_and_whose_it_is(opened: dict[str, Story], airflow: Shop):
    for name, story in opened.items():
        story.tab.get_by_text("name 'valeu' is not defined").first.wait_for()
        expect(story.tab.get_by_text(f"{name}.py").first).to_be_visible()
        expect(story.tab.get_by_role("button", name="Fix and rerun")).to_be_visible()
        assert barriers(story.tab) == []
    assert [one for one in airflow.here.deployment.sessions.list() if one.dag_id in BY_HAND] == []


@pytest.fixture(scope="module")
def started(opened: dict[str, Story], airflow: Shop) -> dict[str, Story]:
    """Both have pressed Fix and rerun, and the session's page came up in its place."""
    for story in opened.values():
        story.press("Fix and rerun")
        story.tab.locator("#timeline").wait_for()
        story.tab.locator("html").evaluate(MARK)
    return opened


@pytest.fixture(scope="module")
def approved(started: dict[str, Story], airflow: Shop) -> dict[str, Story]:
    """The pages came to ask by themselves, and both said yes there."""
    for story in started.values():
        story.tab.get_by_role("button", name=APPROVE).first.wait_for()
        assert story.is_the_page_that_was_opened()
        assert barriers(story.tab) == []
        assert airflow.here.run_state(story.name, story.name) == "failed"
    for story in started.values():
        story.press("Approve")
    return started


def test_what_is_asked_for_approval_shows_the_diff(started: dict[str, Story]):
    for story in started.values():
        story.tab.get_by_role("button", name=APPROVE).first.wait_for()
        expect(story.tab.get_by_text("return value / 2").first).to_be_visible()
        assert story.tab.locator("ins, .gi").count() > 0


def test_the_run_goes_green_and_the_page_says_fixed_without_a_reload(approved: dict[str, Story], airflow: Shop):
    for name, story in approved.items():
        story.tab.get_by_text("fixed", exact=True).first.wait_for()
        assert story.is_the_page_that_was_opened()
        assert airflow.here.run_state(name, name) == "success"
        assert airflow.here.done(name).outcome is Outcome.FIXED
        assert theme_of(story.tab) == name
        story.person.settles()
        assert barriers(story.tab) == []


def test_the_yes_is_on_record_as_the_persons(approved: dict[str, Story], airflow: Shop):
    for name in approved:
        session = airflow.session(name)
        (approval,) = airflow.here.events(session, EventKind.APPROVAL)
        assert (approval.actor, approval.data["decision"], approval.data["via"]) == ("admin", "approve", "api")
        assert approval.data["commit"] == session.fix_commit


def test_the_run_is_shown_to_be_on_a_fix_commit(approved: dict[str, Story], airflow: Shop, visit: Visit):
    airflow.here.done("light")
    tab = visit("vic").tab(run_tab("light"))
    tab.get_by_text("fix commit").first.wait_for()
    expect(tab.get_by_text("fixed", exact=True).first).to_be_visible()


def test_the_tab_is_the_sessions_page_from_then_on(approved: dict[str, Story], visit: Visit):
    tab = visit("admin").tab(task_tab("light"))
    tab.locator("#timeline").wait_for()
    expect(tab.get_by_text("fixed", exact=True).first).to_be_visible()


def test_who_rejects_ends_it_and_nothing_runs(shown: Shop, visit: Visit):
    shown.until_asked("rejected")
    tab = visit("admin").tab(task_tab("rejected"))
    tab.get_by_label("Message").first.fill("not on a Friday")
    tab.get_by_role("button", name="Reject").first.click()
    tab.get_by_text("rejected", exact=True).first.wait_for()
    tab.get_by_text("not on a Friday").first.wait_for(state="attached")
    assert shown.here.run_state("rejected", "rejected") == "failed"
    assert shown.here.events(shown.session("rejected"), EventKind.RERUN) == []


def test_who_stops_it_ends_it(shown: Shop, visit: Visit):
    shown.until_asked("stopped")
    page = visit("admin").our(shown.page("stopped"))
    stop(page)
    page.get_by_text("stopped", exact=True).first.wait_for()
    (event,) = shown.here.events(shown.session("stopped"), EventKind.STOP)
    assert event.actor == "admin"


def stop(view: View) -> None:
    """What stops it is unfolded first."""
    view.get_by_text("Stop it").first.click()
    view.get_by_role("button", name="Stop the session").click()


def test_what_a_person_says_is_on_the_page_a_moment_later(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    page = visit("admin").our(shown.page("kept"))
    box = page.get_by_label("Tell it something")
    box.fill("The report is due at **nine**.")
    box.press("Tab")
    page.keyboard.press("Enter")
    page.locator("#timeline").get_by_text("The report is due at").first.wait_for()
    expect(page.locator("#timeline").get_by_text("nine", exact=True).first).to_be_visible()


def test_the_record_can_be_taken_along_from_inside_airflow(shown: Shop, visit: Visit):
    shown.until_asked("kept")
    viewer = visit("vic")
    tab = viewer.tab(task_tab("kept"))
    with viewer.page.expect_download() as taken:
        tab.get_by_role("link", name="Export").click()
    assert taken.value.suggested_filename.endswith(".jsonl")

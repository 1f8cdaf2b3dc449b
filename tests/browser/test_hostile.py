"""Text that a task, a model, a file name or a person wrote stays text, on every page."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Visit
from tests.browser.hostile import HOSTILE, HOSTILE_LINE, intruders
from tests.browser.stories import INBOX, Shop, run_tab, task_tab
from tests.browser.visitor import View, Visitor, is_wider_than_seen

pytestmark = pytest.mark.e2e
NAME = "hostile"
UNKNOWN = quote(HOSTILE_LINE, safe="")


def is_harmless(view: View, person: Visitor) -> None:
    """The page holds what templates made and nothing else; what would execute is complained of when the visitor leaves."""
    view.locator("main").wait_for()
    view.locator("html").evaluate("(html) => html.querySelectorAll('details').forEach((one) => { one.open = true })")
    person.settles()
    assert intruders(view) == []
    assert not is_wider_than_seen(view)
    assert view.get_by_text("49", exact=True).count() == 0


def look_at_all(person: Visitor, shown: Shop) -> None:
    """Every page that shows some of it, in Airflow and by itself."""
    for path in (task_tab(NAME), run_tab(NAME), INBOX):
        is_harmless(person.tab(path), person)
    is_harmless(person.our(shown.page(NAME)), person)
    assert person.page.get_by_text("__pwned").count() > 0, "none of it is shown"


def test_while_a_session_asks_nothing_of_it_is_more_than_text(shown: Shop, visit: Visit):
    shown.until_asked(NAME)
    look_at_all(visit("admin"), shown)


def test_nor_after_it_was_answered_and_ended(shown: Shop, visit: Visit):
    people = shown.here.sessions("admin")
    people.message(shown.session(NAME).id, HOSTILE)
    people.reply(shown.session(NAME).id, decision="answer", message=HOSTILE)
    shown.here.done(NAME)
    look_at_all(visit("admin", theme="dark", width=640), shown)


@pytest.mark.parametrize("path", [f"/sessions/{UNKNOWN}", f"/task?dag_id={UNKNOWN}&run_id={UNKNOWN}&task_id={UNKNOWN}"])
def test_an_address_is_text_too(visit: Visit, path: str):
    admin = visit("admin")
    is_harmless(admin.our(path), admin)
    admin.forgives("status of 404")


def test_a_run_of_such_a_name_is_text_too(visit: Visit):
    admin = visit("admin")
    is_harmless(admin.our(f"/run?dag_id={UNKNOWN}&run_id={UNKNOWN}"), admin)
    admin.forgives("status of 404")


def test_taken_for_html_it_would_execute(browser: Browser):
    """What the tests above look for can be found."""
    reader = Visitor(browser, "about:blank")
    reader.page.set_content(f"<main>{HOSTILE}</main>")
    while not {"img", "svg"} <= {told.split()[1] for told in reader.complaints if told.startswith("executed")}:
        reader.page.wait_for_timeout(100)  # the test's own limit ends it where they never execute
    assert len(intruders(reader.page)) > 5
    reader.context.close()

"""Where a cite on a session's page leads, in a browser, without an Airflow: the page of a session of the tests' own server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from airflow_agentfix.core.session import Outcome
from tests.browser.visitor import PATIENCE
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import Server
from tests.web.pages import world

FILE, LONG_AFTER = "dags/other.py", 150


@contextmanager
def page_of_report(browser: Browser, folder: Path, *, results_after: int = 0) -> Iterator[tuple[Page, int]]:
    """The page, and the number of the event whose tool showed what the report cites; so many results came after it."""
    server = Server(new_database("sqlite", folder))
    claim = world.at_work(server)
    (event,) = server.append(claim, world.result("read_file", "\n".join(f"{n}\tx = {n}" for n in range(1, 200)), call_id="c8"))
    for first in range(0, results_after, 50):
        server.append(claim, *(world.result("read_file", "1\ty", call_id=f"d{first + n}") for n in range(50)))
    chain = [{"claim": "x is 150", "cites": [f"{FILE}:150"]}]
    report = world.report(causal_chain=chain, ungrounded=[], shown_in={f"{FILE}:150": event.number})
    world.finish(server, claim, Outcome.GAVE_UP, report=report)
    with ApiServer(server.service) as api:
        context = browser.new_context(extra_http_headers={"Authorization": "Bearer anna"})
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(f"{api.url}/agentfix/sessions/{claim.session.id}")
        yield page, event.number
        context.close()
    server.close()


def test_a_cite_of_what_a_tool_has_shown_jumps_to_it_and_opens_it(browser: Browser, tmp_path: Path) -> None:
    with page_of_report(browser, tmp_path) as (page, number):
        shown = page.locator(f"#event-{number}")
        expect(shown.get_by_text("x = 150", exact=False)).to_have_count(0)
        page.get_by_role("link", name=f"{FILE}:150").click()
        expect(shown.get_by_text("x = 150", exact=False)).to_be_visible()
        expect(shown).to_be_in_viewport()
        shown.locator("summary").click()
        page.get_by_role("link", name=f"{FILE}:150").click()
        expect(shown.get_by_text("x = 150", exact=False)).to_be_visible()


def test_a_cite_of_an_event_that_is_not_shown_yet_fetches_it_first(browser: Browser, tmp_path: Path) -> None:
    with page_of_report(browser, tmp_path, results_after=LONG_AFTER) as (page, number):
        shown = page.locator(f"#event-{number}")
        expect(shown).to_have_count(0)
        page.get_by_role("link", name=f"{FILE}:150").click()
        expect(shown.get_by_text("x = 150", exact=False)).to_be_visible()
        expect(shown).to_be_in_viewport()

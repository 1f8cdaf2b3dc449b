"""An Airflow that is served below a path of its host, as behind a company's proxy; and one that goes away under an open page."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from airflow_agentfix.demo.deployment import FAILED_TASK
from airflow_agentfix.demo.shop import DAG_ID
from tests.browser.stories import INBOX, USERS
from tests.browser.visitor import Visitor, log_in
from tests.e2e.production import Production, production

pytestmark = pytest.mark.e2e
PATH = "/team/airflow"
RUN = "monday"
WORDS = "half an answer"
KEPT = {"API_AUTH__JWT_SECRET": "the same after a restart, as every real deployment has it"}


@pytest.fixture(scope="module")
def below(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    with production(tmp_path_factory.mktemp("below"), users=USERS, worker="robot", path=PATH, config=KEPT) as here:
        here.fail(RUN)
        here.question(here.session(RUN))
        yield here


@pytest.fixture
def admin(browser: Browser, below: Production) -> Iterator[Visitor]:
    with Visitor(browser, below.deployment.standalone.url) as person:
        log_in(person, "admin")
        yield person


def test_pages_links_polls_and_posts_work_below_a_path(below: Production, admin: Visitor):
    asked: list[str] = []
    admin.page.on("request", lambda request: asked.append(request.url))
    tab = admin.tab(INBOX)
    tab.get_by_role("link", name="to_euro").first.click()
    tab.locator("#timeline").wait_for()
    tab.get_by_role("button", name=re.compile("^Approve")).first.click()
    tab.get_by_text("fixed", exact=True).first.wait_for()
    assert below.run_state(RUN) == "success"
    assert [url for url in asked if url.startswith("http") and not url.startswith(admin.url)] == []
    assert any("/live?" in url for url in asked)


def test_a_link_out_of_the_frame_leads_to_airflows_own_page(admin: Visitor):
    tab = admin.tab(INBOX)
    tab.get_by_role("link", name=f"{DAG_ID} / {FAILED_TASK}").first.click()
    admin.page.wait_for_url(f"{admin.url}/dags/{DAG_ID}/runs/{RUN}/tasks/{FAILED_TASK}*")


def test_while_airflow_does_not_answer_the_page_says_so_and_takes_it_back_when_it_does(below: Production, admin: Visitor):
    page = admin.our(f"/sessions/{below.session(RUN).id}")
    banner = page.get_by_text("Airflow does not answer")
    page.locator("#timeline").wait_for()
    expect(banner).to_be_hidden()
    box = page.locator("#tell")
    box.fill(WORDS)
    below.deployment.standalone.stop()
    expect(banner).to_be_visible()
    expect(page.locator("#timeline")).to_be_visible()
    below.deployment.standalone.start()
    expect(banner).to_be_hidden()
    expect(box).to_have_value(WORDS)
    admin.forgives("net::ERR_", "status of 50", "htmx:sendError", "htmx:afterRequest")

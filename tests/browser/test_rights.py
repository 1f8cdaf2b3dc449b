"""Who may only look sees everything and no controls; who may not look sees nothing. Posting by hand changes neither."""

from __future__ import annotations

import re

import pytest

from tests.browser.conftest import Visit
from tests.browser.stories import INBOX, TASK, Shop, run_tab, task_tab
from tests.browser.visitor import Visitor

pytestmark = pytest.mark.e2e
NAME = "kept"
CONTROLS = re.compile("^(Report|Propose|Fix and rerun|Approve|Reject|Answer|Send|Stop|Take it off|Recover)")
CAUSE = "name 'valeu' is not defined"
POST = """
async ([path, form]) => {
  const token = document.querySelector('meta[name="agentfix-csrf"]').content;
  const headers = { 'X-CSRFToken': token, 'HX-Request': 'true' };
  const isForm = path.includes('/task/');
  headers['Content-Type'] = isForm ? 'application/x-www-form-urlencoded' : 'application/json';
  const body = isForm ? new URLSearchParams(form) : JSON.stringify(form);
  return (await fetch(path, { method: 'POST', headers, body })).status;
}
"""


def posted(person: Visitor, path: str, form: dict[str, str], status: int) -> None:
    """Post with the cookie and token of the page that is open; `status` is what has to come of it."""
    assert person.page.evaluate(POST, [f"/agentfix{path}", form]) == status
    person.takes_refusal(status)


@pytest.mark.parametrize("where", [task_tab("dark"), task_tab(NAME), run_tab(NAME), INBOX])
def test_a_viewer_sees_what_is_there_and_no_controls(shown: Shop, visit: Visit, where: str):
    shown.until_asked(NAME)
    viewer = visit("vic")
    tab = viewer.tab(where)
    tab.get_by_text(CAUSE).first.wait_for()
    viewer.settles()
    assert tab.get_by_role("button", name=CONTROLS).all_inner_texts() == []


def test_a_viewer_reads_the_whole_session_and_no_controls_are_there(shown: Shop, visit: Visit):
    page = visit("vic").our(shown.page(NAME))
    page.get_by_text(CAUSE).first.wait_for()
    page.get_by_text("valeu").first.wait_for()
    assert page.get_by_role("button", name=CONTROLS).all_inner_texts() == []


def test_what_a_viewer_posts_by_hand_is_refused_and_changes_nothing(shown: Shop, visit: Visit):
    viewer, session = visit("vic"), shown.session(NAME)
    viewer.our(shown.page(NAME))
    before = len(shown.here.events(session))
    posted(viewer, f"/api/v1/sessions/{session.id}/continue", {"decision": "approve"}, 403)
    posted(viewer, f"/api/v1/sessions/{session.id}/stop", {}, 403)
    posted(viewer, "/task/start", {"dag_id": NAME, "run_id": NAME, "task_id": TASK, "autonomy": "rerun"}, 403)
    assert len(shown.here.events(session)) == before


@pytest.mark.parametrize("path", ["", f"/task?dag_id={NAME}&run_id={NAME}&task_id={TASK}", f"/run?dag_id={NAME}&run_id={NAME}"])
def test_who_may_read_no_dag_sees_nothing_of_it(visit: Visit, path: str):
    nobody = visit("nora")
    page = nobody.our(path or "/")
    page.locator("main").wait_for()
    nobody.settles()
    assert "valeu" not in page.content()
    assert page.get_by_role("link", name=NAME).count() == 0
    nobody.forgives("status of 403", "status of 404")


def test_a_session_one_may_not_read_is_as_unknown_as_one_that_is_not_there(shown: Shop, visit: Visit):
    nobody = visit("nora")
    told = [nobody.our(path).locator("main").inner_text() for path in (shown.page(NAME), "/sessions/" + "0" * 32)]
    assert told[0].replace(shown.session(NAME).id, "0" * 32) == told[1]
    nobody.takes_refusal(404)
    nobody.takes_refusal(404)


def test_without_a_login_one_is_asked_to_log_in(visit: Visit):
    stranger = visit()
    stranger.our("/").get_by_role("link", name="Log in").wait_for()
    stranger.takes_refusal(401)

"""A session's page and its polls, over HTTP, on a real store."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import SERVER, EventKind, Outcome, PinEnd
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Draft, Stored
from airflow_agentfix.store.sql import SqlStore
from airflow_agentfix.views import session as views
from airflow_agentfix.views.session_parts import KINDS
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, COMMIT, DAG, RUN, WORKER, Server
from tests.web.pages import world
from tests.web.pages.world import Browser, K

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def tag_of(html: str) -> str:
    found = re.search(r"<div id=\"live\"[^>]*data-etag='([^']*)'", html)
    assert found
    return unescape(found[1])


def numbers(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'<li id="event-(\d+)"', html)]


class Elements(HTMLParser):
    """The markup inside each part of the page, by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self._inside, self._depth = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs).get("id") or ""
        if not self._inside and named in {"head", "facts", *KINDS}:
            self._inside, self._depth, self.found[named] = named, 0, ""
        if self._inside:
            told = sorted((name, value) for name, value in attrs if name != "hx-swap-oob")
            self.found[self._inside] += f"<{tag} {told}>"
            self._depth += tag not in ("input", "br")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= 1
        if self._depth <= 0:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.found[self._inside] += " ".join(data.split())


def elements(html: str) -> dict[str, str]:
    parser = Elements()
    parser.feed(html)
    return parser.found


def parts_of(html: str) -> set[str]:
    return set(re.findall(r'<(?:section|div|header) id="(\w+)"[^>]*hx-swap-oob="true"', html))


def test_the_page_says_what_happened_whose_it_is_and_what_is_asked(api: ApiServer, server: Server):
    html = Browser(api, world.waiting_for_approval(server).session.id).get()
    assert world.LINE.replace("'", "&#39;") in html
    assert "<dt>Whose it is</dt><dd>The DAG&#39;s authors</dd>" in html
    assert "Approving runs unmerged code with production connections" in html
    assert "The failed run can go on itself, on the fix commit (pin)." in html
    assert "amount" in html
    assert "what the worker says it did" not in html, "the diff is the server's own record"
    assert html.index('id="asks"') < html.index('id="report"') < html.index('id="timeline"')


def test_a_poll_answers_304_until_something_happens_then_brings_exactly_what_is_new(api: ApiServer, server: Server):
    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    last = numbers(page)[-1]
    browser.get("/live", after=last, etag=tag_of(page), status=304)
    server.append(claim, world.result("read_file", "12\tx"))
    html = browser.get("/live", after=last, etag=tag_of(page))
    assert numbers(html) == [last + 1]
    assert parts_of(html) == {"facts"}, "what a result does not change is not sent"
    browser.get("/live", after=last + 1, etag=tag_of(html), status=304)


def test_a_new_fix_brings_the_parts_that_it_changes(api: ApiServer, server: Server):
    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    server.append(claim, (K.FIX, world.fix()))
    html = browser.get("/live", after=numbers(page)[-1], etag=tag_of(page))
    assert {"fix", "checks", "asks", "facts"} <= parts_of(html)
    assert not {"head", "evidence", "policy", "report", "budget"} & parts_of(html)


def test_a_poll_that_finds_nothing_new_reads_one_row_and_asks_for_one_right(api: ApiServer, server: Server):
    import sqlalchemy as sa

    claim = world.waiting_for_approval(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    asked: list[str] = []
    sa.event.listen(server.store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    browser.get("/live", after=numbers(page)[-1], etag=tag_of(page), status=304)
    assert [sql for sql in asked if sql.startswith("SELECT")] == [one for one in asked if "agentfix_session" in one]
    assert len([sql for sql in asked if sql.startswith("SELECT")]) == 1


@pytest.mark.parametrize("news", [world.result("read_file", "12\tx"), None], ids=["a result", "a person's note"])
def test_a_poll_that_brings_what_only_the_timeline_shows_reads_that_and_no_more(api: ApiServer, server: Server, news: Any):
    import sqlalchemy as sa

    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    if news:
        server.append(claim, news)
    else:
        server.service.message(claim.session.id, ANNA, "The column was renamed.")
    asked: list[str] = []
    sa.event.listen(server.store.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    last = numbers(page)[-1]
    assert last + 1 in numbers(browser.get("/live", after=last, etag=tag_of(page)))
    reads = [sql for sql in asked if sql.startswith("SELECT")]
    assert ["agentfix_event" in sql for sql in reads] == [False, True], "its row, and the new events"


def approved(server: Server, session_id: str) -> None:
    server.service.reply(session_id, ANNA, decision="approve", message="Looks right.")
    server.approval(server.claimed(session_id), call_id="c3")


def ended(server: Server, session_id: str) -> None:
    server.airflow.end_run(DAG, RUN, "success")
    server.append(server.claimed(session_id), world.result("rerun", "rerun green: load", call_id="c4"))


LIVES: dict[str, tuple[Callable[[Server], Any], list[Callable[[Server, str], Any]]]] = {
    "reading": (
        world.at_work,
        [
            lambda server, one: server.append(server.claimed(one), world.result("read_file", "12\tx")),
            lambda server, one: server.append(server.claimed(one), world.turn(world.says("So *that* is it."))),
            lambda server, one: server.service.message(one, ANNA, "The column was renamed."),
            lambda server, one: server.append(server.claimed(one), (K.FIX, world.fix())),
        ],
    ),
    "asking": (
        world.waiting_for_approval,
        [lambda server, one: server.service.message(one, ANNA, "Let me look."), approved],
    ),
    "rerunning": (world.rerunning, [lambda server, one: server.service.message(one, ANNA, "Take your time."), ended]),
    "not taken": (world.fixed, [lambda server, one: server.service.end_pin(one, ANNA, reason=PinEnd.CLOSED)]),
    "done": (
        world.fixed,
        [
            lambda server, one: server.service.message(one, ANNA, "Do the other column too."),
            lambda server, one: server.service.message(one, ANNA, "And its test."),
            lambda server, one: server.claimed(one, number=2),
            lambda server, one: server.service.stop(one, ANNA, "Enough."),
        ],
    ),
}


@pytest.mark.parametrize("life", LIVES)
def test_what_a_poll_does_not_bring_is_as_a_new_page_shows_it(api: ApiServer, server: Server, life: str):
    made, steps = LIVES[life]
    session_id = made(server).session.id
    browser = Browser(api, session_id)
    page = browser.get()
    shown, last, tag = elements(page), numbers(page)[-1], tag_of(page)
    assert {"head", "facts", *KINDS} <= set(shown)
    for step in steps:
        step(server, session_id)
        html = browser.get("/live", after=last, etag=tag)
        shown, last, tag = {**shown, **elements(html)}, numbers(html)[-1], tag_of(html)
        new = elements(browser.get())
        assert {name: shown[name] for name in new} == new


def test_while_the_rerun_goes_a_poll_tells_how_its_tasks_stand(api: ApiServer, server: Server):
    session_id = world.rerunning(server).session.id
    browser = Browser(api, session_id)
    page = browser.get()
    last = numbers(page)[-1]
    assert 'data-state="scheduled"' in page
    browser.get("/live", after=last, etag=tag_of(page), status=304)
    for index in range(3):
        server.airflow.fail(DAG, RUN, "load", map_index=index)
    html = browser.get("/live", after=last, etag=tag_of(page))
    assert parts_of(html) == {"facts", "rerun"}
    assert "3 failed" in html
    assert numbers(html) == []


def test_more_events_than_a_poll_brings_come_with_the_next_ones(api: ApiServer, server: Server):
    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    last = numbers(page)[-1]
    for _ in range(2):
        server.append(claim, *(world.result("read_file", f"{n}") for n in range(100)))
    first = browser.get("/live", after=last, etag=tag_of(page))
    assert len(numbers(first)) == views.PAGE
    second = browser.get("/live", after=numbers(first)[-1], etag=tag_of(first))
    assert numbers(first) + numbers(second) == [*range(last + 1, last + 201)]


def test_a_long_session_shows_its_newest_events_and_the_earlier_ones_by_the_page(api: ApiServer, server: Server):
    claim = world.at_work(server)
    for _ in range(7):
        server.append(claim, *(world.result("read_file", f"{n}") for n in range(100)))
    browser = Browser(api, claim.session.id)
    shown = numbers(browser.get())
    assert len(shown) == views.PAGE
    html = browser.get("/events", before=shown[0])
    assert numbers(html) == [*range(shown[0] - views.EARLIER, shown[0])]
    everything = browser.get("/events", before=shown[0], since=1)
    assert numbers(everything) == [*range(1, shown[0])]
    assert "Show earlier" in html
    assert "Show earlier" not in everything


def test_a_long_result_is_folded_and_comes_whole_when_it_is_opened(api: ApiServer, server: Server):
    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page = browser.get()
    assert "L100\tline" not in page
    address = re.search(r'hx-get="[^"]*(/events/\d+/0)"', page)
    assert address
    assert "L899\tline" in browser.get(address[1])
    browser.get("/events/999/0", status=422)
    browser.get(re.sub("0$", "9", address[1]), status=422)


def test_a_cite_of_the_report_leads_to_a_line_of_the_page(api: ApiServer, server: Server):
    html = Browser(api, world.fixed(server).session.id).get()
    report = html[html.index('id="report"') : html.index('id="fix"')]
    assert 'href="#L12"' in report
    assert 'href="#dags%2Forders.py%3A12"' in report
    assert 'id="L12"' in html
    assert 'id="dags/orders.py:12"' in html
    assert "no line shown says so" in report


def test_what_was_not_run_is_named_last(api: ApiServer, server: Server):
    html = Browser(api, world.waiting_for_approval(server).session.id).get()
    checks = html[html.index('id="checks"') :]
    states = re.findall(r'<li data-state="(passed|failed|not_run)">', checks)
    assert states == sorted(states, key=lambda state: state == "not_run")
    assert "DAG imports, shape kept" in checks


def hostile(server: Server) -> str:
    """A session whose every word is an attempt."""
    claim = server.claimed()
    incident = world.incident()
    incident = {**incident, "text": f"L12\t{EVIL}\n{EVIL}", "victims": [EVIL], "cause": {**incident["cause"], "line": EVIL}}
    incident["judgement"] = {**incident["judgement"], "reason": EVIL, "owner_action": EVIL, "evidence": [EVIL]}
    patch = {
        "files": [{"path": f"{EVIL}.py", "before": EVIL, "after": f"{EVIL}\n"}],
        "findings": [{"reason": EVIL, "path": EVIL}],
    }
    fix = world.fix(
        title=EVIL, summary=EVIL, branch=f"fix/{EVIL}", pull_request="javascript:alert(1)", findings=patch["findings"]
    )
    stage = world.stage("gates", "failed", EVIL)
    basis = {"model": EVIL, "tools": EVIL, "prompt": EVIL}
    server.append(
        claim,
        (K.INCIDENT, incident),
        world.turn(world.says(EVIL), {"type": "thinking", "thinking": EVIL}, world.calls(EVIL, x=EVIL)),
        (K.SPENT, {"model": EVIL, "usage": {}, "dollars": 0, "reason": EVIL}),
        (K.INTENT, {"call_id": "c", "tool": EVIL, "input": {}}),
        world.result(EVIL, EVIL),
        (K.PATCH, patch),
        (K.FIX, fix),
        (K.VERIFIED, {"commit": COMMIT, "stages": [stage], "call_id": "c"}),
    )
    assert basis
    server.service.message(claim.session.id, ANNA, EVIL)
    server.service.worker.ask(claim.session.id, WORKER, lease=claim.lease, call_id="c9", subject=EVIL, body=EVIL, options=[EVIL])
    return claim.session.id


def test_hostile_text_in_any_event_stays_text(api: ApiServer, server: Server):
    session_id = hostile(server)
    browser = Browser(api, session_id)
    page = browser.get()
    pages = [page, browser.get("/live", after=0), browser.get("/events", before=99)]
    pages += [browser.get(path) for path in re.findall(r'hx-get="[^"]*(/events/\d+/\d+)"', page)]
    assert len(pages) >= 4
    for html in pages:
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "javascript:" not in html
        assert " style=" not in html


def test_an_erased_session_says_so_and_shows_nothing_of_what_it_held(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    browser = Browser(api, session_id)
    page = browser.get()
    server.service.erase(session_id, ANNA)
    told = requests.get(f"{browser.base}/live", params={"after": numbers(page)[-1]}, headers=browser.login, timeout=20)
    assert (told.status_code, told.headers["HX-Refresh"]) == (204, "true")
    html = browser.get()
    assert "What it held was erased." in html
    assert ": erased." in html
    assert world.LINE.replace("'", "&#39;") not in html
    assert "amount" not in html
    assert "Approved running commit" in html, "decisions stay"


def test_a_session_of_a_dag_one_may_not_read_is_not_there(api: ApiServer, server: Server):
    session_id = world.waiting_for_approval(server).session.id
    browser, unknown = Browser(api, session_id, "stranger"), Browser(api, "unknown", "stranger")
    for path in ("", "/live?after=0", "/budget", "/events?before=5", "/events/4/0", "/audit", "/audit.jsonl"):
        told = browser.get(path, status=404)
        assert world.LINE not in told
        assert told.replace(session_id, "") == unknown.get(path, status=404).replace("unknown", "") or "csrf" in told


def test_who_may_only_read_sees_no_controls_and_is_told_who_may(api: ApiServer, server: Server):
    session_id = world.waiting_for_approval(server).session.id
    html = Browser(api, session_id, "reader").get()
    assert "<form" not in html
    assert "Answering takes the right to edit runs of DAG orders" in html
    assert "waits for a person" in html


def test_the_login_that_works_may_reject_and_not_approve(api: ApiServer, server: Server):
    html = Browser(api, world.waiting_for_approval(server).session.id, "agentfix-worker").get()
    assert 'value="reject"' in html
    assert 'value="approve"' not in html
    assert "what it wrote it cannot approve" in html


def test_who_is_no_approver_is_told_who_they_are(tmp_path: Path):
    server = Server(new_database("sqlite", tmp_path), Settings(approvers=("boss",)))
    server.airflow.rights["boss", DAG] = "edit"
    session_id = world.waiting_for_approval(server).session.id
    with ApiServer(server.service) as api:
        theirs, own = (Browser(api, session_id, user).get() for user in ("anna", "boss"))
    assert "Policy names who decides this: boss. You are anna." in theirs
    assert 'value="approve"' not in theirs
    assert 'value="approve"' in own
    server.close()


def test_the_budget_is_told_again_only_when_it_changed(api: ApiServer, server: Server):
    claim = world.waiting_for_approval(server)
    browser = Browser(api, claim.session.id)
    html = browser.get("/budget")
    etag = re.search(r"data-etag='([^']*)'", html)
    assert etag
    browser.get("/budget", etag=unescape(etag[1]), status=304)
    assert "$0.10 of $5.00" in html


def test_the_export_has_every_event_with_its_hash(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    rows = [json.loads(line) for line in Browser(api, session_id, "reader").get("/audit.jsonl").splitlines()]
    events = server.store.events(session_id)
    assert [(row["session_id"], row["number"], row["hash"]) for row in rows] == [(session_id, e.number, e.hash) for e in events]


def test_a_chain_that_was_changed_is_told_of(api: ApiServer, server: Server):
    import sqlalchemy as sa

    session_id = world.fixed(server).session.id
    browser = Browser(api, session_id)
    assert "are what was written" in browser.get("/audit")
    with server.store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE agentfix_event SET actor = 'mallory' WHERE number = 4"))
    assert "Event 4 of" in browser.get("/audit")


@pytest.mark.parametrize("state", ["at_work", "waiting_for_answer", "rerunning", "fixed", "reported"])
def test_every_state_has_its_page_without_anything_inline(api: ApiServer, server: Server, state: str):
    made: Any = getattr(world, state)
    html = Browser(api, made(server).session.id).get()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\bstyle=|\son\w+=|javascript:", html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert html.count("<h1") == 1


def head_of(html: str) -> str:
    """What a person reads in the page's head."""
    head = html[html.index('<header id="head"') : html.index("</header>", html.index('<header id="head"'))]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", head)).split())


def test_the_head_says_what_kind_how_sure_whose_what_to_do_and_how_it_ended(api: ApiServer, server: Server):
    head = head_of(Browser(api, world.reported(server).session.id).get())
    assert "Verdict Data: it is not what the code expects likely 85 % Whose it is" in head
    assert "To do Ask the shop team to send total again. Outcome No fix was made." in head


def test_a_fixed_session_says_each_thing_once_and_leads_to_its_pull_request(api: ApiServer, server: Server):
    html = Browser(api, world.fixed(server).session.id).get()
    head, shown = head_of(html), html[: html.index('id="evidence"')]
    assert (
        "To do Review the fix, and merge it. Open the pull request Outcome Fixed: what had failed ran green on the fix." in head
    )
    assert "The column was renamed. The rerun is green." not in shown, "the summary is for where the page is not"
    assert shown.count("is called <code>amount</code> since Monday") == 2, "the report, and the fix in its own words"


def test_once_the_fix_is_merged_nothing_is_left_to_do(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    stored = server.store.get(session_id)
    assert stored
    browser = Browser(api, session_id)
    page = browser.get()
    ended = {"run_id": RUN, "version": COMMIT, "reason": "merged"}
    server.service.desk.save(stored, Draft(K.PIN_ENDED, SERVER, ended))
    assert "The fix is merged." in browser.get("/live", after=numbers(page)[-1], etag=tag_of(page)), "a poll tells it too"
    head = head_of(browser.get())
    assert "Outcome Fixed: what had failed ran green on the fix. The fix is merged." in head
    assert "To do" not in head


def test_a_fix_that_was_not_taken_is_said_to_be(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    stored = server.store.get(session_id)
    assert stored
    server.service.desk.save(stored, Draft(K.PIN_ENDED, SERVER, {"run_id": RUN, "version": COMMIT, "reason": "closed"}))
    head = head_of(Browser(api, session_id).get())
    assert "To do Correct the code in another way; or tell it why the fix was not taken" in head
    assert "Open the pull request" not in head


def infrastructure(server: Server) -> str:
    """Reported by rules alone: what the worker of such a session writes."""
    claim, line = server.claimed(), "ConnectionRefusedError: [Errno 111] Connection refused"
    action = "Clear the failed task once the service answers; the code needs no change."
    incident = world.incident()
    incident["cause"]["line"] = line
    incident["dag"]["owners"] = ["analytics"]
    incident["judgement"] |= {"verdict": "infra", "confidence": 0.92, "reason": "not reached: a service could not be reached (X)"}
    server.append(claim, (K.INCIDENT, incident))
    chain = [{"claim": "A service could not be reached.", "cites": ["L12"]}]
    report = world.report(
        verdict="infra", confidence=0.92, root_cause=line, owner_action=action, causal_chain=chain, outcome="reported"
    )
    world.finish(server, claim, Outcome.REPORTED, verdict="infra", summary=f"{line}. {action}", report=report)
    return claim.session.id


def test_a_report_of_an_outage_says_cause_and_action_once_and_who_is_asked(api: ApiServer, server: Server):
    html = Browser(api, infrastructure(server)).get()
    shown = html[: html.index('id="evidence"')]
    assert shown.count("Connection refused") == 1
    assert shown.count("once the service answers") == 1
    assert "almost certain 92 % Whose it is The platform team, or whoever runs the service the task needs." in head_of(html)
    assert "The DAG's owner, who waits for it: analytics" in head_of(html)


def test_a_duplicate_leads_to_the_session_that_has_its_cause_and_that_one_back(api: ApiServer, server: Server):
    first = world.at_work(server)
    server.airflow.fail(DAG, RUN, "second")
    second = server.claimed(server.taken(task_id="second"))
    server.append(second, (K.INCIDENT, world.incident()))
    own, other = (Browser(api, one.session.id).get() for one in (second, first))
    assert f'<a href="/agentfix/sessions/{first.session.id}">Go to that session</a>' in own
    assert f'<a href="/agentfix/sessions/{second.session.id}">first looked at here</a>' in other


def test_an_error_of_ours_is_told_once(api: ApiServer, server: Server):
    claim = world.at_work(server)
    words = "The key was refused (401). Set ANTHROPIC_API_KEY."
    world.finish(server, claim, Outcome.FAILED, summary=words, error=f"ModelKeyError: {words}")
    html = Browser(api, claim.session.id).get()
    assert f"Outcome Agent Fix itself could not go on. {words}" in head_of(html)
    assert words not in html[html.index('id="report"') : html.index('id="evidence"')]


def test_a_cite_of_what_a_tool_has_shown_leads_to_its_event(api: ApiServer, server: Server):
    claim = world.at_work(server)
    (event,) = server.append(claim, world.result("read_file", "3\tx = 1", call_id="c8"))
    chain = [{"claim": "x is 1", "cites": ["dags/other.py:3"]}]
    told = world.report(causal_chain=chain, ungrounded=[], shown_in={"dags/other.py:3": event.number})
    world.finish(server, claim, Outcome.GAVE_UP, report=told)
    html = Browser(api, claim.session.id).get()
    assert f'<a class="cite" href="#event-{event.number}">dags/other.py:3</a>' in html


def test_whoever_wanted_a_fix_and_got_a_report_is_told_that_none_was_made(api: ApiServer, server: Server):
    assert "No fix was made." in Browser(api, world.reported(server).session.id).get()


def test_whoever_asked_for_a_report_alone_is_told_nothing_of_fixes(api: ApiServer, server: Server):
    server.settings = replace(server.settings, autonomy=Autonomy.REPORT)
    server.service = server.with_ids(server.new_id)
    assert "No fix was made." not in Browser(api, world.reported(server).session.id).get()


def test_the_kinds_that_only_the_timeline_shows_are_all_others():
    from airflow_agentfix.views.session_parts import BULKY, FACTS

    assert set(EventKind) == FACTS | BULKY


class Meanwhile(SqlStore):
    """A store in which `then` is written right after the next session was read."""

    then: Callable[[], None] | None = None

    def get(self, session_id: str) -> Stored | None:
        found, then, self.then = super().get(session_id), self.then, None
        if then:
            then()
        return found


def test_what_is_written_while_a_poll_is_answered_comes_whole_with_the_next_one(server: Server):
    store = Meanwhile(server.store.engine, key=b"key of the tests")
    server.store = store
    server.service = server.with_ids(server.new_id)
    claim = world.at_work(server)
    session_id = claim.session.id
    before = views.whole(server.service, session_id, ANNA)
    server.append(claim, world.turn(world.says("I read on.")))
    store.then = lambda: world.finish(server, claim, Outcome.GAVE_UP)
    view = views.since(server.service, session_id, ANNA, after=before.last, known=before.tag)
    assert view
    assert view.session.outcome is None
    assert not view.has_ended
    view = views.since(server.service, session_id, ANNA, after=view.last, known=view.tag)
    assert view
    assert view.session.outcome is Outcome.GAVE_UP
    assert view.has_ended
    assert not view.actions.stop
    assert "actions" in view.sent


def test_an_event_number_of_any_size_is_refused_and_asks_no_database(api: ApiServer, server: Server):
    session_id = world.at_work(server).session.id
    told = Browser(api, session_id).get("/live", after="9" * 25, status=422)
    assert "less than or equal to" in told
    answer = requests.get(
        f"{api.url}/agentfix/api/v1/sessions/{session_id}/events?after={'9' * 25}",
        headers={"Authorization": "Bearer anna"},
        timeout=20,
    )
    assert answer.status_code == 422


def test_a_page_and_a_poll_read_no_more_than_so_many_bytes_and_the_rest_is_a_click_or_a_beat_away(server: Server, api: ApiServer):
    claim = world.at_work(server)
    browser = Browser(api, claim.session.id)
    page, text = browser.get(), "a long line of a log\n" * 20_000
    for _ in range(40):
        server.append(claim, world.result("read_log", text))
    last, fit = numbers(page)[-1], views.PAGE_BYTES // len(text)
    everything = [*range(1, last + 41)]
    tracemalloc.start()
    try:
        shown = numbers(browser.get())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert shown == everything[-fit:]
    assert peak < 8 * views.PAGE_BYTES  # all of them would be 40 of 420 KB, each twice, and as JSON
    earlier = numbers(browser.get("/events", before=shown[0], since=1))
    assert earlier == everything[-2 * fit : -fit]
    polled, tag = [], tag_of(page)
    while len(polled) < 40:
        html = browser.get("/live", after=(polled or [last])[-1], etag=tag)
        assert len(numbers(html)) <= fit
        polled, tag = polled + numbers(html), tag_of(html)
    assert polled == everything[-40:]
    browser.get("/live", after=polled[-1], etag=tag, status=304)


def test_one_event_of_megabytes_is_shown_cut_and_comes_whole_when_it_is_opened(server: Server, api: ApiServer):
    claim = world.at_work(server)
    long = "x" * 500_000
    many = [world.calls("read_log", f"c{n}", grep=long[:10_000]) for n in range(90)]
    server.append(claim, world.turn(world.says(long), *many), (K.SPENT, {**world.turn()[1], "reason": long}))
    browser = Browser(api, claim.session.id)
    html = browser.get()
    turn, spent = numbers(html)[-2:]
    assert len(html) < 200_000
    assert "41 more of its texts are not shown here; the export has them." in html
    assert "x" * 400_000 in browser.get(f"/events/{spent}/0"), "the line in full"
    assert browser.get(f"/events/{turn}/90").count("x") >= 500_000, "plain where it is too long to be rendered"


def test_the_check_of_a_record_holds_a_few_of_its_events_at_a_time(server: Server):
    claim = world.at_work(server)
    text = "a long line of a log\n" * 20_000
    for _ in range(40):
        server.append(claim, world.result("read_log", text))
    tracemalloc.start()
    try:
        assert server.service.audit(claim.session.id, ANNA).ok
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 30 * len(text)  # all of them would be 40, and as much again as JSON

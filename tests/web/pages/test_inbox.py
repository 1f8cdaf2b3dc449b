"""The inbox, asked over HTTP as a browser and htmx ask for it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, State, Usage
from airflow_agentfix.readers import SECONDS
from airflow_agentfix.settings import Settings
from airflow_agentfix.views.inbox import PER_PAGE
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import DAG, RUN, TASK, Server, model_data
from tests.store.test_listing import ASKS, FIXED, WORKS, put
from tests.web.pages.visitor import HTMX, Visitor


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    yield server
    server.close()


@pytest.fixture
def api(server: Server) -> Iterator[ApiServer]:
    with ApiServer(server.service) as api:
        yield api


@pytest.fixture
def anna(api: ApiServer) -> Visitor:
    return Visitor(api, "anna")


def shown(visitor: Visitor, query: str = "") -> list[str]:
    """Ids of the sessions that rows lead to, in order."""
    answer = visitor.get(f"/{query}")
    assert answer.status_code == 200
    return ids_in(answer.text)


def ids_in(text: str) -> list[str]:
    return re.findall(r'id="open-([^"]+)" class="open" href="/agentfix/sessions/\1"', text)


def numbers(text: str) -> dict[str, str]:
    return dict(re.findall(r'<span id="number-(\w+)" class="count"[^>]*>([\d,]+)</span>', text))


def plain(text: str) -> str:
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


def some(server: Server) -> None:
    put(server, "asks", 21, **ASKS, cause="KeyError: 'amount'", verdict="code")
    put(server, "works", 22, **WORKS)
    put(
        server,
        "fixed",
        20,
        **FIXED,
        cause="KeyError: 'total'",
        verdict="code",
        pull_request="https://github.com/acme/dags/pull/7",
    )
    put(server, "stopped", 19, state=State.DONE, outcome=Outcome.STOPPED, verdict="data", usage=Usage(dollars=1.2))


def test_rows_tell_state_cause_task_verdict_failures_and_cost(server: Server, anna: Visitor) -> None:
    put(server, "s1", **ASKS, cause="KeyError: 'amount'", verdict="code", map_index=3, usage=Usage(dollars=1.204))
    told = plain(anna.get("/").text)
    for words in ("waits for a person", "KeyError: 'amount'", "code", "orders / load [3]", "run_of_s1", "$1.20", "2026-11-20"):
        assert words in told.replace(" [", " [").replace("load[3]", "load [3]"), words


def test_who_waits_for_a_person_comes_first(server: Server, anna: Visitor) -> None:
    some(server)
    assert shown(anna) == ["asks", "works", "fixed", "stopped"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?group=waits", ["asks"]),
        ("?group=unsolved", ["stopped"]),
        ("?verdict=code", ["asks", "fixed"]),
        ("?verdict=code&group=fixed", ["fixed"]),
        ("?q=KEYERROR", ["asks", "fixed"]),
        ("?q=%25", []),
        ("?dag_id=orders", ["asks", "works", "fixed", "stopped"]),
        ("?dag_id=another", []),
        ("?since=today", ["works"]),
        ("?since=week", ["asks", "works", "fixed", "stopped"]),
        ("?group=&verdict=&dag_id=&since=&q=", ["asks", "works", "fixed", "stopped"]),
    ],
)
def test_the_address_says_what_is_shown(server: Server, anna: Visitor, query: str, found: list[str]) -> None:
    some(server)
    assert shown(anna, query) == found


def test_the_form_shows_what_the_address_says(server: Server, anna: Visitor) -> None:
    some(server)
    text = anna.get("/", params={"group": "fixed", "verdict": "code", "since": "week", "q": 'a"b', "dag_id": DAG}).text
    for part in (
        'value="fixed" checked',
        "<option selected>code",
        'value="week" selected',
        'value="a&#34;b"',
        "<option selected>orders",
    ):
        assert part in text, part


def test_numbers_are_told_of_each_group_under_the_rest_of_the_filter(server: Server, anna: Visitor) -> None:
    some(server)
    told = numbers(anna.get("/?group=fixed&verdict=code").text)
    assert told == {**dict.fromkeys(told, "0"), "all": "2", "waits": "1", "fixed": "1"}
    assert len(told) == 8


def test_a_word_that_is_none_of_the_filter_is_refused_by_name(anna: Visitor) -> None:
    for query, expected in (("group=x", "waits"), ("verdict=x", "infra"), ("since=x", "week"), ("after=x", "first page")):
        answer = anna.get(f"/?{query}")
        assert (answer.status_code, expected in answer.text) == (422, True)


def test_pages_follow_each_other_and_the_address_of_each_stays(server: Server, anna: Visitor) -> None:
    for number in range(PER_PAGE + 3):
        put(server, f"s{number:02}", **FIXED, task_id=f"t{number}")
    first = anna.get("/?verdict=").text
    (following,) = re.findall(r'id="page-next"[^>]* href="/agentfix(/\?[^"]+)"', first)
    put(server, "new", 28, **FIXED)
    second = anna.get(html.unescape(following)).text
    assert (len(ids_in(first)), ids_in(second)) == (PER_PAGE, ["s02", "s01", "s00"])
    assert 'id="page-next"' not in second
    assert 'id="page-first"' in second


def link(text: str, which: str) -> str | None:
    found = re.findall(rf'id="page-{which}"[^>]* href="/agentfix(/[^"]*)"', text)
    return html.unescape(found[0]) if found else None


@pytest.mark.parametrize("query", ["", "?q=run_of"])
def test_back_leads_over_the_same_pages_to_the_first_one_which_is_whole(server: Server, anna: Visitor, query: str) -> None:
    for number in range(2 * PER_PAGE + 3):
        put(server, f"s{number:03}", **FIXED, task_id=f"t{number}")
    pages = [anna.get(f"/{query}").text]
    while following := link(pages[-1], "next"):
        pages.append(anna.get(following).text)
    assert [len(ids_in(page)) for page in pages] == [PER_PAGE, PER_PAGE, 3]
    back = anna.get(link(pages[2], "previous") or "").text
    assert ids_in(back) == ids_in(pages[1])
    assert link(back, "next")
    assert ids_in(anna.get(link(back, "next") or "").text) == ids_in(pages[2])
    first = anna.get(link(back, "previous") or "").text
    assert (ids_in(first), link(first, "previous"), link(first, "first")) == (ids_in(pages[0]), None, None)
    assert link(pages[0], "previous") is None


def test_a_page_that_ends_before_a_row_is_polled_as_that(server: Server, anna: Visitor) -> None:
    for number in range(2 * PER_PAGE + 3):
        put(server, f"s{number:03}", **FIXED, task_id=f"t{number}")
    last = anna.get(link(anna.get(link(anna.get("/").text, "next") or "").text, "next") or "").text
    back = anna.get(link(last, "previous") or "").text
    (here,) = re.findall(r'<section id="list"[^>]* hx-get="/agentfix(/[^"]*)"', back)
    polled = {**HTMX, "If-None-Match": tag_in(back)}
    assert anna.get(html.unescape(here), headers=polled).status_code == 304
    put(server, "new", 28, **FIXED)
    again = anna.get(html.unescape(here), headers=polled)
    assert (again.status_code, ids_in(again.text)) == (200, ids_in(back))


def test_an_address_with_two_places_is_refused(anna: Visitor) -> None:
    assert anna.get("/?after=0~a~b&before=0~a~b").status_code == 422
    assert anna.get("/?before=x").status_code == 422


def test_filters_can_be_cleared_where_there_are_any(server: Server, anna: Visitor) -> None:
    some(server)
    for query, offered in (("", False), ("?group=fixed", True), ("?q=key", True), ("?dag_id=orders", True)):
        for headers in ({}, HTMX):
            (shown,) = re.findall(r'<a id="clear"[^>]*>', anna.get(f"/{query}", headers=headers).text)
            assert (" hidden" not in shown) is offered, (query, shown)


def test_a_row_that_waits_says_since_when_it_asks(server: Server, anna: Visitor) -> None:
    put(server, "s1", **ASKS, asked_at="2026-11-21T07:30:00.000+00:00")
    put(server, "s2", **WORKS, asked_at="2026-11-21T06:30:00.000+00:00")
    told = plain(anna.get("/").text)
    assert "asked 2026-11-21 07:30:00 UTC" in told
    assert "06:30" not in told


def test_htmx_gets_the_list_with_numbers_and_summary_and_the_address_to_show(server: Server, anna: Visitor) -> None:
    some(server)
    answer = anna.get("/?q=KeyError&group=fixed&verdict=", headers=HTMX)
    assert ids_in(answer.text) == ["fixed"]
    assert answer.headers["HX-Push-Url"] == "/agentfix/?group=fixed&q=KeyError"
    assert numbers(answer.text)["all"] == "2"
    assert "<html" not in answer.text
    assert len(re.findall(r"hx-swap-oob", answer.text)) == 11


def test_a_poll_brings_nothing_until_a_session_changes_and_never_an_address(server: Server, anna: Visitor) -> None:
    some(server)
    tag = tag_in(anna.get("/?group=works").text)
    polled = anna.get("/?group=works", headers={**HTMX, "If-None-Match": tag})
    assert (polled.status_code, polled.text) == (304, "")
    server.taken()
    polled = anna.get("/?group=works", headers={**HTMX, "If-None-Match": tag})
    assert (polled.status_code, "HX-Push-Url" in polled.headers) == (200, False)
    assert tag_in(polled.text) != tag
    assert len(ids_in(polled.text)) == 2


def test_a_poll_of_another_filter_or_day_or_person_is_answered(server: Server, api: ApiServer, anna: Visitor) -> None:
    some(server)
    tag = {**HTMX, "If-None-Match": tag_in(anna.get("/").text)}
    assert anna.get("/", headers=tag).status_code == 304
    assert anna.get("/?verdict=code", headers=tag).status_code == 200
    stranger = Visitor(api, "stranger")
    stranger.get("/")
    assert stranger.get("/", headers=tag).status_code == 200
    server.clock.pass_seconds(24 * 3600)
    assert anna.get("/", headers=tag).status_code == 200


def tag_in(text: str) -> str:
    (tag,) = re.findall(r"data-etag='([^']+)'", text)
    return str(html.unescape(tag))


# --- rights ----------------------------------------------------------------------------------------------------------


def test_nothing_is_told_of_dags_that_a_person_may_not_read(server: Server, api: ApiServer, anna: Visitor) -> None:
    some(server)
    put(server, "hidden", **ASKS, dag_id="secret_dag")
    for query in ("", "?dag_id=secret_dag", "?q=secret", "?group=waits"):
        text = anna.get(f"/{query}").text
        assert "hidden" not in ids_in(text)
        assert "secret_dag" not in plain(text)
    assert numbers(anna.get("/").text)["waits"] == "1"
    assert "1 waiting for a person" in plain(anna.get("/").text)
    text = Visitor(api, "stranger").get("/").text
    assert (ids_in(text), set(numbers(text).values())) == ([], {"0"})


def test_a_poll_brings_nothing_where_only_sessions_that_one_may_not_read_have_changed(
    server: Server, api: ApiServer, anna: Visitor
) -> None:
    some(server)
    put(server, "hidden", **ASKS, dag_id="secret_dag")
    tag = {**HTMX, "If-None-Match": tag_in(anna.get("/").text)}
    put(server, "hidden-too", **ASKS, dag_id="secret_dag")
    assert anna.get("/", headers=tag).status_code == 304
    put(server, "of a DAG that nobody asked about yet", **ASKS, dag_id="another_dag")
    assert anna.get("/", headers=tag).status_code == 200


def test_a_poll_tells_of_dollars_that_any_dag_spends(server: Server, anna: Visitor) -> None:
    some(server)
    del server.airflow.rights["anna", DAG]
    tag = {**HTMX, "If-None-Match": tag_in(anna.get("/").text)}
    claim = server.claimed()
    assert anna.get("/", headers=tag).status_code == 304
    server.append(claim, (EventKind.MODEL, model_data()))
    assert "$0.25 of" in plain(anna.get("/", headers=tag).text)


def test_the_auth_manager_is_asked_once_for_many_polls(server: Server, anna: Visitor) -> None:
    for number in range(30):
        put(server, f"s{number:02}", **FIXED, dag_id=f"dag_{number}")
    for number in range(9):
        put(server, f"more{number}", **FIXED, dag_id="dag_1", task_id=f"t{number}")  # so that each is told anew
        anna.get("/")
    assert server.airflow.asked_rights == 30
    put(server, "new", **FIXED, dag_id="a new one")
    anna.get("/")
    assert server.airflow.asked_rights == 31


def test_a_right_that_was_taken_away_shows_in_the_list_after_half_a_minute_and_at_the_session_at_once(
    server: Server, anna: Visitor
) -> None:
    some(server)
    tag = {**HTMX, "If-None-Match": tag_in(anna.get("/").text)}
    del server.airflow.rights["anna", DAG]
    assert anna.get("/sessions/asks").status_code == 404
    assert anna.get("/", headers=tag).status_code == 304
    server.clock.pass_seconds(SECONDS)
    polled = anna.get("/", headers=tag)
    assert (polled.status_code, ids_in(polled.text)) == (200, [])


# --- states ----------------------------------------------------------------------------------------------------------


def test_without_any_session_the_page_says_how_to_start(anna: Visitor) -> None:
    told = plain(anna.get("/").text)
    assert "No sessions yet" in told
    assert "on_failure_callback=agentfix_on_failure()" in told


def test_where_nothing_fits_the_page_says_so_and_how_to_see_more(server: Server, anna: Visitor) -> None:
    some(server)
    nothing = anna.get("/?q=no+such+thing").text
    assert "Nothing fits these filters" in nothing
    assert 'class="button" href="/agentfix/">Clear filters' in nothing
    assert "Nothing in this state" in anna.get("/?group=duplicate").text


def test_a_session_whose_worker_died_is_told_as_failed(server: Server, anna: Visitor) -> None:
    session_id = server.taken()
    assert shown(anna, "?group=works") == [session_id]
    server.airflow.runs["agentfix_fix", f"agentfix__{session_id}__1"] = "failed"
    assert "failed" in plain(anna.get("/").text)
    assert shown(anna, "?group=unsolved") == [session_id]


def test_what_others_wrote_is_text(server: Server, anna: Visitor) -> None:
    evil = "<script>alert(1)</script>\"'>{{ 7*7 }}"
    put(server, "evil", **ASKS, cause=evil, dag_id=DAG, task_id="t<img src=x>", pull_request="javascript:alert(1)")
    text = anna.get("/", params={"q": "<script>"}).text
    assert ids_in(text) == ["evil"]
    assert "<script>alert" not in text
    assert "<img" not in text
    assert "javascript:" not in text
    assert "49" not in plain(text)


def test_the_day_is_told_of_all_dags_against_its_ceiling(tmp_path: Path) -> None:
    for settings, words in (
        (Settings(daily_dollars_total=20.0), "$0.00 of $20.00 spent today"),
        (Settings(offline=True), "No paid model is asked"),
    ):
        folder = tmp_path / words[:2]
        folder.mkdir()
        server = Server(new_database("sqlite", folder), settings)
        with ApiServer(server.service) as api:
            assert words in plain(Visitor(api, "anna").get("/").text)
        server.close()


def test_failures_count_what_was_given_to_a_session(server: Server, anna: Visitor) -> None:
    session_id = server.taken()
    server.airflow.fail(DAG, RUN, TASK, try_number=2)
    assert server.taken(try_number=2) == session_id
    assert "2 failures" in plain(anna.get("/").text)

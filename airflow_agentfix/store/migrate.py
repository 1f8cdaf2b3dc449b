"""Creating and upgrading AgentFix's tables, safely with several API servers starting at once."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa  # noqa: TID253 - imported by the store alone, inside the API server
from alembic import command  # noqa: TID253 - as above
from alembic.config import Config  # noqa: TID253 - as above
from alembic.runtime.migration import MigrationContext  # noqa: TID253 - as above
from alembic.script import ScriptDirectory  # noqa: TID253 - as above

from airflow_agentfix.errors import StoreOutdated
from airflow_agentfix.store.engine import reading, writing
from airflow_agentfix.store.tables import VERSION_TABLE

_POSTGRES_LOCK = 0x6167656E74666978
"""any fixed number: "agentfix" in ASCII"""


def migrate(engine: sa.Engine) -> None:
    """Bring the tables to this version. One process does it, the others wait for its lock and find it done."""
    config = _config()
    with writing(engine) as connection:  # on SQLite, BEGIN IMMEDIATE is the lock
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
        if _current(connection) == _head(config):
            return
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check(engine: sa.Engine) -> None:
    """Raises StoreOutdated unless the tables are of this version."""
    expected = _head(_config())
    with reading(engine) as connection:
        found = _current(connection)
    if found != expected:
        raise StoreOutdated(f"AgentFix's tables are at version {found!r}, expected {expected!r}. Run: agentfix db migrate")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _head(config: Config) -> str | None:
    return ScriptDirectory.from_config(config).get_current_head()


def _current(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()

"""What Alembic runs: migrations on the connection that `store.migrate` hands over, in its transaction."""

from __future__ import annotations

from alembic import context  # noqa: TID253 - loaded by Alembic itself

from airflow_agentfix.store.tables import VERSION_TABLE, metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()

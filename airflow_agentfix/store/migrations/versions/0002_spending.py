"""Dollars by day and DAG, and what a session may spend."""

from __future__ import annotations

import sqlalchemy as sa  # noqa: TID253 - loaded by Alembic itself
from alembic import op  # noqa: TID253 - loaded by Alembic itself

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("agentfix_session", sa.Column("max_dollars", sa.Float))
    op.create_table(
        "agentfix_spending",
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("dag_id", sa.String(250), primary_key=True),
        sa.Column("dollars", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("agentfix_spending")
    op.drop_column("agentfix_session", "max_dollars")

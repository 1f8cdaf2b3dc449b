"""What lists of sessions are searched in, and indexes for them and for the failures of a session."""

from __future__ import annotations

import sqlalchemy as sa  # noqa: TID253 - loaded by Alembic itself
from alembic import op  # noqa: TID253 - loaded by Alembic itself

revision = "0003"
down_revision = "0002"

_LISTED = ["created_at", "id", "dag_id", "outcome", "waiting_for", "verdict", "version"]


_SEARCHED = ("coalesce(cause, '')", "dag_id", "task_id", "run_id", "id")
"""as `store.sql` joins them for what is written from now on"""
_BREAK = " || '\n' || "


def upgrade() -> None:
    op.add_column("agentfix_session", sa.Column("searched", sa.Text))
    op.execute(f"UPDATE agentfix_session SET searched = lower({_BREAK.join(_SEARCHED)})")
    op.create_index("idx_agentfix_session_listed", "agentfix_session", _LISTED)
    op.create_index("idx_agentfix_failure_session", "agentfix_failure", ["session_id"])


def downgrade() -> None:
    op.drop_index("idx_agentfix_failure_session", "agentfix_failure")
    op.drop_index("idx_agentfix_session_listed", "agentfix_session")
    op.drop_column("agentfix_session", "searched")

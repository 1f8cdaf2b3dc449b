"""When a session asked a person last: those that wait are listed by it."""

from __future__ import annotations

import sqlalchemy as sa  # noqa: TID253 - loaded by Alembic itself
from alembic import op  # noqa: TID253 - loaded by Alembic itself

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("agentfix_session", sa.Column("asked_at", sa.String(32)))
    newest = "SELECT max(e.at) FROM agentfix_event e WHERE e.session_id = agentfix_session.id AND e.kind = 'question'"
    op.execute(f"UPDATE agentfix_session SET asked_at = coalesce(({newest}), updated_at) WHERE waiting_for = 'person'")
    op.create_index("idx_agentfix_session_asked", "agentfix_session", ["waiting_for", "asked_at", "id"])


def downgrade() -> None:
    op.drop_index("idx_agentfix_session_asked", "agentfix_session")
    op.drop_column("agentfix_session", "asked_at")

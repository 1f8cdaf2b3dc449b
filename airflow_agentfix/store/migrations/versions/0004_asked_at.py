"""When a session asked a person last: those that wait are listed by it."""

from __future__ import annotations

import sqlalchemy as sa  # noqa: TID253 - loaded by Alembic itself
from alembic import op  # noqa: TID253 - loaded by Alembic itself

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("agentfix_session", sa.Column("asked_at", sa.String(32)))
    op.execute(
        "UPDATE agentfix_session SET asked_at = (SELECT max(e.at) FROM agentfix_event e "
        "WHERE e.session_id = agentfix_session.id AND e.kind = 'question') WHERE open_key IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("agentfix_session", "asked_at")

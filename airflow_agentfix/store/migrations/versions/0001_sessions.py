"""Sessions, events, failures, approvals."""

from __future__ import annotations

import sqlalchemy as sa  # noqa: TID253 - loaded by Alembic itself
from alembic import op  # noqa: TID253 - loaded by Alembic itself

revision = "0001"
down_revision = None

_ID = sa.String(64)
_KEY = sa.String(250)


def upgrade() -> None:
    _sessions()
    op.create_table(
        "agentfix_event",
        sa.Column("session_id", _ID, sa.ForeignKey("agentfix_session.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
        sa.Column("data", sa.JSON, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_table(
        "agentfix_failure",
        sa.Column("dag_id", _KEY, primary_key=True),
        sa.Column("run_id", _KEY, primary_key=True),
        sa.Column("task_id", _KEY, primary_key=True),
        sa.Column("map_index", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("try_number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("session_id", _ID, sa.ForeignKey("agentfix_session.id"), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )
    op.create_table(
        "agentfix_approval",
        sa.Column("session_id", _ID, sa.ForeignKey("agentfix_session.id"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("question_id", _ID),
        sa.Column("commit", sa.Text, nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("person", sa.Text, nullable=False),
        sa.Column("via", sa.String(32), nullable=False),
        sa.Column("at", sa.String(32), nullable=False),
    )


def _sessions() -> None:
    counters = ("last_event", "turns", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    texts = ("cause", "model", "fix_branch", "fix_commit", "pull_request", "summary", "requested_by", "worker_run_id")
    op.create_table(
        "agentfix_session",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("dag_id", _KEY, nullable=False),
        sa.Column("run_id", _KEY, nullable=False),
        sa.Column("task_id", _KEY, nullable=False),
        sa.Column("map_index", sa.Integer, nullable=False),
        sa.Column("try_number", sa.Integer),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("autonomy", sa.String(16), nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("created_at", sa.String(32), nullable=False),
        sa.Column("updated_at", sa.String(32), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("outcome", sa.String(16)),
        sa.Column("waiting_for", sa.String(16)),
        sa.Column("fingerprint", sa.String(128)),
        sa.Column("repository", sa.Text),
        sa.Column("verdict", sa.String(16)),
        *(sa.Column(name, sa.Text) for name in texts),
        *(sa.Column(name, sa.Integer, nullable=False) for name in counters),
        sa.Column("dollars", sa.Float, nullable=False),
        sa.Column("runs", sa.Integer, nullable=False),
        sa.Column("lease", _ID),
        sa.Column("holder", sa.Text),
        sa.Column("lease_until", sa.String(32)),
        sa.Column("open_key", sa.String(64), unique=True),
    )
    op.create_index("idx_agentfix_session_list", "agentfix_session", ["dag_id", "created_at"])
    op.create_index("idx_agentfix_session_fingerprint", "agentfix_session", ["fingerprint"])


def downgrade() -> None:
    for table in ("agentfix_approval", "agentfix_failure", "agentfix_event", "agentfix_session"):
        op.drop_table(table)

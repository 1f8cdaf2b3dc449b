"""AgentFix's own tables, apart from Airflow's. Changing one means a new file in migrations/versions."""

from __future__ import annotations

from sqlalchemy import (  # noqa: TID253 - imported by the store alone, inside the API server
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

VERSION_TABLE = "agentfix_alembic_version"

_ID = String(64)
_KEY = String(250)
"""as Airflow's own dag_id, run_id and task_id"""

session = Table(
    "agentfix_session",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("dag_id", _KEY, nullable=False),
    Column("run_id", _KEY, nullable=False),
    Column("task_id", _KEY, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("try_number", Integer),
    Column("state", String(16), nullable=False),
    Column("autonomy", String(16), nullable=False),
    Column("source", String(64), nullable=False),
    Column("created_at", String(32), nullable=False),
    Column("updated_at", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("outcome", String(16)),
    Column("waiting_for", String(16)),
    Column("fingerprint", String(128)),
    Column("repository", Text),
    Column("verdict", String(16)),
    Column("cause", Text),
    Column("model", Text),
    Column("fix_branch", Text),
    Column("fix_commit", Text),
    Column("pull_request", Text),
    Column("summary", Text),
    Column("requested_by", Text),
    Column("worker_run_id", Text),
    Column("last_event", Integer, nullable=False),
    Column("turns", Integer, nullable=False),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cache_read_tokens", Integer, nullable=False),
    Column("cache_write_tokens", Integer, nullable=False),
    Column("dollars", Float, nullable=False),
    Column("runs", Integer, nullable=False),
    Column("lease", _ID),
    Column("holder", Text),
    Column("lease_until", String(32)),
    Column("max_dollars", Float),
    Column("open_key", String(64), unique=True),  # hash of the task while the session is not done: one open session per task
    Column("asked_at", String(32)),
    Column("searched", Text),  # what lists are searched in, in lower case: `store.listing`
    Index("idx_agentfix_session_list", "dag_id", "created_at"),
    Index("idx_agentfix_session_fingerprint", "fingerprint"),
    Index("idx_agentfix_session_asked", "waiting_for", "asked_at", "id"),
    # lists go through it in their order; what they count and compare is read from it alone
    Index("idx_agentfix_session_listed", "created_at", "id", "dag_id", "outcome", "waiting_for", "verdict", "version"),
)

event = Table(
    "agentfix_event",
    metadata,
    Column("session_id", _ID, ForeignKey(session.c.id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)

failure = Table(
    "agentfix_failure",
    metadata,
    Column("dag_id", _KEY, primary_key=True),
    Column("run_id", _KEY, primary_key=True),
    Column("task_id", _KEY, primary_key=True),
    Column("map_index", Integer, primary_key=True, autoincrement=False),
    Column("try_number", Integer, primary_key=True, autoincrement=False),
    Column("session_id", _ID, ForeignKey(session.c.id), nullable=False),
    Column("at", String(32), nullable=False),
    Index("idx_agentfix_failure_session", "session_id"),
)

approval = Table(
    "agentfix_approval",
    metadata,
    Column("session_id", _ID, ForeignKey(session.c.id), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("question_id", _ID),
    Column("commit", Text, nullable=False),
    Column("decision", String(16), nullable=False),
    Column("person", Text, nullable=False),
    Column("via", String(32), nullable=False),
    Column("at", String(32), nullable=False),
)

spending = Table(
    "agentfix_spending",
    metadata,
    Column("day", String(10), primary_key=True),  # YYYY-MM-DD, UTC
    Column("dag_id", _KEY, primary_key=True),
    Column("dollars", Float, nullable=False),
)

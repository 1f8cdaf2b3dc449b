"""Alembic's folder for AgentFix's tables; `store.migrate` runs it."""

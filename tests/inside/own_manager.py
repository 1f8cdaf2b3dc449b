"""An auth manager as a deployment might build on the simple one."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class OwnManager(SimpleAuthManager):
    """Knows people by a way of its own."""

"""Auth managers as a deployment might build on the simple one."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class OwnManager(SimpleAuthManager):
    """Knows people by a way of its own."""


class PerDagManager(SimpleAuthManager):
    """Rights on single DAGs, as FAB and Keycloak have them. A role is words `right:DAG`, right read or edit."""

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        rights = {dag_id: right for right, dag_id in (word.split(":") for word in str(user.role).split())}
        right = rights.get(details.id if details else "")
        return right == "edit" or (right == "read" and method == "GET")

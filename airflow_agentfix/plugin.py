"""AgentFix in Airflow: the session API, mounted by the API server.

Every Airflow process loads plugins; only the API server reads `fastapi_apps`, and only there FastAPI is imported for us.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow_agentfix.service import SessionService


class AgentFixPlugin(AirflowPlugin):
    """Registered through the `airflow.plugins` entry point alone: that one is instantiated, so the property stays lazy."""

    name = "agentfix"

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow's is a plain class attribute
        from airflow_agentfix.web.app import build_app

        return [{"app": build_app(_service), "url_prefix": "/agentfix", "name": "agentfix"}]


def _service() -> SessionService:
    """The service of this deployment; `build_app` calls it at the first request."""
    from airflow_agentfix.settings import Settings
    from airflow_agentfix.wiring import build_server_service

    return build_server_service(Settings.load())

"""AgentFix in Airflow: the session API and the pages, mounted by the API server, and where Airflow's UI shows them.

Every Airflow process loads plugins; only the API server reads `fastapi_apps`, and only there FastAPI is imported for us.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from airflow_agentfix.service import SessionService


log = logging.getLogger(__name__)

# Relative: Airflow's pages have a <base> with whatever path it is served on. Routes have to differ.
VIEWS = (
    {"name": "Agent Fix", "destination": "nav", "category": "browse", "url_route": "agentfix", "href": "agentfix/"},
    {
        "name": "Agent Fix",
        "destination": "task_instance",
        "url_route": "agentfix_task",
        "href": "agentfix/task?dag_id={DAG_ID}&run_id={RUN_ID}&task_id={TASK_ID}&map_index={MAP_INDEX}",
    },
    {
        "name": "Agent Fix",
        "destination": "dag_run",
        "url_route": "agentfix_run",
        "href": "agentfix/run?dag_id={DAG_ID}&run_id={RUN_ID}",
    },
)


class AgentFixPlugin(AirflowPlugin):
    """Registered through the `airflow.plugins` entry point alone: that one is instantiated, so the property stays lazy."""

    name = "agentfix"

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow's is a plain class attribute
        return [dict(view) for view in VIEWS] if _has_pages() else []

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # Airflow's is a plain class attribute
        from airflow.configuration import conf

        from airflow_agentfix.web.app import build_app

        secret = conf.get_mandatory_value("api", "secret_key")
        base_url = conf.get("api", "base_url", fallback=None) or ""
        app = build_app(_service, secret=secret, base_url=base_url, ui=_has_pages())
        return [{"app": app, "url_prefix": "/agentfix", "name": "agentfix"}]


def _has_pages() -> bool:
    """This option alone; one that cannot be read must not take Airflow's own pages away."""
    from airflow.configuration import conf

    from airflow_agentfix.errors import ConfigurationError
    from airflow_agentfix.settings import SECTION, Settings

    try:
        return Settings.from_mapping({"ui": conf.get(SECTION, "ui", fallback=None) or ""}).ui
    except ConfigurationError as error:
        log.error("AgentFix has no pages in Airflow's UI: %s", error)
        return False


def _service() -> SessionService:
    """The service of this deployment; `build_app` calls it at the first request."""
    from airflow_agentfix.settings import Settings
    from airflow_agentfix.wiring import build_server_service

    return build_server_service(Settings.load())

"""The plugin is light in every Airflow process and brings the session API to the API server."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_agentfix.plugin import AgentFixPlugin
from airflow_agentfix.web.declared import KEY

HEAVY = "anthropic fastapi github mcp requests typer"
LOAD = f"""
import sys
import airflow.sdk, airflow.plugins_manager
before = set(sys.modules)
from airflow_agentfix.plugin import AgentFixPlugin
AgentFixPlugin()
print(sorted(name for name in {HEAVY!r}.split() + ["sqlalchemy.orm", "alembic"] if name in set(sys.modules) - before))
"""


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    loaded = subprocess.run([sys.executable, "-c", LOAD], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip().splitlines()[-1] == "[]"


def test_the_api_server_gets_one_app_under_agentfix_with_the_service_still_unbuilt() -> None:
    (mounted,) = AgentFixPlugin().fastapi_apps
    assert (mounted["url_prefix"], mounted["name"]) == ("/agentfix", "agentfix")
    assert "/api/v1/health" in {route.path for route in mounted["app"].routes}


def paths(plugin: AgentFixPlugin) -> set[str]:
    (mounted,) = plugin.fastapi_apps
    return {route.path for route in mounted["app"].routes if KEY in (getattr(route, "openapi_extra", None) or {})}


def test_pages_are_in_airflow_s_menu_and_in_the_tabs_of_runs_and_task_instances() -> None:
    views = AgentFixPlugin().external_views
    assert [view["destination"] for view in views] == ["nav", "task_instance", "dag_run"]
    assert len({view["url_route"] for view in views}) == 3
    assert all(view["href"].startswith("agentfix/") for view in views), "relative, so that a base path is kept"
    assert {"/", "/task", "/run"} <= paths(AgentFixPlugin())


@pytest.mark.parametrize("value", ["False", "neither"])
def test_without_pages_the_rest_api_is_as_it_was(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """A value that cannot be read is told, and takes nothing of Airflow's own away."""
    with_pages = paths(AgentFixPlugin())
    monkeypatch.setenv("AIRFLOW__AGENTFIX__UI", value)
    assert AgentFixPlugin().external_views == []
    assert paths(AgentFixPlugin()) == {path for path in with_pages if path.startswith("/api/")}

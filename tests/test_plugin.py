"""The plugin is light in every Airflow process and brings the session API to the API server."""

from __future__ import annotations

import subprocess
import sys

from airflow_agentfix.plugin import AgentFixPlugin

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

"""What Airflow's provider discovery reads: config section, connection type, notifier, extra links.

The plugin is not listed here: it is registered by its entry point, and listing it too would load FastAPI in every process.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from airflow_agentfix import __version__
from airflow_agentfix.settings import OPTIONS, SECTION, Option, Settings

FIRST_VERSION = "0.1.0"

CONNECTION_FIELDS: dict[str, Any] = {
    "hidden-fields": ["schema"],
    "relabeling": {"host": "Airflow's address", "login": "User", "password": "Password or static token"},
    "placeholders": {
        "host": "https://airflow.example.com/base",
        "extra": '{"token_command": "command that prints a token"}',
    },
}


def get_provider_info() -> dict[str, Any]:
    """The provider as Airflow's `provider_info.schema.json` describes it."""
    return {
        "package-name": "airflow-provider-agentfix",
        "name": "AgentFix",
        "description": "Failed DAG runs, diagnosed, fixed on a branch and rerun on that branch.",
        "versions": [__version__],
        "config": {SECTION: {"description": "Settings of AgentFix.", "options": _options()}},
        "connection-types": [
            {
                "connection-type": "agentfix_airflow",
                "hook-class-name": "airflow_agentfix.hooks.AgentFixHook",
                "hook-name": "AgentFix: Airflow's REST API",
                "ui-field-behaviour": CONNECTION_FIELDS,
            }
        ],
        "notifications": ["airflow_agentfix.notifier.AgentFixNotifier"],
        "extra-links": [
            "airflow_agentfix.operators.agentfix.PullRequestLink",
            "airflow_agentfix.operators.agentfix.FailedRunLink",
        ],
    }


def _options() -> dict[str, Any]:
    defaults = {field.name: field.default for field in fields(Settings)}
    return {name: _option(option, defaults[name]) for name, option in OPTIONS.items()}


def _option(option: Option, default: object) -> dict[str, Any]:
    return {
        "description": option.description,
        "version_added": FIRST_VERSION,
        "type": option.type,
        "example": option.example,
        "default": _text(default),
        "sensitive": option.sensitive,
    }


def _text(value: object) -> str:
    """A default as configuration holds it."""
    return ",".join(str(part) for part in value) if isinstance(value, tuple) else str(value)

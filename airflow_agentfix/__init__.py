"""AgentFix: a failed Airflow DAG run becomes a fixed one, on a branch, with evidence."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_agentfix.bundles import AgentFixDags, AgentFixPreviews
    from airflow_agentfix.notifier import AgentFixNotifier, agentfix_on_failure
    from airflow_agentfix.operators.agentfix import AgentFixOperator

__version__ = "0.1.0"
__all__ = ["AgentFixDags", "AgentFixNotifier", "AgentFixOperator", "AgentFixPreviews", "__version__", "agentfix_on_failure"]

# The package is imported by every Airflow process (provider, plugin); each name pays for its own imports when it is used.
_HOMES = {
    "AgentFixDags": "airflow_agentfix.bundles",
    "AgentFixNotifier": "airflow_agentfix.notifier",
    "AgentFixOperator": "airflow_agentfix.operators.agentfix",
    "AgentFixPreviews": "airflow_agentfix.bundles",
    "agentfix_on_failure": "airflow_agentfix.notifier",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(_HOMES[name]), name)  # an ImportError in there is the caller's to see


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""provider info"""
from __future__ import annotations
def get_provider_info() -> dict[str, object]:
    return {"package-name": "airflow-provider-agentfix", "name": "AgentFix", "description": "", "versions": ["0.1.0"]}

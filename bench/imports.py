"""What naming AgentFix in a DAG file costs on top of airflow.sdk. Aim: under 20 ms, no heavy library."""

from __future__ import annotations

from typing import Any

from bench.fresh import figures, milliseconds

SETUP = "import airflow.sdk"
TIMED = "from airflow_agentfix import AgentFixOperator, agentfix_on_failure"


def measure(times: int = 20) -> dict[str, Any]:
    return {"unit": "ms", "aim": 20, "callback and operator named": figures(milliseconds(SETUP, TIMED, times=times))}

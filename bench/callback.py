"""The on-failure callback in a fresh task process, from call to return: imports, connection, login and request included.

Aim: p95 under 600 ms; under 3 s with the API away. The API is a fake that answers at once, so this is our share.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from bench.fresh import figures, milliseconds
from tests.fakes.deployment import Deployment

SETUP = """
import airflow.sdk, airflow.sdk.execution_time.task_runner  # what a task process has loaded
from dataclasses import dataclass
from airflow_agentfix import agentfix_on_failure
@dataclass
class Ti:
    dag_id: str = "orders"
    run_id: str = "monday"
    task_id: str = "load"
    try_number: int = 1
    map_index: int = -1
    state: str = "failed"
"""
TIMED = "agentfix_on_failure()({'ti': Ti(), 'exception': KeyError('amount')})"


def measure(times: int = 20) -> dict[str, Any]:
    with Deployment() as airflow:
        handed = milliseconds(SETUP, TIMED, times=times, environ=_connection(airflow.url))
        assert len(airflow.sessions) == 1
        airflow.delay = 30
        hanging = milliseconds(SETUP, TIMED, times=2, environ=_connection(airflow.url))
    refused = milliseconds(SETUP, TIMED, times=2, environ=_connection(f"http://127.0.0.1:{_closed_port()}"))
    return {
        "unit": "ms",
        "aim": {"p95": 600, "away": 3000},
        "handed over": figures(handed),
        "API hangs": figures(hanging),
        "nothing listens": figures(refused),
    }


def _connection(url: str) -> dict[str, str]:
    return {"AIRFLOW_CONN_AGENTFIX_AIRFLOW": json.dumps({"conn_type": "agentfix_airflow", "host": url})}


def _closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

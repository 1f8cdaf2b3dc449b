"""The on-failure callback in a fresh task process, from call to return: imports, connection, login and request included."""

from __future__ import annotations

import json
import socket

from bench.figure import Figure, of_samples
from bench.fresh import last_line, runs
from tests.fakes.deployment import Deployment

TIMES = 20
TIMES_AWAY = 10
CODE = """
import airflow.sdk, airflow.sdk.execution_time.task_runner  # what a task process has loaded
import time
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

callback = agentfix_on_failure()
try:
    {}["amount"]
except KeyError as failure:
    start = time.perf_counter()
    callback({"ti": Ti(), "exception": failure})
    print((time.perf_counter() - start) * 1000)
    raise
"""
OWN_FAILURE = "KeyError: 'amount'"


def measure() -> list[Figure]:
    with Deployment() as airflow:
        handed = _callbacks(airflow.url, TIMES)
        if len(airflow.sessions) != 1:
            raise RuntimeError(f"The fake Airflow has {len(airflow.sessions)} sessions; expected the one that is handed over.")
    with socket.create_server(("127.0.0.1", 0), backlog=TIMES_AWAY + 1) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        hanging = _callbacks(url, TIMES_AWAY)
    refused = _callbacks(url, TIMES_AWAY)
    task = "fresh task process (task runner loaded), import and login included"
    return [
        _figure("callback, handed over", handed, 600, f"{task}; a local fake of Airflow answers at once, so this is our share"),
        _figure("callback, API hangs", hanging, 3000, f"{task}; the API takes the connection and never answers"),
        _figure("callback, nothing listens", refused, 3000, f"{task}; the port is closed"),
        _untouched([*handed, *hanging, *refused]),
    ]


Ran = tuple[float, bool]
"""milliseconds the callback took; whether the process then ended with the task's own failure"""


def _callbacks(url: str, times: int) -> list[Ran]:
    connection = {"conn_type": "agentfix_airflow", "host": url, "login": "worker", "password": "worker"}
    environ = {"AIRFLOW_CONN_AGENTFIX_AIRFLOW": json.dumps(connection)}
    done = runs(CODE, times=times, environ=environ)
    return [(float(last_line(one)), one.stderr.rstrip().endswith(OWN_FAILURE)) for one in done]


def _figure(name: str, ran: list[Ran], aim: float, how: str) -> Figure:
    return of_samples(name, [milliseconds for milliseconds, _ in ran], by="p95", unit="ms", aim=aim, how=how)


def _untouched(ran: list[Ran]) -> Figure:
    changed = sum(not untouched for _, untouched in ran)
    how = f"processes of all the above that did not end with the task's own {OWN_FAILURE}"
    return Figure("task failures changed by the callback", changed, "failures", 0, len(ran), how)

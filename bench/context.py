"""What `agentfix context` shows of a failed task and what it costs, on a real Airflow: a long log, and one index of many."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_agentfix.airflow_login import connect
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.demo.deployment import Deployment
from airflow_agentfix.demo.shop import Origin
from airflow_agentfix.errors import AirflowNotFound
from airflow_agentfix.evidence.render import CHARS_PER_TOKEN
from airflow_agentfix.evidence.resolve import resolve
from airflow_agentfix.settings import RepositoryRule, Settings
from airflow_agentfix.workbench import Workbench
from bench.figure import Figure, of_samples
from tests.e2e.production import Production

TIMES = 5
DAG, RUN = "long_logs", "bench"
INFO_LINES, MAPPED = 2_000, 115
CAUSES = {"noisy": "KeyError: 'currency'", "rows": "ValueError: order 114 has no amount"}
AROUND = {
    "noisy": (
        "reads: raw (s3://lake/raw), last updated never",
        "should have updated: orders (s3://lake/orders), last updated never",
        "stale downstream DAGs, which wait for these assets: reports",
        "numbers upstream returned: [0, 1, 2, ",
        'rates upstream returned: {"eur": 1.0}',
    ),
    "rows": (
        "numbers upstream returned: [0, 1, 2, ",
        f"mapped: 1 of {MAPPED} instances failed in this run",
        "victims of rows: total",
    ),
}
"""what must be told beside the cause"""
SOURCE = f'''"""A task between assets that says much before it fails, and a mapped one of which the last index fails. airflow"""

import logging

from airflow.sdk import DAG, Asset, task

RAW, ORDERS = Asset("raw", uri="s3://lake/raw"), Asset("orders", uri="s3://lake/orders")

with DAG("{DAG}", schedule=None, is_paused_upon_creation=False):

    @task
    def numbers() -> list[int]:
        return list(range({MAPPED}))

    @task
    def rates() -> dict[str, float]:
        return {{"eur": 1.0}}

    @task(inlets=[RAW], outlets=[ORDERS])
    def noisy(numbers: list[int], rates: dict[str, float]) -> None:
        for number in range({INFO_LINES}):
            logging.getLogger("etl").info("batch %d of {INFO_LINES}: read %d rows, 0 errors", number, number * 17)
        rates["currency"]

    @task
    def rows(number: int) -> int:
        if number == {MAPPED - 1}:
            raise ValueError(f"order {{number}} has no amount")
        return number

    @task
    def total(amounts: list[int]) -> int:
        return sum(amounts)

    read = numbers()
    noisy(read, rates())
    total(rows.expand(number=read))

with DAG("reports", schedule=[ORDERS], is_paused_upon_creation=False):

    @task
    def report() -> None: ...

    report()
'''


def measure() -> list[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as name:
        deployment = Deployment.prepare(Path(name).resolve())
        _add_dag(deployment.origin)
        with deployment.running(lambda _: None):
            here = Production(deployment)
            here.until(lambda: _is_there(deployment), f"{DAG} is parsed")
            deployment.airflow.trigger(DAG, run_id=RUN, conf={})
            here.until(lambda: deployment.airflow.run(DAG, RUN).state == "failed", f"{RUN} of {DAG} has failed")
            refs = (TaskRef(DAG, RUN, "noisy", 1), TaskRef(DAG, RUN, "rows", 1, MAPPED - 1))
            return [figure for ref in refs for figure in _figures(deployment, ref)]


def _add_dag(origin: Origin) -> None:
    with TemporaryDirectory(prefix="agentfix-bench-") as name:
        clone = Origin(Path(name, "clone"))
        Origin(Path(name)).git("clone", "-q", str(origin.path), str(clone.path))
        (clone.path / "dags" / f"{DAG}.py").write_text(SOURCE)
        clone.git("add", "-A")
        clone.git("commit", "-q", "-m", "Long logs")
        clone.git("push", "-q", "origin", "main")


def _is_there(deployment: Deployment) -> bool:
    try:
        return bool(deployment.airflow.dag(DAG))
    except AirflowNotFound:
        return False


def _figures(deployment: Deployment, ref: TaskRef) -> Iterator[Figure]:
    seconds, calls, chars, lost = [], [], 0, 0
    missing: set[str] = set()
    for _ in range(TIMES):
        asked: list[str] = []
        bench = _workbench(deployment, asked)
        started = time.perf_counter()
        found, task = resolve(bench.airflow, ref.dag_id, ref.run_id, ref.task_id, ref.map_index)  # as the command line does
        text = bench.collect(found, task=task).text
        seconds.append(time.perf_counter() - started)
        calls.append(len(asked))
        missing |= {told for told in AROUND[ref.task_id] if told not in text}
        chars, lost = max(chars, len(text)), lost + (CAUSES[ref.task_id] not in text)
    of = f"context of {ref.task_id}" + (f"[{ref.map_index}] of {MAPPED}" if ref.map_index >= 0 else f" after {INFO_LINES} lines")
    how = "in a process that is up, login included; airflow standalone with SQLite, the code in a git repository beside it"
    yield Figure(f"{of}: cause missing", lost, "times", 0, TIMES, f"whether {CAUSES[ref.task_id]!r} is in the text")
    yield Figure(f"{of}: facts missing", len(missing), "facts", 0, TIMES, f"of {', '.join(map(repr, AROUND[ref.task_id]))}")
    yield Figure(f"{of}: size", chars / CHARS_PER_TOKEN, "tokens", 2_500, TIMES, f"characters over {CHARS_PER_TOKEN}, the most")
    yield of_samples(f"{of}: REST calls", calls, by="max", unit="calls", aim=12, how="requests to Airflow, the login's too")
    yield of_samples(f"{of}: time", seconds, by="median", unit="s", aim=2, how=how)


def _workbench(deployment: Deployment, asked: list[str]) -> Workbench:
    """A worker's adapters, each request of which is noted."""
    rule = RepositoryRule("", str(deployment.origin.path), "main", "dags")
    settings = Settings(repositories=(rule,))
    http = connect(settings, environ={"AGENTFIX_AIRFLOW_URL": deployment.standalone.url})
    http._session.hooks["response"].append(lambda answer, *_, **__: asked.append(answer.url))
    return Workbench(http, settings, get_connection=lambda _: None, get_bundles=list)

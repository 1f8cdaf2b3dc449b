"""What naming AgentFix in a DAG file costs on top of airflow.sdk, and how soon `agentfix --help` comes."""

from __future__ import annotations

import json

from bench.figure import Figure, of_samples
from bench.fresh import last_line, runs
from tests.test_light import HEAVY

TIMES = 20
CODE = """
import json, sys, time
import airflow.sdk
known = set(sys.modules)
start = time.perf_counter()
from airflow_agentfix import AgentFixOperator, agentfix_on_failure
took = (time.perf_counter() - start) * 1000
print(json.dumps([took, sorted({name.partition(".")[0] for name in set(sys.modules) - known})]))
"""


HELP = """
import subprocess, sys, time
start = time.perf_counter()
subprocess.run([sys.executable, "-m", "airflow_agentfix", "--help"], check=True, stdout=subprocess.DEVNULL)
print(time.perf_counter() - start)
"""


def measure() -> list[Figure]:
    seen = [json.loads(last_line(done)) for done in runs(CODE, times=TIMES)]
    heavy = HEAVY.intersection(module for _, loaded in seen for module in loaded)
    helped = [float(last_line(done)) for done in runs(HELP, times=TIMES)]
    return [
        of_samples(
            "agentfix --help", helped, by="median", unit="s", aim=0.5, how="`python -m airflow_agentfix --help`, a process each"
        ),
        of_samples(
            "import of callback and operator",
            [milliseconds for milliseconds, _ in seen],
            by="median",
            unit="ms",
            aim=20,
            how="`from airflow_agentfix import AgentFixOperator, agentfix_on_failure`, fresh interpreters with airflow.sdk",
        ),
        Figure(
            "heavy libraries this import loads",
            len(heavy),
            "libraries",
            0,
            TIMES,
            f"of {', '.join(sorted(HEAVY))}, found in sys.modules after the import and not before; found: {sorted(heavy)}",
        ),
    ]

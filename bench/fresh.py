"""Code timed in fresh interpreters, as Airflow's processes are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from tempfile import TemporaryDirectory


def milliseconds(setup: str, timed: str, *, times: int, environ: Mapping[str, str] | None = None) -> list[float]:
    """How long `timed` takes after `setup`, once in each of `times` interpreters; sorted."""
    code = f"import time\n{setup}\nstart = time.perf_counter()\n{timed}\nprint((time.perf_counter() - start) * 1000)"
    with TemporaryDirectory(prefix="agentfix-bench-") as home:
        every = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **(environ or {})}
        _run(code, every)  # writes airflow.cfg and byte code, which a deployment has
        return sorted(_run(code, every) for _ in range(times))


def figures(samples: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile (the nearest sample above) and the worst."""
    p95 = samples[min(len(samples) - 1, -(-95 * len(samples) // 100) - 1)]
    return {"n": len(samples), "median": round(samples[len(samples) // 2], 1), "p95": round(p95, 1), "max": round(samples[-1], 1)}


def _run(code: str, environ: Mapping[str, str]) -> float:
    done = subprocess.run([sys.executable, "-c", code], env=dict(environ), capture_output=True, text=True, check=True)
    return float(done.stdout.splitlines()[-1])

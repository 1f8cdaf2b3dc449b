"""Code run in fresh interpreters, as Airflow's processes are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from tempfile import TemporaryDirectory


def runs(code: str, *, times: int, environ: Mapping[str, str] | None = None) -> list[subprocess.CompletedProcess[str]]:
    """`code` in `times` interpreters, one after the other, after one more that is not counted."""
    with TemporaryDirectory(prefix="agentfix-bench-") as home:
        every = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **(environ or {})}
        _run(code, every)  # writes airflow.cfg and byte code, which a deployment has
        return [_run(code, every) for _ in range(times)]


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line a run printed; Airflow logs to standard output too."""
    if not done.stdout.strip():
        raise RuntimeError(f"A benchmark's interpreter printed nothing and ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def _run(code: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

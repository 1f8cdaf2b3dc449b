"""How fast a long log is read to its cause, and how much memory that takes: `agentfix logs distill` on files made for it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure, of_samples
from bench.long_logs import START, Line, event, line, lines_of

TIMES = 5
MEGABYTES = 50
LARGE_MEGABYTES = 1_000
BLOCK = 2_000_000
"""made once and repeated: what is read is as varied as its signs of errors are"""
COMMAND = [sys.executable, "-m", "airflow_agentfix", "logs", "distill", "--json", "--budget", "4000"]
CAUSE = "ValueError: amount 'n/a' is no number"


def measure() -> list[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as name:
        folder = Path(name)
        return [*_speed(folder, "text", line, aim=1.0), *_speed(folder, "structured events", event, aim=1.67), _memory(folder)]


def _speed(folder: Path, kind: str, form: Line, *, aim: float) -> Iterator[Figure]:
    file = _log(folder / "long.log", form, MEGABYTES)
    runs = [_distilled(file) for _ in range(TIMES)]
    size = file.stat().st_size / 100e6
    own = [told["seconds"] / size for _, told in runs]
    whole = [seconds / size for seconds, _ in runs]
    rate = f"{1 / min(own) * 100:.0f} MB/s at best"
    how = f"{file.stat().st_size / 1e6:.0f} MB, read, distilled, redacted and cut to 4,000 characters; {rate}"
    yield of_samples(f"100 MB of {kind}", own, by="median", unit="s", aim=aim, how=how)
    yield of_samples(
        f"100 MB of {kind}, with the interpreter's start", whole, by="median", unit="s", aim=aim, how=f"{how}; wall clock"
    )


def _memory(folder: Path) -> Figure:
    large = _log(folder / "large.log", line, LARGE_MEGABYTES)
    above = (_distilled(large)[1]["peak_kib"] - _started()) / 1024
    how = f"peak of the process on {large.stat().st_size / 1e6:.0f} MB over that of one that has started and read nothing"
    return Figure("memory for a log of 1 GB", round(above, 1), "MiB", 60, 1, how)


def _log(file: Path, form: Line, megabytes: int) -> Path:
    block = b"".join(lines_of(BLOCK, form, seed=megabytes))
    with file.open("wb") as out:
        for _ in range(megabytes * 1_000_000 // len(block)):
            out.write(block)
        out.write(_failure(form, START))
    return file


def _failure(form: Line, at: datetime) -> bytes:
    traceback = (
        f'Traceback (most recent call last):\n  File "/opt/airflow/dags/shop.py", line 7, in load\n    total(row)\n{CAUSE}'
    )
    return form(at, "ERROR", f"Task failed with exception\n{traceback}").encode()


def _distilled(file: Path) -> tuple[float, dict[str, object]]:
    """Seconds of the whole process, and what it said."""
    started = time.perf_counter()
    done = subprocess.run([*COMMAND, str(file)], capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - started
    told = json.loads(done.stdout)
    if CAUSE not in told["text"]:
        raise RuntimeError(f"The cause {CAUSE!r} is not in what was distilled:\n{told['text']}")
    return seconds, told


def _started() -> int:
    """The peak in KiB of a process that is ready to read."""
    code = (
        "from airflow_agentfix.cli import app, evidence\n"
        "from airflow_agentfix.core import logs\n"
        "from airflow_agentfix.redaction import redact\n"
        "redact('x')\n"
        "print(evidence._peak_kib())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout)

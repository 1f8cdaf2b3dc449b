"""What is made once for all processes of a test run, and copied to whoever needs one of its own."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

RUN = "TESTS_SHARED_FOLDER"
"""set by the first process of a run and inherited by the others"""
MIGRATE_SECONDS = 400


def shared() -> Path:
    """The run's folder; it goes with the process that made it."""
    if RUN not in os.environ:
        os.environ[RUN] = tempfile.mkdtemp(prefix="agentfix-tests-")
        atexit.register(_remove, Path(os.environ[RUN]), os.getpid())
    return Path(os.environ[RUN])


def once(name: str, make: Callable[[Path], None]) -> Path:
    """A folder that `make` filled in whichever process came first; the others wait for it."""
    folder = shared() / name
    with shared().joinpath(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=shared()))
            make(made)
            made.rename(folder)
    return folder


def airflow_database(home: Path) -> Path:
    """Airflow's metadata database in this AIRFLOW_HOME, as `airflow db migrate` leaves it: a SQLite file."""
    home.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(once("airflow", _migrate) / "airflow.db", home))


def _migrate(home: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    environ |= {"AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=environ, cwd=home, capture_output=True, text=True, timeout=MIGRATE_SECONDS, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:  # a fork that ends is not the run's end
        shutil.rmtree(folder, ignore_errors=True)

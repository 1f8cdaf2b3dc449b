"""How soon a fix runs after a person said yes, on a real Airflow."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_agentfix.core.session import EventKind, Session
from airflow_agentfix.demo.deployment import FAILED_TASK
from bench.figure import Figure, of_samples
from tests.e2e.production import Production, from_a_folder, production

TIMES, PREVIEWS = 5, 2
INTERVAL = 5
READING_SECONDS = 10
"""nobody approves a diff sooner; it also keeps the park of the session out of the figure"""
USERS = {"admin": "admin", "lena": "op"}
APPROVED_BY = {"AGENTFIX__APPROVERS": "lena"}
HOW = (
    "from sending the answer under Required Actions to the start date of the failed task in the rerun; airflow standalone with "
    "SQLite, the session parked meanwhile; import check of the fix included"
)


def measure() -> list[Figure]:
    return [_by_pin(), _by_preview()]


def _by_pin() -> Figure:
    with (
        TemporaryDirectory(prefix="agentfix-bench-") as folder,
        production(Path(folder).resolve(), users=USERS, config=APPROVED_BY) as here,
    ):
        seconds = [_seconds(here, f"run_{number}") for number in range(1, TIMES + 1)]
    return of_samples("fix approved to rerun running, pin", seconds, by="median", unit="s", aim=5, how=HOW)


def _by_preview() -> Figure:
    """One fix: further runs of its cause would be pinned to nothing new, and a preview is parsed once."""
    seconds = [_of_one_preview() for _ in range(PREVIEWS)]
    how = f"{HOW}; the DAGs come from a folder, previews are refreshed every {INTERVAL} s; each time in a deployment of its own"
    aim = 15 + INTERVAL
    return of_samples("fix approved to rerun running, preview", seconds, by="median", unit="s", aim=aim, how=how)


def _of_one_preview() -> float:
    with (
        TemporaryDirectory(prefix="agentfix-bench-") as folder,
        from_a_folder(Path(folder).resolve(), refresh_interval=INTERVAL, users=USERS, config=APPROVED_BY) as here,
    ):
        return _seconds(here, "run_1")


def _seconds(here: Production, run_id: str) -> float:
    """From the approval of this run's fix to its failed task running again."""
    here.fail(run_id)
    session = here.session(run_id)
    question = here.question(session)
    time.sleep(READING_SECONDS)
    approved = time.time()
    here.answer(question, "Approve", user="lena")
    here.until(lambda: _started(here, session) > approved, f"{FAILED_TASK} of {run_id} runs again")
    seconds = _started(here, session) - approved
    here.done(run_id)  # the next run's measurement has the deployment for itself
    commit = here.events(session, EventKind.RERUN)[0].data["commit"]
    if commit != question["commit"]:
        raise RuntimeError(f"{run_id} was rerun on {commit!r}; expected the fix commit {question['commit']!r}.")
    return seconds


def _started(here: Production, session: Session) -> float:
    """When the failed task began to run in the rerun; a cleared one keeps the start of the try before. 0 while there is none."""
    for rerun in here.events(session, EventKind.RERUN):
        start = here.tasks(rerun.data["run_id"], rerun.data["dag_id"])[FAILED_TASK].start_date
        return datetime.fromisoformat(start).timestamp() if start else 0.0
    return 0.0

"""How soon a fix runs after a person said yes, on a real Airflow."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_agentfix.demo.deployment import FAILED_TASK
from airflow_agentfix.demo.shop import DAG_ID
from bench.figure import Figure, of_samples
from tests.e2e.production import Production, production

TIMES = 5
READING_SECONDS = 10
"""nobody approves a diff sooner; it also keeps the park of the session out of the figure"""
USERS = {"admin": "admin", "lena": "op"}


def measure() -> list[Figure]:
    with (
        TemporaryDirectory(prefix="agentfix-bench-") as folder,
        production(Path(folder).resolve(), users=USERS, config={"AGENTFIX__APPROVERS": "lena"}) as here,
    ):
        seconds = [_seconds(here, f"run_{number}") for number in range(1, TIMES + 1)]
    how = (
        "from sending the answer under Required Actions to the start date of the failed task's next try on the fix commit; "
        "airflow standalone with SQLite, the session parked meanwhile; import check of the fix included"
    )
    return [of_samples("fix approved to rerun running", seconds, by="median", unit="s", aim=10, how=how)]


def _seconds(here: Production, run_id: str) -> float:
    """From the approval of this run's fix to its failed task running again."""
    here.fail(run_id)
    question = here.question(here.session(run_id))
    time.sleep(READING_SECONDS)
    approved = time.time()
    here.answer(question, "Approve", user="lena")
    here.until(lambda: _started(here, run_id) > approved, f"{FAILED_TASK} of {run_id} runs again")
    seconds = _started(here, run_id) - approved
    here.done(run_id)  # the next run's measurement has the deployment for itself
    ran_on = here.deployment.airflow.run(DAG_ID, run_id).bundle_version
    if ran_on != question["commit"]:
        raise RuntimeError(f"{run_id} ran again on {ran_on!r}; expected the fix commit {question['commit']!r}.")
    return seconds


def _started(here: Production, run_id: str) -> float:
    """When the failed task's newest try began to run; a cleared one keeps the start of the try before."""
    start = here.tasks(run_id)[FAILED_TASK].start_date
    return datetime.fromisoformat(start).timestamp() if start else 0.0

"""`python -m tests.browser.pictures [FOLDER]`: the pictures of docs/images, taken anew of a real Airflow with a shop's failures.

Every page in light and in dark, as a person has it in Airflow, in the states that matter.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_agentfix.core.session import EventKind, Session
from tests.browser.chromium import chromium
from tests.browser.shopping import ASKS, FILES, FIXED, INVOICES, REPORTED, RUN, SCRIPTS, UNTOUCHED, broken
from tests.browser.stories import INBOX
from tests.browser.visitor import Visitor
from tests.e2e.production import Production, production
from tests.fakes.messages_api import MessagesApi

log = logging.getLogger(__name__)
IMAGES = Path(__file__).parents[2] / "docs" / "images"
MOST_BYTES = 200 * 1024
USERS = {"admin": "admin", "anna": "admin", "robot": "op"}
SIZE = {"width": 1280, "height": 860}
TALLER = {"session-asks": {"height": 1080}}
"""as far as the buttons that answer"""
EARLIER = 6


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="agentfix-pictures-") as home, shop(Path(home).resolve()) as here, chromium() as browser:
        for theme in ("light", "dark"):
            with Visitor(browser, here.deployment.standalone.url, "anna", theme=theme, **SIZE) as anna:
                for name, path in pages(here).items():
                    anna.page.set_viewport_size({**SIZE, **TALLER.get(name, {})})
                    anna.tab(path).locator("main").wait_for()
                    anna.settles()
                    time.sleep(1)
                    save(anna.page.screenshot(), folder / f"{name}-{theme}.png")


def pages(here: Production) -> dict[str, str]:
    def task(dag_id: str, task_id: str) -> str:
        return f"/dags/{dag_id}/runs/{RUN}/tasks/{task_id}/plugin/agentfix_task"

    return {
        "inbox": INBOX,
        "task": task(UNTOUCHED, "total_invoices"),
        "session-asks": task(ASKS, "sum_revenue"),
        "session-fixed": task(FIXED, "load_customers"),
        "session-reported": task(REPORTED, "read_stock"),
        "run": f"/dags/{FIXED}/runs/{RUN}/plugin/agentfix_run",
    }


def save(picture: bytes, path: Path) -> None:
    path.write_bytes(picture)
    if len(picture) > MOST_BYTES:
        log.warning("%s has %d bytes; expected at most %d: show a simpler state.", path.name, len(picture), MOST_BYTES)


@contextmanager
def shop(folder: Path) -> Iterator[Production]:
    """One session asks, one has fixed its run, one reported that it is no matter of code; one failure is untouched."""
    with MessagesApi(SCRIPTS) as api:
        model = {"ANTHROPIC_API_KEY": api.key, "ANTHROPIC_BASE_URL": api.url}
        with production(folder, users=USERS, worker="robot", files=FILES, environment=model) as here:
            for dag_id in (UNTOUCHED, FIXED, REPORTED):
                here.until(lambda dag_id=dag_id: here.is_parsed(dag_id), f"{dag_id} is parsed")
            _worked_before(here)
            here.commit(INVOICES, broken)
            for dag_id in (FIXED, ASKS, REPORTED):
                here.deployment.airflow.trigger(dag_id, run_id=RUN, conf={})
            _is_fixed(here)
            time.sleep(10)  # the bundle is refreshed every 5 s
            here.deployment.airflow.trigger(UNTOUCHED, run_id=RUN, conf={})
            here.until(lambda: here.run_state(RUN, UNTOUCHED) == "failed", f"{UNTOUCHED} failed")
            here.question(_session(here, ASKS))
            here.until(lambda: _session(here, REPORTED).outcome is not None, f"{REPORTED} is reported")
            yield here


def _worked_before(here: Production) -> None:
    runs = [f"daily_2026-11-{day}" for day in range(20, 20 + EARLIER)]
    for run_id in runs:
        here.deployment.airflow.trigger(UNTOUCHED, run_id=run_id, conf={})
    for run_id in runs:
        here.until(lambda run_id=run_id: here.run_state(run_id, UNTOUCHED) == "success", f"{run_id} worked")


def _is_fixed(here: Production) -> None:
    session = _session(here, FIXED)
    here.until(lambda: bool(here.events(session, EventKind.QUESTION)), "it asks")
    here.sessions("anna").reply(session.id, decision="approve", message="Looks right, thank you.")
    here.until(lambda: _session(here, FIXED).outcome is not None, f"{FIXED} is fixed")


def _session(here: Production, dag_id: str) -> Session:
    """The DAG's one session, which its callback starts."""
    here.until(lambda: bool(here.deployment.sessions.list(dag_id=dag_id)), f"a session on {dag_id}")
    return here.deployment.sessions.list(dag_id=dag_id)[0]


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else IMAGES)

"""How soon an event of a session shows on its page, in a real browser, on a real Airflow."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure, of_samples
from tests.browser.chromium import chromium
from tests.browser.live import seconds_to_show
from tests.browser.visitor import Visitor
from tests.e2e.production import production

TIMES = 20
USERS = {"admin": "admin", "robot": "op"}
RUN = "monday"
HOW = (
    "from the answer that says a person's message is stored to its line on the open page of the session, which waits for an "
    "approval; Chromium without a window, airflow standalone with SQLite; the page asks every 2 s"
)


def measure() -> list[Figure]:
    with (
        TemporaryDirectory(prefix="agentfix-bench-") as folder,
        production(Path(folder).resolve(), users=USERS, worker="robot") as here,
        chromium() as browser,
    ):
        here.fail(RUN)
        session = here.session(RUN)
        here.question(session)
        with Visitor(browser, here.deployment.standalone.url, "admin") as admin:
            page = admin.our(f"/sessions/{session.id}")
            samples = []
            for number in range(TIMES):
                time.sleep(number / 10)  # not in step with the page's polls
                samples.append(seconds_to_show(here, page, session.id, f"Note {number}"))
    return [of_samples("event to page", samples, by="p95", unit="s", aim=3, how=HOW)]

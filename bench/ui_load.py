"""What fifty open session pages cost Airflow's own API, on an API server of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import requests

from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.demo.shop import DAG_ID
from airflow_agentfix.errors import AgentFixError
from bench.figure import Figure, spread_of
from tests.e2e.production import Production, production

PAGES, EVENTS = 50, 300
ROUNDS, SECONDS = 5, 8.0
NEWS_SECONDS = 5.0
ASKED = (f"/api/v2/dags/{DAG_ID}/dagRuns?limit=50", "/api/v2/monitor/health")
HOW = (
    f"{PAGES} session pages of {EVENTS} events, each polling every 2 s with its ETag, against none, in turns ({ROUNDS} of "
    f"{SECONDS:.0f} s); one client asks for runs and health without a pause; `airflow api-server` alone, one process, SQLite; "
    "all clients on the same machine"
)


def measure() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as folder, _served(Path(folder).resolve()) as there:
        for name, news in (("quiet", False), (f"with news every {NEWS_SECONDS:.0f} s", True)):
            alone, beside = zip(*[_round(there, news=news) for _ in range(ROUNDS)], strict=True)
            yield from _figures(name, list(alone), list(beside))


@dataclass(frozen=True)
class There:
    """The API server with a session of many events."""

    url: str
    token: str
    session_id: str

    def get(self, http: requests.Session, path: str) -> None:
        http.get(self.url + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=60).raise_for_status()

    def tell(self, text: str) -> None:
        path = f"{self.url}/agentfix/api/v1/sessions/{self.session_id}/message"
        login = {"Authorization": f"Bearer {self.token}"}
        requests.post(path, json={"message": text}, headers=login, timeout=60).raise_for_status()


@dataclass(frozen=True)
class Window:
    """How the API did for some seconds: milliseconds of each request."""

    samples: list[float]

    @property
    def mean(self) -> float:
        return sum(self.samples) / len(self.samples)


@contextmanager
def _served(folder: Path) -> Iterator[There]:
    """A session that waits for a person; then the API server alone, so that nothing else of Airflow is in the figures."""
    with production(folder, users={"admin": "admin"}, config={"API__WORKERS": "1"}) as here:
        here.fail("monday")
        session = here.session("monday")
        here.question(session)
        there = There(here.deployment.standalone.url, _token(here), session.id)
        for number in range(EVENTS - len(here.events(session))):
            there.tell(f"Note {number}: the column was renamed last week.")
        here.deployment.standalone.stop()
        with _api_server(here):
            yield there


def _token(here: Production) -> str:
    login = {"username": "admin", "password": "admin"}
    return str(requests.post(f"{here.deployment.standalone.url}/auth/token", json=login, timeout=60).json()["access_token"])


@contextmanager
def _api_server(here: Production) -> Iterator[None]:
    standalone = here.deployment.standalone
    command = [sys.executable, "-m", "airflow", "api-server", "--port", str(standalone.port), "--workers", "1"]
    with standalone.log.open("ab") as log:
        process = subprocess.Popen(
            command, env=standalone.env, cwd=standalone.home, stdout=log, stderr=log, start_new_session=True
        )
    try:
        here.until(lambda: _answers(here.deployment.http("admin")), "the API server answers")
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _answers(http: AirflowHttp) -> bool:
    try:
        return bool(http.json("GET", "/api/v2/version"))
    except AgentFixError:
        return False


def _round(there: There, *, news: bool) -> tuple[Window, Window]:
    alone = _window(there, lambda: None)
    with _open_pages(there):
        told = [time.monotonic()]

        def tell() -> None:
            if news and time.monotonic() - told[0] > NEWS_SECONDS:
                told[0] = time.monotonic()
                there.tell("Something new.")

        return alone, _window(there, tell)


def _window(there: There, between: Callable[[], None]) -> Window:
    samples = []
    with requests.Session() as http:
        there.get(http, ASKED[0])
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            for path in ASKED:
                start = time.perf_counter()
                there.get(http, path)
                samples.append((time.perf_counter() - start) * 1000)
            between()
    return Window(samples)


@contextmanager
def _open_pages(there: There) -> Iterator[None]:
    path = f"/agentfix/sessions/{there.session_id}"
    command = [sys.executable, "-m", "bench._visitors", there.url, path, there.token, str(PAGES)]
    visitors = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(6)  # all of them opened, and polling
        yield
    finally:
        visitors.terminate()
        said, _ = visitors.communicate(timeout=60)
        _expect_polls(json.loads(said))


def _expect_polls(seen: dict[str, Any]) -> None:
    """That the pages were there: a figure taken beside broken ones would be a good one."""
    print(f"  pages: {seen}", file=sys.stderr, flush=True)
    if seen.get("page 200") != PAGES or not seen.get("poll 304") or set(seen) - {"page 200", "poll 304", "poll 200"}:
        raise RuntimeError(f"The pages were answered {seen}; expected {PAGES} pages, and polls that know everything.")


def _figures(name: str, alone: list[Window], beside: list[Window]) -> Iterator[Figure]:
    slower = [(two.mean / one.mean - 1) * 100 for one, two in zip(alone, beside, strict=True)]
    yield Figure(
        f"Airflow's API slowed down by {PAGES} open session pages, {name}", round(median(slower), 1), "%", 10, ROUNDS,
        f"median of {ROUNDS}, of the mean time of a request: {HOW}", spread_of(slower),
    )  # fmt: skip
    for told, windows in (("alone", alone), (f"beside {PAGES} pages, {name}", beside)):
        spread = spread_of([one for window in windows for one in window.samples])
        rate = median(len(window.samples) / SECONDS for window in windows)
        how = f"p95 of all requests; {rate:.0f} a second: {HOW}"
        yield Figure(
            f"a request of Airflow's API, {told}", spread["p95"], "ms", 1_000, sum(len(w.samples) for w in windows), how, spread
        )

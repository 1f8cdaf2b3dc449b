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

import psutil
import requests

from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.demo.shop import DAG_ID
from airflow_agentfix.errors import AgentFixError
from bench.figure import Figure, spread_of
from tests.e2e.production import Production, production

PAGES, EVENTS = 50, 300
ROUNDS, SECONDS = 4, 8.0
NEWS_SECONDS = 5.0
ASKED = (f"/api/v2/dags/{DAG_ID}/dagRuns?limit=50", "/api/v2/monitor/health")
HOW = (
    f"{PAGES} session pages of {EVENTS} events, each polling every 2 s with its ETag, against none, in turns ({ROUNDS} of "
    f"{SECONDS:.0f} s); one client asks for runs and health without a pause; `airflow api-server` alone, one process, SQLite; "
    "all clients on the same machine"
)


def measure() -> Iterator[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as folder, _served(Path(folder).resolve()) as there:
        for name, news in (("quiet", False), (f"news every {NEWS_SECONDS:.0f} s", True)):
            yield from _figures(name, [_round(there, news=news) for _ in range(ROUNDS)])


@dataclass(frozen=True)
class There:
    """The API server with a session of many events."""

    url: str
    token: str
    session_id: str
    server: psutil.Process

    def get(self, http: requests.Session, path: str) -> None:
        http.get(self.url + path, headers={"Authorization": f"Bearer {self.token}"}, timeout=60).raise_for_status()

    def seconds(self) -> float:
        """Of the processors, that the API server has used."""
        processes = [self.server, *self.server.children(recursive=True)]
        return sum(used.user + used.system for used in (one.cpu_times() for one in processes))


@dataclass(frozen=True)
class Round:
    """`share`: of one core, that the pages alone take; `alone` and `beside`: milliseconds of each time that Airflow's API
    was asked for runs and health, without and with them."""

    share: float
    alone: list[float]
    beside: list[float]


@contextmanager
def _served(folder: Path) -> Iterator[There]:
    """A session that waits for a person; then the API server alone, so that nothing else of Airflow is in the figures."""
    with production(folder, users={"admin": "admin"}, config={"API__WORKERS": "1"}) as here:
        here.fail("monday")
        session = here.session("monday")
        here.question(session)
        url, token = here.deployment.standalone.url, _token(here)
        for number in range(EVENTS - len(here.events(session))):
            _tell(url, token, session.id, f"Note {number}: the column was renamed last week.")
        here.deployment.standalone.stop()
        with _api_server(here) as server:
            yield There(url, token, session.id, server)


def _tell(url: str, token: str, session_id: str, text: str) -> None:
    path, login = f"{url}/agentfix/api/v1/sessions/{session_id}/message", {"Authorization": f"Bearer {token}"}
    requests.post(path, json={"message": text}, headers=login, timeout=60).raise_for_status()


def _token(here: Production) -> str:
    login = {"username": "admin", "password": "admin"}
    return str(requests.post(f"{here.deployment.standalone.url}/auth/token", json=login, timeout=60).json()["access_token"])


@contextmanager
def _api_server(here: Production) -> Iterator[psutil.Process]:
    standalone = here.deployment.standalone
    command = [sys.executable, "-m", "airflow", "api-server", "--port", str(standalone.port), "--workers", "1"]
    with standalone.log.open("ab") as log:
        process = subprocess.Popen(
            command, env=standalone.env, cwd=standalone.home, stdout=log, stderr=log, start_new_session=True
        )
    try:
        here.until(lambda: _answers(here.deployment.http("admin")), "the API server answers")
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _answers(http: AirflowHttp) -> bool:
    try:
        return bool(http.json("GET", "/api/v2/version"))
    except AgentFixError:
        return False


def _round(there: There, *, news: bool) -> Round:
    idle, alone = _share(there, lambda: time.sleep(0.1)), _asked(there, lambda: None)
    with _open_pages(there):
        told = time.monotonic()

        def between() -> None:
            nonlocal told
            if news and time.monotonic() - told > NEWS_SECONDS:
                told = time.monotonic()
                _tell(there.url, there.token, there.session_id, "Something new.")

        def waiting() -> None:
            between()
            time.sleep(0.1)

        return Round(_share(there, waiting) - idle, alone, _asked(there, between))


def _share(there: There, between: Callable[[], None]) -> float:
    """Of one core, that the API server uses while nobody else asks."""
    used, start = there.seconds(), time.monotonic()
    while time.monotonic() < start + SECONDS:
        between()
    return (there.seconds() - used) / (time.monotonic() - start)


def _asked(there: There, between: Callable[[], None]) -> list[float]:
    samples = []
    with requests.Session() as http:
        there.get(http, ASKED[0])
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            start = time.perf_counter()
            for path in ASKED:
                there.get(http, path)
            samples.append((time.perf_counter() - start) * 1000)
            between()
    return samples


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


def _figures(name: str, rounds: list[Round]) -> Iterator[Figure]:
    shares = [one.share * 100 for one in rounds]
    yield Figure(
        f"API server's time for {PAGES} open session pages, {name}", round(min(shares), 1), "% of a core", 10, len(rounds),
        f"min of {len(rounds)}, as other work on the machine only adds to it; while nothing else is asked. A busy server of one "
        f"process has the rest of the core for Airflow: {HOW}",
        spread_of(shares),
    )  # fmt: skip
    slower = [(median(one.beside) / median(one.alone) - 1) * 100 for one in rounds]
    yield Figure(
        f"Airflow's API slower beside {PAGES} open session pages, {name}", round(median(slower), 1), "%", 10, len(rounds),
        f"median, of the median time of both requests; it follows whatever else the machine does: {HOW}", spread_of(slower),
    )  # fmt: skip
    for told, samples in (
        ("alone", [one.alone for one in rounds]),
        (f"beside {PAGES} pages, {name}", [one.beside for one in rounds]),
    ):
        rate = median(len(of_one) / SECONDS for of_one in samples)
        together = [one for of_one in samples for one in of_one]
        spread = spread_of(together)
        how = f"p95 of the time of both requests; {rate:.0f} times a second: {HOW}"
        yield Figure(f"runs and health of Airflow's API, {told}", spread["p95"], "ms", 1_000, len(together), how, spread)

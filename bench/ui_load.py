"""What fifty open session pages cost Airflow's own API, on an API server of one process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
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
ROUNDS, SECONDS, CLIENTS = 5, 8.0, 2
NEWS_SECONDS = 5.0
ASKED = (f"/api/v2/dags/{DAG_ID}/dagRuns?limit=50", "/api/v2/monitor/health")
HOW = (
    f"{PAGES} session pages of {EVENTS} events that poll as a browser does; `airflow api-server` alone, one process, SQLite; all "
    "clients on the same machine"
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

    def seconds(self) -> float:
        """Of the processors, that the API server has used."""
        processes = [self.server, *self.server.children(recursive=True)]
        return sum(used.user + used.system for used in (one.cpu_times() for one in processes))


@dataclass(frozen=True)
class Round:
    """`share`: of one core, that the pages take while nothing else is asked; `alone` and `beside`: how often a second Airflow's
    API told of runs and health, without and with them."""

    share: float
    alone: float
    beside: float

    @property
    def slower(self) -> float:
        """By how much an answer of a server that has always something to do comes later."""
        return self.alone / self.beside - 1


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
    alone = _rate(there, lambda: None)
    with _open_pages(there):
        told = time.monotonic()

        def tell() -> None:
            nonlocal told
            if news and time.monotonic() - told > NEWS_SECONDS:
                told = time.monotonic()
                _tell(there.url, there.token, there.session_id, "Something new.")

        return Round(_share(there, tell), alone, _rate(there, tell))


def _share(there: There, meanwhile: Callable[[], None]) -> float:
    """Of one core, that the API server uses while nobody else asks."""
    used, start = there.seconds(), time.monotonic()
    _pass(SECONDS, meanwhile)
    return (there.seconds() - used) / (time.monotonic() - start)


def _rate(there: There, meanwhile: Callable[[], None]) -> float:
    """How often a second clients that never pause are told of runs and health: there is always one to answer, so that whatever
    else the server does is missing here."""
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS) as clients:
        counts = [clients.submit(_asked, there, end) for _ in range(CLIENTS)]
        _pass(SECONDS, meanwhile)
        return sum(one.result() for one in counts) / SECONDS


def _asked(there: There, end: float) -> int:
    count = 0
    with requests.Session() as http:
        http.headers["Authorization"] = f"Bearer {there.token}"
        while time.monotonic() < end:
            for path in ASKED:
                http.get(there.url + path, timeout=60).raise_for_status()
            count += 1
    return count


def _pass(seconds: float, meanwhile: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        meanwhile()
        time.sleep(0.1)


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
        f"min of {len(rounds)}, as other work on the machine only adds to it; while nothing else is asked: {HOW}",
        spread_of(shares),
    )  # fmt: skip
    slower = [one.slower * 100 for one in rounds]
    alone, beside = median(one.alone for one in rounds), median(one.beside for one in rounds)
    yield Figure(
        f"Airflow's API slower beside {PAGES} open session pages, {name}", round(median(slower), 1), "%", 10, len(rounds),
        f"median of {len(rounds)} rounds, each without and right after with the pages; {CLIENTS} clients ask for runs and health "
        f"without a pause, {alone:.0f} times a second alone and {beside:.0f} beside. It means something on a machine that does "
        f"nothing else: {HOW}", spread_of(slower),
    )  # fmt: skip

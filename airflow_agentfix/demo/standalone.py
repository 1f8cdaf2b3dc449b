"""An Airflow of its own: `airflow standalone` in a folder, on free ports, in its own process group.

Invariant: whatever it started is gone when `stop` returns. Used by the demo and by the end-to-end tests.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import requests  # noqa: TID253 - the demo talks HTTP; no DAG file imports it

from airflow_agentfix.errors import AgentFixError

START_SECONDS = 300
"""on a quiet machine it takes 20; these are for one that does much else"""
CALLBACK_SECONDS = 60
"""in production a callback gives up early and the triage finds the failure later; here nobody comes later"""
STOP_SECONDS = 20
WORKER_SECONDS = 60
"""a task fails when the API server takes longer for one request; of 5, Airflow's default, a busy machine needs more"""
PORTS = range(20_000, 32_000)
"""below those that systems give to whoever asks for any"""
PASSWORDS = "simple_auth_manager_passwords.json.generated"
NOT_INHERITED = ("AIRFLOW", "AGENTFIX_AIRFLOW", "PYTHONPATH", "VIRTUAL_ENV")
"""a newcomer's own Airflow settings must not leak into the demo's"""


class DemoFailed(AgentFixError):
    """The demo could not show what it promises; the message says at which step."""


class Standalone:
    """One `airflow standalone` with SQLite in `home`. `bundles` is Airflow's dag_bundle_config_list."""

    def __init__(
        self,
        home: Path,
        *,
        bundles: Sequence[Mapping[str, Any]],
        config: Mapping[str, str] | None = None,
        users: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        path: str = "",
    ) -> None:
        """`config` is by SECTION__OPTION, `users` role by name (a user's password is the name; None: everyone is admin), `path`
        what Airflow is served below, as /team/airflow."""
        self.home = home
        self.port, log_port, trigger_port = _free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}{path}"
        self.log = home / "standalone.log"
        self.users = users
        self.env = {**_environment(home, self.url, bundles, (log_port, trigger_port), config or {}, users), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def database(self) -> Path:
        """Airflow's SQLite file."""
        return self.home / "airflow.db"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def start(self, *, on_wait: Callable[[], None] = lambda: None) -> None:
        """Start and wait until API server, scheduler, DAG processor and triggerer are healthy. Raises DemoFailed."""
        self.home.mkdir(parents=True, exist_ok=True)
        if self.users:
            (self.home / PASSWORDS).write_text(json.dumps({name: name for name in self.users}))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "airflow", "standalone"],
                env=self.env,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until_healthy(on_wait)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the whole process group: politely, then not."""
        if self._process is None:
            return
        for kind in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, kind)
            if self._group_ended():
                break
        self._process.wait()
        self._process = None

    def airflow(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one `airflow …` command in this deployment."""
        command = [sys.executable, "-m", "airflow", *arguments]
        return subprocess.run(
            command, env=self.env, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def tail(self, lines: int = 15) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def _wait_until_healthy(self, on_wait: Callable[[], None]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                raise DemoFailed(f"airflow standalone ended with {code} while starting; {self.log}:\n{self.tail()}")
            if self._healthy():
                return
            on_wait()
            time.sleep(0.5)
        raise DemoFailed(f"airflow standalone was not healthy after {START_SECONDS} s; {self.log}:\n{self.tail()}")

    def _healthy(self) -> bool:
        with suppress(requests.RequestException, ValueError):
            health = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5).json()
            parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")
            return all((health.get(part) or {}).get("status") == "healthy" for part in parts)
        return False

    def _group_ended(self) -> bool:
        assert self._process is not None
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            self._process.poll()  # reap the leader, or its zombie keeps the group alive
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                return True
            time.sleep(0.1)
        return False


def _free_ports(count: int) -> list[int]:
    """Nobody gets one of them by chance before Airflow listens, or while it is restarted."""
    return list(islice(filter(_is_free, random.sample(PORTS, len(PORTS))), count))


def _is_free(port: int) -> bool:
    with socket.socket() as one, suppress(OSError):
        one.bind(("127.0.0.1", port))
        return True
    return False


def _environment(
    home: Path,
    url: str,
    bundles: Sequence[Mapping[str, Any]],
    log_ports: tuple[int, int],
    config: Mapping[str, str],
    users: Mapping[str, str] | None,
) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)}
    settings = {
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__DAGS_FOLDER": str(home / "no-dags"),
        "CORE__PARALLELISM": "4",
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(users is None),
        "API__HOST": "127.0.0.1",
        "API__PORT": str(urlsplit(url).port),
        "API__BASE_URL": url,
        "API__WORKERS": "1",
        "DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(list(bundles)),
        "DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(log_ports[0]),
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(log_ports[1]),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        "AGENTFIX__CALLBACK_TIMEOUT": str(CALLBACK_SECONDS),
        "WORKERS__EXECUTION_API_TIMEOUT": str(WORKER_SECONDS),
        **({"CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in users.items())} if users else {}),
        **config,
    }
    return {
        **inherited,
        # `airflow standalone` starts its parts as `airflow …` from PATH.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "AIRFLOW_HOME": str(home),
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        **{f"AIRFLOW__{name}": value for name, value in settings.items()},
    }

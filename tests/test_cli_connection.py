"""The command line beside Airflow: the login is the connection that README says to add, wherever Airflow keeps it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fakes.deployment import Deployment
from tests.once import airflow_database


def test_the_connection_is_found_in_airflows_own_database(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}

    def run(*module: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *module]
        return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    with Deployment() as airflow:
        airflow_database(tmp_path)
        login = ("--conn-type", "agentfix_airflow", "--conn-host", airflow.url, "--conn-login", "me", "--conn-password", "mine")
        assert run("airflow", "connections", "add", "agentfix_airflow", *login).returncode == 0
        done = run("airflow_agentfix", "sessions")
        assert (done.returncode, done.stdout.strip().splitlines()[-1:]) == (0, ["No sessions."]), done.stderr
        assert {"username": "me", "password": "mine"} in airflow.sent("POST", "/auth/token")

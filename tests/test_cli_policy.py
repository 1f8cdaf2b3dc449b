"""`agentfix policy`, run as a process against the real session API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_agentfix.code.policy_file import schema
from airflow_agentfix.core.policy import Autonomy, Layer, RepoCheck
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import DAG, Server

Run = Callable[..., subprocess.CompletedProcess[str]]
FILE = ".agentfix.yaml of acme/dags at main (3c9a)"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database("sqlite", tmp_path))
    yield server
    server.close()


@pytest.fixture
def policy(server: Server, tmp_path: Path) -> Iterator[Run]:
    with ApiServer(server.service) as api:

        def policy(*arguments: str, user: str = "reader", verb: str = "policy") -> subprocess.CompletedProcess[str]:
            environ = {"PATH": os.environ["PATH"], "AGENTFIX_AIRFLOW_URL": api.url, "AGENTFIX_AIRFLOW_TOKEN": user}
            command = [sys.executable, "-m", "airflow_agentfix", verb, *arguments]
            environ |= {"COLUMNS": "200"}
            return subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)

        yield policy


def test_each_value_is_told_with_where_it_comes_from(server: Server, policy: Run) -> None:
    check = RepoCheck("unit", ("pytest", "-q"))
    server.policies.says = [Layer(FILE, max_files=3, denied_paths=(("infra/**", "*.tf"),), checks=(check,))]
    done = policy("show", DAG)
    rows = {" ".join(line.split()) for line in done.stdout.splitlines()}
    assert done.returncode == 0
    assert {
        f"max_files 3 {FILE}",
        f"denied_paths infra/**, *.tf {FILE}",
        f"checks unit: pytest -q {FILE}",
        "autonomy rerun default",
        "approvers - default",
    } <= rows


def test_a_source_that_cannot_be_used_is_a_problem_and_exits_with_3(server: Server, policy: Run) -> None:
    server.policies.says = [Layer(FILE, autonomy=Autonomy.REPORT, problem="autonmy was unexpected")]
    done = policy("show", DAG)
    assert done.returncode == 3
    assert "problem  autonmy was unexpected" in done.stdout
    told = json.loads(policy("show", DAG, "--json").stdout)
    assert (told["policy"]["autonomy"], told["sources"]["autonomy"]) == ("report", [FILE])


def test_who_may_not_read_the_dag_is_refused(policy: Run) -> None:
    done = policy("show", DAG, user="stranger")
    assert done.returncode == 1
    assert f"may not read DAG '{DAG}'" in done.stderr


def test_a_session_tells_the_policy_it_was_taken_with(server: Server, policy: Run) -> None:
    server.policies.says = [Layer(FILE, max_files=3)]
    session_id = server.taken()
    assert "No worker has taken the session yet" in policy(session_id, "--policy", verb="show").stdout
    server.claimed(session_id)
    server.policies.says = []
    rows = {" ".join(line.split()) for line in policy(session_id, "--policy", verb="show").stdout.splitlines()}
    assert {f"max_files 3 {FILE}", "max_lines 400 default"} <= rows


def test_a_file_is_checked_before_it_is_pushed(policy: Run, tmp_path: Path) -> None:
    (tmp_path / ".agentfix.yaml").write_text("version: 1\nautonomy: propose\n")
    assert policy("check").stdout == ".agentfix.yaml is valid.\n"
    (tmp_path / "other.yaml").write_text("version: 1\nautonmy: propose\n")
    done = policy("check", "other.yaml")
    assert (done.returncode, "'autonmy' was unexpected" in done.stderr) == (1, True)


def test_the_schema_is_printed_as_it_is(policy: Run) -> None:
    assert json.loads(policy("schema").stdout) == schema()

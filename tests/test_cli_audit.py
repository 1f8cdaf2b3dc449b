"""`agentfix audit`, run as a process against the real session API and its real tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_agentfix.core.session import EventKind
from airflow_agentfix.store import tables
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import Server, fix_data, model_data

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database("sqlite", tmp_path))
    yield server
    server.close()


@pytest.fixture
def session_id(server: Server) -> str:
    claim = server.claimed()
    server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, fix_data()))
    return claim.session.id


@pytest.fixture
def audit(server: Server, tmp_path: Path) -> Iterator[Run]:
    with ApiServer(server.service) as api:

        def audit(*arguments: str, user: str = "anna") -> subprocess.CompletedProcess[str]:
            environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), "AGENTFIX_AIRFLOW_URL": api.url}
            command = [sys.executable, "-m", "airflow_agentfix", "audit", *arguments]
            environ["AGENTFIX_AIRFLOW_TOKEN"] = user
            return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=240, check=False)

        yield audit


def change(server: Server, number: int) -> None:
    t = tables.event
    with server.store.engine.begin() as connection:
        connection.execute(sa.update(t).where(t.c.number == number).values(actor="somebody"))


def test_a_whole_chain_is_told_with_its_newest_hash(server: Server, session_id: str, audit: Run) -> None:
    head = server.store.events(session_id)[-1].hash
    done = audit("verify")
    assert (done.returncode, done.stdout) == (0, f"{session_id}  ok, 5 events, newest hash {head}\n")


def test_a_changed_event_is_named_and_exits_with_3(server: Server, session_id: str, audit: Run) -> None:
    change(server, 2)
    done = audit("verify", session_id)
    assert done.returncode == 3
    assert "BROKEN at event 2 of 5" in done.stdout
    (told,) = json.loads(audit("verify", "--json").stdout)
    assert (told["ok"], told["broken_at"]) == (False, 2)


def test_an_anchor_that_the_chain_has_is_found_and_one_it_lacks_exits_with_3(server: Server, session_id: str, audit: Run) -> None:
    kept = str(server.store.events(session_id)[1].hash)
    found = audit("verify", session_id, "--anchor", kept)
    assert (found.returncode, "ok, 5 events, anchor found" in found.stdout) == (0, True)
    done = audit("verify", session_id, "--anchor", "0" * 64)
    assert done.returncode == 3
    assert "NOT ANCHORED" in done.stdout


def test_an_anchor_without_its_session_is_wrong_usage(session_id: str, audit: Run) -> None:
    assert audit("verify", "--anchor", "0" * 64).returncode == 2


def test_an_anchor_that_is_no_whole_hash_is_wrong_usage_and_says_where_to_take_it_from(session_id: str, audit: Run) -> None:
    done = audit("verify", session_id, "--anchor", "3c9a1f0e")
    assert (done.returncode, "Agentfix-Audit" in done.stderr) == (2, True)


def test_the_export_is_one_event_a_line_with_its_hash(server: Server, session_id: str, audit: Run) -> None:
    lines = [json.loads(line) for line in audit("export", session_id).stdout.splitlines()]
    assert [(one["session_id"], one["number"], one["kind"]) for one in lines] == [
        (session_id, number, kind) for number, kind in enumerate(("created", "claimed", "policy", "model", "fix"), 1)
    ]
    assert [one["hash"] for one in lines] == [event.hash for event in server.store.events(session_id)]


def test_who_may_not_read_the_dag_learns_nothing_of_its_sessions(session_id: str, audit: Run) -> None:
    assert audit("verify", user="stranger").stdout == ""
    done = audit("verify", session_id, user="stranger")
    assert (done.returncode, session_id in done.stdout) == (1, False)

"""A server on a database of its own, served over HTTP; the failure that the API's examples name has happened on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_agentfix.web import examples
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = server_in(tmp_path)
    yield server
    server.close()


@pytest.fixture
def api(server: Server) -> Iterator[ApiServer]:
    with ApiServer(server.service) as api:
        yield api


def server_in(folder: Path) -> Server:
    server = Server(new_database("sqlite", folder))
    server.airflow.fail(examples.DAG, examples.RUN, examples.TASK)
    rights = {"anna": "edit", "agentfix-worker": "edit", "reader": "read"}
    server.airflow.rights |= {(name, examples.DAG): right for name, right in rights.items()}
    server.airflow.rights["outsider", "their_own"] = "edit"
    return server


def example_session(server: Server) -> str:
    """The id of the session of the failure that the examples name."""
    return server.taken(dag_id=examples.DAG, run_id=examples.RUN, task_id=examples.TASK)

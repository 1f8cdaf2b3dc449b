"""A code host that hangs: whoever needs its word waits, and nobody else does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from inspect import iscoroutinefunction
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests
from fastapi.routing import APIRoute

from airflow_agentfix.core.incident import DagFacts
from airflow_agentfix.core.policy import Layer
from airflow_agentfix.core.session import EventKind
from airflow_agentfix.web.app import build_app
from airflow_agentfix.web.outward import AT_ONCE
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.server import DAG, Server, worker_of
from tests.fakes.server_airflow import FakeServerAirflow
from tests.web.pages import world
from tests.web.routes import API, call

ALL_THREADS = 40
"""of a process's threads for plain functions, which Airflow's own routes share"""


class Hanging:
    """`ports.RepositoryPolicy` over a code host that does not answer before it is let."""

    def __init__(self) -> None:
        self.answers = Event()
        self.waiting = 0

    def layers(self, dag: DagFacts) -> list[Layer]:
        self.waiting += 1
        assert self.answers.wait(240)
        return []


@pytest.fixture
def host() -> Iterator[Hanging]:
    host = Hanging()
    yield host
    host.answers.set()


def test_every_route_that_asks_a_code_host_waits_in_those_threads_and_no_other_does() -> None:
    app = build_app(lambda: pytest.fail("no service is needed"), secret="of the tests")
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    assert {route.name for route in routes if iscoroutinefunction(route.endpoint)} == {
        "claim",
        "policy",
        "approval",
        "rerun",
        "recover",
        # what waits for a question to be shown, on the page and in the API
        "reply",
        # and what reads a log, which may be far away
        "found",
        "lineage",
        "changes",
        "actions",
    }


def test_workers_that_wait_for_a_code_host_leave_the_api_servers_threads_to_others(tmp_path: Path, host: Hanging) -> None:
    server = Server(new_database("sqlite", tmp_path), policies=host)
    session_id = server.taken()
    body, as_worker = {"worker": worker_of(session_id)}, {"Authorization": "Bearer agentfix-worker"}
    with ApiServer(server.service) as api, ThreadPoolExecutor(2 * ALL_THREADS) as everybody:
        url = f"{api.url}{API}"
        claims = [
            everybody.submit(requests.post, f"{url}/sessions/{session_id}/claim", json=body, headers=as_worker, timeout=300)
            for _ in range(ALL_THREADS)
        ]
        shown = [
            everybody.submit(requests.get, f"{url}/dags/{DAG}/policy", headers=as_worker, timeout=300) for _ in range(ALL_THREADS)
        ]
        while host.waiting < 2 * AT_ONCE:
            time.sleep(0.01)
        try:
            assert call(api, "GET", f"/sessions/{session_id}").status_code == 200
            assert host.waiting == 2 * AT_ONCE  # workers and looks, each their own
        finally:
            host.answers.set()
        assert {one.result().status_code for one in (*claims, *shown)} == {200}
    server.close()


class NotShownYet(FakeServerAirflow):
    """Airflow, whose questions take long to be shown."""

    def __init__(self) -> None:
        super().__init__()
        self.is_shown, self.waiting = Event(), 0

    def give_answer(self, run_id: str, *, option: str, message: str, user: Any) -> None:
        self.waiting += 1
        assert self.is_shown.wait(240)
        super().give_answer(run_id, option=option, message=message, user=user)


def test_people_whose_answer_waits_for_its_question_leave_those_threads_to_others(tmp_path: Path) -> None:
    airflow = NotShownYet()
    server = Server(new_database("sqlite", tmp_path), airflow=airflow)
    session_id = world.waiting_for_answer(server).session.id
    question_id = str(server.store.events(session_id, kinds=(EventKind.QUESTION,))[-1].data["question_id"])
    form = {"question_id": question_id, "message": "Gross"}
    headers = {"Authorization": "Bearer anna", "HX-Request": "true"}
    with ApiServer(server.service) as api, ThreadPoolExecutor(ALL_THREADS) as everybody:
        page = f"{api.url}/agentfix/sessions/{session_id}"
        for _ in range(ALL_THREADS):
            everybody.submit(requests.post, f"{page}/reply", data=form, headers=headers, timeout=300)
        while airflow.waiting < AT_ONCE:
            time.sleep(0.01)
        try:
            assert requests.get(page, headers=headers, timeout=120).status_code == 200
            assert airflow.waiting == AT_ONCE
        finally:
            airflow.is_shown.set()
    server.close()


def test_an_answer_does_not_wait_for_looks_and_workers_that_hang(tmp_path: Path, host: Hanging) -> None:
    server = Server(new_database("sqlite", tmp_path), policies=host)
    host.answers.set()
    session_id = world.waiting_for_answer(server).session.id
    question_id = str(server.store.events(session_id, kinds=(EventKind.QUESTION,))[-1].data["question_id"])
    host.answers.clear()
    host.waiting = 0
    body, as_worker = {"worker": worker_of(session_id, 2)}, {"Authorization": "Bearer agentfix-worker"}
    as_anna = {"Authorization": "Bearer anna", "HX-Request": "true"}
    with ApiServer(server.service) as api, ThreadPoolExecutor(2 * ALL_THREADS) as everybody:
        url = f"{api.url}{API}"
        asked = [
            everybody.submit(requests.request, method, f"{url}{path}", json=body, headers=as_worker, timeout=60)
            for method, path in (("GET", f"/dags/{DAG}/policy"), ("POST", f"/sessions/{session_id}/claim"))
            for _ in range(ALL_THREADS)
        ]
        while host.waiting < 2 * AT_ONCE:
            time.sleep(0.01)
        try:
            form = {"question_id": question_id, "message": "Gross"}
            page = f"{api.url}/agentfix/sessions/{session_id}"
            assert requests.post(f"{page}/reply", data=form, headers=as_anna, timeout=120).status_code == 200
            assert host.waiting == 2 * AT_ONCE
        finally:
            host.answers.set()
        for one in asked:
            one.result()
    server.close()

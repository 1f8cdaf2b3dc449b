"""The web app on Airflow's own login check, auth managers and database: who may do what with a session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from airflow_agentfix import resources
from airflow_agentfix.airflow_inside import AirflowInside
from airflow_agentfix.service import SessionService
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.migrate import migrate
from airflow_agentfix.store.sql import SqlStore
from airflow_agentfix.web.app import build_app
from tests.fakes.server import COMMIT, FakeCommitCheck, FakeRepositoryPolicy, fix_data, patch_data, worker_of
from tests.inside import who
from tests.inside.database import Deployment, show

API = "/api/v1"
TASKS = ("read", "start", "answer", "approve", "stop", "erase")
SOURCE = """
with DAG("{dag_id}", schedule=None):
    for name in {tasks}:
        task(task_id=name)(lambda: None)()
"""
_number = count()


@pytest.fixture(scope="module")
def airflow(database: Path) -> Deployment:
    deployment = Deployment(database / "parsed")
    for name in ("agentfix_ask", "agentfix_fix"):
        deployment.store(resources.dags_folder() / f"{name}.py", bundle="plain")
    return deployment


@pytest.fixture
def manager(database: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The simple auth manager, or the one of tests.inside.own_manager that the test names."""
    from airflow.api_fastapi.app import create_auth_manager, purge_cached_app

    own = getattr(request, "param", None)
    with pytest.MonkeyPatch.context() as environ:
        if own:
            environ.setenv("AIRFLOW__CORE__AUTH_MANAGER", f"tests.inside.own_manager.{own}")
        purge_cached_app()
        yield create_auth_manager()
    purge_cached_app()


@dataclass
class Api:
    """The app, asked by people whose tokens Airflow's auth manager made."""

    airflow: Deployment
    manager: Any
    service: SessionService
    client: Any
    worker: str = "op"
    """the role of the worker's login"""
    sessions: list[str] = field(default_factory=list)

    def ask(self, method: str, path: str, name: str, role: str | None, **request: Any) -> Any:
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        token = self.manager.generate_jwt(SimpleAuthManagerUser(username=name, role=role))
        return self.client.request(method, f"{API}{path}", headers={"Authorization": f"Bearer {token}"}, **request)

    def work(self, path: str, **body: Any) -> Any:
        answer = self.ask("POST", path, "agentfix", self.worker, json=body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def failed_dag(self, dag_id: str | None = None) -> str:
        dag_id = self.airflow.add_dag(SOURCE.format(dag_id=dag_id or f"rights_{next(_number)}", tasks=TASKS))
        self.airflow.add_run(dag_id, dict.fromkeys(TASKS, "failed"))
        return dag_id

    def session(self, dag_id: str, task_id: str) -> str:
        """A session that its worker has claimed, and waits with a question or for an approval where the task is called so."""
        session_id: str = self.work("/failures", dag_id=dag_id, run_id="r1", task_id=task_id)["session_id"]
        path = f"/sessions/{session_id}"
        lease = self.work(f"{path}/claim", worker=worker_of(session_id))["lease"]
        written = [{"kind": "patch", "data": patch_data()}, {"kind": "fix", "data": fix_data()}]
        self.work(f"{path}/events", lease=lease, after=3, events=written)
        if task_id == "answer":
            wait = self.work(f"{path}/ask", lease=lease, call_id="c", subject="Gross?", body="", options=["Gross", "Net"])
        if task_id == "approve":
            wait = self.work(f"{path}/approval", lease=lease, call_id="c", commit=COMMIT)
        if task_id in ("answer", "approve"):
            show(wait["run_id"])
        return session_id

    def allowed(self, dag_id: str, name: str, role: str | None) -> frozenset[str]:
        """What this person may do on a DAG whose tasks failed."""
        attempts: dict[str, Callable[[str], Any]] = {
            "read": lambda path: self.ask("GET", path, name, role),
            "answer": lambda path: self.ask("POST", f"{path}/continue", name, role, json={"message": "Approve"}),
            "approve": lambda path: self.ask("POST", f"{path}/continue", name, role, json={"decision": "approve"}),
            "stop": lambda path: self.ask("POST", f"{path}/stop", name, role, json={}),
            "erase": lambda path: self.ask("DELETE", path, name, role),
        }
        answers = {action: attempt(f"/sessions/{self.session(dag_id, action)}") for action, attempt in attempts.items()}
        failure = {"dag_id": dag_id, "run_id": "r1", "task_id": "start"}
        answers["start"] = self.ask("POST", "/sessions", name, role, json=failure)
        refusals = {answer.json()["error"]["type"] for answer in answers.values() if answer.status_code >= 400}
        assert refusals <= {"NotAllowed", "SessionNotFound"}, refusals
        return frozenset(action for action, answer in answers.items() if answer.status_code < 300)


@pytest.fixture
def api(airflow: Deployment, manager: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Api]:
    from starlette.testclient import TestClient

    settings = Settings(approvers=getattr(request, "param", ()))
    store = SqlStore(open_engine(f"sqlite:///{tmp_path / 'agentfix.db'}"), key=b"k")
    migrate(store.engine)
    inside = AirflowInside(patience=0.2, settle=0)
    hosts: Any = {"policies": FakeRepositoryPolicy(), "commits": FakeCommitCheck()}
    more: Any = {**hosts, "clock": lambda: datetime.now(UTC), "new_id": lambda: uuid4().hex}
    service = SessionService(store, inside, settings, **more)
    yield Api(airflow, manager, service, TestClient(build_app(lambda: service, secret="of the tests")))
    store.engine.dispose()


@pytest.mark.parametrize("role", who.BY_ROLE)
def test_a_role_of_the_simple_auth_manager_may_do_this(api: Api, role: str | None) -> None:
    assert api.allowed(api.failed_dag(), "uma", role) == who.BY_ROLE[role]


def test_the_login_that_worked_on_a_session_does_all_but_approve_its_fix(api: Api) -> None:
    assert api.allowed(api.failed_dag(), "agentfix", "op") == who.WORKER


@pytest.mark.parametrize("api", [("uma",)], indirect=True)
def test_where_approvers_are_named_nobody_else_approves(api: Api) -> None:
    allowed = {named: api.allowed(api.failed_dag(), name, "admin") for named, name in (("named", "uma"), ("not named", "ulf"))}
    assert allowed == who.NAMED


@pytest.mark.parametrize("manager", ["PerDagManager"], indirect=True)
def test_with_rights_on_single_dags_a_person_may_do_this_by_the_right_on_the_dag_that_failed(api: Api) -> None:
    orders, stock, wages = (api.failed_dag() for _ in range(3))
    api.worker = f"edit:{orders} edit:{stock} edit:{wages}"
    ann, bob = f"edit:{orders} read:{stock}", f"edit:{stock} edit:{orders}"
    assert api.allowed(orders, "ann", ann) == who.BY_DAG["edit"]
    assert api.allowed(stock, "ann", ann) == who.BY_DAG["read"]
    assert api.allowed(wages, "bob", bob) == who.BY_DAG[""]


@pytest.mark.parametrize("manager", ["PerDagManager"], indirect=True)
def test_the_list_holds_the_sessions_of_the_dags_a_person_may_read_and_counts_no_others(api: Api) -> None:
    orders, stock = api.failed_dag(), api.failed_dag()
    api.worker = f"edit:{orders} edit:{stock}"
    for dag_id in (orders, orders, stock):
        api.session(dag_id, TASKS[len(api.sessions)])
        api.sessions.append(dag_id)

    def listed(role: str, query: str = "") -> tuple[set[str], int]:
        answer = api.ask("GET", f"/sessions{query}", "ann", role).json()
        return {one["dag_id"] for one in answer["sessions"]}, answer["total"]

    assert listed(f"read:{orders}") == ({orders}, 2)
    assert listed(f"edit:{stock}") == ({stock}, 1)
    assert listed(f"read:{orders} read:{stock}") == ({orders, stock}, 3)
    assert listed(f"edit:{stock}", f"?dag_id={orders}") == (set(), 0)


@pytest.mark.parametrize("token", ["", "nonsense", "e30.e30.e30"])
def test_without_a_token_of_airflows_nobody_is_let_in(api: Api, token: str) -> None:
    answer = api.client.get(f"{API}/sessions", headers={"Authorization": f"Bearer {token}"} if token else {})
    assert (answer.status_code, answer.json()["error"]["type"]) == (403 if token else 401, "AirflowLoginRefused")

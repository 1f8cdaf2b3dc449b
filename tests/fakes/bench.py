"""A worker's bench over real parts: REST over HTTP, a real git repository and its working copy; the session is in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.core.incident import Incident, TaskRef
from airflow_agentfix.core.session import Session, State
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import Model
from airflow_agentfix.settings import RepositoryRule, Settings
from airflow_agentfix.workbench import Workbench
from tests.code.repos import git
from tests.fakes.airflow_rest import FakeAirflow, event, traceback
from tests.fakes.session_client import AT, MemorySessionClient

DAG, RUN, TASK = "shop", "monday", "sum"
DAGS = "/opt/airflow/dags"
SOURCE = "def total(amount):\n    return amont + 1\n"
BUG = traceback("NameError", "name 'amont' is not defined. Did you mean: 'amount'?", (f"{DAGS}/shop.py", 2, "total"))
UNREACHABLE_DATABASE = traceback(
    "OperationalError",
    'connection to server at "db.internal" (10.0.0.5), port 5432 failed: Connection refused',
    ("/usr/lib/python3.12/site-packages/psycopg2/__init__.py", 122, "connect"),
)


def make_repository(folder: Path, **more: str) -> Path:
    """A bare repository whose main branch holds the DAG's file, and `more`: path to text."""
    work, bare = folder / "tree", folder / "shop.git"
    for path, text in {"shop.py": SOURCE, **more}.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    git("init", "-q", "-b", "main", cwd=work)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "First", cwd=work)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=folder)
    return bare


def settings_for(repository: Path | str, *, base_branch: str = "main", **more: Any) -> Settings:
    return Settings(repositories=(RepositoryRule(DAGS, str(repository), base_branch),), **{"offline": True, **more})


def fail(airflow: FakeAirflow, *, log: Any = BUG, state: str = "failed") -> Any:
    """The run whose task failed, with the log that says why."""
    airflow.add_dag(DAG, {TASK: ()}, file="dags/shop.py", relative_fileloc="shop.py")
    airflow.add_run(DAG, RUN, state="failed" if state == "failed" else "running")
    lines = None if log is None else [event("starting"), log]
    return airflow.add_task_instance(DAG, RUN, TASK, state=state, log=lines)


def new_session(**more: Any) -> Session:
    plain = Session("s1", DAG, RUN, TASK, -1, 1, State.OPEN, "rerun", "callback", created_at=AT, updated_at=AT)
    return Session.from_json({**plain.to_json(), **more})


class SmallBench(Workbench):
    """`driver.Bench`; `make_model` is asked for the model, `collected` counts what was looked at."""

    def __init__(
        self,
        airflow: FakeAirflow,
        settings: Settings,
        client: MemorySessionClient,
        *,
        make_model: Callable[[], Model] = RulesModel,
    ) -> None:
        http = connect_with(Login(url=airflow.url), retries=0, timeout=5)
        super().__init__(http, settings, get_connection=lambda _: None, environ={})
        self.client = client
        self.collected: list[TaskRef] = []
        self._make_model = make_model

    def collect(self, ref: TaskRef) -> Incident:
        self.collected.append(ref)
        return super().collect(ref)

    def model(self) -> Model:
        return self._make_model()

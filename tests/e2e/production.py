"""A production deployment for the end-to-end stories: the demo's shop on a real Airflow, seen as its users see it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_agentfix.airflow_http import path_of
from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.core.session import Event, EventKind, Session
from airflow_agentfix.demo.deployment import Deployment
from airflow_agentfix.demo.shop import BASE_BRANCH, DAG_ID, Origin
from airflow_agentfix.errors import AgentFixError, AirflowNotFound, AirflowUnreachable
from airflow_agentfix.store.client import SessionsApi
from tests.once import airflow_database
from tests.witnesses import witness

PATIENCE = 240.0
"""seconds that only a hang takes, on a machine that is slow and does much else"""
FUTURE = "from __future__ import annotations\n"
FIX_FILE = "dags/shop/revenue.py"


class Production:
    """One running deployment; runs are named by the test."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.origin = deployment.origin

    def sessions(self, user: str | None = None) -> SessionsApi:
        return SessionsApi(self.deployment.http(user))

    def agentfix(self, *arguments: str, user: str) -> subprocess.CompletedProcess[str]:
        """The command line, as a user has it on a machine of their own."""
        login = {"AGENTFIX_AIRFLOW_URL": self.deployment.standalone.url}
        login |= {"AGENTFIX_AIRFLOW_USERNAME": user, "AGENTFIX_AIRFLOW_PASSWORD": user}
        command = [sys.executable, "-m", "airflow_agentfix", *arguments]
        return subprocess.run(command, env={**os.environ, **login}, capture_output=True, text=True, check=False)

    def restart(self) -> None:
        """All of Airflow: API server, scheduler, triggerer, DAG processor and workers."""
        self.deployment.standalone.stop()
        self.deployment.standalone.start()

    def fail(self, run_id: str) -> None:
        """Start a production run and wait until it has failed."""
        self.deployment.airflow.trigger(DAG_ID, run_id=run_id, conf={})
        self.until(lambda: self.run_state(run_id) == "failed", f"run {run_id} failed")

    def is_parsed(self, dag_id: str) -> bool:
        try:
            return bool(self.deployment.airflow.dag(dag_id))
        except AirflowNotFound:
            return False

    def run_state(self, run_id: str, dag_id: str = DAG_ID) -> str:
        return self.deployment.airflow.run(dag_id, run_id).state

    def tasks(self, run_id: str, dag_id: str = DAG_ID) -> dict[str, TaskFacts]:
        return {task.task_id: task for task in self.deployment.airflow.task_instances(dag_id, run_id)}

    def xcom(self, run_id: str, task_id: str) -> Any:
        path = path_of("/api/v2/dags", DAG_ID, "dagRuns", run_id, "taskInstances", task_id, "xcomEntries", "return_value")
        value = self.deployment.http().json("GET", path)["value"]
        return json.loads(value) if isinstance(value, str) else value

    def session(self, run_id: str) -> Session:
        found: list[Session] = []

        def there() -> bool:
            found[:] = [one for one in self.deployment.sessions.list() if one.run_id == run_id]
            return bool(found)

        self.until(there, f"a session on run {run_id}")
        return found[0]

    def done(self, run_id: str) -> Session:
        """The run's session once it has ended."""
        session = self.session(run_id)
        self.until(lambda: self.deployment.sessions.get(session.id).outcome is not None, f"the session on {run_id} is done")
        return self.deployment.sessions.get(session.id)

    def events(self, session: Session, kind: EventKind | None = None) -> list[Event]:
        return [event for event in self.deployment.sessions.events(session.id) if kind in (None, event.kind)]

    def question(self, session: Session) -> dict[str, Any]:
        """The session's question, once it is shown under Required Actions."""
        self.until(lambda: bool(self.events(session, EventKind.QUESTION)), "the session asks")
        question = self.events(session, EventKind.QUESTION)[-1].data
        run_id = question["ask_run"]["run_id"]
        self.until(
            lambda: any(run_id == shown["task_instance"]["dag_run_id"] for shown in self.required_actions()), "it is shown"
        )
        return dict(question)

    def required_actions(self, user: str = "admin") -> list[dict[str, Any]]:
        path = path_of("/api/v2/dags", "agentfix_ask", "dagRuns", "~", "hitlDetails")
        return list(self.deployment.http(user).json("GET", path, params={"response_received": False})["hitl_details"])

    def answer(self, question: dict[str, Any], option: str, message: str = "", *, user: str) -> Any:
        """What the Required Actions page sends."""
        body = {"chosen_options": [option], "params_input": {"message": message} if message else {}}
        return self.deployment.http(user).json("PATCH", _hitl_details(question), body=body)

    def shown(self, question: dict[str, Any], *, user: str = "admin") -> dict[str, Any]:
        """What the Required Actions page shows of it."""
        return dict(self.deployment.http(user).json("GET", _hitl_details(question)))

    def ask_state(self, question: Mapping[str, Any]) -> str:
        """The state of the run that shows it."""
        return self.run_state(question["ask_run"]["run_id"], question["ask_run"]["dag_id"])

    def prepend(self, path: str, code: str) -> None:
        """A commit on main that puts `code` after the docstring and future import of a file."""
        self.commit(path, lambda text: text.replace(FUTURE, FUTURE + code, 1))

    def commit(self, path: str, changed: Callable[[str], str]) -> None:
        """A commit on main; `changed` gets the file's text, "" of one that is new."""
        with tempfile.TemporaryDirectory() as folder:
            clone = Origin(Path(folder, "clone"))
            Origin(Path(folder)).git("clone", "-q", str(self.origin.path), str(clone.path))
            file = clone.path / path
            file.write_text(changed(file.read_text() if file.exists() else ""))
            clone.git("add", "-A")
            clone.git("commit", "-q", "-m", f"Change {path}")
            clone.git("push", "-q", "origin", "main")

    def branches(self) -> list[str]:
        return self.origin.git("for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        until(condition, what)

    def said(self) -> str:
        """What is to know where a test failed: the sessions with their events, how Airflow's log ends and those of our tasks."""
        try:
            sessions = self.deployment.sessions.list()
            told = [line for one in sessions for line in (str(one), *map(_in_a_line, self.events(one)))]
        except AgentFixError as error:
            told = [f"Sessions could not be read: {error}"]
        return "\n".join([*told, self.deployment.standalone.tail(60), *self._task_logs()])

    def _task_logs(self) -> Iterator[str]:
        """The newest of the tasks that drive sessions and show questions."""
        home = self.deployment.standalone.home
        logs = sorted(home.glob("logs/dag_id=agentfix_*/**/*.log"), key=lambda file: file.stat().st_mtime)
        for log in logs[-3:]:
            last = log.read_text(errors="replace").splitlines()[-12:]
            yield "\n".join([str(log.relative_to(home)), *(f"  {line[:400]}" for line in last)])


def until(condition: Callable[[], bool], what: str) -> None:
    """Until it holds. An Airflow that is too busy to answer is asked again."""
    deadline = time.monotonic() + PATIENCE
    found: object = False
    while True:
        try:
            if condition():
                return
        except AirflowUnreachable as error:
            found = error
        if time.monotonic() > deadline:
            raise AssertionError(f"After {PATIENCE:.0f} s still not: {what} ({found})")
        time.sleep(0.3)


def _in_a_line(event: Event) -> str:
    return f"  {event.number} {event.at} {event.kind} {str(dict(event.data))[:200]}"


def _hitl_details(question: Mapping[str, Any]) -> str:
    run = question["ask_run"]
    return path_of("/api/v2/dags", run["dag_id"], "dagRuns", run["run_id"], "taskInstances", "question", -1, "hitlDetails")


@contextmanager
def from_a_folder(folder: Path, *, refresh_interval: float = 5.0, **airflow: Any) -> Iterator[Production]:
    """The same, its DAGs from a checkout as git-sync leaves one: runs there cannot be pinned, fixes are rerun as previews."""
    checkout = folder / "checkout"
    dags = {"path": str(checkout / "dags"), "refresh_interval": 5}

    def bundles(origin: Origin) -> Sequence[dict[str, Any]]:
        origin.git("clone", "-q", str(origin.path), str(checkout))
        previews = {"repo_url": str(origin.path), "subdir": "dags", "refresh_interval": refresh_interval}
        return [
            {"name": "shop", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": dags},
            {"name": "previews", "classpath": "airflow_agentfix.bundles.AgentFixPreviews", "kwargs": previews},
        ]

    rule = {"path": dags["path"], "url": str(folder / "shop.git"), "base_branch": BASE_BRANCH, "subdir": "dags"}
    config = {"AGENTFIX__REPOSITORIES": json.dumps([rule]), **airflow.pop("config", {})}
    with production(folder, config=config, bundles=bundles, **airflow) as here:
        yield here


@contextmanager
def production(
    folder: Path, *, worker: str = "admin", files: Mapping[str, str] | None = None, **airflow: Any
) -> Iterator[Production]:
    """A deployment in `folder`, up for the time of the block. `worker` is the user AgentFix itself logs in as, `files` are
    committed beside the shop's."""
    deployment = Deployment.prepare(folder, **airflow)
    here = Production(deployment)
    for path, text in (files or {}).items():
        here.commit(path, lambda _, text=text: text)
    if deployment.standalone.users:
        login = {"conn_type": "agentfix_airflow", "host": deployment.standalone.url, "login": worker, "password": worker}
        deployment.standalone.env["AIRFLOW_CONN_AGENTFIX_AIRFLOW"] = json.dumps(login)
    airflow_database(deployment.standalone.home)
    with deployment.running(lambda _: None), witness("Airflow", here.said):
        yield here

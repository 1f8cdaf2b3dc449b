"""The demo's deployment: the shop's repository as a git bundle, ours beside it, and a client of its API."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.airflow_login import connect
from airflow_agentfix.core.session import Session
from airflow_agentfix.demo.shop import BASE_BRANCH, DAG_ID, Origin, make_origin
from airflow_agentfix.demo.standalone import DemoFailed, Standalone
from airflow_agentfix.errors import AirflowNotFound, AirflowUnreachable
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.client import SessionsApi

__all__ = ["RUN_ID", "DemoFailed", "Deployment"]

RUN_ID = "daily_revenue_of_today"
FAILED_TASK = "sum_revenue"
OUR_BUNDLE = {"name": "agentfix", "classpath": "airflow_agentfix.bundles.AgentFixDags", "kwargs": {}}
DAGS = (DAG_ID, "agentfix_fix", "agentfix_ask")
PARSE_SECONDS = 240
SESSION_SECONDS = 600
"""a session with Claude may take minutes; one with the rules takes seconds"""

Tell = Callable[[str], None]
Bundle = Mapping[str, object]
"""an entry of Airflow's dag_bundle_config_list"""


@dataclass
class Deployment:
    """Everything in `folder`; `deadline` is when patience ends."""

    folder: Path
    origin: Origin
    base_commit: str
    standalone: Standalone
    deadline: float = 0.0

    @classmethod
    def prepare(cls, folder: Path, *, bundles: Callable[[Origin], Sequence[Bundle]] | None = None, **airflow: Any) -> Deployment:
        """The repository with its broken last commit, and an Airflow that is not started yet (`airflow`: see Standalone).
        `bundles`: what serves the repository's DAGs, in place of a git bundle on its base branch."""
        origin = make_origin(folder)
        serving = bundles(origin) if bundles else [origin.bundle()]
        standalone = Standalone(folder / "airflow", bundles=[*serving, OUR_BUNDLE], **airflow)
        return cls(folder, origin, origin.head(), standalone)

    def says(self) -> str:
        """What is about to happen, and what this deployment allows that production would not."""
        model = (
            "Claude (ANTHROPIC_API_KEY is set)" if os.environ.get("ANTHROPIC_API_KEY") else "the offline rules model (no key set)"
        )
        return (
            f"AgentFix demo in {self.folder}, with {model}.\n"
            "Reruns without a person's approval are allowed here ([agentfix] allow_unreviewed_reruns); the default asks first."
        )

    @contextmanager
    def running(self, tell: Tell) -> Iterator[None]:
        """Airflow with its DAGs parsed; gone when the block ends."""
        tell(f"Starting Airflow at {self.standalone.url}")
        with self.standalone:
            self._wait_for_dags()
            tell("Airflow is up: the shop's DAG from its git repository, AgentFix's own beside it")
            yield

    @cached_property
    def airflow(self) -> RestAirflowApi:
        return RestAirflowApi(self._http)

    @cached_property
    def sessions(self) -> SessionsApi:
        return SessionsApi(self._http)

    def http(self, user: str | None = None) -> AirflowHttp:
        """Airflow as a user sees it; None where everyone is admin."""
        login = {"AGENTFIX_AIRFLOW_USERNAME": user, "AGENTFIX_AIRFLOW_PASSWORD": user} if user else {}
        return connect(Settings(), environ={"AGENTFIX_AIRFLOW_URL": self.standalone.url, **login})

    @cached_property
    def _http(self) -> AirflowHttp:
        return self.http("admin" if self.standalone.users else None)

    @property
    def run_url(self) -> str:
        return f"{self.standalone.url}/dags/{DAG_ID}/runs/{RUN_ID}"

    def fail_production_run(self, tell: Tell) -> None:
        """Trigger the pipeline and wait until its run has failed."""
        self.deadline = time.monotonic() + SESSION_SECONDS
        self.airflow.trigger(DAG_ID, run_id=RUN_ID, conf={})
        tell(f"Production run {RUN_ID} of {DAG_ID} started")
        while self.run_state() not in ("failed", "success"):
            self._expect_time_left(f"run {RUN_ID!r} is {self.run_state()!r}")
            time.sleep(0.3)
        states = {task.task_id: task.state for task in self.airflow.task_instances(DAG_ID, RUN_ID)}
        tell(f"It is {self.run_state()}: " + ", ".join(f"{task} {state}" for task, state in states.items()))

    def session(self) -> Session:
        """The session that the failed task's callback started."""
        while True:
            for session in self.sessions.list(dag_id=DAG_ID):
                return session
            self._expect_time_left("the failed task's callback started no session")
            time.sleep(0.3)

    def expect_time_left(self, session: Session) -> None:
        self._expect_time_left(f"session {session.id!r} is {session.state} (for {session.waiting_for})")

    def run_state(self) -> str:
        return self.airflow.run(DAG_ID, RUN_ID).state

    def story(self, session: Session, *, seconds: float) -> dict[str, Any]:
        """What others can check; paths are relative to the folder."""
        return {
            "dag_id": DAG_ID,
            "run_id": RUN_ID,
            "failed_task": FAILED_TASK,
            "base_branch": BASE_BRANCH,
            "base_commit": self.base_commit,
            "fix_branch": session.fix_branch,
            "fix_commit": session.fix_commit,
            "session": session.id,
            "outcome": session.outcome,
            "model": session.model,
            "airflow_db": str(self.standalone.database.relative_to(self.folder)),
            "origin": str(self.origin.path.relative_to(self.folder)),
            "seconds": round(seconds, 1),
        }

    def _wait_for_dags(self) -> None:
        self.deadline = time.monotonic() + PARSE_SECONDS
        missing = list(DAGS)
        while missing:
            try:
                self.airflow.dag(missing[0])
                missing.pop(0)
            except (AirflowNotFound, AirflowUnreachable) as error:
                self._expect_time_left(f"{missing[0]!r} is not there ({error}); import errors: {self._import_errors()}")
                time.sleep(0.5)

    def _import_errors(self) -> list[Any]:
        return list(self.airflow.import_errors())

    def _expect_time_left(self, found: str) -> None:
        if time.monotonic() > self.deadline:
            raise DemoFailed(f"Waited long enough: {found}. Airflow's log ends:\n{self.standalone.tail()}")

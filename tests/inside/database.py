"""A real metadata database (SQLite) and DAGs in it as the DAG processor writes them."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.once import airflow_database

_HOME = Path(tempfile.mkdtemp(prefix="agentfix-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)  # first in, last out: Airflow writes until it ends
_BUNDLES = [
    {"name": "shop", "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
     "kwargs": {"tracking_ref": "main", "repo_url": str(_HOME / "shop.git")}},
    {"name": "plain", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {"path": str(_HOME)}},
]  # fmt: skip
# Before the first import of airflow, which reads them.
os.environ.update(
    AIRFLOW_HOME=str(_HOME),
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL="0",
    AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST=json.dumps(_BUNDLES),
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="vera:viewer,uma:user",
)

FIRST = "a" * 40
FIX = "f" * 40


@dataclass
class Deployment:
    """What the tests arrange and look at; every look is a fresh session."""

    folder: Path

    def add_dag(self, source: str, *, bundle: str = "shop", version: str | None = FIRST) -> str:
        """Parse `source` and store its DAG; the DAG's id."""
        self.folder.mkdir(exist_ok=True)
        file = self.folder / "dags.py"
        file.write_text(f"from airflow.sdk import DAG, dag, task, task_group, setup, teardown\n{source}")
        dag_id: str = self.store(file, bundle=bundle, version=version).dag_id
        return dag_id

    def store(self, file: Path, *, bundle: str, version: str | None = None) -> Any:
        """Parse a file with one DAG and store it as the DAG processor does; the DAG."""
        try:
            from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
        except ImportError:
            from airflow.models.dagbag import BundleDagBag, sync_bag_to_db
        bag = BundleDagBag(dag_folder=str(file), bundle_path=file.parent)
        assert not bag.import_errors
        sync_bag_to_db(bag, bundle, version)
        (dag,) = bag.dags.values()
        self.pause(dag.dag_id, False)
        return dag

    def pause(self, dag_id: str, paused: bool = True) -> None:
        from airflow.models import DagModel
        from airflow.utils.session import create_session

        with create_session() as session:
            session.get(DagModel, dag_id).is_paused = paused

    def add_run(self, dag_id: str, states: Mapping[str, str], *, run_id: str = "r1", state: str = "failed") -> str:
        """A run with its task instances in these states; `task` or `task[index]` each."""
        from airflow.api.common.trigger_dag import trigger_dag
        from airflow.utils.types import DagRunTriggeredByType

        trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.TEST, run_id=run_id)
        self.set_states(dag_id, states, run_id=run_id, state=state)
        return run_id

    def set_states(self, dag_id: str, states: Mapping[str, str], *, run_id: str = "r1", state: str = "failed") -> None:
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState, TaskInstanceState

        with create_session() as session:
            run = self._run(session, dag_id, run_id)
            run.state = DagRunState(state)
            for instance in run.task_instances:
                wanted = states.get(_label(instance))
                if wanted is not None:
                    instance.state = TaskInstanceState(wanted)
                    instance.try_number = 1

    def change_run(self, dag_id: str, run_id: str = "r1", **columns: Any) -> None:
        from airflow.utils.session import create_session

        with create_session() as session:
            run = self._run(session, dag_id, run_id)
            for name, value in columns.items():
                setattr(run, name, value)

    def states(self, dag_id: str, run_id: str = "r1") -> dict[str, str | None]:
        from airflow.utils.session import create_session

        with create_session() as session:
            instances = self._run(session, dag_id, run_id).task_instances
            return {_label(instance): None if instance.state is None else str(instance.state) for instance in instances}

    def run(self, dag_id: str, run_id: str = "r1") -> dict[str, Any]:
        from airflow.utils.session import create_session

        with create_session() as session:
            run = self._run(session, dag_id, run_id)
            return {"state": str(run.state), "bundle_version": run.bundle_version, "note": run.note, "conf": run.conf,
                    "dag_version": run.created_dag_version_id}  # fmt: skip

    def audit(self, dag_id: str, event: str) -> list[dict[str, Any]]:
        from airflow.models import Log
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            rows = session.scalars(select(Log.extra).where(Log.dag_id == dag_id, Log.event == event).order_by(Log.id))
            return [json.loads(extra) for extra in rows]

    def forget_audit(self, dag_id: str) -> None:
        from airflow.models import Log
        from airflow.utils.session import create_session
        from sqlalchemy import delete

        with create_session() as session:
            session.execute(delete(Log).where(Log.dag_id == dag_id))

    @staticmethod
    def _run(session: Any, dag_id: str, run_id: str) -> Any:
        from airflow.models import DagRun
        from sqlalchemy import select

        return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def show(run_id: str) -> None:
    """Put the question of a run of agentfix_ask under Required Actions, as the task's process does through the execution API."""
    from airflow.models import DagRun, TaskInstance
    from airflow.models.hitl import HITLDetail
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        asked = session.scalar(select(DagRun.conf).where(DagRun.dag_id == "agentfix_ask", DagRun.run_id == run_id))
        of_run = (TaskInstance.dag_id == "agentfix_ask", TaskInstance.run_id == run_id)
        session.add(HITLDetail(
            ti_id=session.scalar(select(TaskInstance.id).where(*of_run)), options=asked["options"], subject=asked["subject"],
            body=asked["body"], defaults=None, multiple=False, params={},
            assignees=[{"id": name, "name": name} for name in asked["assigned_users"]] or None,
        ))  # fmt: skip


def _label(instance: Any) -> str:
    return instance.task_id if instance.map_index < 0 else f"{instance.task_id}[{instance.map_index}]"


@pytest.fixture(scope="session")
def database() -> Path:
    """The migrated database, with its bundles known."""
    airflow_database(_HOME)
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    return _HOME


@pytest.fixture
def airflow(database: Path) -> Deployment:
    return Deployment(database / "parsed")

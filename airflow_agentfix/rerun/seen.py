"""How runs stand, for people to see: their states, and what failed in one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from airflow.models import DagRun, TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import func, or_, select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway

from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.ports import MOST_TASKS, RunSeen


def states(dag_id: str, run_ids: Collection[str]) -> Mapping[str, str]:
    """Of those of these runs that there are."""
    query = select(DagRun.run_id, DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id.in_(run_ids))
    with create_session(scoped=False) as session:
        return {str(run_id): _plain(state) for run_id, state in session.execute(query)} if run_ids else {}


def run_seen(dag_id: str, run_id: str, *, task_ids: Collection[str]) -> RunSeen | None:
    """The run with what failed in it, in the order it did, and these tasks."""
    t = TaskInstance
    of_run = (t.dag_id == dag_id, t.run_id == run_id)
    shown = select(t.task_id, t.map_index, t.try_number, t.state).where(
        *of_run, or_(t.state == TaskInstanceState.FAILED, t.task_id.in_(task_ids))
    )
    numbers = select(t.state, func.count()).where(*of_run).group_by(t.state)
    with create_session(scoped=False) as session:
        run = session.execute(
            select(DagRun.state, DagRun.bundle_version).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
        ).one_or_none()
        if run is None:
            return None
        rows = session.execute(shown.order_by(t.end_date, t.task_id, t.map_index).limit(MOST_TASKS)).all()
        count = {_plain(state): number for state, number in session.execute(numbers)}
    tasks = tuple(TaskFacts(task_id, index, tries, _plain(state) or None) for task_id, index, tries, state in rows)
    return RunSeen(_plain(run[0]), run[1], tasks, failed=count.get("failed", 0), victims=count.get("upstream_failed", 0))


def _plain(state: object) -> str:
    return "" if state is None else str(getattr(state, "value", state))

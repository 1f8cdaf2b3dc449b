"""How the tasks of a run stand, for people who watch it: one query, whatever the number of mapped instances."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.models import TaskInstance
from airflow.utils.session import create_session
from sqlalchemy import func, select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway

from airflow_agentfix.ports import TaskStates

MOST = 200
"""tasks that are looked at; a run of more is watched in Airflow itself"""


def task_states(dag_id: str, run_id: str, task_ids: Sequence[str]) -> tuple[TaskStates, ...]:
    """See `ports.ServerAirflow.task_states`."""
    wanted, t = list(task_ids)[:MOST], TaskInstance
    counted = select(t.task_id, t.state, func.max(t.map_index), func.count()).group_by(t.task_id, t.state)
    query = counted.where(t.dag_id == dag_id, t.run_id == run_id, t.task_id.in_(wanted))
    found: dict[str, dict[str, int]] = {}
    mapped: set[str] = set()
    with create_session(scoped=False) as session:
        for task_id, state, index, count in session.execute(query):
            found.setdefault(task_id, {})[str(getattr(state, "value", state) or "no status")] = count
            mapped |= {task_id} if index >= 0 else set()
    return tuple(TaskStates(one, found[one], one in mapped) for one in wanted if one in found)

"""Clearing task instances of a run: what the pin and the recovery share of Airflow's private calls.

Invariant: one transaction on the locked DagRun, so that what is done to a run is done whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.models import DagRun, Log, TaskInstance
from airflow.utils.session import create_session
from airflow.utils.state import State
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import Session  # noqa: TID253 - as above

from airflow_agentfix.errors import AirflowConflict, AirflowNotFound

_NOTE_CHARS = 1000
"""width of Airflow's column"""


@contextmanager
def locked_run(dag_id: str, run_id: str) -> Iterator[tuple[Session, DagRun]]:
    """The run, its row locked until the end of the block, which is one transaction."""
    # Not the thread's scoped session: an Airflow function that opens its own would commit and close ours midway.
    with create_session(scoped=False) as session:
        row = select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).with_for_update()
        run = session.get(DagRun, session.scalar(row) or -1)
        if run is None:
            raise AirflowNotFound(f"DAG {dag_id!r} has no run {run_id!r}.")
        yield session, run


def require_terminal(run: DagRun) -> None:
    if run.state not in State.finished_dr_states:
        raise AirflowConflict(
            f"Run {run.run_id!r} of DAG {run.dag_id!r} is {run.state}; expected success or failed. Wait until it ended."
        )


def named(instances: Collection[TaskInstance], task_id: str, map_index: int) -> list[TaskInstance]:
    of_task = [instance for instance in instances if instance.task_id == task_id]
    of_index = [instance for instance in of_task if instance.map_index == map_index]
    return of_task if not of_index and map_index == -1 else of_index  # -1 of a mapped task: the whole of it


def downstream(dag: Any, task_id: str) -> Collection[str]:
    """The task and all that a clear of it takes along: downstream, with the setups those need."""
    subset = dag.partial_subset(task_ids=[task_id], include_downstream=True, include_upstream=False)
    return set(subset.task_dict)


def in_same_mapped_group(dag: Any, task_id: str, others: Collection[str]) -> set[str]:
    """Those of `others` that share the task's mapped task group: only their instance of the same map index depends on it."""
    group = _mapped_group(dag, task_id)
    return {other for other in others if group is not None and _mapped_group(dag, other) == group}


def _mapped_group(dag: Any, task_id: str) -> str | None:
    group = dag.get_task(task_id).get_closest_mapped_task_group()
    return None if group is None else str(group.group_id)


def audit(session: Session, run: DagRun, event: str, extra: Mapping[str, Any]) -> None:
    session.add(Log(event=event, owner="agentfix", dag_id=run.dag_id, run_id=run.run_id, extra=json.dumps(extra)))


def note(run: DagRun, line: str) -> None:
    """Add a line to the run's note. A note without room keeps its text: it is a person's, and the audit log has ours."""
    if run.dag_run_note is None:
        run.note = line
        return
    text = f"{run.dag_run_note.content or ''}\n{line}".strip()
    if len(text) <= _NOTE_CHARS:
        run.dag_run_note.content = text

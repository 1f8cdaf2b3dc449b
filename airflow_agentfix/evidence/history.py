"""Earlier runs of a task, as text for the model and as a figure for the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.ports import AirflowApi

History = Sequence[tuple[str, TaskFacts]]


def task_history(api: AirflowApi, ref: TaskRef, *, limit: int = 10) -> str:
    """One line per run of the task, newest first: run, state, tries, start, duration, code version."""
    history = api.history(ref.dag_id, ref.task_id, map_index=ref.map_index, limit=limit)
    versions = {run.run_id: run.bundle_version for run in api.runs(ref.dag_id, limit=limit)}
    if not history:
        return f"Task {ref.task_id!r} of {ref.dag_id!r} has not run yet."
    lines = [_line(run_id, task, versions.get(run_id), newest=run_id == ref.run_id) for run_id, task in history]
    return "\n".join([f"The newest {len(history)} of task {ref.task_id!r}, newest first:", *lines])


def usual_duration(history: History, *, but: str) -> str | None:
    """`median 1.4 s of 9 earlier successes`, None where there was none; `but` is the run that is not counted."""
    durations = list(_durations(task for run_id, task in history if run_id != but))
    if not durations:
        return None
    return f"median {median(durations):.1f} s of {len(durations)} other successes"


def _durations(tasks: Iterable[TaskFacts]) -> Iterable[float]:
    return (task.duration for task in tasks if task.state == "success" and task.duration is not None)


def _line(run_id: str, task: TaskFacts, version: str | None, *, newest: bool) -> str:
    duration = "-" if task.duration is None else f"{task.duration:.1f} s"
    mark = " (this run)" if newest else ""
    code = f" code {version[:10]}" if version else ""
    return f"{run_id}{mark}: {task.state} try {task.try_number} start {task.start_date or '-'} took {duration}{code}"

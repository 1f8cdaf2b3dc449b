"""Earlier runs of a task, as text for the model and as figures for the evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median

from airflow_agentfix.core.circumstances import EarlierRuns, Usual
from airflow_agentfix.core.incident import RunFacts, TaskFacts, TaskRef
from airflow_agentfix.ports import AirflowApi

History = Sequence[tuple[str, TaskFacts]]

_NOTICED = 1.0
"""seconds; a start of a process differs by less from one time to the next"""
_TIMES = "\N{MULTIPLICATION SIGN}"


def task_history(api: AirflowApi, ref: TaskRef, *, limit: int = 10) -> str:
    """One line per run of the task, newest first: run, state, tries, start, duration, code version."""
    history = api.history(ref.dag_id, ref.task_id, map_index=ref.map_index, limit=limit)
    versions = {run.run_id: run.bundle_version for run in api.runs(ref.dag_id, limit=limit)}
    if not history:
        return f"Task {ref.task_id!r} of {ref.dag_id!r} has not run yet."
    lines = [_line(run_id, task, versions.get(run_id), newest=run_id == ref.run_id) for run_id, task in history]
    return "\n".join([f"The newest {len(history)} of task {ref.task_id!r}, newest first:", *lines])


def earlier_runs(history: History, *, but: str) -> EarlierRuns:
    """How the task did in the runs of `history`, the run `but` not counted."""
    others = [task for run_id, task in history if run_id != but]
    green = [task for task in others if task.state == "success"]
    return EarlierRuns(
        states=dict(Counter(task.state or "none" for task in others)),
        retried=sum(task.try_number > 1 for task in green),
        usual=_usual(green),
    )


def _usual(green: Iterable[TaskFacts]) -> Usual | None:
    durations = sorted(task.duration for task in green if task.duration is not None)
    return Usual(len(durations), median(durations), durations[0], durations[-1]) if durations else None


def against_usual(api: AirflowApi, ref: TaskRef, task: TaskFacts, *, limit: int = 25) -> str:
    """How long an instance of a rerun took against its task's other green runs, the run of `ref` not counted; empty where
    there is none. A rerun may be a run of another DAG: the usual is that of `ref`'s."""
    usual = earlier_runs(api.history(ref.dag_id, task.task_id, map_index=task.map_index, limit=limit), but=ref.run_id).usual
    if usual is None:
        return ""
    how = compared(task.duration, usual)
    told = f"median {usual.median:.1f} s in {usual.runs} other green run{'s' if usual.runs > 1 else ''}"
    return f"{how} ({told})" if how else told


def compared(took: float | None, usual: Usual | None) -> str:
    """Slower or faster than usual, and how many times: where it is beyond what was seen by a second, and by half or more."""
    if took is None or usual is None or not usual.median:
        return ""
    ratio = took / usual.median
    if took > usual.slowest + _NOTICED and ratio >= 1.5:
        return f"{ratio:.1f}{_TIMES} slower than usual"
    if took < usual.fastest - _NOTICED and ratio <= 2 / 3:
        return f"{1 / ratio:.1f}{_TIMES} faster than usual" if took else "faster than usual"
    return "as usual"


def last_green(failed: RunFacts, runs: Sequence[RunFacts], history: History) -> RunFacts | None:
    """The newest of `runs` that started before the failed one and in which the task succeeded.

    Where a run's own task instance is not known (the mapped index is new), the run's state counts.
    """
    states = {run_id: task.state for run_id, task in history}
    earlier = [run for run in runs if run.run_id != failed.run_id and _before(run, failed)]
    green = [run for run in earlier if states.get(run.run_id, run.state) == "success"]
    return max(green, key=lambda run: moment(run.start_date or ""), default=None)


def _before(run: RunFacts, failed: RunFacts) -> bool:
    """By when they started: the code that ran is what counts, not the date it ran for. A run without one has not started."""
    return bool(run.start_date) and (not failed.start_date or moment(str(run.start_date)) < moment(failed.start_date))


def moment(written: str) -> datetime:
    """When it was. Airflow leaves the fraction out where it is zero, so the texts do not sort as the times do."""
    return datetime.fromisoformat(written)


def _line(run_id: str, task: TaskFacts, version: str | None, *, newest: bool) -> str:
    duration = "-" if task.duration is None else f"{task.duration:.1f} s"
    mark = " (this run)" if newest else ""
    code = f" code {version[:10]}" if version else ""
    return f"{run_id}{mark}: {task.state} try {task.try_number} start {task.start_date or '-'} took {duration}{code}"

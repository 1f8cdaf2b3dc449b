"""From the ids a person or a callback gives to one try of one task instance, with an answer to whoever mistyped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.errors import AirflowNotFound
from airflow_agentfix.ports import AirflowReading

_RUNS_NAMED = 25
_INDEXES_NAMED = 10


def resolve_ref(
    api: AirflowReading, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int | None = None
) -> TaskRef:
    """The task instance's try, the newest one unless named. AirflowNotFound says which id is unknown and what is near it."""
    return resolve(api, dag_id, run_id, task_id, map_index, try_number)[0]


def resolve(
    api: AirflowReading, dag_id: str, run_id: str, task_id: str, map_index: int = -1, try_number: int | None = None
) -> tuple[TaskRef, TaskFacts]:
    """`resolve_ref`, and the task instance it was found by."""
    try:
        task = api.task_instance(dag_id, run_id, task_id, map_index)
    except AirflowNotFound as error:
        raise AirflowNotFound(_unknown(api, dag_id, run_id, task_id, map_index)) from error
    if try_number is not None and not 0 < try_number <= task.try_number:
        where = TaskRef(dag_id, run_id, task_id, try_number, map_index)
        raise AirflowNotFound(f"There is no {where}: its newest try is {task.try_number}.")
    return TaskRef(dag_id, run_id, task_id, try_number or task.try_number, map_index), task


def _unknown(api: AirflowReading, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Which of the ids is the wrong one, from the outside in."""
    if not _exists(api, dag_id):
        return f"Airflow has no DAG {dag_id!r}.{near(dag_id, api.dag_ids())}"
    try:
        tasks = api.task_instances(dag_id, run_id)
    except AirflowNotFound:
        runs = [run.run_id for run in api.runs(dag_id, limit=_RUNS_NAMED)]
        newest = f" Its newest run is {runs[0]!r}." if runs else " It has no runs."
        return f"DAG {dag_id!r} has no run {run_id!r}.{near(run_id, runs) or newest}"
    mapped = [task for task in tasks if task.task_id == task_id]
    if not mapped:
        names = sorted({task.task_id for task in tasks})
        return f"Run {run_id!r} of {dag_id!r} has no task {task_id!r}.{near(task_id, names) or _listed(names)}"
    return f"Task {task_id!r} in run {run_id!r} of {dag_id!r} {_indexes(mapped, map_index)}"


def _exists(api: AirflowReading, dag_id: str) -> bool:
    try:
        api.dag(dag_id)
    except AirflowNotFound:
        return False
    return True


def _indexes(mapped: Sequence[TaskFacts], map_index: int) -> str:
    indexes = sorted(task.map_index for task in mapped)
    if indexes == [-1]:
        return f"is not mapped; leave map index {map_index} out."
    failed = [task.map_index for task in mapped if task.state == "failed"]
    named = ", ".join(map(str, sorted(failed)[:_INDEXES_NAMED])) or "none"
    asked = f"has no map index {map_index}" if map_index >= 0 else "is mapped; name the map index"
    return f"{asked}: it has {indexes[0]} to {indexes[-1]}; failed: {named}."


def near(name: str, known: Iterable[str]) -> str:
    """` Did you mean …?` with the nearest known names, empty where none is near."""
    from rapidfuzz import process  # only a typo pays for it

    found = process.extract(name, list(known), limit=3, score_cutoff=70)
    return f" Did you mean {' or '.join(repr(match) for match, *_ in found)}?" if found else ""


def _listed(names: Sequence[str]) -> str:
    return (
        f" It has {', '.join(map(repr, names[:20]))}{' and more' if len(names) > 20 else ''}." if names else " It has no tasks."
    )

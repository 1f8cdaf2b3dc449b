"""Which tasks of a run failed first, and which are only victims. Pure: task instances and the DAG's edges in, task ids out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from airflow_agentfix.core.incident import RunFacts, TaskFacts

Graph = Mapping[str, Sequence[str]]

FAILED = "failed"
VICTIM_STATES = frozenset({"upstream_failed", "skipped"})
_FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_WORKING = frozenset({"running", "restarting"})


def first_failed(tasks: Iterable[TaskFacts], graph: Graph) -> tuple[str, ...]:
    """The failed tasks with no failed task above them, the earliest first."""
    ended: dict[str, str] = {}
    for task in tasks:
        if task.state == FAILED:
            ended[task.task_id] = min(task.end_date or "9", ended.get(task.task_id, "9"))
    later = {other for task_id in ended for other in below(task_id, graph)}
    roots = ended.keys() - later or ended.keys()  # an edge of a newer DAG version could close a circle
    return tuple(sorted(roots, key=lambda task_id: (ended[task_id], task_id)))


def handlers(trigger_rules: Mapping[str, str | None]) -> frozenset[str]:
    """The tasks that run because something failed: an alarm that did not go off suffers from no failure."""
    return frozenset(task_id for task_id, rule in trigger_rules.items() if rule in ("all_failed", "one_failed"))


def victims(
    task_id: str, tasks: Iterable[TaskFacts], graph: Graph, *, handlers: Collection[str] = frozenset()
) -> tuple[str, ...]:
    """Tasks below `task_id` that did not run, through an unbroken chain of such: a branch skipped elsewhere is none."""
    states: dict[str, set[str | None]] = {}
    for task in tasks:
        if task.task_id not in handlers:
            states.setdefault(task.task_id, set()).add(task.state)
    found: dict[str, None] = {}
    waiting = list(graph.get(task_id, ()))
    while waiting:
        other = waiting.pop(0)
        if other not in found and states.get(other, set()) & VICTIM_STATES:
            found[other] = None
            waiting += graph.get(other, ())
    return tuple(found)


def settled(task: TaskFacts, run: RunFacts) -> bool:
    """Whether the task instance is terminal: by its own state, or because its run has ended and nothing will move it."""
    return task.state in _FINISHED or (run.state in ("success", "failed") and task.state not in _WORKING)


def below(task_id: str, graph: Graph) -> set[str]:
    """Everything downstream of the task, direct or not."""
    found: set[str] = set()
    waiting = list(graph.get(task_id, ()))
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += graph.get(other, ())
    return found

"""A failure looked at inside the API server, before anything is started: what a session would find first, for no tokens.

What is found of a try that has ended is kept for the next person, while its run stands as it did. One look at a time for each:
whoever else asks waits for that one.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

from airflow_agentfix.core.circumstances import Changes, Circumstances
from airflow_agentfix.core.incident import Incident, TaskFacts, TaskRef
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.errors import AirflowNotFound
from airflow_agentfix.evidence.changes import CodeOf, changes, codebase
from airflow_agentfix.evidence.collect import collect
from airflow_agentfix.evidence.history import History
from airflow_agentfix.evidence.lineup import below
from airflow_agentfix.evidence.redacted import redacted_circumstances
from airflow_agentfix.ports import AirflowReading
from airflow_agentfix.redaction import redact

T = TypeVar("T")

KEPT = 64
"""results; one has some 50 KB"""
_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry"})


class Reading(AirflowReading, Protocol):
    """Airflow as it is read for one look."""

    @property
    def log_look(self) -> LogLook: ...


@dataclass(frozen=True)
class Inspection:
    """`incident` is redacted; `log` says how much of the log it rests on."""

    incident: Incident
    log: LogLook


class Inspections:
    """`open_reading` gives Airflow to be read, anew for each look; `code_of` the repository of a DAG, raising NoRepository."""

    def __init__(self, open_reading: Callable[[], Reading], code_of: CodeOf, *, kept: int = KEPT) -> None:
        self._open, self._code_of = open_reading, code_of
        self._kept = _Kept(kept)

    def failure(self, ref: TaskRef, task: TaskFacts, *, run_state: str | None) -> Inspection:
        """Cause, verdict, lineage and history of a try, as `evidence.collect` finds them; `task` is its instance as it stands.
        AirflowError where Airflow says no."""
        return self._kept.get(_key("failure", ref, task, run_state), lambda: self._look(ref), keep=_has_ended(task))

    def changes(self, ref: TaskRef, task: TaskFacts, *, run_state: str | None) -> Changes | None:
        """What changed in the code since the task was green; None where it never was. Asks the code host; CodeError and
        ConfigurationError say why it is not known."""
        found = self.failure(ref, task, run_state=run_state).incident
        key = _key("changes", ref, task, run_state)
        return self._kept.get(key, lambda: self._changes(found), keep=_has_ended(task))

    def history(self, dag_id: str, task_id: str, *, map_index: int, limit: int) -> History:
        """The task in the newest runs, newest first."""
        return self._open().history(dag_id, task_id, map_index=map_index, limit=limit)

    def failed(self, dag_id: str, run_id: str) -> list[TaskFacts]:
        """The instances of a run that failed."""
        return self._open().task_instances(dag_id, run_id, states=("failed",))

    def blamed(self, dag_id: str, run_id: str, task_id: str) -> list[TaskFacts]:
        """Those of them that are above a task; all where the DAG's tasks are not known any more."""
        reading = self._open()
        failed = reading.task_instances(dag_id, run_id, states=("failed",))
        try:
            graph = {spec.task_id: spec.downstream for spec in reading.tasks(dag_id)}
        except AirflowNotFound:
            return failed
        return [one for one in failed if task_id in below(one.task_id, graph)] or failed

    def _look(self, ref: TaskRef) -> Inspection:
        reading = self._open()
        return Inspection(collect(ref, api=reading), reading.log_look)

    def _changes(self, found: Incident) -> Changes | None:
        green = found.circumstances.earlier.last_green
        if green is None:
            return None
        run = self._open().run(found.dag.dag_id, green)
        told = changes(codebase(self._code_of, found.dag, found.run), green=run, frames=found.cause.frames)
        return redacted_circumstances(Circumstances(changes=told), redact).changes


def _has_ended(task: TaskFacts) -> bool:
    return task.state in _ENDED and task.end_date is not None


def _key(what: str, ref: TaskRef, task: TaskFacts, run_state: str | None) -> Hashable:
    """Who else is a victim changes until the run has ended."""
    return (what, ref, task.end_date, run_state)


class _Kept:
    """The newest results by key, each made once."""

    def __init__(self, most: int) -> None:
        self._most, self._lock = most, threading.Lock()
        self._results: OrderedDict[Hashable, Future[Any]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T], *, keep: bool) -> T:
        """What was made for this key, else what `make` gives; an error is told to all who waited, and kept for nobody."""
        with self._lock:
            found = self._results.get(key)
            result: Future[Any] = found or self._results.setdefault(key, Future())
            self._results.move_to_end(key)
        if found is not None:
            return cast("T", found.result())
        try:
            made = make()
        except BaseException as error:
            self._forget(key)
            result.set_exception(error)
            raise
        if not keep:
            self._forget(key)
        result.set_result(made)
        self._trim()
        return made

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            self._results.pop(key, None)

    def _trim(self) -> None:
        with self._lock:
            while len(self._results) > self._most:
                self._results.popitem(last=False)

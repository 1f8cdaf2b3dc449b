"""Airflow as evidence reads it, and its REST API as the worker's side needs it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, XCom
from airflow_agentfix.core.incident import DagFacts, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.plain import Json


@dataclass(frozen=True)
class TaskSpec:
    """A task as its DAG defines it."""

    task_id: str
    downstream: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    is_mapped: bool = False
    trigger_rule: str | None = None


class AirflowReading(Protocol):
    """What evidence is made of: over REST for a worker, over Airflow's own database inside the API server. Raises
    `errors.AirflowError` and its kinds; nothing there is AirflowNotFound."""

    def dag(self, dag_id: str) -> DagFacts: ...

    def dag_ids(self) -> list[str]:
        """Every DAG the login may read; none where that is not known."""

    def run(self, dag_id: str, run_id: str) -> RunFacts: ...

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        """The newest runs, newest first."""

    def green_before(self, dag_id: str, started: str) -> RunFacts | None:
        """The successful run that started last before this time, None if there is none."""

    def task_instances(self, dag_id: str, run_id: str, *, states: Sequence[str] = ()) -> list[TaskFacts]:
        """All task instances of a run, mapped ones too, whatever their number; with `states` only those in them."""

    def mapped_count(self, dag_id: str, run_id: str, task_id: str) -> int:
        """How many mapped instances a task has in a run."""

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts: ...

    def log_lines(self, ref: TaskRef) -> Iterator[bytes]:
        """The try's log, line by line as served: structured events as JSON (NDJSON), or text; streamed, never held whole."""

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[TaskFacts]:
        """Every try of one task instance, the first one first."""

    def history(self, dag_id: str, task_id: str, *, map_index: int = -1, limit: int) -> list[tuple[str, TaskFacts]]:
        """The task's instances in the newest runs, with their run ids, newest first."""

    def tasks(self, dag_id: str) -> list[TaskSpec]:
        """The tasks of the DAG's newest version."""

    def assets(self, dag_id: str) -> list[AssetFacts]:
        """Every asset the DAG is scheduled on, reads or updates."""

    def upstream_events(self, dag_id: str, run_id: str) -> list[AssetEvent]:
        """The asset events that started a run; none for a run that was started otherwise."""

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, max_chars: int) -> XCom | None:
        """What a task returned, None where it returned nothing; of a long one the beginning is read, not the whole."""


class AirflowApi(AirflowReading, Protocol):
    """Airflow's REST API v2."""

    def version(self) -> str: ...

    def downstream(self, dag_id: str, task_id: str) -> list[str]:
        """Task ids downstream of `task_id`, direct ones."""

    def graph(self, dag_id: str) -> dict[str, list[str]]:
        """Every task id of the DAG's newest version, with the ids directly downstream of it."""

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> RunFacts:
        """Start a run. One that exists already with this id is returned, not started again."""

    def import_errors(self) -> list[Json]: ...

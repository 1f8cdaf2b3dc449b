"""`ports.AirflowReading` over Airflow's own database, inside the API server: the same values as its REST API gives.

Each call is its own short transaction; a few at once, for the connections are those that Airflow's own routes need.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.asset import (
    AssetEvent as AssetEventRow,
)
from airflow.models.asset import (
    AssetModel,
    DagScheduleAssetReference,
    TaskInletAssetReference,
    TaskOutletAssetReference,
)
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState
from sqlalchemy import func, or_, select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import Session, joinedload, selectinload  # noqa: TID253 - as above

from airflow_agentfix.airflow_logs import LogEnds
from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, XCom
from airflow_agentfix.core.incident import DagFacts, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.errors import AirflowForbidden, AirflowNotFound
from airflow_agentfix.ports import TaskSpec

AT_ONCE = 3
"""of the database connections of a process, fifteen by default"""
_connections = threading.BoundedSemaphore(AT_ONCE)


class AirflowFacts:
    """Made for one collection: `log_look` says what was read of the log whose lines were taken last."""

    def __init__(self, ends: LogEnds | None = None) -> None:
        self._ends = ends or LogEnds()

    @property
    def log_look(self) -> LogLook:
        return self._ends.look

    def dag(self, dag_id: str) -> DagFacts:
        with _session() as session:
            model = session.get(DagModel, dag_id)
            if model is None:
                raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
            return DagFacts(
                dag_id=dag_id,
                file=model.relative_fileloc or model.fileloc or "",
                bundle_name=model.bundle_name,
                bundle_version=model.bundle_version,
                is_paused=bool(model.is_paused),
                tags=tuple(sorted(tag.name for tag in model.tags)),
                owners=tuple(owner.strip() for owner in (model.owners or "").split(",") if owner.strip()),
                fileloc=model.fileloc,
            )

    def dag_ids(self) -> list[str]:
        """None: names of DAGs are for those who may read them, and who reads is not known here."""
        return []

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        with _session() as session:
            return _run(_one_run(session, dag_id, run_id))

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        newest = select(DagRun).where(DagRun.dag_id == dag_id).order_by(DagRun.run_after.desc(), DagRun.id.desc()).limit(limit)
        with _session() as session:
            return [_run(run) for run in session.scalars(newest)]

    def green_before(self, dag_id: str, started: str) -> RunFacts | None:
        green = (DagRun.dag_id == dag_id, DagRun.state == "success", DagRun.start_date < datetime.fromisoformat(started))
        with _session() as session:
            run = session.scalar(select(DagRun).where(*green).order_by(DagRun.start_date.desc()).limit(1))
            return None if run is None else _run(run)

    def task_instances(self, dag_id: str, run_id: str, *, states: Sequence[str] = ()) -> list[TaskFacts]:
        wanted = _instances(dag_id, run_id).order_by(TaskInstance.id)
        with _session() as session:
            _one_run(session, dag_id, run_id)
            found = session.scalars(wanted.where(TaskInstance.state.in_(states)) if states else wanted)
            return [_task(instance) for instance in found]

    def mapped_count(self, dag_id: str, run_id: str, task_id: str) -> int:
        mapped = _instances(dag_id, run_id).where(TaskInstance.task_id == task_id, TaskInstance.map_index >= 0)
        with _session() as session:
            return session.scalar(select(func.count()).select_from(mapped.with_only_columns(TaskInstance.id).subquery())) or 0

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts:
        wanted = _of_task(TaskInstance, dag_id, run_id, task_id, map_index)
        with _session() as session:
            found = session.scalar(wanted.options(joinedload(TaskInstance.rendered_task_instance_fields)))
            if found is None:
                where = f"Task {task_id!r} in run {run_id!r} of {dag_id!r}"
                raise AirflowNotFound(f"{where} is not there{f' with map index {map_index}' if map_index >= 0 else ''}.")
            rendered = found.rendered_task_instance_fields
            return _task(found, dict(rendered.rendered_fields or {}) if rendered else {})

    def log_lines(self, ref: TaskRef) -> Iterator[bytes]:
        """The ends of the log, see `airflow_logs`."""
        return self._ends.lines(ref)

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[TaskFacts]:
        """One that is up for retry is recorded as an earlier try too."""
        now = _of_task(TaskInstance, dag_id, run_id, task_id, map_index).where(
            or_(TaskInstance.state != TaskInstanceState.UP_FOR_RETRY, TaskInstance.state.is_(None))
        )
        with _session() as session:
            earlier = session.scalars(_of_task(TaskInstanceHistory, dag_id, run_id, task_id, map_index)).all()
            return sorted((_task(one) for one in (*earlier, *session.scalars(now))), key=lambda task: task.try_number)

    def history(self, dag_id: str, task_id: str, *, map_index: int = -1, limit: int) -> list[tuple[str, TaskFacts]]:
        of_task = (TaskInstance.dag_id == dag_id, TaskInstance.task_id == task_id, TaskInstance.map_index == map_index)
        wanted = select(TaskInstance).join(TaskInstance.dag_run).where(*of_task).options(joinedload(TaskInstance.dag_version))
        with _session() as session:
            found = session.scalars(wanted.order_by(DagRun.run_after.desc(), TaskInstance.id.desc()).limit(limit))
            return [(instance.run_id, _task(instance)) for instance in found]

    def tasks(self, dag_id: str) -> list[TaskSpec]:
        with _session() as session:
            dag = DBDagBag(load_op_links=False).get_latest_version_of_dag(dag_id, session=session)
            if dag is None:
                raise AirflowNotFound(f"Airflow has no serialized DAG {dag_id!r}.")
            return [_spec(task) for task in sorted(dag.tasks, key=lambda task: task.task_id)]

    def assets(self, dag_id: str) -> list[AssetFacts]:
        uses = or_(
            AssetModel.scheduled_dags.any(DagScheduleAssetReference.dag_id == dag_id),
            AssetModel.producing_tasks.any(TaskOutletAssetReference.dag_id == dag_id),
            AssetModel.consuming_tasks.any(TaskInletAssetReference.dag_id == dag_id),
        )
        parts = (AssetModel.scheduled_dags, AssetModel.producing_tasks, AssetModel.consuming_tasks)
        wanted = select(AssetModel).where(uses, AssetModel.active.has()).options(*map(selectinload, parts))
        with _session() as session:
            found = session.scalars(wanted.order_by(AssetModel.name, AssetModel.id)).all()
            last = _last_events(session, [asset.id for asset in found])
            return [_asset(asset, last.get(asset.id)) for asset in found]

    def upstream_events(self, dag_id: str, run_id: str) -> list[AssetEvent]:
        with _session() as session:
            return [_event(event) for event in _one_run(session, dag_id, run_id).consumed_asset_events]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, max_chars: int) -> XCom | None:  # noqa: ARG002 - the port's
        """Nobody is told: Airflow has a right of its own for XComs."""
        raise AirflowForbidden("It is not read here; Airflow shows it under XCom, to whom may see it.")


@contextmanager
def _session() -> Iterator[Session]:
    with _connections, create_session(scoped=False) as session:
        yield session


def _one_run(session: Session, dag_id: str, run_id: str) -> DagRun:
    run: DagRun | None = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
    if run is None:
        raise AirflowNotFound(f"DAG {dag_id!r} has no run {run_id!r}.")
    return run


def _instances(dag_id: str, run_id: str) -> Any:
    of_run = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    return select(TaskInstance).where(*of_run).options(joinedload(TaskInstance.dag_version))


def _of_task(kind: Any, dag_id: str, run_id: str, task_id: str, map_index: int) -> Any:
    of_task = (kind.dag_id == dag_id, kind.run_id == run_id, kind.task_id == task_id, kind.map_index == map_index)
    return select(kind).where(*of_task).options(joinedload(kind.dag_version))


def _last_events(session: Session, asset_ids: Sequence[int]) -> dict[int, datetime]:
    newest = select(AssetEventRow.asset_id, func.max(AssetEventRow.timestamp)).where(AssetEventRow.asset_id.in_(asset_ids))
    return {asset_id: at for asset_id, at in session.execute(newest.group_by(AssetEventRow.asset_id))}


# --- rows as values, as the REST API writes them ----------------------------------------------------------------------


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _word(value: Any) -> str | None:
    return None if value is None else str(getattr(value, "value", value))


def _run(run: DagRun) -> RunFacts:
    return RunFacts(
        dag_id=run.dag_id,
        run_id=run.run_id,
        state=str(_word(run.state)),
        run_type=_word(run.run_type),
        logical_date=_time(run.logical_date),
        start_date=_time(run.start_date),
        end_date=_time(run.end_date),
        bundle_version=run.bundle_version,
        conf=dict(run.conf or {}),
    )


def _task(instance: Any, rendered: dict[str, Any] | None = None) -> TaskFacts:
    return TaskFacts(
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=instance.try_number,
        state=_word(instance.state),
        operator=instance.operator,
        max_tries=instance.max_tries,
        start_date=_time(instance.start_date),
        end_date=_time(instance.end_date),
        duration=instance.duration,
        hostname=instance.hostname,
        pool=instance.pool,
        queue=instance.queue,
        rendered_fields=rendered or {},
        dag_version=str(instance.dag_version.version_number) if instance.dag_version else None,
    )


def _spec(task: Any) -> TaskSpec:
    params = {name: param.dump().get("value") for name, param in task.params.items()}
    below = tuple(sorted(task.downstream_task_ids or ()))
    return TaskSpec(task.task_id, below, params, bool(task.is_mapped), _word(task.trigger_rule))


def _asset(asset: AssetModel, last: datetime | None) -> AssetFacts:
    return AssetFacts(
        name=asset.name,
        uri=asset.uri,
        last_event=_time(last),
        producers=tuple((task.dag_id, task.task_id) for task in asset.producing_tasks),
        consumers=tuple((task.dag_id, task.task_id) for task in asset.consuming_tasks),
        scheduled=tuple(dag.dag_id for dag in asset.scheduled_dags),
    )


def _event(event: AssetEventRow) -> AssetEvent:
    name = event.asset.name or event.asset.uri
    return AssetEvent(name, str(_time(event.timestamp)), event.source_dag_id, event.source_run_id, event.source_task_id)

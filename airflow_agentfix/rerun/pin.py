"""The pin: a failed run continues on a fix commit. With `rerun.clearing`, every private Airflow call the pin needs.

Invariants: one transaction per pin, on the locked DagRun, so that a pin is whole or not there. What a pin did is its audit-log
row; nothing else remembers it. Verified on Airflow 3.1.8, 3.2.2 and 3.3.2 (tests/rerun).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.exceptions import AirflowException  # type: ignore[attr-defined]  # exported lazily
from airflow.models import DagModel, DagRun, Log, TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import Session  # noqa: TID253 - as above

from airflow_agentfix.core.urls import web_address
from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import Pinned, PinRequest, UnpinRequest
from airflow_agentfix.rerun.clearing import audit, downstream, in_same_mapped_group, locked_run, named, note, require_terminal

log = logging.getLogger(__name__)

PINNED = "agentfix_pin"
ENDED = "agentfix_pin_end"


@dataclass(frozen=True)
class _Record:
    """What a pin did, as its audit-log row keeps it."""

    session_id: str
    task_id: str
    map_index: int
    commit: str
    original_version: str
    task_ids: tuple[str, ...]

    def serves(self, request: PinRequest) -> bool:
        asked = (request.session_id, request.task_id, request.map_index, request.commit)
        return asked == (self.session_id, self.task_id, self.map_index, self.commit)


def require_pinnable(dag_id: str, run_id: str) -> None:
    """Raises RerunImpossible where the run cannot be pinned to any commit, now or once it has ended."""
    _require_versioned_bundle(dag_id)
    with locked_run(dag_id, run_id) as (session, run):
        _require_versions(session, run)


def pin(request: PinRequest) -> Pinned:
    """Put the run on the fix commit and clear the failed instances of its cause with downstream; done already is done."""
    _require_versioned_bundle(request.dag_id)
    with locked_run(request.dag_id, request.run_id) as (session, run):
        current = _pin_in_force(session, run)
        if current and current.serves(request):
            return Pinned(run.run_id, current.task_ids, current.original_version)
        dag = _require_pinnable(session, run)
        cleared = _instances(session, run, dag, request)
        record = _Record(
            session_id=request.session_id,
            task_id=request.task_id,
            map_index=request.map_index,
            commit=request.commit,
            original_version=current.original_version if current else str(run.bundle_version),
            task_ids=tuple(sorted({instance.task_id for instance in cleared})),
        )
        run.bundle_version = request.commit
        session.flush()
        # Explicit: a DAG's or the deployment's default may say latest version, and that overwrites the pin.
        clear_task_instances(cleared, session, dag_run_state=DagRunState.QUEUED, run_on_latest_version=False)
        audit(session, run, PINNED, asdict(record))
        where = f", pull request {address}" if (address := web_address(request.pull_request)) else ""
        note(run, f"AgentFix session {request.session_id}: on fix commit {request.commit[:12]}{where}.")
    log.info("Run %s of %s is pinned to %s, cleared: %s", run.run_id, run.dag_id, request.commit, record.task_ids)
    return Pinned(request.run_id, record.task_ids, record.original_version)


def end_pin(request: UnpinRequest) -> str | None:
    """Take the run off the commit. One that left it meanwhile, or that another session has pinned, is left alone.

    Returns the version the run is on now.
    """
    with locked_run(request.dag_id, request.run_id) as (session, run):
        newest = _pin_in_force(session, run)
        is_others = newest is not None and newest.session_id != request.session_id
        if run.bundle_version == request.commit and not is_others:
            require_terminal(run)
            run.bundle_version = request.version
            audit(session, run, ENDED, {"session_id": request.session_id, "from": request.commit, "to": request.version})
            note(run, f"AgentFix session {request.session_id}: on {str(request.version)[:12]} again, off the fix commit.")
        return run.bundle_version


def _require_versioned_bundle(dag_id: str) -> None:
    with create_session(scoped=False) as session:
        model = session.get(DagModel, dag_id)
        name, paused = (model.bundle_name, model.is_paused) if model else (None, False)
    if name is None:
        raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
    if paused:
        raise RerunImpossible(
            f"DAG {dag_id!r} is paused, so no task of it would run. A person has to unpause it, in Airflow or "
            f"with: airflow dags unpause {dag_id}"
        )
    try:
        bundle = DagBundlesManager().get_bundle(name)  # type: ignore[no-untyped-call]  # Airflow's
    except (ValueError, AirflowException) as error:
        raise RerunImpossible(
            f"The API server could not load the bundle {name!r} of DAG {dag_id!r} ({error}). Give it the same "
            "[dag_processor] dag_bundle_config_list and connections as the DAG processor."
        ) from error
    if not bundle.supports_versioning:
        raise RerunImpossible(
            f"DAG {dag_id!r} comes from the bundle {name!r} ({type(bundle).__name__}), which has no versions, so its run cannot "
            "move to a commit. Serve it from a GitDagBundle."
        )


def _require_pinnable(session: Session, run: DagRun) -> Any:
    """The DAG the run was created with."""
    require_terminal(run)
    return _require_versions(session, run)


def _require_versions(session: Session, run: DagRun) -> Any:
    """The DAG the run was created with, where run and DAG have versions that a pin can set."""
    if run.created_dag_version_id is None:
        raise RerunImpossible(
            f"Run {run.run_id!r} of DAG {run.dag_id!r} has no DAG version (it is from Airflow 2, or `airflow db clean` removed "
            "it), so clearing would move it to the latest code. Trigger a new run after the fix is merged."
        )
    if not run.bundle_version:
        raise RerunImpossible(
            f"Run {run.run_id!r} of DAG {run.dag_id!r} has no bundle version: it follows the latest code. Serve the DAG from a "
            "GitDagBundle without disable_bundle_versioning; runs created from then on can be pinned."
        )
    dag = DBDagBag(load_op_links=False).get_dag_for_run(run, session=session)
    if dag is None:
        raise RerunImpossible(
            f"Airflow no longer has the serialized DAG of run {run.run_id!r} of {run.dag_id!r}. Trigger a new run."
        )
    if dag.disable_bundle_versioning:
        raise RerunImpossible(
            f"DAG {run.dag_id!r} sets disable_bundle_versioning, so its tasks run the latest code whatever the run says. "
            "Remove that (or [dag_processor] disable_bundle_versioning) to have fixes rerun."
        )
    return dag


def _instances(session: Session, run: DagRun, dag: Any, request: PinRequest) -> list[TaskInstance]:
    """The failed instances of the cause, and every instance downstream of them that has a result of any kind."""
    of_run = select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    instances = list(session.scalars(of_run))
    found: dict[Any, TaskInstance] = {}
    for task_id, map_index in ((request.task_id, request.map_index), *request.also):
        meant = named(instances, task_id, map_index)
        failed = [instance for instance in meant if instance.state == TaskInstanceState.FAILED]
        if not failed and task_id == request.task_id:
            states = sorted({str(instance.state) for instance in meant}) or "no such task instance"
            task = f"Task {task_id!r} (map index {map_index}) of run {request.run_id!r}"
            raise AirflowConflict(f"{task} is not failed (any more): {states}. Nothing is left to rerun.")
        found |= {instance.id: instance for instance in [*failed, *_below(instances, dag, task_id, failed)]}
    return list(found.values())


def _below(
    instances: Collection[TaskInstance], dag: Any, task_id: str, failed: Collection[TaskInstance]
) -> Iterator[TaskInstance]:
    """What ran, or was kept from running, downstream of the failed instances of a task."""
    if not failed:  # someone mended it meanwhile, and what is below it went on
        return
    indexes = {instance.map_index for instance in failed}
    relevant = set(downstream(dag, task_id)) - {task_id}
    same_group = in_same_mapped_group(dag, task_id, relevant)
    for instance in instances:
        has_result = instance.state not in (None, TaskInstanceState.REMOVED)
        same_index = instance.task_id not in same_group or instance.map_index in indexes | {-1}
        if instance.task_id in relevant and has_result and same_index:
            yield instance


def _pin_in_force(session: Session, run: DagRun) -> _Record | None:
    """The newest pin of the run, if the run still is on its commit."""
    rows = select(Log.extra).where(Log.dag_id == run.dag_id, Log.run_id == run.run_id, Log.event == PINNED)
    newest = session.scalar(rows.order_by(Log.id.desc()).limit(1))
    if newest is None:
        return None
    data = json.loads(newest)
    record = _Record(**{**data, "task_ids": tuple(data["task_ids"])})
    return record if record.commit == run.bundle_version else None

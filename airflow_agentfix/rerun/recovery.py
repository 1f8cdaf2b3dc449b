"""The recovery: failed tasks of a run go on with the merged fix. With `rerun.clearing`, every private Airflow call it needs.

`run_on_latest_version` is an argument of Airflow's own function on 3.1, 3.2 and 3.3 alike: the run moves to the newest version of
its DAG, and to the bundle version that has it. Verified on 3.1.8, 3.2.2 and 3.3.2 (tests/rerun).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from airflow.models import DagModel, DagRun, Log, TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import clear_task_instances
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import Session  # noqa: TID253 - as above

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.recovery import DagNow, RunNow, Scene, TaskNow
from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import RecoverRequest
from airflow_agentfix.rerun.clearing import audit, downstream, in_same_mapped_group, locked_run, note, require_terminal

log = logging.getLogger(__name__)

RECOVERED = "agentfix_recover"
AT_ONCE = 500
"""ids in one query"""


def scene(dag_id: str, failures: Sequence[TaskRef], *, session_id: str) -> Scene:
    """The DAG as it is served, and the runs of these failures as they stand. AirflowNotFound for a DAG that was deleted."""
    with create_session(scoped=False) as session:
        model = session.get(DagModel, dag_id)
        if model is None:
            raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
        wanted = sorted({ref.run_id for ref in failures})
        tasks = {ref.task_id for ref in failures}
        runs: dict[str, RunNow] = {}
        for start in range(0, len(wanted), AT_ONCE):
            runs |= _runs(session, dag_id, wanted[start : start + AT_ONCE], tasks, session_id)
        return Scene(_dag(session, model), runs)


def _dag(session: Session, model: DagModel) -> DagNow:
    dag = DBDagBag(load_op_links=False).get_latest_version_of_dag(model.dag_id, session=session)
    if dag is None or model.is_stale:
        return DagNow(is_served=False, version=model.bundle_version)
    on_the_one_before = any(task.depends_on_past or task.wait_for_downstream for task in dag.tasks)
    one_by_one = on_the_one_before or model.max_active_runs == 1
    return DagNow(is_paused=bool(model.is_paused), one_by_one=one_by_one, version=model.bundle_version)


def _runs(
    session: Session, dag_id: str, run_ids: Collection[str], task_ids: Collection[str], session_id: str
) -> dict[str, RunNow]:
    of_runs = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id.in_(run_ids))
    tasks: dict[str, dict[tuple[str, int], TaskNow]] = {}
    for one in session.scalars(of_runs.where(TaskInstance.task_id.in_(task_ids))):
        tasks.setdefault(one.run_id, {})[one.task_id, one.map_index] = TaskNow(_plain(one.state), one.try_number)
    cleared = _cleared(session, dag_id, run_ids, session_id)
    return {
        run.run_id: RunNow(
            run_id=run.run_id,
            state=str(_plain(run.state)),
            at=(run.logical_date or run.run_after).isoformat(),
            version=run.bundle_version,
            tasks=tasks.get(run.run_id, {}),
            cleared=cleared.get(run.run_id, ()),
        )
        for run in session.scalars(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id.in_(run_ids)))
    }


def _cleared(session: Session, dag_id: str, run_ids: Collection[str], session_id: str) -> dict[str, tuple[str, ...]]:
    """What was cleared for this session, by run: the newest row of each counts."""
    rows = select(Log.run_id, Log.extra).where(Log.dag_id == dag_id, Log.event == RECOVERED, Log.run_id.in_(run_ids))
    told = ((str(run_id), json.loads(str(extra))) for run_id, extra in session.execute(rows.order_by(Log.id)))
    return {run_id: tuple(one["task_ids"]) for run_id, one in told if one["session_id"] == session_id}


def recover(request: RecoverRequest) -> tuple[str, ...]:
    """Clear what failed, and what that kept from running, on the newest version of the DAG; the cleared task ids.

    AirflowConflict where the run or the DAG is not as it was looked at; RerunImpossible where the served DAG has not the task.
    """
    with locked_run(request.dag_id, request.run_id) as (session, run):
        require_terminal(run)
        _require_served(session, request)
        before = run.bundle_version
        cleared = _instances(session, run, request)
        task_ids = tuple(sorted({instance.task_id for instance in cleared}))
        clear_task_instances(cleared, session, dag_run_state=DagRunState.QUEUED, run_on_latest_version=True)
        done = {"session_id": request.session_id, "task_ids": task_ids, "from": before, "to": run.bundle_version}
        audit(session, run, RECOVERED, done)
        on = f" on {run.bundle_version[:12]}" if run.bundle_version else ""
        note(run, f"AgentFix session {request.session_id}: failed tasks run again{on}, with the merged fix.")
    log.info("Run %s of %s goes on with the merged fix, cleared: %s", request.run_id, request.dag_id, task_ids)
    return task_ids


def _require_served(session: Session, request: RecoverRequest) -> None:
    served = session.scalar(select(DagModel.bundle_version).where(DagModel.dag_id == request.dag_id))
    if served != request.version:
        raise AirflowConflict(
            f"Airflow serves DAG {request.dag_id!r} on {served!r}, no more on {request.version!r}. Look again, then decide."
        )


def _instances(session: Session, run: DagRun, request: RecoverRequest) -> list[TaskInstance]:
    dag = DBDagBag(load_op_links=False).get_latest_version_of_dag(run.dag_id, session=session)
    of_run = select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    instances = list(session.scalars(of_run))
    found: dict[Any, TaskInstance] = {}
    for failed in _failed(instances, request):
        if dag is None or not dag.has_task(failed.task_id):
            raise RerunImpossible(
                f"The DAG as Airflow serves it has no task {failed.task_id!r} any more, so run {run.run_id!r} cannot go on there."
            )
        found |= {one.id: one for one in (failed, *_kept_from_running(instances, dag, failed))}
    return list(found.values())


def _failed(instances: Collection[TaskInstance], request: RecoverRequest) -> Iterator[TaskInstance]:
    there = {(one.task_id, one.map_index): one for one in instances}
    for task_id, map_index, try_number in request.tasks:
        one = there.get((task_id, map_index))
        now = (_plain(one.state), one.try_number) if one else (None, 0)
        if one is None or now != ("failed", try_number):
            raise AirflowConflict(
                f"Task {task_id!r} (map index {map_index}) of run {request.run_id!r} is {now[0]} at try {now[1]}, no more failed "
                f"at try {try_number}. Look again, then decide."
            )
        yield one


def _kept_from_running(instances: Collection[TaskInstance], dag: Any, failed: TaskInstance) -> Iterator[TaskInstance]:
    """What is below and did not run because of it; and the setups and teardowns that those and the task itself need."""
    relevant = set(downstream(dag, failed.task_id)) - {failed.task_id}
    same_group = in_same_mapped_group(dag, failed.task_id, relevant)
    around = {task_id for task_id in relevant if dag.get_task(task_id).is_setup or dag.get_task(task_id).is_teardown}
    for one in instances:
        same_index = one.task_id not in same_group or one.map_index in (failed.map_index, -1)
        if one.task_id in relevant and same_index and _runs_again(one, one.task_id in around):
            yield one


def _runs_again(instance: TaskInstance, is_around: bool) -> bool:
    return instance.state == TaskInstanceState.UPSTREAM_FAILED or (
        is_around and instance.state not in (None, TaskInstanceState.REMOVED)
    )


def _plain(state: Any) -> str | None:
    return None if state is None else str(getattr(state, "value", state))

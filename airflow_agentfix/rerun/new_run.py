"""A new run like a failed one: for reruns that leave the failed run as it is. It owns the private Airflow calls that needs.

Invariant: the run and what of it is skipped come into being in one transaction, before the scheduler sees any of it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from airflow.exceptions import AirflowException  # type: ignore[attr-defined]  # exported lazily
from airflow.models import DagModel, DagRun, TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.sdk import timezone
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.orm import Session  # noqa: TID253 - as above

from airflow_agentfix.errors import AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import RunLike

log = logging.getLogger(__name__)

_DATES = 1000
"""logical dates tried: reruns of one run on its own DAG"""
_PARTITION = ("partition_key", "partition_date")
"""what a run of a partitioned DAG has, from Airflow 3.2 on"""


def start_like(wanted: RunLike) -> tuple[str, ...]:
    """Start the run, unless it is there; the ids of the tasks that judge it. RerunImpossible with Airflow's reason."""
    with create_session(scoped=False) as session:
        like = _run(session, wanted.like_dag_id, wanted.like_run_id)
        if like is None:
            raise AirflowNotFound(f"DAG {wanted.like_dag_id!r} has no run {wanted.like_run_id!r}.")
        dag = DBDagBag(load_op_links=False).get_latest_version_of_dag(wanted.dag_id, session=session)
        if dag is None:
            raise AirflowNotFound(f"No DAG {wanted.dag_id!r} in Airflow.")
        named = [task_id for task_id in wanted.task_ids if dag.has_task(task_id)]
        judging = _subset(dag, named, downstream=True) if named else set(dag.task_ids)
        if _run(session, wanted.dag_id, wanted.run_id) is None:
            _require_unpaused(session, wanted.dag_id)
            try:
                run = _created(session, dag, wanted, like)
            except (AirflowException, ValueError) as error:
                raise RerunImpossible(
                    f"Airflow refuses a run of {wanted.dag_id!r} like {wanted.like_run_id!r}: {error}"
                ) from error
            _skip(session, run, set(dag.task_ids) - _scope(dag, named, wanted.scope))
            log.info("Run %s of %s was started like %s of %s", run.run_id, run.dag_id, like.run_id, like.dag_id)
    return tuple(sorted(judging))


def _require_unpaused(session: Session, dag_id: str) -> None:
    if session.scalar(select(DagModel.is_paused).where(DagModel.dag_id == dag_id)):
        raise RerunImpossible(
            f"DAG {dag_id!r} is paused, so its run would not start. A person has to unpause it, in Airflow or "
            f"with: airflow dags unpause {dag_id}"
        )


def _run(session: Session, dag_id: str, run_id: str) -> DagRun | None:
    return session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))


def _created(session: Session, dag: Any, wanted: RunLike, like: DagRun) -> DagRun:
    logical_date = _free(session, wanted.dag_id, like.logical_date)
    run: DagRun = dag.create_dagrun(
        run_id=wanted.run_id,
        logical_date=logical_date,
        data_interval=_interval(like) if logical_date else None,
        run_after=timezone.utcnow(),
        conf={**(like.conf or {}), **wanted.conf},
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.REST_API,
        state=DagRunState.QUEUED,
        session=session,
    )
    for name in _PARTITION:  # not as arguments: a preview has no schedule, and only a partitioned one takes a key
        if getattr(like, name, None) is not None:
            setattr(run, name, getattr(like, name))
    run.consumed_asset_events.extend(like.consumed_asset_events)  # what its tasks read as `triggering_asset_events`
    run.note = wanted.note
    return run


def _interval(like: DagRun) -> tuple[datetime | None, datetime | None]:
    return (like.data_interval_start or like.logical_date, like.data_interval_end or like.logical_date)


def _free(session: Session, dag_id: str, logical_date: datetime | None) -> datetime | None:
    """The logical date, or the next one in microseconds that no run of the DAG has: Airflow takes each once."""
    if logical_date is None:
        return None
    dates = [logical_date + timedelta(microseconds=step) for step in range(_DATES)]
    between = (DagRun.logical_date >= dates[0], DagRun.logical_date <= dates[-1])
    taken = set(session.scalars(select(DagRun.logical_date).where(DagRun.dag_id == dag_id, *between)))
    free = next((date for date in dates if date not in taken), None)
    if free is None:
        raise RerunImpossible(f"DAG {dag_id!r} has {_DATES} runs of the logical date {logical_date}; delete reruns of it.")
    return free


def _scope(dag: Any, named: Collection[str], scope: str) -> set[str]:
    """What runs: with a scope other than `dag` the named tasks, with `downstream` what is below them, and all that these need."""
    if scope == "dag" or not named:
        return set(dag.task_ids)
    wanted = _subset(dag, named, downstream=True) if scope == "downstream" else set(named)
    return _subset(dag, wanted, upstream=True)


def _subset(dag: Any, task_ids: Iterable[str], *, downstream: bool = False, upstream: bool = False) -> set[str]:
    subset: Mapping[str, Any] = dag.partial_subset(
        task_ids=list(task_ids), include_downstream=downstream, include_upstream=upstream
    ).task_dict
    return set(subset)


def _skip(session: Session, run: DagRun, task_ids: Collection[str]) -> None:
    of_run = select(TaskInstance).where(TaskInstance.dag_id == run.dag_id, TaskInstance.run_id == run.run_id)
    for instance in session.scalars(of_run):
        if instance.task_id in task_ids:
            instance.set_state(TaskInstanceState.SKIPPED, session=session)

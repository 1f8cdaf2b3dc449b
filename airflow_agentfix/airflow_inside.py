"""Airflow from inside the API server: its database through its own functions, and its auth manager.

Each call is its own transaction. Private calls are kept to this module and `rerun`.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.api.common.mark_tasks import set_dag_run_state_to_success
from airflow.api.common.trigger_dag import trigger_dag
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.configuration import conf
from airflow.exceptions import DagRunAlreadyExists
from airflow.models import DagModel, DagRun, Log, TaskInstance
from airflow.models.dagbag import DBDagBag
from airflow.models.hitl import HITLDetail
from airflow.models.serialized_dag import SerializedDagModel
from airflow.sdk import timezone
from airflow.utils.session import create_session
from airflow.utils.state import State
from airflow.utils.types import DagRunTriggeredByType
from rapidfuzz import process
from sqlalchemy import or_, select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway
from sqlalchemy.exc import IntegrityError  # noqa: TID253 - as above
from sqlalchemy.orm import Session  # noqa: TID253 - as above
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from airflow_agentfix.airflow_login import airflow_connection
from airflow_agentfix.code.repositories import bundle_config
from airflow_agentfix.core.incident import DagFacts, TaskFacts, TaskRef
from airflow_agentfix.core.recovery import Scene
from airflow_agentfix.core.shape import shape_of
from airflow_agentfix.errors import (
    AirflowConflict,
    AirflowForbidden,
    AirflowNotFound,
    AirflowRefused,
    ConfigurationError,
    RerunImpossible,
)
from airflow_agentfix.ports import (
    HumanAnswer,
    Json,
    Pinned,
    PinRequest,
    Preview,
    Question,
    RecoverRequest,
    RunLike,
    RunSeen,
    TaskStates,
    UnpinRequest,
)
from airflow_agentfix.rerun import pin as pinning
from airflow_agentfix.rerun import preview as previewing
from airflow_agentfix.rerun import recovery as recovering
from airflow_agentfix.rerun import seen as seeing
from airflow_agentfix.rerun.new_run import start_like
from airflow_agentfix.rerun.states import task_states

log = logging.getLogger(__name__)

ASK_DAG = "agentfix_ask"
ASK_TASK = "question"
SETTLE_SECONDS = 8.0
"""An answer before the scheduler knows that a task parked makes Airflow fail that task: "reported that the task instance finished
with state success, but the task instance's state attribute is queued" (seen on 3.3.2). Why that long: operators.triggers."""
_READ = (("GET", DagAccessEntity.RUN), ("GET", DagAccessEntity.TASK_LOGS), ("GET", DagAccessEntity.CODE))
_EDIT = (*_READ, ("PUT", DagAccessEntity.RUN), ("PUT", DagAccessEntity.TASK_INSTANCE))
"""What Airflow's own routes ask for: a session shows runs, log lines and code; a rerun changes the run and clears tasks."""


_BY_HAND = (
    "bulk_dag_runs",
    "bulk_task_instances",
    "delete_dag_run",
    "patch_dag_run",
    "patch_task_group",
    "patch_task_group_instances",
    "patch_task_instance",
)
"""events of the audit log by which a person sets a run or its tasks to an end, or only notes something"""
_SETS_STATE = re.compile(r'(?<!\\)"(?:new_)?state"\s*:')
"""a key of the row's JSON; the same word in a note is escaped there, or no key"""


class _NotShownYet(Exception):
    """The question's task has not put its question under Required Actions yet."""


class AirflowInside:
    """`ports.ServerAirflow`. Answers given through it wait up to `patience` seconds for a question that is just being shown."""

    def __init__(self, *, patience: float = 20.0, settle: float = SETTLE_SECONDS) -> None:
        self.patience = patience
        self.settle = timedelta(seconds=settle)

    def dag(self, dag_id: str) -> DagFacts:
        """The DAG as it was parsed last."""
        with create_session(scoped=False) as session:
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
                fileloc=model.fileloc,
            )

    def resolve(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskFacts:
        """The task instance as it stands; AirflowNotFound names what is unknown and what comes near."""
        with create_session(scoped=False) as session:
            instance = session.scalar(_instances(dag_id, run_id).where(
                TaskInstance.task_id == task_id, TaskInstance.map_index == map_index
            ))  # fmt: skip
            if instance is None:
                raise AirflowNotFound(_what_is_unknown(session, dag_id, run_id, task_id, map_index))
            return _facts(instance)

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run; one that exists is left alone. ConfigurationError if the DAG is missing, stale or paused."""
        if self.run_state(dag_id, run_id) is not None:
            return
        _require_runnable(dag_id)
        try:
            trigger_dag(dag_id, triggered_by=DagRunTriggeredByType.REST_API, run_id=run_id, conf=dict(conf))
        except (DagRunAlreadyExists, IntegrityError):
            log.info("Run %s of %s was started by another request", run_id, dag_id)
        except ValueError as error:
            raise ConfigurationError(f"Airflow refuses run {run_id!r} of DAG {dag_id!r}: {error}") from error

    def run_state(self, dag_id: str, run_id: str) -> str | None:
        """The run's state, None if there is no such run."""
        with create_session(scoped=False) as session:
            state = session.scalar(select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            return None if state is None else str(getattr(state, "value", state))

    def task_states(self, dag_id: str, run_id: str, task_ids: Sequence[str]) -> tuple[TaskStates, ...]:
        """See `rerun.states.task_states`."""
        return task_states(dag_id, run_id, task_ids)

    def run_states(self, dag_id: str, run_ids: Collection[str]) -> Mapping[str, str]:
        """See `rerun.seen.states`."""
        return seeing.states(dag_id, run_ids)

    def run_seen(self, dag_id: str, run_id: str, *, task_ids: Collection[str]) -> RunSeen | None:
        """See `rerun.seen.run_seen`."""
        return seeing.run_seen(dag_id, run_id, task_ids=task_ids)

    def ask(self, question: Question) -> None:
        """Start the run of agentfix_ask that shows the question. AirflowConflict if a run of that id shows another one."""
        conf = {
            "subject": question.subject,
            "body": question.body,
            "options": list(question.options),
            "assigned_users": list(question.assigned_users),
            **({"answer_hours": question.hours} if question.hours else {}),
        }
        self.start_run(ASK_DAG, run_id=question.run_id, conf=conf)
        with create_session(scoped=False) as session:
            shown = session.scalar(select(DagRun.conf).where(DagRun.dag_id == ASK_DAG, DagRun.run_id == question.run_id))
        if shown != conf:
            # Whoever may trigger agentfix_ask could have made it, with words and assigned users of their own.
            raise AirflowConflict(f"Run {question.run_id!r} of {ASK_DAG} exists and shows another question. Delete that run.")

    def answer(self, run_id: str) -> HumanAnswer | None:
        """What was answered under Required Actions and by which user id, None while nobody has."""
        with create_session(scoped=False) as session:
            detail = _question(session, run_id)
            if detail is None or detail.responded_at is None or not detail.chosen_options:
                return None
            return HumanAnswer(
                option=str(detail.chosen_options[0]),
                message=str((detail.params_input or {}).get("message") or ""),
                user=str((detail.responded_by or {}).get("id", "")),
            )

    def give_answer(self, run_id: str, *, option: str, message: str, user: Any) -> None:
        """Answer in the person's name, by Airflow's own rules: assigned users only, and once."""
        waits = Retrying(
            retry=retry_if_exception_type(_NotShownYet), stop=stop_after_delay(self.patience), wait=wait_fixed(0.5), reraise=True
        )
        try:
            waits(_give_answer, run_id, option, message, user, self.settle)
        except _NotShownYet:
            state = self.run_state(ASK_DAG, run_id)
            raise AirflowConflict(
                f"The question of run {run_id!r} is not shown yet (the run is {state}). Try again soon."
            ) from None

    def withdraw(self, run_id: str, *, reason: str) -> None:
        """End the run of a question, shown or not, whoever it was put to; its note says why. One that has ended is left alone."""
        with create_session(scoped=False) as session:
            asks = (DagRun.dag_id == ASK_DAG, DagRun.run_id == run_id)
            run = session.get(DagRun, session.scalar(select(DagRun.id).where(*asks).with_for_update()) or -1)
            if run is None or run.state in State.finished_dr_states:
                return
            dag = DBDagBag(load_op_links=False).get_dag_for_run(run, session=session)
            if dag is None:
                raise AirflowNotFound(f"Airflow no longer has the serialized DAG of run {run_id!r} of {ASK_DAG}; end it by hand.")
            run.note = reason
            set_dag_run_state_to_success(dag=dag, run_id=run_id, commit=True, session=session)

    def require_pinnable(self, dag_id: str, run_id: str) -> None:
        """See `rerun.pin.require_pinnable`."""
        pinning.require_pinnable(dag_id, run_id)

    def pin(self, request: PinRequest) -> Pinned:
        """See `rerun.pin.pin`."""
        return pinning.pin(request)

    def end_pin(self, request: UnpinRequest) -> str | None:
        """See `rerun.pin.end_pin`."""
        return pinning.end_pin(request)

    def preview_bundle(self, url: str) -> str | None:
        """See `rerun.preview.bundle_of`."""
        return previewing.bundle_of(url, bundle_config(), airflow_connection)

    def is_served(self, preview: Preview) -> bool:
        """See `rerun.preview.is_served`."""
        return previewing.is_served(preview)

    def preview_error(self, preview: Preview) -> str | None:
        """See `rerun.preview.import_error`."""
        return previewing.import_error(preview)

    def start_like(self, wanted: RunLike) -> tuple[str, ...]:
        """See `rerun.new_run.start_like`."""
        return start_like(wanted)

    def params(self, dag_id: str) -> Json:
        """The DAG's params with their defaults."""
        with create_session(scoped=False) as session:
            dag = DBDagBag(load_op_links=False).get_latest_version_of_dag(dag_id, session=session)
            if dag is None:
                raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
            return dict(dag.params.dump())

    def run_conf(self, dag_id: str, run_id: str) -> Json:
        """The conf of a run."""
        with create_session(scoped=False) as session:
            run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            if run is None:
                raise AirflowNotFound(f"DAG {dag_id!r} has no run {run_id!r}.")
            return dict(run.conf or {})

    def ended_by_hand(self, dag_id: str, run_id: str, *, task_ids: Sequence[str], since: str) -> str | None:
        """By Airflow's audit log."""
        of_run = (Log.dag_id == dag_id, Log.run_id == run_id, Log.dttm >= datetime.fromisoformat(since))
        of_tasks = or_(Log.task_id.is_(None), Log.task_id.in_(task_ids))
        with create_session(scoped=False) as session:
            rows = session.scalars(select(Log).where(*of_run, of_tasks, Log.event.in_(_BY_HAND)).order_by(Log.id)).all()
            ends = [row for row in rows if row.event == "delete_dag_run" or _SETS_STATE.search(row.extra or "")]
            return f"{ends[-1].owner} ({ends[-1].event})" if ends else None

    def scene(self, dag_id: str, failures: Sequence[TaskRef], *, session_id: str) -> Scene:
        """See `rerun.recovery.scene`."""
        return recovering.scene(dag_id, failures, session_id=session_id)

    def recover(self, request: RecoverRequest) -> tuple[str, ...]:
        """See `rerun.recovery.recover`."""
        return recovering.recover(request)

    def run_version(self, dag_id: str, run_id: str) -> str | None:
        """The bundle version the run is on."""
        with create_session(scoped=False) as session:
            return session.scalar(select(DagRun.bundle_version).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))

    def served_version(self, dag_id: str) -> str | None:
        """The bundle version of the DAG's last parse, which new runs are created on."""
        with create_session(scoped=False) as session:
            return session.scalar(select(DagModel.bundle_version).where(DagModel.dag_id == dag_id))

    def shape(self, dag_id: str, run_id: str) -> Json:
        """The shape of the serialized DAG the run was created with."""
        with create_session(scoped=False) as session:
            run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
            if run is None:
                raise AirflowNotFound(f"DAG {dag_id!r} has no run {run_id!r}.")
            of_version = select(SerializedDagModel).where(SerializedDagModel.dag_version_id == run.created_dag_version_id)
            serialized = session.scalar(of_version)
            if serialized is None or not serialized.data:
                raise RerunImpossible(
                    f"Airflow no longer has the serialized DAG of run {run_id!r} of {dag_id!r}. Trigger a new run."
                )
            return shape_of(serialized.data)

    def may(self, user: Any, dag_id: str, *, edit: bool) -> bool:
        """Whether the auth manager lets this person see, or edit, the runs of this DAG."""
        return _allows(user, DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id)), _EDIT if edit else _READ)

    def readable(self, user: Any, dag_ids: Collection[str]) -> frozenset[str]:
        """Asked for each: what an auth manager tells of many at once is about DAGs, not about their runs, logs and code."""
        teams = _teams(dag_ids)
        return frozenset(one for one in dag_ids if _allows(user, DagDetails(id=one, team_name=teams.get(one)), _READ))

    def one_user_for_all(self) -> bool:
        """Whether the simple auth manager lets everybody in as the same admin."""
        from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

        # Its very class: another manager built on it may know people whatever this option says.
        simple = type(get_auth_manager()) is SimpleAuthManager
        return simple and conf.getboolean("core", "simple_auth_manager_all_admins")


def _allows(user: Any, details: DagDetails, wanted: Sequence[tuple[str, DagAccessEntity]]) -> bool:
    manager = get_auth_manager()
    return all(
        manager.is_authorized_dag(method=method, access_entity=entity, details=details, user=user)  # type: ignore[arg-type]  # Literal
        for method, entity in wanted
    )


def _teams(dag_ids: Collection[str]) -> Mapping[str, str | None]:
    """In one query where Airflow has one: from 3.2 on; before, there are no teams."""
    of_many = getattr(DagModel, "get_dag_id_to_team_name_mapping", None)
    return of_many(list(dag_ids)) if of_many else {one: DagModel.get_team_name(one) for one in dag_ids}


def _instances(dag_id: str, run_id: str) -> Any:
    return select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)


def _facts(instance: TaskInstance) -> TaskFacts:
    return TaskFacts(
        task_id=instance.task_id,
        map_index=instance.map_index,
        try_number=instance.try_number,
        state=None if instance.state is None else str(getattr(instance.state, "value", instance.state)),
        operator=instance.operator,
        max_tries=instance.max_tries,
        start_date=instance.start_date.isoformat() if instance.start_date else None,
        end_date=instance.end_date.isoformat() if instance.end_date else None,
        duration=instance.duration,
        hostname=instance.hostname,
        pool=instance.pool,
        queue=instance.queue,
        dag_version=str(instance.dag_version.version_number) if instance.dag_version else None,
    )


def _what_is_unknown(session: Session, dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    """Which of DAG, run, task and map index is not there. Names of other DAGs are not for everybody, so none are given."""
    if session.get(DagModel, dag_id) is None:
        return f"No DAG {dag_id!r} in Airflow."
    runs = session.scalars(select(DagRun.run_id).where(DagRun.dag_id == dag_id).order_by(DagRun.id.desc()).limit(1000)).all()
    if run_id not in runs and session.scalar(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)) is None:
        return f"DAG {dag_id!r} has no run {run_id!r}. {_near(run_id, runs)}"
    instances = session.scalars(_instances(dag_id, run_id)).all()
    tasks = {instance.task_id for instance in instances}
    if task_id not in tasks:
        return f"Run {run_id!r} of DAG {dag_id!r} has no task {task_id!r}. {_near(task_id, sorted(tasks))}"
    indexes = sorted(instance.map_index for instance in instances if instance.task_id == task_id)
    known = "is not mapped: leave the map index out" if indexes == [-1] else f"has map indexes {indexes[0]} to {indexes[-1]}"
    return f"Task {task_id!r} of run {run_id!r} of DAG {dag_id!r} has no map index {map_index}; it {known}."


def _near(wanted: str, names: Any) -> str:
    near = [name for name, _, _ in process.extract(wanted, names, limit=3, score_cutoff=60)]
    if near:
        return f"Near to it: {', '.join(map(repr, near))}."
    return f"It has: {', '.join(map(repr, names[:3]))}." if names else "It has none."


def _require_runnable(dag_id: str) -> None:
    with create_session(scoped=False) as session:
        model = session.get(DagModel, dag_id)
        missing, paused = model is None or model.is_stale, model is not None and model.is_paused
    if missing:
        raise ConfigurationError(
            f"Airflow has no DAG {dag_id!r}. Add AgentFix's DAGs to [dag_processor] dag_bundle_config_list: "
            '{"name": "agentfix", "classpath": "airflow_agentfix.bundles.AgentFixDags", "kwargs": {}} '
            "and see that the DAG processor runs and finds no import error in it."
        )
    if paused:
        raise ConfigurationError(
            f"DAG {dag_id!r} is paused, so its run would not start. Unpause it, in Airflow or with: airflow dags unpause {dag_id}"
        )


def _question(session: Session, run_id: str) -> HITLDetail | None:
    return session.scalar(select(HITLDetail).where(_is_of(run_id)))


def _is_of(run_id: str) -> Any:
    instance = _instances(ASK_DAG, run_id).where(TaskInstance.task_id == ASK_TASK).with_only_columns(TaskInstance.id)
    return HITLDetail.ti_id.in_(instance)


def _give_answer(run_id: str, option: str, message: str, user: Any, settle: timedelta) -> None:
    from airflow.api_fastapi.core_api.datamodels.hitl import UpdateHITLDetailPayload
    from airflow.api_fastapi.core_api.routes.public.hitl import update_hitl_detail

    with create_session(scoped=False) as session:
        # Not the row: before 3.3 it brings a task instance without its question (a noload relationship), and Airflow's
        # route, in the same session, would then find none.
        shown = session.scalar(select(HITLDetail.created_at).where(_is_of(run_id)))
        if shown is None or timezone.utcnow() - shown < settle:
            _require_going(session, run_id)
            raise _NotShownYet
        payload = UpdateHITLDetailPayload(chosen_options=[option], params_input={"message": message})
        _by_airflow(lambda: update_hitl_detail(
            dag_id=ASK_DAG, dag_run_id=run_id, task_id=ASK_TASK, update_hitl_detail_payload=payload, user=user, session=session
        ))  # fmt: skip
        # Airflow's route writes this as a dependency, which a direct call does not run.
        session.add(Log(
            event="update_hitl_detail", owner=user.get_name(), owner_display_name=user.get_name(),
            dag_id=ASK_DAG, run_id=run_id, task_id=ASK_TASK, extra=json.dumps({"chosen_options": [option], "via": "agentfix"}),
        ))  # fmt: skip


def _require_going(session: Session, run_id: str) -> None:
    """A question that is not shown will be, unless its run ended or never was."""
    state = session.scalar(select(DagRun.state).where(DagRun.dag_id == ASK_DAG, DagRun.run_id == run_id))
    if state is None:
        raise AirflowNotFound(f"{ASK_DAG} has no run {run_id!r}.")
    if state in State.finished_dr_states:
        raise AirflowConflict(f"Run {run_id!r} of {ASK_DAG} ended as {state} without showing its question. Look at its log.")


def _by_airflow(call: Callable[[], object]) -> None:
    from fastapi import HTTPException

    kinds = {403: AirflowForbidden, 404: AirflowNotFound, 409: AirflowConflict}
    try:
        call()
    except HTTPException as error:
        raise kinds.get(error.status_code, AirflowRefused)(str(error.detail)) from error

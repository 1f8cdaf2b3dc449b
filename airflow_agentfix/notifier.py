"""The on-failure callback: tells AgentFix of a failed task in one request and never makes the failure worse.

Invariant: nothing raised here reaches the task. What could not be handed over is found by the triage DAG.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.notifier import BaseNotifier

from airflow_agentfix.core.policy import Autonomy, is_own
from airflow_agentfix.errors import AirflowNotFound, ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk.definitions.context import Context

    from airflow_agentfix.airflow_http import AirflowHttp
    from airflow_agentfix.store.wire import Taken

log = logging.getLogger(__name__)

MESSAGE_READ = 20_000
MESSAGE_SENT = 1_000


@dataclass(frozen=True)
class Failed:
    """What a callback's context says of a failure. `task_id` is None where it says only which run failed."""

    dag_id: str
    run_id: str
    task_id: str | None = None
    try_number: int | None = None
    map_index: int = -1
    hint: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return "/".join(part for part in (self.dag_id, self.run_id, self.task_id) if part)


class AgentFixNotifier(BaseNotifier):
    """
    Hand a failed task over to AgentFix: ``on_failure_callback=AgentFixNotifier(autonomy="propose")``, on a task or a DAG.

    :param autonomy: how far the session may go at most: report, propose, rerun or recover; the deployment's ceiling holds
    """

    def __init__(self, *, autonomy: str | None = None) -> None:
        super().__init__()
        self.autonomy = _checked(autonomy)

    def notify(self, context: Context) -> None:
        """Hand over and log one line that says how it went."""
        try:
            self._hand_over(context)
        except Exception as error:  # the boundary to the user's task, whose own failure must stay the one that counts
            name = type(error).__name__
            log.warning("AgentFix was not told of this failure (%s: %s). Its triage DAG will find it.", name, _told(error))

    def _hand_over(self, context: Context) -> None:
        if _will_retry(context):
            log.info("AgentFix waits for the last try: this one will be retried. Use on_failure_callback, not on_retry_callback.")
            return
        failed = failed_of(context)
        if is_own(failed.dag_id):
            log.info("AgentFix does not work on its own DAG %s.", failed.dag_id)
            return
        taken = _send(failed, autonomy=self.autonomy)
        if taken.warning:
            log.warning("AgentFix session %s has %s, but: %s", taken.id, failed, taken.warning)
        else:
            log.info("AgentFix session %s (%s) has taken over %s.", taken.id, taken.state, failed)


def agentfix_on_failure(*, autonomy: str | None = None) -> AgentFixNotifier:
    """
    Return a callback that hands a failure over to AgentFix: ``on_failure_callback=agentfix_on_failure()``.

    :param autonomy: how far the session may go at most: report, propose, rerun or recover; the deployment's ceiling holds
    """
    return AgentFixNotifier(autonomy=autonomy)


def failed_of(context: Mapping[str, Any]) -> Failed:
    """What failed, by a callback's context. Raises ConfigurationError for a context that is none of a callback."""
    ti = context.get("ti") or context.get("task_instance")
    if ti is None or "reason" in context:
        return _failed_run(context, ti)
    map_index = -1 if ti.map_index is None else ti.map_index
    return Failed(ti.dag_id, ti.run_id, ti.task_id, ti.try_number, map_index, _hint(context.get("exception")))


def _failed_run(context: Mapping[str, Any], ti: Any) -> Failed:
    """A DAG-level callback: Airflow names the run, and sometimes a task instance, which need not be the one that failed."""
    hint = _hint(context.get("reason"))
    if ti is not None:
        return Failed(ti.dag_id, ti.run_id, hint=hint)
    dag, run_id = context.get("dag"), context.get("run_id")
    if dag is None or not run_id:
        raise ConfigurationError(
            f"The callback's context has {sorted(context)!r}; expected a task instance, or a DAG and its run. "
            "Use AgentFix as on_failure_callback of a task or a DAG."
        )
    return Failed(dag.dag_id, run_id, hint=hint)


def _send(failed: Failed, *, autonomy: str | None) -> Taken:
    from airflow_agentfix.airflow_login import connect  # requests: paid for when a task has failed, not when a DAG is parsed
    from airflow_agentfix.settings import Settings
    from airflow_agentfix.store.client import SessionsApi

    settings = Settings.load()
    http = connect(settings, timeout=settings.callback_timeout, retries=0)
    if failed.task_id is None:
        failed = _first_failed(failed, http)
    return SessionsApi(http).intake(
        dag_id=failed.dag_id,
        run_id=failed.run_id,
        task_id=str(failed.task_id),
        try_number=failed.try_number,
        map_index=failed.map_index,
        source="callback",
        autonomy=autonomy,
        hint=failed.hint,
    )


def _first_failed(failed: Failed, http: AirflowHttp) -> Failed:
    """The failed task instance of the run that ended first: later ones may be its victims."""
    from airflow_agentfix.airflow_api import RestAirflowApi

    tasks = [task for task in RestAirflowApi(http).task_instances(failed.dag_id, failed.run_id) if task.state == "failed"]
    if not tasks:
        raise AirflowNotFound(f"Run {failed.run_id!r} of {failed.dag_id!r} has no failed task instance; nothing to hand over.")
    first = min(tasks, key=lambda task: task.end_date or "9")
    return Failed(failed.dag_id, failed.run_id, first.task_id, first.try_number, first.map_index, failed.hint)


def _will_retry(context: Mapping[str, Any]) -> bool:
    """The task runner sets the state before it calls back; in the DAG processor there is none."""
    return bool(getattr(context.get("ti"), "state", None) == "up_for_retry")


def _hint(cause: object) -> Mapping[str, str]:
    if not cause:
        return {}
    kind = type(cause).__name__ if isinstance(cause, BaseException) else ""
    return {"exception": kind, "message": _redacted(str(cause))}


def _told(error: Exception) -> str:
    from airflow_agentfix.redaction import told

    return told(error)[:MESSAGE_SENT]


def _redacted(text: str) -> str:
    from airflow_agentfix.redaction import redact

    return redact(text[:MESSAGE_READ])[:MESSAGE_SENT]


def _checked(autonomy: str | None) -> str | None:
    """A typo is an import error of the DAG file, where its author sees it, and not a warning at the next failure."""
    if autonomy is not None and autonomy not in list(Autonomy):
        raise ConfigurationError(f"autonomy is {autonomy!r}; expected one of {', '.join(Autonomy)}.")
    return autonomy

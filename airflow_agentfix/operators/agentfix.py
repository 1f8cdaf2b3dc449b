"""AgentFixOperator: drives one session until it ends or waits. A waiting session holds no worker slot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseOperator, BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey
    from airflow.triggers.base import BaseTrigger

    from airflow_agentfix.core.session import Session
    from airflow_agentfix.driver import Driver
    from airflow_agentfix.ports import WaitRun

POLL_SECONDS = 2.0
PREVIEW_SECONDS = 15.0
"""between two looks for a preview's DAG"""


class PullRequestLink(BaseOperatorLink):
    """The fix's pull request on the code host."""

    name = "Pull request"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        return getattr(operator, "pull_request", None) or ""


class FailedRunLink(BaseOperatorLink):
    """The run the session is about; after a pin it is also the rerun."""

    name = "Failed run"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        return getattr(operator, "failed_run", None) or ""


class AgentFixOperator(BaseOperator):
    """
    Drive one AgentFix session until it is done.

    :param session_id: the session; by default the triggering run's conf names it. (templated)

    Returns (XCom): {session_id, state, outcome, summary, fix_branch, fix_commit, pull_request}. The task fails only where the
    session ended `failed`: a failure of ours, not one of the DAG that was looked at.
    """

    template_fields: Sequence[str] = ("session_id",)
    operator_extra_links = (PullRequestLink(), FailedRunLink())
    ui_color = "#e8f0fe"

    def __init__(self, *, session_id: str = "{{ dag_run.conf['session_id'] }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.session_id = session_id
        self.pull_request: str | None = None
        self.failed_run: str | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        return self._drive(context)

    def resume(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Called when what the session waited for is there; what it was is read from the session, not from the event."""
        return self._drive(context)

    def driver(self) -> Driver:
        """What drives the session, over REST."""
        from airflow_agentfix.wiring import build_driver

        return build_driver()

    def _drive(self, context: Context) -> dict[str, Any]:
        from airflow_agentfix.core.session import Session  # workers only, never at DAG parsing

        ti = context["ti"]
        worker = f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.try_number}"
        last_try = ti.try_number > (ti.max_tries or 0)
        result = self.driver().drive(self.session_id, worker=worker, last_try=last_try)
        if isinstance(result, Session):
            return self._ended(result)
        return self._wait(result)

    def _wait(self, wait: WaitRun) -> NoReturn:
        self.log.info("Session %s waits for %s: run %s of %s", self.session_id, wait.waiting_for, wait.run_id, wait.dag_id)
        self.defer(trigger=self._trigger(wait), method_name="resume")

    def _trigger(self, wait: WaitRun) -> BaseTrigger:
        from airflow.utils.state import DagRunState

        from airflow_agentfix.core.session import WaitFor
        from airflow_agentfix.operators.triggers import AnsweredTrigger, PauseTrigger, RunEndedTrigger

        if wait.waiting_for is WaitFor.PREVIEW:
            return PauseTrigger(seconds=PREVIEW_SECONDS)
        kind = AnsweredTrigger if wait.waiting_for is WaitFor.PERSON else RunEndedTrigger
        return kind(
            dag_id=wait.dag_id,
            run_ids=[wait.run_id],
            states=[DagRunState.SUCCESS, DagRunState.FAILED],
            poll_interval=POLL_SECONDS,
            until=wait.until,
        )

    def _ended(self, session: Session) -> dict[str, Any]:
        try:
            from airflow.sdk.exceptions import AirflowFailException
        except ImportError:  # on 3.1
            from airflow.exceptions import AirflowFailException  # type: ignore[no-redef]  # its home before

        from airflow.configuration import conf

        from airflow_agentfix.core.session import Outcome
        from airflow_agentfix.core.urls import ui_url

        self.pull_request = session.pull_request
        self.failed_run = ui_url(conf.get("api", "base_url", fallback=None) or "", session.dag_id, session.run_id)
        self.log.info("Session %s is %s: %s", session.id, session.outcome, session.summary)
        if session.outcome is Outcome.FAILED:
            # It is done: a retry has nothing to do.
            raise AirflowFailException(f"Session {session.id!r} failed: {session.summary}")
        return {
            "session_id": session.id,
            "state": str(session.state),
            "outcome": str(session.outcome),
            "summary": session.summary,
            "fix_branch": session.fix_branch,
            "fix_commit": session.fix_commit,
            "pull_request": session.pull_request,
        }

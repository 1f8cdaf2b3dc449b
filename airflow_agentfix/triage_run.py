"""What one run of the triage DAG does: finds failures that nobody reported and hands them to the intake; its report.

Invariant: nothing is missed between two runs: the watermark is the start of the last triage run that succeeded, and a run
that could not ask or could not hand over fails, so the next one looks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Protocol

from airflow_agentfix.core.incident import RunFacts
from airflow_agentfix.core.policy import is_own
from airflow_agentfix.core.session import Session, State
from airflow_agentfix.errors import AgentFixError, AirflowUnreachable, RateLimited, StoreUnavailable
from airflow_agentfix.pins import Settled
from airflow_agentfix.pins import lines as pin_lines
from airflow_agentfix.recoveries import Looked
from airflow_agentfix.recoveries import lines as recovery_lines
from airflow_agentfix.redaction import redact
from airflow_agentfix.reviews import Heard
from airflow_agentfix.reviews import lines as review_lines

TRIAGE_DAG = "agentfix_triage"
FIRST_LOOK = timedelta(days=1)
LONGEST_LOOK = timedelta(days=7)
"""A triage that was off for longer starts with the last days: older failures are somebody's already, or nobody's."""


@dataclass(frozen=True)
class FailedTask:
    """A failed task instance of a finished run."""

    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    map_index: int
    end_date: str | None

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.run_id} · {self.task_id}{mapped} try {self.try_number}"


@dataclass(frozen=True)
class Handed:
    """What became of one failure: `session` has it, or `refused` says why it could not be handed over."""

    task: FailedTask
    session: str | None = None
    refused: str | None = None


@dataclass(frozen=True)
class Report:
    """What one triage run found: failures new to us, how many were known before, files that do not import, pins to end, runs to
    recover."""

    since: datetime
    handed: tuple[Handed, ...] = ()
    known: int = 0
    import_errors: tuple[Mapping[str, Any], ...] = ()
    pins: tuple[Settled, ...] = ()
    recoveries: tuple[Looked, ...] = ()
    comments: tuple[Heard, ...] = ()
    left: int = 0
    """failures that were not handed over: the rate of intakes was reached"""

    def require_whole(self) -> None:
        """Raises RateLimited where something is left: the triage run fails, so that the next one looks again."""
        if self.left:
            raise RateLimited(_left_line(self))


class Failures(Protocol):
    """Airflow as the triage run sees it."""

    def triage_runs(self) -> Sequence[RunFacts]:
        """The triage DAG's own runs, newest first."""

    def failed_tasks(self, *, since: datetime) -> Iterable[FailedTask]:
        """Failed task instances of all runs that finished at or after `since`."""

    def import_errors(self) -> Sequence[Mapping[str, Any]]: ...


class Intake(Protocol):
    """AgentFix's sessions as the triage run sees them."""

    def sessions_of(self, dag_id: str) -> Sequence[Session]: ...

    def take(self, task: FailedTask) -> str:
        """Hand the failure over; returns the session's id."""


def triage(airflow: Failures, intake: Intake, *, now: datetime) -> Report:
    """Hand over the failed tasks of runs that ended since the watermark and that no session knows."""
    since = watermark(airflow.triage_runs(), now=now)
    failed = in_order(task for task in airflow.failed_tasks(since=since) if not is_own(task.dag_id))
    new = list(_unknown(failed, intake))
    handed = tuple(_hand_over_all(new, intake))
    return Report(
        since=since,
        handed=handed,
        left=len(new) - len(handed),
        known=len(failed) - len(new),
        import_errors=tuple(airflow.import_errors()),
    )


def watermark(runs: Sequence[RunFacts], *, now: datetime) -> datetime:
    """Failures before it were looked at: the start of the newest triage run that succeeded, bounded by LONGEST_LOOK."""
    starts = [datetime.fromisoformat(run.start_date) for run in runs if run.state == "success" and run.start_date]
    if starts:
        return max(*starts, now - LONGEST_LOOK)
    return now - (LONGEST_LOOK if any(run.state == "failed" for run in runs) else FIRST_LOOK)


def in_order(tasks: Iterable[FailedTask]) -> list[FailedTask]:
    """By DAG and run, what failed first of a run at its head: its session is there before those that may be its doing."""
    return sorted(tasks, key=lambda task: (task.dag_id, task.run_id, task.end_date or "9", task.task_id, task.map_index))


def knows(session: Session, task: FailedTask) -> bool:
    """The session is about this try, or was still at work on the task when this try ended (its own rerun, say).

    One that is open has no worker yet: handing the failure over again gives it one.
    """
    if session.state is State.OPEN:
        return False
    if (session.run_id, session.task_id, session.map_index) != (task.run_id, task.task_id, task.map_index):
        return False
    if session.state is not State.DONE or session.try_number is None or session.try_number >= task.try_number:
        return True
    return not task.end_date or datetime.fromisoformat(session.updated_at) >= datetime.fromisoformat(task.end_date)


def _unknown(tasks: Iterable[FailedTask], intake: Intake) -> Iterable[FailedTask]:
    for dag_id, of_dag in groupby(tasks, key=lambda task: task.dag_id):
        sessions = intake.sessions_of(dag_id)
        yield from (task for task in of_dag if not any(knows(session, task) for session in sessions))


def _hand_over_all(tasks: Iterable[FailedTask], intake: Intake) -> Iterator[Handed]:
    """As many as the rate of intakes lets through."""
    for task in tasks:
        try:
            yield _hand_over(task, intake)
        except RateLimited:
            return


def _hand_over(task: FailedTask, intake: Intake) -> Handed:
    try:
        return Handed(task, session=intake.take(task))
    except (AirflowUnreachable, RateLimited, StoreUnavailable):
        raise  # the next triage run will try again from the same watermark
    except AgentFixError as error:  # this failure is refused for good; the others are not
        return Handed(task, refused=str(error))


def render(report: Report) -> str:
    """The report as text, grouped by DAG; redacted, because import errors quote code."""
    count = len(report.handed)
    head = f"Triage since {report.since.isoformat(timespec='seconds')}: {count} new, {report.known} known before."
    left = [_left_line(report)] if report.left else []
    handed, broken = _dag_lines(report.handed), _import_lines(report.import_errors)
    told = [head, *handed, *left, *broken, *pin_lines(report.pins), *recovery_lines(report.recoveries)]
    return redact("\n".join([*told, *review_lines(report.comments)]))


def _left_line(report: Report) -> str:
    return (
        f"{report.left} failed tasks are not handed over yet: the intake takes no more within a minute ([agentfix] "
        "intake_per_minute). This run fails for it, and the next triage run goes on from where this one began."
    )


def _dag_lines(handed: Sequence[Handed]) -> Iterable[str]:
    for dag_id, group in groupby(handed, key=lambda one: one.task.dag_id):
        ones = list(group)
        yield f"{dag_id}: {len(ones)} failed task{'s' if len(ones) > 1 else ''}"
        for one in ones:
            yield f"  {one.task}: {f'session {one.session}' if one.session else f'not handed over: {one.refused}'}"


def _import_lines(errors: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if errors:
        yield f"DAG files that do not import: {len(errors)}"
    for error in errors:
        last = (str(error.get("stack_trace") or "").strip().splitlines() or ["no stack trace"])[-1]
        yield f"  {error.get('filename')} (bundle {error.get('bundle_name')}): {last.strip()}"

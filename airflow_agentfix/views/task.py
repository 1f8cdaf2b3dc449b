"""The tab of a task instance: what it is about, which session is on it, what it has to say where nothing was started.

Invariant: who may not read the DAG learns nothing, not even whether the task is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_agentfix.core.circumstances import Changes
from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.policy import is_own
from airflow_agentfix.core.previews import is_preview
from airflow_agentfix.core.session import Outcome, Session, State
from airflow_agentfix.errors import AgentFixError, AirflowNotFound, CodeError, ConfigurationError
from airflow_agentfix.evidence.precedent import precedents
from airflow_agentfix.inspections import Inspection
from airflow_agentfix.redaction import told
from airflow_agentfix.store.record import Wanted
from airflow_agentfix.views import durations, lineage, offers, verdict

if TYPE_CHECKING:
    from airflow_agentfix.service import SessionService

log = logging.getLogger(__name__)
SESSIONS = 20
"""of a task instance, as many as are named"""
PRECEDENTS = 50
"""sessions of the DAG that are looked through for the same cause"""
NAMED = 50
"""failed indexes or tasks that are named"""


class Kind(StrEnum):
    """What the tab is about."""

    FAILED = "failed"
    RETRYING = "retrying"
    """a try failed, another one will come"""
    WORKING = "working"
    WAITING = "waiting"
    """it has not run yet"""
    WELL = "well"
    VICTIM = "victim"
    """it did not run because another task failed"""
    SKIPPED = "skipped"
    MAPPED = "mapped"
    """all indexes of a mapped task together"""
    OWN = "own"
    PREVIEW = "preview"


_KINDS = {
    "failed": Kind.FAILED,
    "up_for_retry": Kind.RETRYING,
    "success": Kind.WELL,
    "upstream_failed": Kind.VICTIM,
    "skipped": Kind.SKIPPED,
    "removed": Kind.SKIPPED,
    "running": Kind.WORKING,
    "restarting": Kind.WORKING,
    "deferred": Kind.WORKING,
}
HAS_FAILED = frozenset({Kind.FAILED, Kind.RETRYING})


@dataclass(frozen=True)
class TaskKey:
    """A task instance as Airflow's tab names it; `map_index` -1 where it is not mapped, or for all indexes together."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1


@dataclass(frozen=True)
class Opened:
    """What the tab shows at once. `facts` is None for all indexes of a mapped task together."""

    key: TaskKey
    kind: Kind
    facts: TaskFacts | None
    sessions: tuple[Session, ...] = ()
    """on this task instance, newest first"""
    leads_to: str | None = None
    """the session whose page the tab is: the one that works on this failure, or has the last word on it"""
    failed: tuple[TaskKey, ...] = ()
    """of a mapped task its failed indexes, of a victim the tasks that failed in its run"""
    more_failed: int = 0

    @property
    def has_failed(self) -> bool:
        return self.kind in HAS_FAILED

    @property
    def mark(self) -> str:
        """Another one where the page would be another one."""
        facts = self.facts
        of_task = f"{facts.state}-{facts.try_number}" if facts else f"{len(self.failed)}-{self.more_failed}"
        return f'"{self.kind}-{of_task}-{self.leads_to or ""}"'


def opened(service: SessionService, user: Any, key: TaskKey) -> Opened:
    """AirflowNotFound where it is not there, or not for this person."""
    airflow = service.desk.airflow
    _require_read(service, user, key)
    if is_own(key.dag_id):
        return Opened(key, Kind.OWN, None)
    preview = is_preview(airflow.dag(key.dag_id).tags)
    try:
        facts = airflow.resolve(key.dag_id, key.run_id, key.task_id, key.map_index)
    except AirflowNotFound:
        if key.map_index < 0 and _is_mapped(service, key):
            return _of_all_indexes(service, key)
        raise
    kind = Kind.PREVIEW if preview else _KINDS.get(facts.state or "", Kind.WAITING)
    sessions = _sessions(service, key)
    leads_to = _leads_to(service, user, key, facts, sessions)
    blamed = _keys(key, service.inspections.blamed(key.dag_id, key.run_id, key.task_id)) if kind is Kind.VICTIM else ()
    return Opened(key, kind, facts, sessions, leads_to, blamed[:NAMED], max(0, len(blamed) - NAMED))


def _of_all_indexes(service: SessionService, key: TaskKey) -> Opened:
    failed = _keys(key, (one for one in service.inspections.failed(key.dag_id, key.run_id) if one.task_id == key.task_id))
    sessions = _sessions(service, key, every_index=True)
    return Opened(key, Kind.MAPPED, None, sessions, None, failed[:NAMED], max(0, len(failed) - NAMED))


def found(service: SessionService, user: Any, key: TaskKey) -> verdict.Told:
    """Cause and verdict, by rules. AirflowError where Airflow does not say."""
    inspection = _inspected(service, user, key)
    incident = inspection.incident
    sessions, _ = service.desk.store.sessions([key.dag_id], Wanted(key.dag_id), limit=PRECEDENTS, offset=0)
    before = precedents(sessions, incident.ref, incident.cause, incident.fingerprint)
    return verdict.told(inspection, before)


def pictured(service: SessionService, user: Any, key: TaskKey) -> lineage.Picture:
    """Data in and out; of DAGs that this person may not read, how many they are."""
    incident = _inspected(service, user, key).incident
    return lineage.picture(incident, may_read=lambda dag_id: service.desk.airflow.may(user, dag_id, edit=False))


def changed(service: SessionService, user: Any, key: TaskKey) -> tuple[Changes | None, str | None]:
    """What changed since the task was green, and why that is not known where it is not. Asks the code host."""
    ref, facts = _failed_try(service, user, key)
    try:
        run_state = service.desk.airflow.run_state(key.dag_id, key.run_id)
        changes = service.inspections.changes(ref, facts, run_state=run_state)
    except (CodeError, ConfigurationError) as error:
        return None, told(error)
    return changes, None if changes else "The task has no green run before this one to compare with."


def timed(service: SessionService, user: Any, key: TaskKey) -> durations.Plot:
    """The task in its newest runs."""
    _require_read(service, user, key)
    history = service.inspections.history(key.dag_id, key.task_id, map_index=key.map_index, limit=durations.RUNS)
    return durations.plot(history, this=key.run_id)


def offered(service: SessionService, user: Any, key: TaskKey) -> offers.Offered:
    """What may be started on it, by this person, what fits first. Asks the code host for policy."""
    desk = service.desk
    _require_read(service, user, key)
    may_edit = desk.airflow.may(user, key.dag_id, edit=True)
    if not may_edit:
        return offers.nothing_for_readers(key.dag_id)
    effective = desk.policy_for(key.dag_id)
    purse = offers.purse(desk, key.dag_id, effective.policy, has_model=service.has_model())
    return offers.offered(effective, purse=purse, user_id=str(user.get_id()), fit=_fit(service, user, key))


def _fit(service: SessionService, user: Any, key: TaskKey) -> offers.Fit:
    """By the look that tells what happened; where there is none to be had, that part of the page says why."""
    try:
        return offers.fit(_inspected(service, user, key).incident)
    except AgentFixError as error:
        log.info("What fits %s is not known: %s", key, told(error))
        return offers.fit(None)


# --- which task, which try, which session ------------------------------------------------------------------------------


def _require_read(service: SessionService, user: Any, key: TaskKey) -> None:
    if not service.desk.airflow.may(user, key.dag_id, edit=False):
        raise AirflowNotFound(f"Airflow has no task {key.task_id!r} of DAG {key.dag_id!r} that you may see.")


def _failed_try(service: SessionService, user: Any, key: TaskKey) -> tuple[TaskRef, TaskFacts]:
    _require_read(service, user, key)
    facts = service.desk.airflow.resolve(key.dag_id, key.run_id, key.task_id, key.map_index)
    return TaskRef(key.dag_id, key.run_id, key.task_id, facts.try_number, key.map_index), facts


def _inspected(service: SessionService, user: Any, key: TaskKey) -> Inspection:
    ref, facts = _failed_try(service, user, key)
    if _KINDS.get(facts.state or "") not in HAS_FAILED:
        raise AirflowNotFound(f"{ref} is {facts.state or 'not started'} now: there is no failure to look at. Reload the page.")
    return service.inspections.failure(ref, facts, run_state=service.desk.airflow.run_state(key.dag_id, key.run_id))


def _keys(key: TaskKey, tasks: Iterable[TaskFacts]) -> tuple[TaskKey, ...]:
    found = (TaskKey(key.dag_id, key.run_id, one.task_id, one.map_index) for one in tasks)
    return tuple(sorted(found, key=lambda one: (one.task_id, one.map_index)))


def _is_mapped(service: SessionService, key: TaskKey) -> bool:
    try:
        service.desk.airflow.resolve(key.dag_id, key.run_id, key.task_id, 0)
    except AirflowNotFound:
        return False
    return True


def _sessions(service: SessionService, key: TaskKey, *, every_index: bool = False) -> tuple[Session, ...]:
    wanted = Wanted(key.dag_id, key.run_id, key.task_id)
    found, _ = service.desk.store.sessions([key.dag_id], wanted, limit=SESSIONS, offset=0)
    return tuple(one for one in found if every_index or one.map_index == key.map_index)


def _leads_to(service: SessionService, user: Any, key: TaskKey, facts: TaskFacts, sessions: Sequence[Session]) -> str | None:
    """The session of this very try, which may be another task's; else the newest that is no duplicate and has seen this try.

    None where another task's is done and this one is failed still: that page would say fixed, and offer nothing for this failure.
    """
    desk = service.desk
    ref = TaskRef(key.dag_id, key.run_id, key.task_id, facts.try_number, key.map_index)
    stored = desk.store.of_failure(ref)
    of_try = stored.session if stored and desk.airflow.may(user, stored.session.dag_id, edit=False) else None
    known = {one.id: one for one in (*sessions, *([of_try] if of_try else ()))}
    order = sorted(known.values(), key=lambda one: (one.outcome is not Outcome.DUPLICATE, one.created_at), reverse=True)
    seen = (one for one in order if one == of_try or _has_seen(one, facts))
    found: Session | None = next(seen, None)
    if found is None or (found.state is State.DONE and found not in sessions and _KINDS.get(facts.state or "") in HAS_FAILED):
        return None
    return found.id


def _has_seen(session: Session, facts: TaskFacts) -> bool:
    """Whether the session knows how the task stands: a task that failed again after it was done is news."""
    if session.state is not State.DONE or _KINDS.get(facts.state or "") not in HAS_FAILED or not facts.end_date:
        return True
    return datetime.fromisoformat(session.updated_at) >= datetime.fromisoformat(facts.end_date)

"""After the merge: the failed runs of a session's cause go on with the merged code, in the API server.

Who may: a person who may edit the DAG's runs, unless the repository says that the fix is not merged or not served; where it
cannot tell, that is the person's word. AgentFix by itself (the triage DAG, or the login that worked on the session) only with
autonomy `recover`, where policy does not want a person before it, and where the bundle version that is served says that the fix
is in it. Invariants: what is refused leaves no trace in the session; what was done to a run is written down before the next one
is touched.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_agentfix import review
from airflow_agentfix.core import recovery
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.recovery import OVER, Case, RunState, Scene, Step
from airflow_agentfix.core.session import SERVER, Event, EventKind, Session, State
from airflow_agentfix.desk import Desk
from airflow_agentfix.duplicates import failures_of_cause
from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, InvalidRequest, InvalidTransition, RerunImpossible
from airflow_agentfix.ports import OpenedFix, RecoverRequest
from airflow_agentfix.redaction import told
from airflow_agentfix.store.record import Draft, Stored
from airflow_agentfix.store.wire import RecoveredRun, Recovery

log = logging.getLogger(__name__)

MERGED, GONE = "merged", "gone"
NO_VERSIONS = "the DAG's bundle has no versions, so only a person can say that what Airflow serves has the fix"
WAS_GONE = "its branch or its DAG is gone, or the pull request was closed without a merge"


@dataclass(frozen=True)
class Asked:
    """What the caller wants. A person leaves `found` out; the triage DAG says with it what became of the fix."""

    dry_run: bool = False
    again: bool = False
    """also runs that failed again or were left alone; a person's only"""
    found: str | None = None
    """merged | gone"""
    version: str | None = None
    """with `merged`: the version that Airflow serves the DAG on and that has the fix; None where there are no versions"""
    at_most: int | None = None
    """runs to start now; never more than the deployment's own bound"""


def recover(desk: Desk, session_id: str, user: Any, asked: Asked) -> Recovery:
    """Start what may be started, write down what became of what was started before, and tell of every run."""
    stored = desk.open(session_id, user, edit=True)
    _require_recoverable(stored.session, asked)
    by_itself = asked.found is not None or desk.works_on(session_id, str(user.get_id()))
    if by_itself and asked.again:
        raise InvalidRequest("again is a person's to say: by itself AgentFix clears no run twice.")
    call = _Call(desk, stored, asked, "triage" if asked.found else str(user.get_name()))
    if asked.found == GONE:
        return call.ended(WAS_GONE)
    return call.go(by_itself=by_itself)


def _require_recoverable(session: Session, asked: Asked) -> None:
    if session.state is not State.DONE:
        raise InvalidTransition(f"Session {session.id!r} is {session.state}; runs are recovered once it is done and merged.")
    if session.fix_commit is None:
        raise InvalidTransition(
            f"Session {session.id!r} has no fix that could be merged, so there is nothing its runs could go on with."
        )
    if asked.version is not None and asked.found != MERGED:
        raise InvalidRequest(f"version goes with found merged; found is {asked.found!r}.")


@dataclass
class _Call:
    """One call: the session as it is while what is done to runs is written into it."""

    desk: Desk
    stored: Stored
    asked: Asked
    by: str

    @property
    def session(self) -> Session:
        return self.stored.session

    def go(self, *, by_itself: bool) -> Recovery:
        events = self.desk.store.events(self.session.id)
        failures = failures_of_cause(self.desk, self.session, events)
        scene = self.desk.airflow.scene(self.session.dag_id, failures, session_id=self.session.id)
        doubt = None if by_itself else self._doubt(events, scene)
        if doubt and doubt.severity is Severity.REFUSE and not self.asked.dry_run:
            raise InvalidTransition(f"Nothing was recovered. {doubt.reason}")
        case = Case(failures, scene, recovery.past_of(events), _reran(events), again=self.asked.again)
        steps = recovery.plan(case, at_most=self._at_most)
        is_due = any(step.state is RunState.DUE for step in steps)
        needs_person = self._needs_person(scene) if by_itself and is_due else None
        if needs_person:
            steps = recovery.plan(replace(case, hold=needs_person), at_most=0)
        if not self.asked.dry_run:
            steps = tuple(self._done(step, scene) for step in steps)
            self._end(steps, events, needs_person)
        return replace(self._told(steps, scene, needs_person), warning=doubt.reason if doubt else None)

    def _doubt(self, events: Sequence[Event], scene: Scene) -> Finding | None:
        """What stands against that the runs would go on with the fix."""
        session, patches = self.session, review.recorded_patches(events)
        fix = OpenedFix(str(session.fix_branch), str(session.fix_commit), session.pull_request)
        dag = self.desk.airflow.dag(session.dag_id)
        return self.desk.commits.unmerged(dag, fix, patches, served=scene.dag.version)

    @property
    def _at_most(self) -> int:
        bound = self.desk.settings.recover_per_triage
        return bound if self.asked.at_most is None else min(bound, self.asked.at_most)

    def _needs_person(self, scene: Scene) -> str | None:
        """Why AgentFix may start nothing by itself. InvalidTransition: another version is served than was looked at."""
        policy = self.desk.policy_of(self.session)
        how = f"a person does it on the session's page, or with: agentfix recover {self.session.id}"
        problems = f" ({'; '.join(policy.problems)})" if policy.problems else ""
        if not policy.policy.autonomy.allows(Autonomy.RECOVER):
            return f"autonomy is {policy.policy.autonomy}{problems}, not recover; {how}"
        if "recover" in policy.policy.approve_before:
            return f"approve_before names recover; {how}"
        if self.asked.found is None:
            return f"{self.by} is the login AgentFix itself works with, and its word is no person's; {how}"
        if scene.dag.version is None:
            return f"{NO_VERSIONS}; {how}"
        if self.asked.version != scene.dag.version:
            raise InvalidTransition(
                f"Airflow serves DAG {self.session.dag_id!r} on {scene.dag.version!r}; expected that as version, "
                f"not {self.asked.version!r}."
            )
        return None

    def _done(self, step: Step, scene: Scene) -> Step:
        """The step after it was taken, written down where it is news."""
        taken = self._started(step, scene) if step.state is RunState.DUE else step
        if taken.is_news:
            self._write(taken.run_id, taken.state.value, taken.task_ids, taken.reason)
        return taken

    def _started(self, step: Step, scene: Scene) -> Step:
        tasks = tuple((ref.task_id, ref.map_index, ref.try_number) for ref in step.tasks)
        request = RecoverRequest(self.session.id, self.session.dag_id, step.run_id, tasks, scene.dag.version)
        try:
            cleared = self.desk.airflow.recover(request)
        except AirflowConflict as error:  # it moved since it was looked at: the next call looks again
            return replace(step, state=RunState.WAITING, reason=told(error))
        except (RerunImpossible, AirflowNotFound) as error:
            return replace(step, state=RunState.LEFT, reason=told(error), is_news=True)
        return replace(step, state=RunState.STARTED, task_ids=cleared, is_news=True)

    def _write(self, run_id: str | None, state: str, task_ids: Sequence[str], reason: str) -> None:
        data = {"run_id": run_id, "state": state, "task_ids": list(task_ids), "reason": reason, "by": self.by}
        self.stored = self.desk.save(self.stored, Draft(EventKind.RECOVERY, SERVER, data))

    def _end(self, steps: Sequence[Step], events: Sequence[Event], needs_person: str | None) -> None:
        """Write down that nothing is left to do, or nothing without a person: triage looks no more."""
        going = any(step.state is RunState.STARTED for step in steps)
        if recovery.is_over(steps):
            self._over(_summary(steps), events)
        elif needs_person and not going:
            self._over(needs_person, events)

    def ended(self, reason: str) -> Recovery:
        if not self.asked.dry_run:
            self._over(reason, self.desk.store.events(self.session.id))
        return Recovery(self.session.id, None, (), over=True, needs_person=None)

    def _over(self, reason: str, events: Sequence[Event]) -> None:
        """`events`: as they were before this call."""
        newest = next((one for one in reversed(events) if one.kind in recovery.REOPENING), None)
        was_over = newest is not None and newest.data.get("state") == OVER
        if not was_over or self.session.last_event != events[-1].number:
            self._write(None, OVER, (), reason)

    def _told(self, steps: Sequence[Step], scene: Scene, needs_person: str | None) -> Recovery:
        runs = tuple(RecoveredRun(one.run_id, one.state, one.task_ids, one.reason) for one in steps)
        return Recovery(self.session.id, scene.dag.version, runs, over=recovery.is_over(steps), needs_person=needs_person)


def _reran(events: Sequence[Event]) -> set[str]:
    """Runs that were put on the fix itself."""
    return {str(one.data["run_id"]) for one in events if one.kind is EventKind.RERUN and one.data["way"] == "pin"}


def _summary(steps: Sequence[Step]) -> str:
    counts = [(state, sum(step.state is state for step in steps)) for state in (RunState.GREEN, RunState.FAILED, RunState.LEFT)]
    return ", ".join(f"{count} {state}" for state, count in counts if count) or "no run is left to recover"

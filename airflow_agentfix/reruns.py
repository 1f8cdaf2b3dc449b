"""The rerun of a fix, at the server: what is run is its own record, never the caller's word.

Invariants: a commit is rerun once, by one way, with its own approval; what was started is written down, whatever became of the
session meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_agentfix.approving import Approving
from airflow_agentfix.core.previews import loader_name, preview_id
from airflow_agentfix.core.session import SERVER, Event, EventKind, Session, State, WaitFor
from airflow_agentfix.core.ways import Chosen, Way
from airflow_agentfix.desk import ENDED, again
from airflow_agentfix.errors import (
    AirflowConflict,
    InvalidTransition,
    NotAllowed,
    PreviewBroken,
    RerunImpossible,
    SessionConflict,
    SessionNotFound,
)
from airflow_agentfix.leases import Leases
from airflow_agentfix.ports import Json, PinRequest, Preview, Rerun, RunLike, WaitRun
from airflow_agentfix.rerun_ways import Plan, RerunWays
from airflow_agentfix.store.record import Draft, Stored


class Reruns:
    """Reruns of the sessions that `leases` knows."""

    def __init__(self, leases: Leases, ways: RerunWays, approving: Approving) -> None:
        self._leases, self._ways, self._approving = leases, ways, approving
        self._desk = leases.desk
        self._store, self._airflow = leases.desk.store, leases.desk.airflow

    @again
    def rerun(self, session_id: str, user: Any, *, lease: str, call_id: str, shape_changes: Sequence[str]) -> Rerun | WaitRun:
        """Rerun on the recorded fix commit, or tell of the rerun there is."""
        stored = self._leases.held(session_id, user, lease)
        session, commit = stored.session, stored.session.fix_commit
        if commit is None:
            raise InvalidTransition(f"Session {session_id!r} has no fix yet; open_fix comes first.")
        started = [event for event in self._reruns(session) if event.data["commit"] == commit]
        if started:
            return self._told(started[-1])
        self._approving.require_rerun_allowed(session)
        objections = self._approving.reviewed(session)
        if self._approving.approved(stored, objections) is None:
            raise NotAllowed(f"Nobody has approved commit {commit}. An approval of another commit does not count for it.")
        plan = self._ways.plan(session)
        chosen = plan.ways.choose(shape_changes)
        stored = self._renewed(self._leases.held(session_id, user, lease))
        match chosen.way:
            case Way.PIN:
                return self._pin(stored, chosen, call_id)
            case Way.PREVIEW:
                return self._preview(stored, chosen, plan, call_id)
            case Way.CONF:
                return self._conf(stored, chosen, plan)

    def _reruns(self, session: Session) -> list[Event]:
        return list(self._store.events(session.id, kinds=(EventKind.RERUN,)))

    def _renewed(self, stored: Stored) -> Stored:
        if stored.session.state is not State.RUNNING:
            raise InvalidTransition(f"Session {stored.session.id!r} is {stored.session.state}; a rerun needs it running.")
        return self._desk.save(stored, lease_until=self._leases.end())  # who lost the session since it was read starts nothing

    def _told(self, started: Event) -> Rerun:
        """The rerun that is on record: how long it is watched, and whether somebody ended it by hand since."""
        data, until = started.data, self._until(started)
        task_ids = tuple(data["task_ids"])
        by_hand = self._airflow.ended_by_hand(data["dag_id"], data["run_id"], task_ids=task_ids, since=started.at)
        return Rerun(
            way=data["way"],
            dag_id=data["dag_id"],
            run_id=data["run_id"],
            commit=data["commit"],
            task_ids=task_ids,
            map_index=data.get("map_index"),
            reason=data.get("reason", ""),
            until=self._desk.at(until) if until else None,
            is_overdue=until is not None and self._desk.clock() > until,
            ended_by_hand=by_hand or "",
        )

    def _until(self, started: Event) -> datetime | None:
        hours = self._desk.settings.rerun_hours
        return datetime.fromisoformat(started.at) + timedelta(hours=hours) if hours else None

    # --- pin

    def _pin(self, stored: Stored, chosen: Chosen, call_id: str) -> Rerun | WaitRun:
        session, commit = stored.session, str(stored.session.fix_commit)
        tasks = self._failed_of_cause(session)
        own = tasks.pop(session.task_id)
        where = (session.id, session.dag_id, session.run_id, session.task_id, own, commit)
        request = PinRequest(*where, also=tuple(tasks.items()), pull_request=session.pull_request)
        try:
            pinned = self._airflow.pin(request)
        except AirflowConflict as error:
            if self._airflow.run_state(session.dag_id, session.run_id) in ENDED:
                raise RerunImpossible(str(error)) from error
            return WaitRun(session.dag_id, session.run_id, WaitFor.TASK, call_id)
        data = {
            "way": Way.PIN.value,
            "reason": chosen.reason,
            "dag_id": session.dag_id,
            "run_id": pinned.run_id,
            "commit": commit,
            "task_ids": list(pinned.task_ids),
            "map_index": own,
            "original_version": pinned.original_version,
        }
        return self._recorded(stored, data)

    def _failed_of_cause(self, session: Session) -> dict[str, int]:
        """Map index by task of what failed of this cause in the session's run; -1 where several indexes of a task did."""
        found = {session.task_id: session.map_index}
        for ref in self._store.failures(session.id):
            if ref.run_id == session.run_id and found.setdefault(ref.task_id, ref.map_index) != ref.map_index:
                found[ref.task_id] = -1
        return found

    # --- preview and conf: new runs

    def _preview(self, stored: Stored, chosen: Chosen, plan: Plan, call_id: str) -> Rerun | WaitRun:
        session, branch = stored.session, str(stored.session.fix_branch)
        of = Preview(str(plan.bundle), preview_id(session.dag_id, branch), loader_name(branch), str(session.fix_commit))
        error = self._airflow.preview_error(of)
        if error is not None:
            raise PreviewBroken(f"The preview of {branch} does not import: {error}")
        if not self._airflow.is_served(of):
            self._require_patience(session, of, call_id)
            return WaitRun(of.dag_id, self._run_id(session), WaitFor.PREVIEW, call_id)
        return self._new_run(stored, chosen, of.dag_id, {}, scope=self._desk.settings.preview_scope)

    def _require_patience(self, session: Session, of: Preview, call_id: str) -> None:
        """RerunImpossible once the preview's DAG has been waited for long enough."""
        parked = self._store.events(session.id, kinds=(EventKind.PARKED,))
        waits = [e for e in parked if e.data["waiting_for"] == WaitFor.PREVIEW and e.data["call_id"] == call_id]
        minutes = self._desk.settings.preview_minutes
        if waits and self._desk.clock() > datetime.fromisoformat(waits[0].at) + timedelta(minutes=minutes):
            raise RerunImpossible(
                f"DAG {of.dag_id!r} did not appear within {minutes} minutes. Does the DAG processor run with the bundle "
                f"{of.bundle!r}, does it reach the repository, and has it the API server's signing key? Its log says why a "
                "branch is not served; its refresh_interval has to be shorter than [agentfix] preview_minutes."
            )

    def _conf(self, stored: Stored, chosen: Chosen, plan: Plan) -> Rerun:
        """A run that is told a branch runs what is at its end: looked at here too, for the branch is the worker's word."""
        session = stored.session
        of = (self._airflow.dag(session.dag_id), str(session.fix_branch), str(session.fix_commit))
        if moved := self._desk.commits.moved(*of):
            raise RerunImpossible(f"Nothing was started: {moved} Only the approved commit may be run.")
        return self._new_run(stored, chosen, session.dag_id, {str(plan.param): session.fix_branch}, scope="dag")

    def _new_run(self, stored: Stored, chosen: Chosen, dag_id: str, conf: Json, *, scope: str) -> Rerun:
        session, commit = stored.session, str(stored.session.fix_commit)
        tasks = self._failed_of_cause(session)
        wanted = RunLike(
            dag_id=dag_id,
            run_id=self._run_id(session),
            like_dag_id=session.dag_id,
            like_run_id=session.run_id,
            conf=conf,
            task_ids=tuple(tasks),
            scope=scope,
            note=f"AgentFix session {session.id}: rerun of {session.run_id} on {session.fix_branch} ({commit[:12]}).",
        )
        task_ids = self._airflow.start_like(wanted)
        data = {
            "way": chosen.way.value,
            "reason": chosen.reason,
            "dag_id": dag_id,
            "run_id": wanted.run_id,
            "commit": commit,
            "task_ids": list(task_ids),
            "map_index": tasks[session.task_id],
            "original_version": None,
        }
        return self._recorded(stored, data)

    def _run_id(self, session: Session) -> str:
        """Of the commit's rerun, where it is a run of its own: a run that is there is never taken for another commit's."""
        return f"agentfix__{session.id}__rerun_{str(session.fix_commit)[:12]}"

    @again
    def _recorded(self, before: Stored, data: Json) -> Rerun:
        """Write the rerun down, whatever became of the session while it was started: nobody takes a run off a commit that it is
        not known to be on. SessionConflict, after that, for a worker that has lost the session."""
        now = self._store.get(before.session.id)
        if now is None:
            raise SessionNotFound(f"Session {before.session.id!r} went away; run {data['run_id']!r} is on {data['commit']}.")
        if not any(event.data["commit"] == data["commit"] for event in self._reruns(now.session)):
            self._desk.save(now, Draft(EventKind.RERUN, SERVER, data))
        if now.lease != before.lease:
            raise SessionConflict(f"Session {now.session.id!r} was taken from {before.holder!r} while its rerun was started.")
        return self._told(self._reruns(now.session)[-1])

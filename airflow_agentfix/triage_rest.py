"""The triage run's ports over HTTP: Airflow's REST API, all pages followed, AgentFix's sessions, and the code hosts of pins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.code.fate import contains
from airflow_agentfix.core.incident import DagFacts, Repository, RunFacts
from airflow_agentfix.core.pins import pinned
from airflow_agentfix.core.previews import TAG, is_preview
from airflow_agentfix.core.session import EventKind, PinEnd, Session, State
from airflow_agentfix.errors import AirflowNotFound, InvalidTransition
from airflow_agentfix.pins import Pin, settle
from airflow_agentfix.ports import AirflowApi, CodeHost, Fate, OpenedFix
from airflow_agentfix.recoveries import recover
from airflow_agentfix.store.wire import Recovery
from airflow_agentfix.triage_run import TRIAGE_DAG, FailedTask, Report, triage

if TYPE_CHECKING:
    from airflow_agentfix.airflow_http import AirflowHttp
    from airflow_agentfix.store.client import SessionsApi

PAGE = 100
RUNS_SEEN = 100
"""of the triage DAG itself, to find the last that succeeded: a day at the shipped schedule"""


class RestFailures:
    """`triage_run.Failures`. Asks for the runs that finished, then for the failed tasks of a hundred of them at a time."""

    def __init__(self, http: AirflowHttp) -> None:
        self._http = http
        self._api = RestAirflowApi(http)

    def triage_runs(self) -> Sequence[RunFacts]:
        return self._api.runs(TRIAGE_DAG, limit=RUNS_SEEN)

    def import_errors(self) -> Sequence[dict[str, Any]]:
        return self._api.import_errors()

    def failed_tasks(self, *, since: datetime) -> Iterable[FailedTask]:
        previews = self._previews()
        finished = {(run["dag_id"], run["dag_run_id"]) for run in self._finished_runs(since) if run["dag_id"] not in previews}
        ordered = sorted(finished)
        for start in range(0, len(ordered), PAGE):
            some = set(ordered[start : start + PAGE])
            yield from (task for task in self._failed_in(some) if (task.dag_id, task.run_id) in some)

    def _previews(self) -> Set[str]:
        """Previews of fixes, those of branches that are gone too: their runs are their sessions' to judge."""
        tagged, seen = {"tags": TAG, "exclude_stale": "false", "limit": PAGE}, 0
        found: set[str] = set()
        while True:
            answer = self._http.json("GET", "/api/v2/dags", params={**tagged, "offset": seen})
            found |= {dag["dag_id"] for dag in answer["dags"] if is_preview(tag["name"] for tag in dag["tags"])}
            seen += len(answer["dags"])
            if not answer["dags"] or seen >= answer["total_entries"]:
                return found

    def _finished_runs(self, since: datetime) -> Iterator[dict[str, Any]]:
        """Green runs too: a task may fail in them where a trigger rule lets the run go on. Oldest first: new ones come last."""
        wanted = {"state": ["failed", "success"], "end_date_gte": since.isoformat(), "order_by": "end_date", "limit": PAGE}
        seen = 0
        while True:
            answer = self._http.json("GET", "/api/v2/dags/~/dagRuns", params={**wanted, "offset": seen})
            yield from answer["dag_runs"]
            seen += len(answer["dag_runs"])
            if not answer["dag_runs"] or seen >= answer["total_entries"]:
                return

    def _failed_in(self, runs: Set[tuple[str, str]]) -> Iterator[FailedTask]:
        body: dict[str, Any] = {
            "dag_ids": sorted({dag_id for dag_id, _ in runs}),
            "dag_run_ids": sorted({run_id for _, run_id in runs}),  # other DAGs may have runs of the same id
            "state": ["failed"],
            "order_by": "id",
            "page_limit": PAGE,
        }
        seen = 0
        while True:
            where = "/api/v2/dags/~/dagRuns/~/taskInstances/list"
            answer = self._http.json("POST", where, body={**body, "page_offset": seen})
            yield from (_failed_task(instance) for instance in answer["task_instances"])
            seen += len(answer["task_instances"])
            if not answer["task_instances"] or seen >= answer["total_entries"]:
                return


class ApiIntake:
    """`triage_run.Intake` over the session API."""

    def __init__(self, sessions: SessionsApi) -> None:
        self._sessions = sessions

    def sessions_of(self, dag_id: str) -> Sequence[Session]:
        found: list[Session] = []
        while page := self._sessions.list(dag_id=dag_id, limit=PAGE, offset=len(found)):
            found += page
        return found

    def take(self, task: FailedTask) -> str:
        return self._sessions.intake(
            dag_id=task.dag_id,
            run_id=task.run_id,
            task_id=task.task_id,
            try_number=task.try_number,
            map_index=task.map_index,
            source="triage",
        ).id


class Code(Protocol):
    """A DAG and where its code lives: `workbench.Workbench`."""

    @property
    def airflow(self) -> AirflowApi: ...

    def repository_of(self, dag: DagFacts) -> Repository: ...

    def host(self, repository: Repository) -> CodeHost: ...


class RestPins:
    """`pins.Pins`. Which repository a fix is in, the deployment's configuration says, as for the worker that made it."""

    def __init__(self, sessions: SessionsApi, code: Code) -> None:
        self._sessions, self._code = sessions, code

    def in_force(self) -> Sequence[Session]:
        found: list[Session] = []  # whole before any pin ends, which would move the pages
        while page := self._sessions.list(state=State.DONE.value, pinned=True, limit=PAGE, offset=len(found)):
            found += page
        return found

    def pin_of(self, session: Session) -> Pin:
        events = self._sessions.events(session.id)
        rerun = pinned(events)
        if rerun is None:
            raise InvalidTransition(f"Session {session.id!r} ended its pin while it was looked at.")
        commit = rerun.data["commit"]  # not the session's newest fix, which may wait for its approval
        fixes = (event.data for event in events if event.kind is EventKind.FIX and event.data.get("commit") == commit)
        fix = next(fixes, {"branch": session.fix_branch, "pull_request": session.pull_request})  # erased events are empty
        return Pin(session, OpenedFix(str(fix["branch"]), str(commit), fix["pull_request"]))

    def fate(self, pin: Pin) -> Fate:
        return self._host(pin).fate(pin.fix)

    def served(self, pin: Pin, commit: str) -> str | None:
        version = self.dag(pin.session).bundle_version
        return version if version and contains(self._host(pin), version, commit) else None

    def end(self, session: Session, *, reason: PinEnd, version: str | None) -> None:
        self._sessions.end_pin(session.id, reason=reason, version=version)

    def dag(self, session: Session) -> DagFacts:
        return self._code.airflow.dag(session.dag_id)

    def _host(self, pin: Pin) -> CodeHost:
        return self._code.host(self._code.repository_of(self.dag(pin.session)))


class RestFixes:
    """`recoveries.Fixes`. What became of a commit is asked once, however many sessions have it as their fix."""

    def __init__(self, sessions: SessionsApi, code: Code) -> None:
        self._sessions, self._pins = sessions, RestPins(sessions, code)
        self._fates: dict[tuple[str | None, str | None, str | None], Fate] = {}

    def unsettled(self) -> Sequence[Session]:
        found: list[Session] = []  # whole before any is settled, which would move the pages
        while page := self._sessions.page(unsettled=True, limit=PAGE, offset=len(found)).sessions:
            found += page
        return found

    def fate(self, session: Session) -> Fate:
        asked = (session.repository, session.fix_branch, session.fix_commit)
        if asked not in self._fates:
            fix = OpenedFix(str(session.fix_branch), str(session.fix_commit), session.pull_request)
            try:
                self._fates[asked] = self._pins.fate(Pin(session, fix))
            except AirflowNotFound:  # the DAG was deleted: there is no run of it to recover
                return Fate("gone")
        return self._fates[asked]

    def served(self, session: Session, commit: str) -> tuple[bool, str | None]:
        dag = self._pins.dag(session)
        if dag.bundle_version is None:
            return True, None
        fix = OpenedFix(str(session.fix_branch), str(session.fix_commit), session.pull_request)
        version = self._pins.served(Pin(session, fix), commit)
        return version is not None, version

    def recover(self, session: Session, *, found: str, version: str | None, at_most: int) -> Recovery:
        return self._sessions.recover(session.id, found=found, version=version, at_most=at_most)


def run_triage(*, now: datetime) -> Report:
    """One triage of the Airflow this process belongs to."""
    from airflow_agentfix.airflow_login import connect
    from airflow_agentfix.reviews import hear
    from airflow_agentfix.reviews_rest import RestRequests
    from airflow_agentfix.settings import Settings
    from airflow_agentfix.store.client import SessionsApi
    from airflow_agentfix.workbench import Workbench

    settings = Settings.load()
    http = connect(settings)
    sessions = SessionsApi(http)
    report = triage(RestFailures(http), ApiIntake(sessions), now=now)
    code = Workbench(http, settings)
    pins = settle(RestPins(sessions, code))
    recovered = recover(RestFixes(sessions, code), at_most=settings.recover_per_triage, now=now)
    comments = hear(RestRequests(sessions, code), mention=settings.mention, now=now, since=report.since)
    return replace(report, pins=pins, recoveries=recovered, comments=comments)


def _failed_task(instance: dict[str, Any]) -> FailedTask:
    names = ("dag_id", "task_id", "try_number", "map_index", "end_date")
    return FailedTask(run_id=instance["dag_run_id"], **{name: instance[name] for name in names})

"""Driving one session on a worker: evidence first, then the loop, until it waits or ends.

Invariant: whatever goes wrong is told to the session before the worker ends; only what another try may mend is left to
Airflow's retry, and on the last try that too ends the session.
"""

from __future__ import annotations

import logging
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from airflow_agentfix.agent import loop
from airflow_agentfix.agent.answering import answer
from airflow_agentfix.agent.case import Case, Ending
from airflow_agentfix.agent.journal import Ended, Journal, Stopped
from airflow_agentfix.agent.loop import Work
from airflow_agentfix.core import transcript
from airflow_agentfix.core.incident import DagFacts, Incident, Repository, TaskFacts, TaskRef
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.prose import prose, whole
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.errors import (
    AgentFixError,
    AirflowNotFound,
    AirflowUnreachable,
    CodeError,
    ModelUnavailable,
    NoRepository,
    RepositoryUnreachable,
    SessionConflict,
    StoreUnavailable,
)
from airflow_agentfix.ports import AirflowApi, Claim, CodeHost, Json, Model, SessionClient, WaitRun
from airflow_agentfix.settings import Settings

log = logging.getLogger(__name__)

AGAIN_MAY_HELP = (AirflowUnreachable, RepositoryUnreachable, ModelUnavailable, StoreUnavailable)
POLL_SECONDS = 0.5
TERMINAL = frozenset({"success", "failed", "upstream_failed", "skipped", "removed"})


class Bench(Protocol):
    """What a driver works with, brought by wiring."""

    @property
    def client(self) -> SessionClient: ...

    @property
    def airflow(self) -> AirflowApi: ...

    def collect(self, ref: TaskRef) -> Incident:
        """The evidence of a failed try."""

    def repository_of(self, dag: DagFacts) -> Repository:
        """Raises NoRepository."""

    def base_commit(self, repository: Repository) -> str:
        """The base branch's head. Raises CodeError."""

    def host(self, repository: Repository) -> CodeHost: ...

    def run_page(self, dag_id: str, run_id: str) -> str | None: ...

    def model(self) -> Model: ...

    def case(self, found: Found, *, claim: Claim, folder: Path) -> Case:
        """Everything the tools may touch; the tree is written into `folder`."""

    def redact(self, text: str) -> str: ...


@dataclass(frozen=True)
class Found:
    """The incident and the code it may be fixed in; `no_code` says why there is none."""

    incident: Incident
    repository: Repository | None
    base_commit: str | None
    no_code: str | None = None


@dataclass(frozen=True)
class Driver:
    """Drives sessions with what `bench` brings."""

    bench: Bench
    settle_seconds: float = Settings.settle_seconds
    """a task that just failed is terminal within seconds; whatever takes longer is waited for without a slot"""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def drive(self, session_id: str, *, worker: str, last_try: bool) -> WaitRun | Session:
        """Work on the session until it waits (WaitRun) or ends. `last_try`: nobody will try again after us."""
        claim = self.bench.client.claim(session_id, worker=worker)
        if claim.session.state is State.DONE:  # stopped while its task waited
            return claim.session
        journal = Journal(claim, self.bench.client)
        end = self._driven(claim, journal, last_try=last_try)
        answer(end, session_id, journal.events, self.bench, worker=worker)
        return end

    def _driven(self, claim: Claim, journal: Journal, *, last_try: bool) -> WaitRun | Session:
        session_id = claim.session.id
        try:
            return self._drive(claim, journal)
        except SessionConflict:
            raise  # the session is another worker's now: nothing of it is ours to end
        except Ended as end:
            return end.session
        except Stopped as stop:
            return self._finish(journal, Outcome.STOPPED, str(stop))
        except AGAIN_MAY_HELP as error:
            if not last_try:
                raise
            return self._failed(journal, error)
        except AgentFixError as error:
            log.warning("Session %s failed: %s", session_id, self.bench.redact(str(error)))
            return self._failed(journal, error)
        except Exception as error:  # work ends here: a bug of ours must end the session, not leave it running for ever
            log.error("Session %s failed:\n%s", session_id, self.bench.redact(traceback.format_exc()))
            return self._failed(journal, error)

    def _drive(self, claim: Claim, journal: Journal) -> WaitRun | Session:
        found = self._found(claim.session, journal)
        if isinstance(found, WaitRun):
            return journal.park(found)
        judgement = found.incident.judgement
        if judgement.decided and not transcript.said_by_people(journal.events):
            return self._reported(journal, found.incident)
        with tempfile.TemporaryDirectory(prefix="agentfix-tree-") as folder:
            case = self.bench.case(found, claim=claim, folder=Path(folder))
            return loop.run(Work(case, self.bench.model, journal, self.clock, unpaid=claim.unpaid))

    def _found(self, session: Session, journal: Journal) -> Found | WaitRun:
        """The evidence recorded before, else collected now and recorded."""
        if (event := transcript.last(journal.events, EventKind.INCIDENT)) is not None:
            data = event.data
            repository = Repository(**data["repository"]) if data.get("repository") else None
            return Found(Incident.from_json(data), repository, data.get("base_commit"), data.get("repository_error"))
        ref = self._settled(session)
        if isinstance(ref, WaitRun):
            return ref
        found = self._look(ref)
        journal.append((EventKind.INCIDENT, _as_event(found)))
        return found

    def _settled(self, session: Session) -> TaskRef | WaitRun:
        """The failed try once Airflow has marked it; when the callback runs, the task is still running."""
        left = self.settle_seconds
        while True:
            task = self._task(session)
            number = session.try_number or task.try_number
            if task.state in TERMINAL or task.try_number > number:
                return TaskRef(session.dag_id, session.run_id, session.task_id, number, session.map_index)
            if left <= 0:
                return WaitRun(session.dag_id, session.run_id, WaitFor.TASK)
            self.sleep(POLL_SECONDS)
            left -= POLL_SECONDS

    def _task(self, session: Session) -> TaskFacts:
        try:
            return self.bench.airflow.task_instance(session.dag_id, session.run_id, session.task_id, session.map_index)
        except AirflowNotFound as error:
            raise AirflowNotFound(
                f"The failed task is gone from Airflow: {error}. A session needs its DAG, run and task there; start one on what "
                "is there."
            ) from error

    def _look(self, ref: TaskRef) -> Found:
        incident = self.bench.collect(ref)
        try:
            repository = self.bench.repository_of(incident.dag)
        except NoRepository as error:
            return Found(incident, None, None, self.bench.redact(str(error)))
        try:
            return Found(incident, repository, self.bench.base_commit(repository))
        except RepositoryUnreachable:
            raise
        except CodeError as error:
            return Found(incident, repository, None, self.bench.redact(str(error)))

    def _reported(self, journal: Journal, incident: Incident) -> Session:
        """The rules alone are sure that code is not the answer: no model is asked."""
        judgement = incident.judgement
        report = {
            "verdict": str(judgement.verdict),
            "confidence": judgement.confidence,
            "root_cause": incident.cause.line,
            "owner_action": judgement.owner_action,
            "outcome": str(Outcome.REPORTED),
            "causal_chain": [{"claim": whole(in_words(judgement.reason)), "cites": list(judgement.evidence)}],
        }
        summary = prose(incident.cause.line, judgement.owner_action)
        return self._finish(journal, Outcome.REPORTED, summary, verdict=str(judgement.verdict), report=report)

    def _failed(self, journal: Journal, error: Exception) -> Session:
        """End the session with what went wrong; an AgentFixError says it in words meant for people."""
        words = str(error) if isinstance(error, AgentFixError) else f"{type(error).__name__}: {error}"
        return self._finish(journal, Outcome.FAILED, words, error=f"{type(error).__name__}: {error}")

    def _finish(
        self, journal: Journal, outcome: Outcome, summary: str, *,
        verdict: str | None = None, report: Json | None = None, error: str | None = None,
    ) -> Session:  # fmt: skip
        redact = self.bench.redact
        return journal.finish(Ending(outcome, redact(summary), verdict, report, redact(error) if error else None))


def effective(claim: Claim) -> Policy:
    """The policy the server decided for this session."""
    return Policy.from_json(claim.policy)


def _as_event(found: Found) -> dict[str, object]:
    repository = found.repository
    return {
        **found.incident.to_json(),
        "repository": vars(repository) if repository else None,
        "base_commit": found.base_commit,
        "repository_error": found.no_code,
    }

"""The server's side put together: a real store in a real database, Airflow in memory, a clock that a test moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import DagFacts
from airflow_agentfix.core.policy import Layer
from airflow_agentfix.core.session import Event, EventKind, worker_name
from airflow_agentfix.core.signature import sign_approval
from airflow_agentfix.ports import Approved, Claim, Rerun
from airflow_agentfix.service import Failure, SessionService
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.migrate import migrate
from airflow_agentfix.store.sql import SqlStore
from tests.fakes.databases import without_syncing
from tests.fakes.server_airflow import FakeServerAirflow, Person

ANNA = Person("anna")
WORKER = Person("agentfix-worker")
READER = Person("reader")
STRANGER = Person("stranger")
DAG, RUN, TASK = "orders", "monday", "load"
KEY = b"signing key of the tests"
COMMIT, OTHER_COMMIT = "c" * 40, "d" * 40


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class FakeRepositoryPolicy:
    """`ports.RepositoryPolicy`: what the base branch's file says now, as layers for whatever DAG."""

    says: list[Layer] = field(default_factory=list)

    def layers(self, dag: DagFacts) -> list[Layer]:
        return list(self.says)


@dataclass
class FakeCommitCheck:
    """`ports.CommitCheck`: the commit holds what was recorded, unless `says` has something against it."""

    says: Finding | None = None
    tips: dict[str, str] = field(default_factory=dict)
    """branches that do not end in the fix, and where they end"""
    merge: Finding | None = None
    """what stands against that the fix is merged and served"""

    def unmerged(self, dag: DagFacts, fix: Any, patches: Sequence[Any], *, served: str | None) -> Finding | None:
        return self.merge

    def moved(self, dag: DagFacts, branch: str, commit: str) -> str | None:
        return f"branch {branch!r} ends at {self.tips[branch]}" if branch in self.tips else None

    def objection(self, dag: DagFacts, commit: str, patches: Sequence[Any], *, failed_on: str | None) -> Finding | None:
        return self.says


@dataclass
class Server:
    """`service` over `url`; ANNA and WORKER may edit the DAG, READER may read it, STRANGER may not."""

    url: str
    settings: Settings = field(default_factory=Settings)
    airflow: FakeServerAirflow = field(default_factory=FakeServerAirflow)
    clock: Clock = field(default_factory=Clock)
    policies: Any = field(default_factory=FakeRepositoryPolicy)
    """`ports.RepositoryPolicy`"""
    commits: Any = field(default_factory=FakeCommitCheck)
    """`ports.CommitCheck`"""
    inspections: Any = None
    """`inspections.Inspections`, where failures are looked at without a session"""

    def __post_init__(self) -> None:
        self.store = SqlStore(without_syncing(open_engine(self.url)), key=b"key of the tests")
        migrate(self.store.engine)
        ids = count(1)
        self.new_id: Callable[[], str] = lambda: f"id{next(ids)}"
        self.service = self.with_ids(self.new_id)
        self.airflow.fail(DAG, RUN, TASK)
        self.airflow.rights |= {("anna", DAG): "edit", ("agentfix-worker", DAG): "edit", ("reader", DAG): "read"}

    def with_ids(self, new_id: Callable[[], str]) -> SessionService:
        """The same server, giving other ids."""
        return SessionService(
            self.store, self.airflow, self.settings, policies=self.policies, commits=self.commits, keys=(KEY,), clock=self.clock,
            new_id=new_id, inspections=self.inspections,
        )  # fmt: skip

    def close(self) -> None:
        self.store.engine.dispose()

    def taken(self, **more: Any) -> str:
        """The id of the session of the failure."""
        return self.service.intake(Failure(**{"dag_id": DAG, "run_id": RUN, "task_id": TASK, **more}), WORKER).id

    def claimed(self, session_id: str | None = None, *, number: int = 1, try_number: int = 1) -> Claim:
        session_id = session_id or self.taken()
        return self.service.worker.claim(session_id, WORKER, worker=worker_of(session_id, number, try_number))

    def append(self, claim: Claim, *events: tuple[EventKind, Mapping[str, Any]], after: int | None = None) -> list[Event]:
        last = self.store.get(claim.session.id).session.last_event
        return self.service.worker.append(
            claim.session.id, WORKER, lease=claim.lease, after=last if after is None else after, events=events
        )

    def with_fix(self, *, commit: str = COMMIT, findings: tuple[Mapping[str, Any], ...] = ()) -> Claim:
        """A claimed session that has opened its fix."""
        claim = self.claimed()
        self.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data(commit, findings)))
        return claim

    def approval(self, claim: Claim, *, call_id: str = "call-1", commit: str = COMMIT) -> Any:
        return self.service.worker.approval(claim.session.id, WORKER, lease=claim.lease, call_id=call_id, commit=commit)

    def rerun(self, claim: Claim, *, call_id: str = "call-1", shape_changes: Sequence[str] = ()) -> Any:
        return self.service.worker.rerun(
            claim.session.id, WORKER, lease=claim.lease, call_id=call_id, shape_changes=shape_changes
        )

    def kinds(self, session_id: str) -> list[str]:
        return [event.kind.value for event in self.store.events(session_id)]


def approved(by: str, commit: str = COMMIT) -> Approved:
    """What a worker is told of a commit that may be run."""
    return Approved(commit, by, sign_approval(KEY, commit))


def facts(rerun: Rerun) -> tuple[str, str, str, str, tuple[str, ...], int | None]:
    """What of a rerun is the server's own record."""
    return (rerun.way, rerun.dag_id, rerun.run_id, rerun.commit, rerun.task_ids, rerun.map_index)


def worker_of(session_id: str, number: int = 1, try_number: int = 1) -> str:
    return worker_name("agentfix_fix", f"agentfix__{session_id}__{number}", "fix", try_number)


def fix_data(commit: str = COMMIT, findings: tuple[Mapping[str, Any], ...] = ()) -> dict[str, Any]:
    return {
        "branch": "fix/orders-load-1a2b",
        "commit": commit,
        "base_commit": "b" * 40,
        "title": "Name the column as the table does",
        "summary": "The column is called amount.",
        "diff": "-    total\n+    amount\n",
        "pull_request": None,
        "findings": list(findings),
        "call_id": "call-0",
    }


def patch_data(path: str = "dags/orders.py", before: str | None = "total\n", after: str | None = "amount\n") -> dict[str, Any]:
    return {"files": [{"path": path, "before": before, "after": after}], "findings": [], "call_id": "call-0"}


def model_data(tokens: int = 10) -> dict[str, Any]:
    usage = {"input_tokens": tokens, "output_tokens": 2, "cache_read_input_tokens": 1, "cache_creation_input_tokens": 3}
    return {"content": [], "stop_reason": "end_turn", "model": "rules", "usage": usage, "dollars": 0.25, "after": 0}

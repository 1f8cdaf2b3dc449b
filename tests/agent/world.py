"""A small deployment in memory for the loop: one failed run, one repository, one session."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from airflow_agentfix.agent import loop
from airflow_agentfix.agent.case import Case, Code
from airflow_agentfix.agent.journal import Journal
from airflow_agentfix.agent.skills import Skills
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.code.codeowners import owners_of
from airflow_agentfix.code.gates import check
from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.code.repo_checks import CheckResult
from airflow_agentfix.code.static_checks import parsed
from airflow_agentfix.code.working_copy import WorkingCopy
from airflow_agentfix.core import transcript
from airflow_agentfix.core.incident import Incident, Repository, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.policy import Policy, RepoCheck
from airflow_agentfix.core.session import EventKind, Session, State
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.errors import AirflowNotFound, BranchExists, NothingToCommit
from airflow_agentfix.ports import Claim, Comparison, FixRequest, Model, OpenedFix, ToolSchema, WaitRun
from airflow_agentfix.redaction import redact, redact_code
from tests.fakes.incidents import REF, an_incident
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.session_client import AT, MemorySessionClient

T = TypeVar("T")

BASE = "b" * 40
TREE = {
    "dags/shop_daily_revenue.py": "from airflow.sdk import dag\nfrom shop import revenue\n",
    "dags/shop/revenue.py": "from shop import money\n\n\ndef total(row):\n    return money.to_euro(row)\n",
    "dags/shop/money.py": "def to_euros(row):\n    return row / 100\n",
    "tests/test_money.py": "def test_euros():\n    assert True\n",
    "requirements.txt": "requests==2.32\n",
}
SHAPE: dict[str, Any] = {"tasks": {}, "groups": {}}
LOG = ["starting", "reading orders", "password=hunter2secret9", *[f"row {n}" for n in range(4, 12)], "AttributeError: to_euro"]
EDIT = {"path": "dags/shop/revenue.py", "old": "money.to_euro(row)", "new": "money.to_euros(row)"}
CHAIN = [{"claim": "the helper was renamed", "cites": ["L12", "dags/shop/revenue.py:5"]}]


@dataclass
class MemoryAirflow:
    """The part of ports.AirflowApi that a session in flight uses."""

    run_state: str = "failed"
    tasks: list[TaskFacts] = field(default_factory=list)
    earlier: list[RunFacts] = field(default_factory=list)
    histories: dict[str, list[tuple[str, TaskFacts]]] = field(default_factory=dict)

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        return RunFacts(dag_id, run_id, self.run_state)

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        return self.earlier[:limit]

    def history(self, dag_id: str, task_id: str, *, map_index: int = -1, limit: int) -> list[tuple[str, TaskFacts]]:
        return self.histories.get(task_id, [])[:limit]

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskFacts]:
        return self.tasks

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts:
        for task in self.tasks:
            if (task.task_id, task.map_index) == (task_id, map_index):
                return task
        raise AirflowNotFound(f"No task instance {task_id!r} in {dag_id}/{run_id}.")

    def end_rerun(self, *, green: bool) -> None:
        """The cleared tasks ran again and ended."""
        states = ("success", "success") if green else ("failed", "upstream_failed")
        self.run_state = "success" if green else "failed"
        self.tasks = [
            TaskFacts("read_orders", -1, 1, "success", duration=3.0),
            TaskFacts("sum_revenue", -1, 2, states[0], duration=1.5, end_date="2026-11-22T07:00:00Z"),
            TaskFacts("publish_report", -1, 1, states[1]),
        ]


class MemoryHost:
    """ports.CodeHost with branches in a dict; like the real ones it never moves a branch."""

    def __init__(self) -> None:
        self.tree = dict(TREE)
        self.branches: dict[str, FixRequest | None] = {"main": None}
        self.approved: list[tuple[str, str]] = []
        self.pull_requests: str | None = None
        """where they would be; None for a host without them"""
        self.bodies: list[str] = []
        """of the pull request, the newest last"""
        self.said: list[tuple[str, str]] = []
        """comments, as (pull request, text)"""
        self.ready = False
        self.away: Exception | None = None

    def head(self, branch: str) -> str | None:
        return _commit(branch) if branch in self.branches else None

    def export(self, commit: str, into: Path) -> None:
        for path, text in self.tree.items():
            (into / path).parent.mkdir(parents=True, exist_ok=True)
            (into / path).write_text(text)

    def compare(self, base: str, head: str) -> Comparison:
        commit = {"sha": head, "author": "Kim", "date": "2026-11-21", "subject": "Rename to_euro"}
        return Comparison((commit,), ("dags/shop/money.py",))

    def open_fix(self, request: FixRequest) -> OpenedFix:
        if not request.changes:
            raise NothingToCommit("no changes")
        known = self.branches.get(request.branch)
        if request.branch in self.branches and (known is None or known.session_id != request.session_id):
            raise BranchExists(f"{request.branch!r} exists.")
        self.branches.setdefault(request.branch, request)
        url = self.pull_requests and f"{self.pull_requests}/{list(self.branches).index(request.branch)}"
        self.bodies += [request.body] if url else []
        return OpenedFix(request.branch, _commit(request.branch), url, reused=known is not None)

    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        if self.away:
            raise self.away
        assert fix.pull_request, "nobody asks a host without pull requests"
        self.bodies += [body] if body is not None else []
        self.ready |= ready

    def comment(self, fix: OpenedFix, text: str) -> None:
        if self.away:
            raise self.away
        self.said.append((str(fix.pull_request), text))

    def approve(self, commit: str, signature: str) -> None:
        self.approved.append((commit, signature))

    def delete_branch(self, branch: str) -> None:
        del self.branches[branch]

    @property
    def fixes(self) -> list[str]:
        return [branch for branch in self.branches if branch.startswith("fix/")]


def _commit(branch: str) -> str:
    return (branch.encode().hex() * 2)[-40:]


class World:
    """Everything around one session. `work` lets a fresh worker take it, as after a crash or a wait."""

    def __init__(self, folder: Path, *, policy: Policy | None = None, approve: str | None = "waived", **incident: Any) -> None:
        self.folder = folder
        self.airflow = MemoryAirflow(tasks=[TaskFacts("sum_revenue", -1, 1, "failed")])
        self.host = MemoryHost()
        session = Session(
            "s1", REF.dag_id, REF.run_id, REF.task_id, -1, 1, State.OPEN, "rerun", "cli", created_at=AT, updated_at=AT
        )
        self.now = datetime.fromisoformat(AT)
        self.client = MemorySessionClient(session, policy=policy, approve=approve)
        self.client.clock = lambda: self.now
        self.client.pin = lambda commit: setattr(self.airflow, "run_state", "queued")
        self.incident = an_incident(**incident)
        self.next_incident = self.incident
        self.fix_import, self.base_import = ImportResult(SHAPE, None), ImportResult(SHAPE, None)
        self.imports: list[str] = []
        self.log = list(LOG)
        self.has_code = True
        self.labels: tuple[str, ...] = ()
        self.skills = Skills()
        self.workers = 0
        self.checked: list[tuple[str, str]] = []
        self.failing: set[str] = set()
        """NAME on fix, NAME on base"""
        self.slept: list[float] = []
        self.session_id = "s1"
        self.base_url = ""
        self.causes: dict[int, str | Exception | None] = {}
        """of the task's earlier tries"""
        self.usuals: dict[str, str | Exception] = {}
        self.case: Case | None = None

    def work(self, model: Model | None, *, tools: tuple[ToolSchema, ...] = TOOLS) -> WaitRun | Session:
        """Claim the session on a worker that knows nothing of it, and run the loop."""
        self.workers += 1
        claim = self.client.claim(self.session_id, worker=f"w{self.workers}")
        journal = Journal(claim, self.client)
        if not transcript.of_kind(journal.events, EventKind.INCIDENT):
            journal.append((EventKind.INCIDENT, {**self.incident.to_json(), "repository": None, "base_commit": BASE}))
        self.case = self._case(claim, journal)
        return loop.run(loop.Work(self.case, partial(_asked_for, model), journal, lambda: self.now, tools, claim.unpaid))

    def messages(self) -> list[dict[str, Any]]:
        """What the model would be sent now."""
        return transcript.messages(self.client.events)

    def results(self, tool: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.client.of(EventKind.RESULT) if event.data["tool"] == tool]

    def _case(self, claim: Claim, journal: Journal) -> Case:
        tree = self.folder / f"tree{self.workers}"
        self.host.export(BASE, tree)
        copy = WorkingCopy(tree, files=transcript.working_files(journal.events))
        repository = Repository("/repo", "main", "dags")
        parts = (check, _parsed, self._import_fix, self._import_base, *self._checks())
        code = Code(repository, BASE, copy, self.host, *parts, labels=self.labels, owners=partial(owners_of, tree))
        return Case(
            session_id=self.session_id,
            lease=claim.lease,
            incident=self.incident,
            policy=Policy.from_json(claim.policy),
            airflow=self.airflow,
            client=self.client,
            log=self._log,
            task_history=lambda task_id: f"{task_id}: 3 runs, 3 green",
            diagnose=self._diagnose,
            cause_of=self._cause_of,
            usual=self._usual,
            redact=redact,
            redact_code=redact_code,
            skills=self.skills,
            code=code if self.has_code else None,
            sleep=self.slept.append,
            base_url=self.base_url,
        )

    def _import_fix(self) -> ImportResult:
        self.imports.append("fix")
        return self.fix_import

    def _checks(self) -> tuple[Any, Any]:
        return (lambda check: self._check("fix", check)), (lambda check: self._check("base", check))

    def _check(self, tree: str, check: RepoCheck) -> CheckResult:
        self.checked.append((tree, check.name))
        return CheckResult(f"{check.name} on {tree}" not in self.failing, f"{check.name} printed this")

    def _import_base(self) -> ImportResult:
        self.imports.append("base")
        return self.base_import

    def _log(self, ref: TaskRef) -> Iterator[tuple[int, str]]:
        if ref.task_id == "gone":
            raise AirflowNotFound(f"No log of {ref}.")
        return iter(enumerate(self.log, 1))

    def _cause_of(self, ref: TaskRef) -> str | None:
        return _given(self.causes.get(ref.try_number))

    def _usual(self, task: TaskFacts) -> str:
        return _given(self.usuals.get(task.task_id, ""))

    def _diagnose(self, ref: TaskRef) -> Incident:
        return replace(self.next_incident, ref=ref, text="L3\tstill broken")


def _parsed(copy: WorkingCopy) -> Sequence[Stage]:
    return parsed(copy.patch())


def _given(answer: T | Exception) -> T:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _asked_for(model: Model | None) -> Model:
    assert model is not None, "a model was asked for"
    return model


def story(*, outcome: str = "fixed") -> list[Any]:
    """The turns of a session that goes well."""
    return [
        turn(call("read_log", grep="Error"), call("read_file", path="dags/shop/revenue.py")),
        turn(call("change_files", edits=[EDIT])),
        turn(call("open_fix", title="Call to_euros, the helper's new name", summary="to_euro was renamed.")),
        turn(call("rerun")),
        turn(report(outcome=outcome)),
    ]


def report(*, outcome: str = "reported", chain: Iterable[Mapping[str, Any]] = CHAIN, **more: Any) -> dict[str, Any]:
    """A submit_report call."""
    given = {"verdict": "code", "confidence": 0.9, "root_cause": "to_euro was renamed to to_euros.", "outcome": outcome}
    return call("submit_report", **{**given, "causal_chain": list(chain), **more})


def use(world: World, *calls: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Make the calls one after the other, then end; gives their results."""
    world.work(ScriptedModel(*(turn(one) for one in calls), turn(report(outcome="gave_up"))))
    by_call = {event.data["call_id"]: event.data for event in world.client.of(EventKind.RESULT)}
    return [by_call[one["id"]] for one in calls if one["id"] in by_call]

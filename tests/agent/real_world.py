"""One session on real parts: driver, loop, session service, database, git repository and GitHub; Airflow alone is in memory.

`live` is Airflow: a task that died is tried again, one that waits is resumed when what it waits for is there.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airflow_agentfix.agent.case import Code
from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.core import questions
from airflow_agentfix.core.incident import DagFacts, Incident, Repository, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.session import EventKind, Session, WaitFor
from airflow_agentfix.driver import Driver
from airflow_agentfix.ports import CodeHost, Model, ModelRequest, OpenedFix, Turn, WaitRun
from airflow_agentfix.service import Failure, SessionService
from airflow_agentfix.settings import Settings
from airflow_agentfix.workbench import Workbench
from tests.agent.world import EDIT, LOG, SHAPE, TREE, MemoryAirflow, report
from tests.code.conftest import github_host
from tests.code.repos import git
from tests.fakes.databases import new_database
from tests.fakes.death import Killed, Mortal, Reaper, mortal_requests
from tests.fakes.github import FakeGitHub
from tests.fakes.incidents import REF, an_incident
from tests.fakes.models import call, turn
from tests.fakes.server import ANNA, WORKER, Server, worker_of
from tests.fakes.server_airflow import FakeServerAirflow

WORKER_VERBS = ("claim", "append", "ask", "approval", "rerun", "park", "finish")


class DirectClient:
    """ports.SessionClient in one process with the service; what it is given travels as JSON all the same."""

    def __init__(self, service: SessionService) -> None:
        self._service = service.worker

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        use_case = getattr(self._service, verb)
        return lambda session_id, **given: use_case(session_id, WORKER, **given)

    def append(self, session_id: str, *, lease: str, after: int, events: Any) -> Any:
        travelled = [(EventKind(kind), json.loads(json.dumps(data))) for kind, data in events]
        return self._service.append(session_id, WORKER, lease=lease, after=after, events=travelled)


class RepeatingModel:
    """ports.Model: says the turn that follows in the conversation, so an answer that was lost is given again."""

    name = "scripted"

    costs = True

    def __init__(self, turns: list[Turn]) -> None:
        self.turns, self.requests = turns, list[ModelRequest]()

    @property
    def calls(self) -> int:
        return len(self.requests)

    def reply(self, request: ModelRequest) -> Turn:
        self.requests.append(request)
        return self.turns[sum(message["role"] == "assistant" for message in request.messages)]


class SeenAirflow(MemoryAirflow):
    """Airflow as a worker sees it over REST: the same runs as the server has."""

    def __init__(self, server: FakeServerAirflow) -> None:
        super().__init__(tasks=[TaskFacts(REF.task_id, -1, 1, "failed")])
        self.server = server

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        return RunFacts(dag_id, run_id, self.server.runs[dag_id, run_id])


class Shaped(FakeServerAirflow):
    """Its runs were made with the shape that the fix keeps."""

    def shape(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return SHAPE


class WatchedHost:
    """A code host whose requests are moments while it opens a fix; an update of its pull request is one as a whole."""

    def __init__(self, real: CodeHost, reaper: Reaper) -> None:
        self._real, self._reaper = real, reaper

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        self._reaper.moment("before host.update_request")
        self._real.update_request(fix, body=body, ready=ready)
        self._reaper.moment("after host.update_request")

    def open_fix(self, request: Any) -> Any:
        self._reaper.watches_requests = True
        try:
            return self._real.open_fix(request)
        finally:
            self._reaper.watches_requests = False


class MortalGit(GitHost):
    """Plain git, whose calls to the host are moments."""

    def __init__(self, repository: Repository, reaper: Reaper) -> None:
        super().__init__(repository)
        self._reaper = reaper

    def _remote(self, *arguments: str) -> str:
        watched = self._reaper.watches_requests
        if watched:
            self._reaper.moment(f"before git {arguments[0]}")
        given = super()._remote(*arguments)
        if watched:
            self._reaper.moment(f"after git {arguments[0]}")
        return given


class RealBench(Workbench):
    """A fresh worker's bench; evidence, log and the importing child are given."""

    def __init__(self, world: RealWorld) -> None:
        super().__init__(None, world.settings, get_connection=lambda _: None, environ={})  # type: ignore[arg-type]  # no REST
        self.world = world
        self.client = world.client
        self.airflow = world.airflow  # type: ignore[assignment]  # in memory
        self._repository, self._host = world.repository()

    def collect(self, ref: TaskRef, **_: Any) -> Incident:
        return an_incident(ref=ref, dag=DagFacts(REF.dag_id, "shop_daily_revenue.py", bundle_name="shop"))

    def repository_of(self, dag: DagFacts) -> Repository:
        return self._repository

    def host(self, repository: Repository) -> CodeHost:  # type: ignore[override]  # cached there
        return self._host

    def model(self) -> Model:
        return self.world.worker_model

    def _code(self, *args: Any) -> Code:
        kept = ImportResult(SHAPE, None)
        return replace(super()._code(*args), import_fix=lambda: kept, import_base=lambda: kept)

    def _log(self, ref: TaskRef) -> Iterator[tuple[int, str]]:
        return iter(enumerate(LOG, 1))


@dataclass
class RealWorld:
    """A failed run, its repository on GitHub (or on plain git), and the session on it."""

    folder: Path
    reaper: Reaper
    github: FakeGitHub
    database: str = "sqlite"
    settings: Settings = field(default_factory=Settings)
    plain_git: bool = False
    reruns: list[bool] = field(default_factory=list)
    """which of the first reruns are green; the later ones all are"""
    turns: list[Turn] = field(default_factory=lambda: story())

    def __post_init__(self) -> None:
        self.server = Server(new_database(self.database, self.folder), self.settings, Shaped())
        self.server.airflow.fail(REF.dag_id, REF.run_id, REF.task_id)
        self.server.airflow.rights |= {(name, REF.dag_id): "edit" for name in ("anna", "agentfix-worker")}
        self.session_id = self.server.service.intake(Failure(REF.dag_id, REF.run_id, REF.task_id), WORKER).id
        self.airflow = SeenAirflow(self.server.airflow)
        self.client: Any = Mortal(DirectClient(self._mortal_service()), self.reaper, "client", *WORKER_VERBS)
        self.model = RepeatingModel(self.turns)
        self.worker_model: Any = Mortal(self.model, self.reaper, "model", "reply")

    def _mortal_service(self) -> SessionService:
        """The API server that workers talk to: it can die too, and its people's one does not."""
        store = Mortal(self.server.store, self.reaper, "store", "write")
        airflow = Mortal(self.server.airflow, self.reaper, "airflow", "ask", "pin", "end_pin", "give_answer", "start_run")
        return SessionService(
            store,  # type: ignore[arg-type]  # as a store
            airflow,  # type: ignore[arg-type]  # as Airflow
            self.settings,
            policies=self.server.policies,
            commits=self.server.commits,
            clock=self.server.clock,
            new_id=self.server.new_id,
        )

    def repository(self) -> tuple[Repository, CodeHost]:
        """The repository and a new worker's view of it."""
        if self.plain_git:
            plain = Repository(str(self.github.folder), "main", "dags")
            return plain, WatchedHost(MortalGit(plain, self.reaper), self.reaper)
        return Repository(self.github.repo_url, "main", "dags"), WatchedHost(github_host(self.github), self.reaper)

    # --- what Airflow and people do ---

    def drive(self, worker: str | None = None, *, try_number: int = 1) -> WaitRun | Session:
        """A worker takes the session until it waits, ends or dies."""
        worker = worker or worker_of(self.session_id, try_number=try_number)
        driver = Driver(RealBench(self), settle_seconds=0, clock=self.server.clock)
        return driver.drive(self.session_id, worker=worker, last_try=False)

    def live(self, worker: str | None = None) -> Session:
        """Work on the session until it has ended."""
        tries = 1
        for _ in range(20):
            try:
                given = self.drive(worker, try_number=tries)
            except Killed:
                tries += 1
                continue
            if isinstance(given, Session):
                return given
            self.happen(given)
        raise AssertionError(f"The session did not end: {self.kinds()}")

    def happen(self, wait: WaitRun) -> None:
        """What is waited for comes about."""
        if wait.waiting_for is WaitFor.PERSON:
            for question in questions.waiting(self.events()):
                approval = question.data["about"] == "approval"
                said = {"decision": "approve"} if approval else {"message": "euro"}
                self.server.service.reply(self.session_id, ANNA, question_id=question.data["question_id"], **said)
        elif self.server.airflow.runs[wait.dag_id, wait.run_id] == "running":
            self.end_rerun()

    def end_rerun(self) -> None:
        green = self.reruns.pop(0) if self.reruns else True
        self.airflow.end_rerun(green=green)
        self.server.airflow.runs[REF.dag_id, REF.run_id] = "success" if green else "failed"

    # --- what is there then ---

    def events(self) -> list[Any]:
        return self.server.store.events(self.session_id)

    def kinds(self) -> Counter[str]:
        """How often each event is there; claims and waits come with every worker."""
        every_worker = (EventKind.CLAIMED, EventKind.PARKED)
        return Counter(event.kind.value for event in self.events() if event.kind not in every_worker)

    def branches(self) -> list[str]:
        return (self.github.text("for-each-ref", "--format=%(refname:short)", "refs/heads") or "").split()

    def commits(self, branch: str) -> int:
        return int(self.github.text("rev-list", "--count", f"main..{branch}") or 0)


def story() -> list[Turn]:
    """A session that asks, fixes, reruns and reports."""
    return [
        turn(call("read_log", grep="Error"), call("read_file", path="dags/shop/revenue.py")),
        turn(call("change_files", edits=[EDIT])),
        turn(call("pause_for_human", reason="Which currency?", summary_for_human="Two are possible.")),
        turn(call("open_fix", title="Call to_euros, the helper's new name", summary="to_euro was renamed.")),
        turn(call("rerun")),
        turn(report(outcome="fixed")),
    ]


def make_origin(folder: Path) -> Path:
    """A bare repository that holds TREE on main."""
    work, bare = folder / "work", folder / "dags.git"
    for path, text in TREE.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    git("init", "-q", "-b", "main", cwd=work)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "First", cwd=work)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=folder)
    return bare


@contextmanager
def real_world(folder: Path, origin: Path, *, at: int | None = None, **more: Any) -> Iterator[RealWorld]:
    """A world of its own, whose processes die at the `at`-th moment."""
    folder.mkdir(exist_ok=True)
    git("clone", "-q", "--bare", str(origin), str(folder / "dags.git"), cwd=folder)
    reaper = Reaper(at)
    with FakeGitHub(folder / "dags.git") as github, mortal_requests(reaper):
        world = RealWorld(folder, reaper, github, **more)
        try:
            yield world
        finally:
            world.server.close()

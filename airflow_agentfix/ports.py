"""What the engine needs from the outside, as protocols. Each adapter implements exactly one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, XCom
from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import DagFacts, Incident, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.policy import Layer
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, WaitFor
from airflow_agentfix.core.summary import SoFar

Json = dict[str, Any]


# --- Airflow ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskSpec:
    """A task as its DAG defines it."""

    task_id: str
    downstream: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    is_mapped: bool = False
    trigger_rule: str | None = None


class AirflowApi(Protocol):
    """Airflow's REST API v2. Raises `errors.AirflowError` and its kinds; nothing there is AirflowNotFound."""

    def version(self) -> str: ...

    def dag(self, dag_id: str) -> DagFacts: ...

    def dag_ids(self) -> list[str]:
        """Every DAG the login may read."""

    def run(self, dag_id: str, run_id: str) -> RunFacts: ...

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        """The newest runs, newest first."""

    def green_before(self, dag_id: str, started: str) -> RunFacts | None:
        """The successful run that started last before this time, None if there is none."""

    def task_instances(self, dag_id: str, run_id: str, *, states: Sequence[str] = ()) -> list[TaskFacts]:
        """All task instances of a run, mapped ones too, whatever their number; with `states` only those in them."""

    def mapped_count(self, dag_id: str, run_id: str, task_id: str) -> int:
        """How many mapped instances a task has in a run."""

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts: ...

    def log_lines(self, ref: TaskRef) -> Iterator[bytes]:
        """The try's log, line by line as served: structured events as JSON (NDJSON), or text; streamed, never held whole."""

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[TaskFacts]:
        """Every try of one task instance, the first one first."""

    def history(self, dag_id: str, task_id: str, *, map_index: int = -1, limit: int) -> list[tuple[str, TaskFacts]]:
        """The task's instances in the newest runs, with their run ids, newest first."""

    def downstream(self, dag_id: str, task_id: str) -> list[str]:
        """Task ids downstream of `task_id`, direct ones."""

    def graph(self, dag_id: str) -> dict[str, list[str]]:
        """Every task id of the DAG's newest version, with the ids directly downstream of it."""

    def tasks(self, dag_id: str) -> list[TaskSpec]:
        """The tasks of the DAG's newest version."""

    def assets(self, dag_id: str) -> list[AssetFacts]:
        """Every asset the DAG is scheduled on, reads or updates."""

    def upstream_events(self, dag_id: str, run_id: str) -> list[AssetEvent]:
        """The asset events that started a run; none for a run that was started otherwise."""

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, max_chars: int) -> XCom | None:
        """What a task returned, None where it returned nothing; of a long one the beginning is read, not the whole."""

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> RunFacts:
        """Start a run. One that exists already with this id is returned, not started again."""

    def import_errors(self) -> list[Json]: ...


# --- the worker's side of the session API ----------------------------------------------------------------------------


@dataclass(frozen=True)
class WaitRun:
    """Wait, without a slot, until the DAG run is terminal."""

    dag_id: str
    run_id: str
    waiting_for: WaitFor
    call_id: str | None = None


@dataclass(frozen=True)
class Claim:
    """What a worker gets when it takes a session: the lease, the session, all its events, and what it may do.

    A session that is done is given as it is, with an empty lease: there is nothing to do.
    """

    lease: str
    session: Session
    events: tuple[Event, ...]
    policy: Json
    """`core.policy.Policy` as JSON: the effective policy, decided by the server"""
    unpaid: str | None = None
    """why no model that costs anything may be asked: the day has no dollars for it; None where they are reserved"""


@dataclass(frozen=True)
class Answer:
    """What became of a question, as the server recorded it. `decision`: answer | approve | reject, or `nobody` where it ended
    without an answer: `message` says why then."""

    question_id: str
    decision: str
    message: str
    actor: str


@dataclass(frozen=True)
class Approved:
    """The commit may be run. `by` is the person, or `waived` with the policy's reason."""

    commit: str
    by: str


@dataclass(frozen=True)
class Rerun:
    """A rerun the server started (or had started for this commit before). Wait for (dag_id, run_id)."""

    way: str
    dag_id: str
    run_id: str
    commit: str
    task_ids: tuple[str, ...]
    map_index: int | None = None
    """which instance of the failed task was cleared; -1: every one that had failed"""


class SessionClient(Protocol):
    """The narrow session API a worker has. Every call but `claim` needs the lease; a lost lease raises SessionConflict.

    `ask`, `approval` and `rerun` are idempotent per (session, call_id): a second call gives the first one's result.
    """

    def claim(self, session_id: str, *, worker: str) -> Claim: ...

    def append(
        self, session_id: str, *, lease: str, after: int, events: Sequence[tuple[EventKind, Mapping[str, Any]]]
    ) -> list[Event]:
        """Append and renew the lease. Returns every event numbered above `after`, the own ones and those the server wrote
        meanwhile (notes, a stop)."""

    def ask(
        self, session_id: str, *, lease: str, call_id: str, subject: str, body: str, options: Sequence[str]
    ) -> Answer | WaitRun:
        """Ask a person; WaitRun until answered, then the Answer."""

    def approval(self, session_id: str, *, lease: str, call_id: str, commit: str) -> Approved | Answer | WaitRun:
        """May this commit be run? Approved; a WaitRun on the question; or an Answer with decision `reject` or `nobody`."""

    def shape(self, session_id: str, *, lease: str) -> Json:
        """`core.shape` of the failed run's own serialized DAG."""

    def rerun(self, session_id: str, *, lease: str, call_id: str) -> Rerun | WaitRun:
        """Rerun on the recorded fix commit. WaitRun(waiting_for=TASK) while the failed run is still going.
        Raises RerunImpossible, NotAllowed (no approval)."""

    def park(self, session_id: str, *, lease: str, wait: WaitRun) -> None:
        """Give the lease back and wait."""

    def finish(
        self,
        session_id: str,
        *,
        lease: str,
        outcome: Outcome,
        summary: str,
        verdict: str | None,
        report: Json | None,
        error: str | None,
    ) -> Session: ...


# --- model -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ToolSchema:
    """A tool as the Messages API takes it."""

    name: str
    description: str
    input_schema: Json


@dataclass(frozen=True)
class ModelRequest:
    """One model call. `messages` are Messages API messages, append-only from call to call.

    `incident` is what the first message renders, `so_far` what its summary does where the conversation began from one: the
    offline model reads them as values, Claude does not get them.
    """

    system: str
    tools: tuple[ToolSchema, ...]
    messages: Sequence[Json]
    incident: Incident
    so_far: SoFar | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool_use block."""

    id: str
    name: str
    input: Json


@dataclass(frozen=True)
class Turn:
    """A model's answer: content blocks as the Messages API has them, kept verbatim for the next call."""

    content: tuple[Json, ...]
    stop_reason: str
    model: str
    usage: Json = field(default_factory=dict)
    dollars: float = 0.0

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls to run: none unless the turn stopped for them."""
        if self.stop_reason != "tool_use":
            return ()
        return tuple(ToolCall(b["id"], b["name"], b["input"]) for b in self.content if b["type"] == "tool_use")


class Model(Protocol):
    """Something that continues a conversation. Raises `errors.ModelError` and its kinds."""

    name: str
    costs: bool
    """whether a call costs dollars"""

    def reply(self, request: ModelRequest) -> Turn: ...


# --- code ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class FileChange:
    """One changed file: whole bytes; `content` None deletes it. `mode` is git's (100644, 100755); None keeps it."""

    path: str
    content: bytes | None
    mode: str | None = None


@dataclass(frozen=True)
class FixRequest:
    """One commit on a new branch off `base_commit`, and a draft pull request where the host has them."""

    session_id: str
    branch: str
    base_branch: str
    base_commit: str
    message: str
    """whole commit message, trailers included; `Agentfix-Session: <id>` is how the branch is known again"""
    changes: tuple[FileChange, ...]
    title: str
    body: str


@dataclass(frozen=True)
class OpenedFix:
    """A branch of ours on the code host. `reused`: it was there already with this session's trailer."""

    branch: str
    commit: str
    pull_request: str | None
    reused: bool = False


COMPARED_COMMITS = 250
"""a comparison has at most so many, the newest"""


@dataclass(frozen=True)
class Comparison:
    """What changed between two commits, newest first."""

    commits: tuple[Json, ...]
    """{sha, author, date, subject}"""
    files: tuple[str, ...]


@dataclass(frozen=True)
class Fate:
    """What became of a fix. `commit` is where the base branch has it, once merged.

    `gone`: its branch is no more, or has left the commit, or the pull request was closed without a merge.
    """

    state: Literal["open", "merged", "gone"]
    commit: str | None = None


class CodeHost(Protocol):
    """A repository. Raises `errors.CodeError` and its kinds."""

    def head(self, branch: str) -> str | None:
        """The branch's commit, None if there is no such branch."""

    def export(self, commit: str, into: Path) -> None:
        """Write the tree at `commit` into the empty folder `into` (no .git)."""

    def compare(self, base: str, head: str) -> Comparison: ...

    def commits(self, head: str, *, paths: Sequence[str] = (), until: str | None = None, limit: int) -> list[str]:
        """Ids of commits up to `head`, newest first: those that touch one of `paths`, made until then (ISO 8601)."""

    def files(self, commit: str) -> list[str]:
        """Paths of the commit's files."""

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at the commit, None if it has no such file."""

    def open_fix(self, request: FixRequest) -> OpenedFix:
        """Idempotent: a branch that holds the same content on the same base, made by this session or by an earlier one for the
        same cause, is returned, not made again. BranchExists for a foreign one, NothingToCommit for no change. Never forces,
        never touches the base branch."""

    def fate(self, fix: OpenedFix) -> Fate:
        """What became of a fix that was opened. A host without pull requests sees a squash as a branch that is open or gone."""

    def delete_branch(self, branch: str) -> None: ...


class Checks(Protocol):
    """Executed checks on a tree, in a child process."""

    def shape(self, tree: Path, *, dag_file: str, dag_id: str, subdir: str) -> Json | None:
        """Import the DAG file from `tree` and return its shape; None where it does not import, with the reason logged."""


class RepositoryPolicy(Protocol):
    """What the repository of a DAG says AgentFix may do, asked by the server."""

    def layers(self, dag: DagFacts) -> list[Layer]:
        """Never raises: what could not be read is a layer that says so and allows to report."""


class CommitCheck(Protocol):
    """Whether a fix's commit holds what was recorded of it, asked by the server."""

    def objection(self, dag: DagFacts, commit: str, patches: Sequence[Any], *, failed_on: str | None) -> Finding | None:
        """`patches`: the net change of each file, as `code.working_copy.Patch`; `failed_on`: the version the failed run was made
        on. Never raises: what could not be looked at is a finding for a person."""


# --- Airflow from inside the API server -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Question:
    """What a run of agentfix_ask shows under Required Actions."""

    run_id: str
    """deterministic: agentfix__<session id>__<question id>"""
    subject: str
    body: str
    options: tuple[str, ...]
    assigned_users: tuple[str, ...] = ()
    hours: float = 0.0
    """after which it ends without an answer; 0 waits for ever"""


@dataclass(frozen=True)
class HumanAnswer:
    """An answer under Required Actions, with the identity Airflow recorded."""

    option: str
    message: str
    user: str


@dataclass(frozen=True)
class PinRequest:
    """Put a failed run on a fix commit and clear its failed tasks of one cause, with downstream."""

    session_id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    """-1: not mapped, or all instances of the task that failed"""
    commit: str
    also: tuple[tuple[str, int], ...] = ()
    """further tasks of the run that failed of the same cause, as (task id, map index)"""


@dataclass(frozen=True)
class Pinned:
    """`task_ids` were cleared; `original_version` is what the run goes back to when the pin ends."""

    run_id: str
    task_ids: tuple[str, ...]
    original_version: str | None


@dataclass(frozen=True)
class UnpinRequest:
    """Take a run off the fix commit that this session put it on."""

    session_id: str
    dag_id: str
    run_id: str
    commit: str
    version: str | None
    """what the run is to be on instead"""


class ServerAirflow(Protocol):
    """Airflow's own database and auth manager, from inside the API server only. Raises `errors.AirflowError` and its kinds."""

    def dag(self, dag_id: str) -> DagFacts:
        """The DAG as it was parsed last, with its tags. AirflowNotFound."""

    def resolve(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> TaskFacts:
        """The task instance as it stands; AirflowNotFound says which of DAG, run, task, map index is unknown."""

    def start_run(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> None:
        """Start a run of one of our DAGs; one that exists is left alone. ConfigurationError if the DAG is missing or paused."""

    def run_state(self, dag_id: str, run_id: str) -> str | None: ...

    def ask(self, question: Question) -> None:
        """Start (idempotently) the run of agentfix_ask that shows the question."""

    def answer(self, run_id: str) -> HumanAnswer | None:
        """What was answered under Required Actions, None while nobody has."""

    def give_answer(self, run_id: str, *, option: str, message: str, user: Any) -> None:
        """Answer the question's run in the person's name (an Airflow user object), so that it ends."""

    def withdraw(self, run_id: str, *, reason: str) -> None:
        """End the run of a question nobody needs an answer to any more, shown or not, whoever it was put to."""

    def require_pinnable(self, dag_id: str, run_id: str) -> None:
        """Raises RerunImpossible where no pin of this run can work, whatever the commit: asked before a person is."""

    def pin(self, request: PinRequest) -> Pinned:
        """DESIGN §10 "Pin in detail". SessionConflict-free: a run already pinned to this commit gives the same answer.
        RerunImpossible says what is missing; AirflowConflict while the run is not terminal."""

    def end_pin(self, request: UnpinRequest) -> str | None:
        """Returns the version the run is on now: a run that left the commit meanwhile, or that another session has pinned, is
        left alone. AirflowConflict while the run is not terminal."""

    def run_version(self, dag_id: str, run_id: str) -> str | None:
        """The bundle version the run is on; None where its bundle has none, or there is no such run."""

    def served_version(self, dag_id: str) -> str | None:
        """The bundle version that new runs of the DAG are created on; None where its bundle has none."""

    def shape(self, dag_id: str, run_id: str) -> Json:
        """`core.shape.shape_of` of the serialized DAG the run was created with."""

    def may(self, user: Any, dag_id: str, *, edit: bool) -> bool:
        """The auth manager's word on this DAG: read a session needs read on it; edit needs what editing its runs needs."""

    def one_user_for_all(self) -> bool:
        """Whether everybody who logs in is the same user, so that a worker cannot be told from a person."""

"""What the engine needs from the outside, as protocols. Each adapter implements exactly one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from airflow_agentfix.core.incident import DagFacts, Incident, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.session import Event, EventKind, Outcome, Session, WaitFor

Json = dict[str, Any]


# --- Airflow ---------------------------------------------------------------------------------------------------------


class AirflowApi(Protocol):
    """Airflow's REST API v2. Raises `errors.AirflowError` and its kinds; nothing there is AirflowNotFound."""

    def version(self) -> str: ...

    def dag(self, dag_id: str) -> DagFacts: ...

    def run(self, dag_id: str, run_id: str) -> RunFacts: ...

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        """The newest runs, newest first."""

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskFacts]:
        """All task instances of a run, mapped ones too, whatever their number."""

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts: ...

    def log_lines(self, ref: TaskRef) -> Iterator[bytes]:
        """The try's log, line by line as served: structured events as JSON (NDJSON), or text; streamed, never held whole."""

    def downstream(self, dag_id: str, task_id: str) -> list[str]:
        """Task ids downstream of `task_id`, direct ones."""

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
    """What a worker gets when it takes a session: the lease, the session, all its events, and what it may do."""

    lease: str
    session: Session
    events: tuple[Event, ...]
    policy: Json
    """`core.policy.Policy` as JSON: the effective policy, decided by the server"""


@dataclass(frozen=True)
class Answer:
    """A person's answer, as the server recorded it. `decision`: answer | approve | reject."""

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
        """May this commit be run? Approved; a WaitRun on the question; or an Answer with decision `reject`."""

    def shape(self, session_id: str, *, lease: str) -> Json:
        """`core.shape` of the failed run's own serialized DAG."""

    def rerun(self, session_id: str, *, lease: str, call_id: str) -> Rerun | WaitRun:
        """Rerun on the recorded fix commit. WaitRun(waiting_for=TASK) while the failed run is still going.
        Raises RerunImpossible, NotAllowed (no approval)."""

    def park(self, session_id: str, *, lease: str, wait: WaitRun) -> None:
        """Give the lease back and wait."""

    def finish(
        self, session_id: str, *, lease: str, outcome: Outcome, summary: str, verdict: str | None, report: Json | None,
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

    `incident` is what the first message renders; the offline model reads it as values, Claude does not get it.
    """

    system: str
    tools: tuple[ToolSchema, ...]
    messages: Sequence[Json]
    incident: Incident


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


@dataclass(frozen=True)
class Comparison:
    """What changed between two commits, newest first."""

    commits: tuple[Json, ...]
    """{sha, author, date, subject}"""
    files: tuple[str, ...]


class CodeHost(Protocol):
    """A repository. Raises `errors.CodeError` and its kinds."""

    def head(self, branch: str) -> str | None:
        """The branch's commit, None if there is no such branch."""

    def export(self, commit: str, into: Path) -> None:
        """Write the tree at `commit` into the empty folder `into` (no .git)."""

    def compare(self, base: str, head: str) -> Comparison: ...

    def open_fix(self, request: FixRequest) -> OpenedFix:
        """Idempotent: a branch that carries this session's trailer and the same content is returned, not made again.
        BranchExists for a foreign one, NothingToCommit for no change. Never forces, never touches the base branch."""

    def delete_branch(self, branch: str) -> None: ...


class Checks(Protocol):
    """Executed checks on a tree, in a child process."""

    def shape(self, tree: Path, *, dag_file: str, dag_id: str, subdir: str) -> Json | None:
        """Import the DAG file from `tree` and return its shape; None where it does not import, with the reason logged."""



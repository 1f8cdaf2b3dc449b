"""The case a session works on: everything its tools may touch, and what a tool gives back.

The parts that need Airflow, git or a child process come in as ports and callables; `wiring.py` brings them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_agentfix.agent.skills import Skills
from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import Incident, Repository, TaskFacts, TaskRef
from airflow_agentfix.core.policy import Policy, RepoCheck
from airflow_agentfix.core.session import Event, EventKind, Outcome
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.core.transcript import Call
from airflow_agentfix.errors import ToolRefused
from airflow_agentfix.ports import AirflowApi, CodeHost, FileChange, Json, SessionClient, WaitRun

NewEvent = tuple[EventKind, Mapping[str, Any]]


class WorkingCopy(Protocol):
    """The repository's tree with the session's changes; `code.working_copy.WorkingCopy` is the real one."""

    def list_files(self, glob: str | None = None) -> list[str]: ...

    def read(self, path: str) -> str: ...

    def search(self, regex: str, glob: str | None = None) -> list[tuple[str, int, str]]: ...

    def edit(self, path: str, old: str, new: str) -> None: ...

    def create(self, path: str, content: str) -> None: ...

    def changes(self) -> tuple[FileChange, ...]: ...

    def diff(self) -> str: ...

    def snapshot(self) -> Any: ...

    def restore(self, snapshot: Any) -> None: ...


class ImportResult(Protocol):
    """What importing the DAG file from a tree gave: its shape, or the error."""

    @property
    def shape(self) -> Json | None: ...

    @property
    def error(self) -> str | None: ...


class CheckResult(Protocol):
    """What one of the repository's own checks gave."""

    @property
    def ok(self) -> bool: ...

    @property
    def detail(self) -> str: ...


@dataclass(frozen=True)
class Code:
    """The repository a fix goes to. What is named `import_…` and `check_…` runs code in a child process: only after an
    approval."""

    repository: Repository
    base_commit: str
    copy: WorkingCopy
    host: CodeHost
    gates: Callable[[Any, Policy], Sequence[Finding]]
    parsed: Callable[[Any], Sequence[Stage]]
    """what of the working copy's changes was seen to compile and to parse; nothing is executed"""
    import_fix: Callable[[], ImportResult]
    import_base: Callable[[], ImportResult]
    check_fix: Callable[[RepoCheck], CheckResult]
    check_base: Callable[[RepoCheck], CheckResult]
    labels: tuple[str, ...] = ()
    """that a pull request gets"""
    owners: Callable[[Iterable[str]], tuple[str, ...]] = lambda _: ()
    """who owns these paths, by the repository's CODEOWNERS on the base commit"""


@dataclass(frozen=True)
class Case:
    """One session's work. `code` is None where the repository is not known, and `no_code` says why."""

    session_id: str
    lease: str
    incident: Incident
    policy: Policy
    airflow: AirflowApi
    client: SessionClient
    log: Callable[[TaskRef], Iterable[tuple[int, str]]]
    """(line number, text) of a try's log, numbered as in the incident's text; AirflowNotFound if there is none"""
    task_history: Callable[[str], str]
    """earlier runs of a task of this DAG, as text"""
    diagnose: Callable[[TaskRef], Incident]
    """collect the evidence of another failed try"""
    cause_of: Callable[[TaskRef], str | None]
    """the fingerprint of another try, by its log alone; None where the log is gone"""
    usual: Callable[[TaskFacts], str]
    """how long an instance took against earlier green runs of its task, in words; empty where there is none to compare with"""
    redact: Callable[[str], str]
    """others' words: secrets, invisible characters and HTML comments are taken out"""
    redact_code: Callable[[str], str]
    """the same for code, which is edited as it is shown: HTML comments stay"""
    skills: Skills
    code: Code | None = None
    no_code: str = "the DAG's repository is not known"
    sleep: Callable[[float], None] = time.sleep
    base_url: str = ""
    """Airflow's address as people have it; empty where `[api] base_url` is not set"""
    has_page: bool = True
    """whether sessions have pages in Airflow's UI: `[agentfix] ui`"""

    def tree(self) -> Code:
        """The repository, or a refusal the model can act on."""
        if self.code is None:
            why = self.no_code.rstrip(".")
            raise ToolRefused(f"There is no code to work on: {why}. End with submit_report and say so in owner_action.")
        return self.code


@dataclass(frozen=True)
class Use:
    """One use of a tool: the call, the case, and everything that happened before."""

    call: Call
    case: Case
    events: Sequence[Event]

    @property
    def input(self) -> Json:
        return self.call.input


@dataclass(frozen=True)
class Done:
    """A tool's result. `events` are recorded together with it, in one append."""

    text: str
    is_error: bool = False
    events: tuple[NewEvent, ...] = field(default=())


@dataclass(frozen=True)
class Recorded:
    """What has to be on record before the call goes on: it is made again once that is, and finds it among the events."""

    events: tuple[NewEvent, ...]


@dataclass(frozen=True)
class Ending:
    """How the session ends."""

    outcome: Outcome
    summary: str
    verdict: str | None = None
    report: Json | None = None
    error: str | None = None


Given = Done | WaitRun | Recorded | Ending

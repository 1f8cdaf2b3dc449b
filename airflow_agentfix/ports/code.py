"""Repositories and what is looked at in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import DagFacts
from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.policy import Layer


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
    sign: Callable[[str], str] | None = None
    """gives the deployment's signature of a tree id, which the commit carries as its trailer Agentfix-Sig; None leaves it out"""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    """logins, and teams as ORG/TEAM, that the pull request is put to; one that cannot be asked is told of in the log"""


@dataclass(frozen=True)
class OpenedFix:
    """A branch of ours on the code host. `reused`: it was there already, with the very commit that was asked for."""

    branch: str
    commit: str
    pull_request: str | None
    reused: bool = False
    made_by: str | None = None
    """the earlier session whose commit it is; None where it is this session's own"""


@dataclass(frozen=True)
class Comment:
    """What somebody wrote on a fix's pull request: under it, beside a line, or as the text of a review."""

    id: str
    """the host's own, unique on the pull request"""
    author: str
    may_write: bool
    """whether the author has write access to the repository, as the host says now"""
    text: str
    at: str
    """ISO 8601 in UTC"""
    url: str
    where: str | None = None
    """path:line for one beside a line"""


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
        same cause, is returned, not made again; an earlier one's only while its pull request is open. BranchExists for a foreign
        one, NothingToCommit for no change. Never forces, never touches the base branch."""

    def fate(self, fix: OpenedFix) -> Fate:
        """What became of a fix that was opened. A host without pull requests sees a squash as a branch that is open or gone."""

    def approve(self, commit: str, signature: str) -> None:
        """Leave the deployment's word that the commit may be run where previews look for it, as
        `core.signature.approval_ref`; done before is done."""

    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        """Bring the fix's open pull request up to date: its text, and `ready` takes it out of draft. Nothing is done where the
        host has none, or where it is closed or merged."""

    def comment(self, fix: OpenedFix, text: str) -> None:
        """Write under the fix's pull request, once: a text that is there already is not written again. Nothing is done where the
        host has none."""

    def comments(self, fix: OpenedFix, *, since: str | None = None) -> list[Comment]:
        """What was written on the fix's pull request at that time (ISO 8601) or later, oldest first, our login's own left out;
        empty where the host has none."""

    def delete_branch(self, branch: str) -> None:
        """Remove a branch that AgentFix made, and its approvals; one that is gone is fine, another's is BranchExists."""


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

    def moved(self, dag: DagFacts, branch: str, commit: str) -> str | None:
        """Why a run that is told the branch would not run the commit; None where the branch ends in it. Never raises: what could
        not be looked at is a reason."""

    def unmerged(self, dag: DagFacts, fix: OpenedFix, patches: Sequence[Any], *, served: str | None) -> Finding | None:
        """What keeps runs that go on with what Airflow serves (`served`: its bundle version) from having the fix. REFUSE: they
        would not have it; PERSON: the repository cannot tell, so it is a person's word. None: they have it. Never raises."""

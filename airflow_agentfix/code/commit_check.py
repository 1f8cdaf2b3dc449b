"""Does a fix's commit hold what was recorded of it? Asked by the API server itself: a person approves a commit by its recorded
changes, and whoever has a worker's login could record other ones than they pushed.

Invariant: what could not be compared is said to a person, and is never waived; what differs is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import lru_cache

from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.errors import AgentFixError, CommitNotFound
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.redaction import told

log = logging.getLogger(__name__)

KEPT = 200
"""answers kept in memory: a commit never changes"""
_Texts = tuple[tuple[str, str | None], ...]
"""path and text of each changed file; None: deleted"""


class RepositoryCommits:
    """`ports.CommitCheck` over code hosts."""

    def __init__(self, *, repository_of: Callable[[DagFacts], Repository], open_host: Callable[[Repository], CodeHost]) -> None:
        self._repository_of = repository_of
        self._open_host = open_host
        self._compared = lru_cache(maxsize=KEPT)(self._compare)

    def objection(self, dag: DagFacts, commit: str, patches: Sequence[Patch], *, failed_on: str | None) -> Finding | None:
        """What keeps the commit from being taken for these changes; None where it holds them, and nothing else, on top of what
        the run failed on."""
        texts = tuple((patch["path"], patch["after"]) for patch in patches)
        try:
            return self._compared(self._repository_of(dag), commit, texts, failed_on)
        except AgentFixError as error:
            reason = f"The commit could not be compared with the recorded changes, so look at the commit itself: {told(error)}"
            log.warning("%s", reason)
            return Finding("commit-not-compared", Severity.PERSON, "", reason)

    def moved(self, dag: DagFacts, branch: str, commit: str) -> str | None:
        """Why a run that is told the branch would not run the commit."""
        try:
            head = self._open_host(self._repository_of(dag)).head(branch)
        except AgentFixError as error:
            return f"where branch {branch!r} ends could not be looked up: {told(error)}"
        return None if head == commit else f"branch {branch!r} ends at {head or 'nothing: it is gone'}, not at commit {commit}."

    def _compare(self, repository: Repository, commit: str, texts: _Texts, failed_on: str | None) -> Finding | None:
        host = self._open_host(repository)
        if reason := _differs(host, repository.base_branch, commit, texts):
            return Finding("commit-differs", Severity.REFUSE, "", reason)
        if failed_on and (lost := host.compare(commit, failed_on).commits):
            reason = (
                f"Commit {commit} lacks {len(lost)} commits that the failed run had ({failed_on[:12]}), so a rerun on it goes "
                "back to older code: look at what they changed."
            )
            return Finding("older-code", Severity.PERSON, "", reason)
        return None


def _differs(host: CodeHost, base_branch: str, commit: str, texts: _Texts) -> str | None:
    head = host.head(base_branch)
    if head is None:
        raise CommitNotFound(f"The repository has no branch {base_branch!r}.")
    found = host.compare(head, commit)
    brought = [one["sha"] for one in found.commits]
    if brought not in ([], [commit]):  # none where the base branch has it, and whoever guards that; it may be an old one
        return f"Commit {commit} brings {len(brought)} commits to {base_branch}; expected itself alone."
    if beside := sorted(set(found.files) - {path for path, _ in texts}):
        return f"Commit {commit} changes files that are not among the recorded changes: {', '.join(beside[:5])}."
    other = [path for path, text in texts if host.read(commit, path) != (None if text is None else text.encode())]
    return f"Commit {commit} holds other text than the recorded changes in {', '.join(other[:5])}." if other else None


class NoCommitCheck:
    """`ports.CommitCheck` where [agentfix] repository_policy is False: that the commit holds the changes is the worker's word."""

    def objection(self, dag: DagFacts, commit: str, patches: Sequence[Patch], *, failed_on: str | None) -> Finding | None:  # noqa: ARG002 - the port's
        return None

    def moved(self, dag: DagFacts, branch: str, commit: str) -> str | None:  # noqa: ARG002 - the port's
        return None

"""Does a fix's commit hold what was recorded of it, and is it merged? Asked by the API server itself: a person approves a commit
by its recorded changes, and whoever has a worker's login could record other ones than they pushed.

Invariant: what could not be compared is said to a person, and is never waived; what differs, or is not merged, is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core import recovery
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.errors import AgentFixError, CommitNotFound
from airflow_agentfix.ports import CodeHost, OpenedFix
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

    def unmerged(self, dag: DagFacts, fix: OpenedFix, patches: Sequence[Patch], *, served: str | None) -> Finding | None:
        """What keeps runs that go on with what Airflow serves from having the fix."""
        try:
            repository = self._repository_of(dag)
            return _unmerged(self._open_host(repository), repository.base_branch, fix, patches, served)
        except AgentFixError as error:
            reason = f"Whether the fix is merged could not be looked up, so that it is counts as your word: {told(error)}"
            log.warning("%s", reason)
            return Finding("merge-not-looked-up", Severity.PERSON, "", reason)

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


def _unmerged(host: CodeHost, base: str, fix: OpenedFix, patches: Sequence[Patch], served: str | None) -> Finding | None:
    fate, then = host.fate(fix), "recover once Airflow serves the DAG with it."
    if fate.state == "merged":
        return _not_served(host, str(fate.commit), served)
    has = recovery.content_on(_contents(host, base, patches))
    if has == "fix":
        return None
    if fate.state == "open" and fix.pull_request:
        return _refused(f"The fix is not merged yet: {fix.pull_request} is open. Merge it, and {then}")
    if has == "before":
        where = f"branch {fix.branch!r} is still to be merged" if fate.state == "open" else "it was closed, or its branch is gone"
        return _refused(f"The fix is not merged: {base!r} has the changed files as they were, and {where}. Merge it, and {then}")
    reason = f"{base!r} has not the very commit, as after a squash or a rebase, so that the fix is merged counts as your word."
    return Finding("merge-not-known", Severity.PERSON, "", reason)


def _not_served(host: CodeHost, commit: str, served: str | None) -> Finding | None:
    """A bundle's version is a commit of its repository; without versions nobody but a person knows what is served."""
    if served is None:
        return None
    try:
        lacks = host.compare(served, commit).commits
    except CommitNotFound:
        reason = f"The repository has not {served[:12]}, which Airflow serves, so that this has the fix counts as your word."
        return Finding("merge-not-known", Severity.PERSON, "", reason)
    reason = f"The fix is merged, and Airflow serves the DAG on {served[:12]}, without it yet. Recover once it has."
    return _refused(reason) if lacks else None


def _contents(host: CodeHost, branch: str, patches: Sequence[Patch]) -> Iterator[tuple[bytes | None, bytes | None, bytes | None]]:
    head = host.head(branch)
    if head is None:
        raise CommitNotFound(f"The repository has no branch {branch!r}.")
    for patch in patches:
        before, after = (None if text is None else text.encode() for text in (patch["before"], patch["after"]))
        yield before, after, host.read(head, patch["path"])


def _refused(reason: str) -> Finding:
    return Finding("not-merged", Severity.REFUSE, "", reason)


class NoCommitCheck:
    """`ports.CommitCheck` where [agentfix] repository_policy is False: that the commit holds the changes is the worker's word."""

    def objection(self, dag: DagFacts, commit: str, patches: Sequence[Patch], *, failed_on: str | None) -> Finding | None:  # noqa: ARG002 - the port's
        return None

    def moved(self, dag: DagFacts, branch: str, commit: str) -> str | None:  # noqa: ARG002 - the port's
        return None

    def unmerged(self, dag: DagFacts, fix: OpenedFix, patches: Sequence[Patch], *, served: str | None) -> Finding | None:  # noqa: ARG002 - the port's
        return None

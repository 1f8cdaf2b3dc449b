"""What became of a fix, by commits alone: the part of `CodeHost.fate` that every host shares."""

from __future__ import annotations

from airflow_agentfix.errors import CommitNotFound
from airflow_agentfix.ports import CodeHost, Fate, OpenedFix


def fate_of(host: CodeHost, fix: OpenedFix, *, base_branch: str) -> Fate:
    """Merged where the base branch has the very commit; open while its own branch still has it."""
    base = host.head(base_branch)
    if base is None:
        raise CommitNotFound(f"The repository has no branch {base_branch!r}; check the configured base branch.")
    if contains(host, base, fix.commit):
        return Fate("merged", fix.commit)
    branch = host.head(fix.branch)
    return Fate("open" if branch is not None and contains(host, branch, fix.commit) else "gone")


def contains(host: CodeHost, head: str, commit: str) -> bool:
    """Whether the history of `head` has `commit`. One that the host does not have at all is in no history."""
    try:
        return not host.compare(head, commit).commits
    except CommitNotFound:
        return False

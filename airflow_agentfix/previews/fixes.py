"""Whether a commit is a fix of this deployment, from the raw commit: its trailers and their signature. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from airflow_agentfix.core import paths
from airflow_agentfix.core.signature import TRAILER, is_fix

_DAG, _FILE, _SESSION = "Agentfix-Dag", "Agentfix-File", "Agentfix-Session"
_KEY = re.compile(r"[\w.-]{1,250}")
_TREE = re.compile(rb"tree ([0-9a-f]{40}|[0-9a-f]{64})\n")


@dataclass(frozen=True)
class Fix:
    """A commit that a session of this deployment made. `file` is the DAG file, from the repository's top."""

    commit: str
    dag_id: str
    file: str
    session_id: str


def read_fix(commit: str, raw: bytes, keys: Iterable[bytes]) -> Fix | str:
    """The fix in a raw commit (`git cat-file commit`), or why it is none of ours, in words for a log."""
    head, _, message = raw.partition(b"\n\n")
    tree = _TREE.match(head + b"\n")
    trailers = _trailers(message.decode(errors="replace"))
    lacking = [name for name in (_SESSION, _DAG, _FILE, TRAILER) if len(trailers.get(name, ())) != 1]
    if lacking or tree is None:
        return f"its commit does not carry {' and '.join(lacking)} exactly once; fixes that AgentFix made and signed do"
    (session_id,), (dag_id,), (file,), (signature,) = (trailers[name] for name in (_SESSION, _DAG, _FILE, TRAILER))
    if reason := _malformed(session_id=session_id, dag_id=dag_id, file=file):
        return reason
    if not is_fix(signature, keys, tree=tree[1].decode(), dag_id=dag_id, file=file, session_id=session_id):
        return f"{TRAILER} is no signature of this deployment for this tree, DAG, file and session ([agentfix] signing_key)"
    return Fix(commit, dag_id, file, session_id)


def _trailers(message: str) -> dict[str, list[str]]:
    """All values of our trailers in the last paragraph."""
    last = message.rstrip("\n").rpartition("\n\n")[2]
    found: dict[str, list[str]] = {}
    for line in last.split("\n"):
        name, colon, value = line.partition(": ")
        if colon:
            found.setdefault(name, []).append(value)
    return found


def _malformed(*, session_id: str, dag_id: str, file: str) -> str | None:
    if not _KEY.fullmatch(session_id):
        return f"{_SESSION} {session_id[:80]!a} is no session's id"
    if not _KEY.fullmatch(dag_id):
        return f"{_DAG} {dag_id[:80]!a} is no DAG id"
    if not file.endswith(".py"):
        return f"{_FILE} {file[:80]!a} is no Python file"
    reason = paths.unsafe(file)
    return f"{_FILE} {file[:80]!a} is no path in the repository: {reason}" if reason else None

"""What changed in the code between the last green run and the failed one, and the code around the traceback's frames.

Over `ports.CodeHost`. Where the runs have no code version, the base branch at the time they started stands for it, and the
result says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import groupby
from pathlib import PurePosixPath

from airflow_agentfix.core.circumstances import Changes, Commit, Excerpt
from airflow_agentfix.core.incident import DagFacts, Frame, Repository, RunFacts
from airflow_agentfix.errors import CommitNotFound
from airflow_agentfix.ports import CodeHost, Comparison

CodeOf = Callable[[DagFacts], "tuple[Repository, CodeHost]"]
"""where a DAG's code lives; raises NoRepository saying what to configure"""

AROUND = 6
AROUND_OUTER = 2
FRAMES = 4
FILES = 300
"""of the changed files, as many as are kept: what GitHub gives at most"""
_LINE = 500
_TOUCHING = 100
_TRACEBACK_FILES = 4
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DEPENDENCIES = (
    "*requirements*.txt", "*requirements/*.txt", "*constraints*.txt", "packages.txt", "pyproject.toml", "setup.py", "setup.cfg",
    "poetry.lock", "uv.lock", "pdm.lock", "Pipfile", "Pipfile.lock", "environment.y*ml", "conda*.y*ml", "*Dockerfile*",
    "packages.yml", "dependencies.yml", "package-lock.yml",
)  # fmt: skip


@dataclass(frozen=True)
class Codebase:
    """The repository at the failing version. `exact`: the run said which commit; else the base branch as it was then."""

    repository: Repository
    host: CodeHost
    commit: str
    exact: bool
    files: Sequence[str]
    dag: DagFacts
    head: str | None = None
    """the base branch's, where it was asked for"""

    def path_of(self, file: str) -> str | None:
        """The repository path of a file as a worker names it, None if it is not in the repository."""
        root = (self.dag.fileloc or "").removesuffix(self.dag.file)
        if root and file.startswith(root):
            inner = self.repository.path_of(file.removeprefix(root))
            if inner in self.files:
                return inner
        ending = [path for path in self.files if f"/{file.lstrip('/')}".endswith(f"/{path}")]
        return max(ending, key=len, default=None)

    def dag_file(self) -> str | None:
        path = self.repository.path_of(self.dag.file)
        return path if path in self.files else None


def codebase(code_of: CodeOf, dag: DagFacts, run: RunFacts) -> Codebase:
    """Raises NoRepository and other CodeErrors."""
    repository, host = code_of(dag)
    commit, head = run.bundle_version or "", None
    if not _COMMIT.fullmatch(commit):
        head = _head(host, repository)
        commit = _at(host, repository, head, run)
    return Codebase(repository, host, commit, head is None, host.files(commit), dag, head)


def changes(code: Codebase, *, green: RunFacts, frames: Iterable[Frame]) -> Changes:
    """Between the last green run and this one; without commits where the code is the same."""
    base, exact = green.bundle_version or "", code.exact
    if not (exact and _COMMIT.fullmatch(base)):
        head = code.head or _head(code.host, code.repository)
        base, exact = _at(code.host, code.repository, head, green), False
    found = Changes(green.run_id, base, code.commit, by="bundle_version" if exact else "time")
    if base == code.commit:
        return found
    compared, undone = code.host.compare(base, code.commit), False
    if not compared.commits:  # the run was on older code than the green one: what it lacks is what changed
        compared, undone = code.host.compare(code.commit, base), True
    told = _Told(code, frames, compared.files)
    return replace(
        found,
        undone=undone,
        commits=_commits(compared, told, base if undone else code.commit),
        files=tuple(sorted(compared.files, key=lambda path: (_ORDER.index(told.kind(path)), path)))[:FILES],
        dependencies=tuple(told.dependencies),
    )


def _commits(compared: Comparison, told: _Told, newest: str) -> tuple[Commit, ...]:
    """Newest first within each kind, for sorting keeps the order of what is alike."""
    touching = _touching(compared, told, newest)
    found = []
    for one in compared.commits:
        sha = str(one["sha"])
        kind = next((kind for kind, shas in touching.items() if sha in shas), "other")
        found.append(Commit(sha, str(one["author"]), str(one["date"]), str(one["subject"]), kind))
    return tuple(sorted(found, key=lambda commit: _ORDER.index(commit.touches)))


def _touching(compared: Comparison, told: _Told, newest: str) -> dict[str, set[str]]:
    """Commits by what they touch; one that is alone has done all that changed, and nobody is asked."""
    if len(compared.commits) == 1 and len(compared.files) < FILES:
        only = {str(compared.commits[0]["sha"])}
        return {kind: only for kind, paths in told.kinds() if set(paths) & set(compared.files)}
    ask = told.code.host.commits
    return {kind: set(ask(newest, paths=paths, limit=_TOUCHING)) for kind, paths in told.kinds() if paths}


_ORDER = ("traceback", "dag", "dependencies", "other")


class _Told:
    """Which files matter most to this failure."""

    def __init__(self, code: Codebase, frames: Iterable[Frame], changed: Iterable[str]) -> None:
        self.code = code
        found = (code.path_of(frame.file) for frame in reversed(list(frames)) if frame.user)
        self.traceback = list(dict.fromkeys(path for path in found if path))[:_TRACEBACK_FILES]
        dag_file = code.dag_file()
        self.dag = [dag_file] if dag_file and dag_file not in self.traceback else []
        self.dependencies = [path for path in changed if says_what_is_installed(path)]

    def kinds(self) -> Iterator[tuple[str, list[str]]]:
        yield "traceback", self.traceback
        yield "dag", self.dag
        yield "dependencies", self.dependencies

    def kind(self, path: str) -> str:
        return next((kind for kind, paths in self.kinds() if path in paths), "other")


def says_what_is_installed(path: str) -> bool:
    """Whether a change of the file may change what is installed: requirements, locks, images."""
    name = PurePosixPath(path).name
    return any(fnmatch(path if "/" in pattern else name, pattern) for pattern in _DEPENDENCIES)


def _head(host: CodeHost, repository: Repository) -> str:
    head = host.head(repository.base_branch)
    if head is None:
        raise CommitNotFound(f"Repository {repository.url} has no branch {repository.base_branch!r}.")
    return head


def _at(host: CodeHost, repository: Repository, head: str, run: RunFacts) -> str:
    """What the base branch was when the run started."""
    then = host.commits(head, until=run.start_date, limit=1) if run.start_date else [head]
    if not then:
        raise CommitNotFound(f"{repository.base_branch!r} of {repository.url} has no commit from before {run.start_date}.")
    return then[0]


# --- the code around the frames --------------------------------------------------------------------------------------


def excerpts(code: Codebase, frames: Sequence[Frame]) -> tuple[Excerpt, ...]:
    """The lines around each user frame, the innermost first; of the innermost frame more of them."""
    wanted: dict[str, set[int]] = {}
    for place, frame in enumerate(reversed([frame for frame in frames if frame.user][-FRAMES:])):
        if path := code.path_of(frame.file):
            around = AROUND if place == 0 else AROUND_OUTER
            wanted.setdefault(path, set()).update(range(frame.line - around, frame.line + around + 1))
    return tuple(excerpt for path, numbers in wanted.items() for excerpt in _of_file(code, path, numbers))


def _of_file(code: Codebase, path: str, numbers: set[int]) -> Iterator[Excerpt]:
    content = code.host.read(code.commit, path)
    lines = content.decode(errors="replace").splitlines() if content else []
    inside = sorted(number for number in numbers if 1 <= number <= len(lines))
    for _, group in groupby(enumerate(inside), key=lambda pair: pair[1] - pair[0]):
        block = [number for _, number in group]
        yield Excerpt(path, code.commit, block[0], tuple(_shown(lines[number - 1]) for number in block), code.exact)


def _shown(line: str) -> str:
    """A line of generated code or data may have megabytes."""
    return line if len(line) <= _LINE else f"{line[:_LINE]} …{len(line) - _LINE} more characters"

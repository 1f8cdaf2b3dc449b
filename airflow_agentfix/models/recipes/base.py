"""What a recipe is: a generator that asks for tool calls and ends in a fix or in the reason why it makes none.

A recipe looks only through tool calls, so its whole state is the conversation; it never executes the code it reads.
Invariant: a recipe returns a Fix only where exactly one change can be meant; anything less is a NoFix.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_agentfix.core.incident import Incident, Verdict

T = TypeVar("T")

_TOO_LONG = re.compile(r"has (\d+) lines")
_PART = 150
_PARTS = 12
"""lines read at once from a long file, and how many such parts a session's turns allow"""


@dataclass(frozen=True)
class Call:
    """A tool call a recipe wants to make, and why, in one line for who follows the session."""

    tool: str
    input: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Result:
    """What the tool answered."""

    text: str
    is_error: bool = False


Steps = Generator[Call, Result, T]
"""Work that makes tool calls on its way to a T."""


@dataclass(frozen=True)
class Edit:
    """One changed file: whole texts. `before` is what read_file gave."""

    path: str
    before: str
    after: str

    @property
    def diff(self) -> str:
        lines = difflib.unified_diff(
            self.before.splitlines(), self.after.splitlines(), f"a/{self.path}", f"b/{self.path}", lineterm="", n=1
        )
        return "\n".join(lines)


@dataclass(frozen=True)
class Claim:
    """One link of the causal chain and the lines that prove it."""

    text: str
    cites: tuple[str, ...]


@dataclass(frozen=True)
class Fix:
    """The one change that can be meant. `why_no_rerun` is set where running the DAG again could prove nothing."""

    title: str
    cause: str
    change: str
    why_this_one: str
    edits: tuple[Edit, ...]
    claims: tuple[Claim, ...]
    verdict: Verdict = Verdict.CODE
    why_no_rerun: str | None = None
    warning: str | None = None

    @property
    def diff(self) -> str:
        return "\n".join(edit.diff for edit in self.edits)

    @property
    def summary(self) -> str:
        """What a reviewer needs: cause, change, why this one."""
        parts = [f"Cause: {self.cause}", f"Change: {self.change}", f"Why this one: {self.why_this_one}"]
        return "\n\n".join([*([self.warning] if self.warning else []), *parts])


@dataclass(frozen=True)
class NoFix:
    """The recipe was tried and makes no change; `reason` says what was found."""

    reason: str


@dataclass(frozen=True)
class Recipe:
    """A family of failures. `attempt` is called only where `matches` holds."""

    name: str
    matches: Callable[[Incident], bool]
    attempt: Callable[[Incident, Repo], Steps[Fix | NoFix]]


class Unreadable(Exception):
    """A tool could not look; the recipe cannot know, so it makes no fix."""


@dataclass(frozen=True)
class Hit:
    """One line search_code found."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class LogLine:
    """One line of the failed try's log."""

    number: int
    text: str

    @property
    def cite(self) -> str:
        return f"L{self.number}"


@dataclass
class Repo:
    """The repository, and the log, through the reading tools. Each thing is asked for once; identical calls would be refused."""

    seen: dict[str, str] = field(default_factory=dict)
    """path -> text of the files read so far"""
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    """(glob, regex or nothing) -> what list_files or search_code told"""

    def paths(self, glob: str) -> Steps[tuple[str, ...]]:
        """Repository paths that match, sorted."""
        text = yield from self._ask((glob, ""), Call("list_files", {"glob": glob}, f"Which files are there like `{glob}`?"))
        return tuple(sorted(line.strip() for line in text.splitlines() if line.strip()))

    def _ask(self, key: tuple[str, str], call: Call) -> Steps[str]:
        if key not in self.asked:
            self.asked[key] = _told((yield call))
        return self.asked[key]

    def read(self, path: str) -> Steps[str]:
        """The file's text."""
        if path not in self.seen:
            result = yield Call("read_file", {"path": path}, f"Read {path}.")
            long = _TOO_LONG.search(result.text) if result.is_error else None
            self.seen[path] = (yield from self._read_parts(path, int(long[1]))) if long else _numbered(_told(result))
        return self.seen[path]

    def _read_parts(self, path: str, lines: int) -> Steps[str]:
        """A file over the cap of one result, part by part."""
        if lines > _PART * _PARTS:
            raise Unreadable(f"{path} has {lines} lines; at most {_PART * _PARTS} are read")
        text = ""
        for start in range(1, lines + 1, _PART):
            end = min(start + _PART - 1, lines)
            result = yield Call(
                "read_file", {"path": path, "start": start, "end": end}, f"Read lines {start} to {end} of {path}."
            )
            text += _numbered(_told(result))
        return text

    def search(self, regex: str, glob: str) -> Steps[tuple[Hit, ...]]:
        """Lines of files like `glob` in which `regex` is found."""
        call = Call("search_code", {"regex": regex, "glob": glob}, f"Where does `{regex}` occur in `{glob}`?")
        text = yield from self._ask((glob, regex), call)
        return tuple(hit for line in text.splitlines() if (hit := _hit(line)))

    def log(self, grep: str) -> Steps[tuple[LogLine, ...]]:
        """Lines of the failed try's log that match."""
        result = yield Call("read_log", {"grep": grep, "around": 0}, f"Which lines of the log match {grep}?")
        rows = [re.match(r"L(\d+)\t(.*)", line) for line in _told(result).splitlines()]
        return tuple(LogLine(int(row[1]), row[2]) for row in rows if row)

    def locate(self, logged: str) -> Steps[str | None]:
        """The repository path of a file the log names by its path on a worker: the longest common ending, if one is longest."""
        name = logged.rsplit("/", 1)[-1]
        paths = yield from self.paths(f"**/{name}")
        shared = {path: _common_ending(path, logged) for path in paths if path.rsplit("/", 1)[-1] == name}
        best = max(shared.values(), default=0)
        longest = [path for path, length in shared.items() if length == best]
        whole = [path for path in longest if path.count("/") + 1 == best]
        chosen = whole or longest
        return chosen[0] if len(chosen) == 1 else None


def _told(result: Result) -> str:
    if result.is_error:
        raise Unreadable(result.text)
    return result.text


def _numbered(text: str) -> str:
    """The file's text from rows of `<number><TAB><text>`."""
    rows = [line.partition("\t") for line in text.split("\n")]
    return "".join(f"{text}\n" for number, tab, text in rows if tab and number.strip().isdigit())


def _hit(line: str) -> Hit | None:
    path, _, rest = line.partition(":")
    number, colon, text = rest.partition(":")
    return Hit(path, int(number), text) if colon and number.isdigit() else None


def _common_ending(path: str, logged: str) -> int:
    shared = 0
    for one, other in zip(reversed(path.split("/")), reversed(logged.split("/")), strict=False):
        if one != other:
            break
        shared += 1
    return shared


def is_test(path: str) -> bool:
    """Tests are no evidence of what production code defines."""
    folders, _, name = path.rpartition("/")
    return name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py" or "tests" in folders.split("/")

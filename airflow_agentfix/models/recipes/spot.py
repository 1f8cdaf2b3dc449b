"""Where a Python exception was raised: the message, the repository file, the line; and the fix that renames one name there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, Hit, NoFix, Repo, Steps
from airflow_agentfix.models.recipes.source import Place, Source


def exception_name(incident: Incident) -> str:
    """The exception's bare name: KeyError for builtins.KeyError."""
    return (incident.cause.exception or "").rsplit(".", 1)[-1]


def exception_text(incident: Incident) -> str:
    """What the exception says, without its type in front."""
    message = incident.cause.message.strip()
    for name in (incident.cause.exception, exception_name(incident)):
        if name and message.startswith(f"{name}: "):
            return message[len(name) + 2 :]
    return message


def log_cites(incident: Incident) -> tuple[str, ...]:
    """Lines of the log that state the cause."""
    wanted = (incident.cause.message.strip().split("\n")[0], incident.cause.line.strip())
    lines = tuple(f"L{number}" for number, text in incident.cause.context if any(part and part in text for part in wanted))
    return lines or incident.judgement.evidence


@dataclass(frozen=True)
class Spot:
    """The line of the repository at which the exception was raised."""

    source: Source
    line: int
    function: str

    @property
    def path(self) -> str:
        return self.source.path

    @property
    def cite(self) -> str:
        return f"{self.path}:{self.line}"

    @property
    def text(self) -> str:
        return self.source.line(self.line).strip()

    def spanning(self) -> Iterator[ast.AST]:
        """Expressions that cover the line; statements are left out, a `for` would bring its whole body."""
        for node in ast.walk(self.source.tree):
            if isinstance(node, ast.expr | ast.keyword) and node.lineno <= self.line <= (node.end_lineno or node.lineno):
                yield node


def find_spot(incident: Incident, repo: Repo, *, in_user_code: bool = True) -> Steps[Spot | NoFix]:
    """The innermost frame of user code. `in_user_code`: the exception must have been raised there, not in a library it called."""
    frames = incident.cause.user_frames
    if not frames:
        return NoFix("the log names no line of the repository's code")
    frame = frames[-1]
    if in_user_code and frame != incident.cause.frames[-1]:
        return NoFix(f"the exception was raised in a library ({incident.cause.frames[-1].file}), not in the repository's code")
    path = yield from repo.locate(frame.file)
    if path is None:
        return NoFix(f"{frame.file} is not in the repository, or more than one file could be it")
    source = Source.parse(path, (yield from repo.read(path)))
    if source is None:
        return NoFix(f"{path} does not parse")
    if frame.code is not None and frame.code.strip() != source.line(frame.line).strip():
        return NoFix(f"{path}:{frame.line} is not the line that failed any more: the base branch has moved on")
    return Spot(source, frame.line, frame.function)


@dataclass(frozen=True)
class Slip:
    """A wrong name at its places in the file, and the right one with the line that defines it."""

    wrong: str
    right: str
    places: tuple[Place, ...]
    defined_at: str
    reason: str
    """why `right` is the only one that can be meant"""


def rename(incident: Incident, spot: Spot, slip: Slip) -> Fix | NoFix:
    """The fix that writes `right` for `wrong` at those places."""
    after = spot.source.replaced(slip.places, slip.wrong, slip.right)
    if after is None:
        return NoFix(f"{slip.wrong!r} does not stand as such at {spot.cite}")
    where = ", ".join(f"{spot.path}:{line}" for line in sorted({line for line, _ in slip.places}))
    return Fix(
        title=f"Use {slip.right} instead of {slip.wrong} in {spot.path.rsplit('/', 1)[-1]}",
        cause=f"{spot.cite} uses `{slip.wrong}`, which does not exist: {exception_name(incident)}: {exception_text(incident)}",
        change=f"`{slip.wrong}` becomes `{slip.right}` at {where}; nothing else changes.",
        why_this_one=slip.reason,
        edits=(Edit(spot.path, spot.source.text, after),),
        claims=(
            Claim(f"The task failed with {exception_name(incident)}: {exception_text(incident)}", log_cites(incident)),
            Claim(f"The code uses `{slip.wrong}`", (spot.cite,)),
            Claim(slip.reason, (slip.defined_at,)),
        ),
    )


def other_uses(repo: Repo, name: str, spot: Spot, *, own: frozenset[int] = frozenset()) -> Steps[tuple[Hit, ...]]:
    """Uses of `name` away from the spot's line and the file's `own` ones: a name used elsewhere may be the right one.

    Comments do not count.
    """
    word = re.compile(rf"\b{re.escape(name)}\b")
    hits = yield from repo.search(word.pattern, "**/*.py")
    known = own | {spot.line}
    used = [hit for hit in hits if word.search(hit.text.partition("#")[0])]
    return tuple(hit for hit in used if hit.path != spot.path or hit.line not in known)


def used_elsewhere(name: str, hits: tuple[Hit, ...]) -> NoFix:
    places = ", ".join(f"{hit.path}:{hit.line}" for hit in hits[:3])
    return NoFix(f"{name!r} is used elsewhere too ({places}), so it may be the right name and something else is missing")

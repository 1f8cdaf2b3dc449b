"""The stages of a fix's verification, in their order, and how one ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class StageState(StrEnum):
    """How a stage ended."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


@dataclass(frozen=True)
class Stage:
    """One stage of a fix's verification. `detail`: what was seen, or why it was not run."""

    name: str
    state: StageState
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Stage:
        """Raises KeyError, TypeError or ValueError for what is no stage."""
        name, detail = data["name"], data.get("detail", "")
        if not isinstance(name, str) or not isinstance(detail, str):
            raise TypeError(f"a stage's name and detail are {name!r} and {detail!r}; expected texts")
        return cls(name, StageState(data["state"]), detail)


def passed(name: str, detail: str) -> Stage:
    return Stage(name, StageState.PASSED, detail)


def failed(name: str, detail: str) -> Stage:
    return Stage(name, StageState.FAILED, detail)


def not_run(name: str, why: str) -> Stage:
    return Stage(name, StageState.NOT_RUN, why)


REPRODUCED = "reproduced"
GATES = "gates"
COMPILED = "compiled"
STATIC_CHECKS = "static checks"
IMPORTS = "DAG imports"
SHAPE = "shape kept"
REPOSITORY_CHECKS = "repository checks"
RERUN = "rerun"
OUTPUT_CHECKS = "output checks"
PULL_REQUEST = "pull request"
"""no look at the fix: whether its pull request says what is on record; named where it does not"""

AT_OPEN = (REPRODUCED, GATES, COMPILED, STATIC_CHECKS)
"""nothing of the fix is executed for them"""
EXECUTED = (IMPORTS, SHAPE, REPOSITORY_CHECKS)
"""after an approval only, before the rerun"""
RERUN_AND_AFTER = (RERUN, OUTPUT_CHECKS)
ORDER = (*AT_OPEN, *EXECUTED, *RERUN_AND_AFTER)

NAMED = 5


def some(names: Sequence[str], most: int = NAMED) -> str:
    """The first few by name, the others by number."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

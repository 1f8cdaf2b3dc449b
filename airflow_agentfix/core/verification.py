"""What was looked at of a fix, stage by stage, and what was not."""

from __future__ import annotations

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

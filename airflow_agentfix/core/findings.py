"""What a gate found in a change."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """`REFUSE`: the change is not made. `PERSON`: it is, but a person must approve it, whatever is waived."""

    REFUSE = "refuse"
    PERSON = "person"


@dataclass(frozen=True)
class Finding:
    """One gate's objection; `reason` is a plain sentence that says what was found and what to do instead."""

    rule: str
    severity: Severity
    path: str
    reason: str
    line: int | None = None

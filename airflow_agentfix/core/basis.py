"""What a conversation with a model rests on: whatever stands before its messages in a request.

A model's turns are made on exactly that, and signed thinking is bound to it. So where one of the three is another when a
session wakes up, its conversation ends and a new one begins from a summary (`core.summary`). The system prompt is one of them
though it may change by a number of the policy alone: turns that were told other rules ("you may rerun", "this path is
allowed") must not argue against the ones in force, and a long wait over which a policy or a skill changed is rare enough for a
conversation. It follows that a system prompt holds nothing that moves by itself, like the time or what is left of a budget.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

_DIGEST_CHARS = 16

MODEL, TOOLS, PROMPT = "model", "tools", "prompt"
PARTS: Mapping[str, str] = {MODEL: "the model", TOOLS: "the tools' schemas", PROMPT: "the instructions (policy or skills)"}
"""what can change, and how it is told"""


@dataclass(frozen=True)
class Basis:
    """The model by name, tools and system prompt by digest: an event holds what a reader compares, not the whole of it."""

    model: str
    tools: str | None = None
    prompt: str | None = None
    """None: not recorded, in sessions of a version that kept the model's name alone; it counts as unchanged"""

    def to_json(self) -> dict[str, str | None]:
        return asdict(self)

    def changed(self, now: Basis) -> tuple[str, ...]:
        """Which parts are another in `now`, in the order of `PARTS`."""
        return tuple(part for part in PARTS if getattr(self, part) not in (None, getattr(now, part)))


def basis_of(*, model: str, tools: Iterable[Mapping[str, Any]], prompt: str) -> Basis:
    """The basis of a request. `tools` are their schemas as JSON; their order counts, as it does in a request."""
    return Basis(model, _digest([dict(tool) for tool in tools]), _digest(prompt))


def told(parts: Sequence[str]) -> str:
    """The parts as words: the model, and the tools' schemas."""
    names = [PARTS.get(part, part) for part in parts]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:_DIGEST_CHARS]

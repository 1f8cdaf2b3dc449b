"""A model that says what a test wrote down."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from copy import deepcopy
from itertools import count
from typing import Any

from airflow_agentfix.ports import ModelRequest, Turn

USAGE = {"input_tokens": 1000, "output_tokens": 100, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
_IDS = count(1)


def call(name: str, /, **given: Any) -> dict[str, Any]:
    """A tool_use block with an id of its own."""
    return {"type": "tool_use", "id": f"call_{next(_IDS)}", "name": name, "input": given}


def turn(*blocks: dict[str, Any], stop_reason: str = "tool_use", dollars: float = 0.01, text: str | None = None) -> Turn:
    """A turn of these blocks, with a text before them."""
    said = [{"type": "text", "text": text}] if text else []
    return Turn((*said, *blocks), stop_reason, "scripted", USAGE, dollars)


def say(text: str, *, stop_reason: str = "end_turn") -> Turn:
    """A turn of text alone."""
    return turn(stop_reason=stop_reason, text=text)


class ScriptedModel:
    """ports.Model: answers with the next turn, keeps what it was asked. An exception in the script is raised instead."""

    def __init__(self, *script: Turn | Exception | Callable[[ModelRequest], Turn], name: str = "scripted") -> None:
        self.name, self.costs = name, True
        self._script = deque(script)
        self.requests: list[ModelRequest] = []

    def reply(self, request: ModelRequest) -> Turn:
        self.requests.append(deepcopy(request))
        if not self._script:
            raise AssertionError(f"The script is over, and the model was asked again: {request.messages[-1]}")
        entry = self._script.popleft()
        if isinstance(entry, Exception):
            raise entry
        return entry(request) if callable(entry) else entry

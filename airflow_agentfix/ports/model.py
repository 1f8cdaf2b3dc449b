"""The model that continues a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.summary import SoFar


@dataclass(frozen=True)
class ToolSchema:
    """A tool as the Messages API takes it."""

    name: str
    description: str
    input_schema: Json


@dataclass(frozen=True)
class ModelRequest:
    """One model call. `messages` are Messages API messages, append-only from call to call.

    `incident` is what the first message renders, `so_far` what its summary does where the conversation began from one: the
    offline model reads them as values, Claude does not get them.
    """

    system: str
    tools: tuple[ToolSchema, ...]
    messages: Sequence[Json]
    incident: Incident
    so_far: SoFar | None = None


@dataclass(frozen=True)
class ToolCall:
    """A tool_use block."""

    id: str
    name: str
    input: Json


@dataclass(frozen=True)
class Turn:
    """A model's answer: content blocks as the Messages API has them, kept verbatim for the next call."""

    content: tuple[Json, ...]
    stop_reason: str
    model: str
    usage: Json = field(default_factory=dict)
    dollars: float = 0.0

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The tool calls to run: none unless the turn stopped for them."""
        if self.stop_reason != "tool_use":
            return ()
        return tuple(ToolCall(b["id"], b["name"], b["input"]) for b in self.content if b["type"] == "tool_use")


class Model(Protocol):
    """Something that continues a conversation. Raises `errors.ModelError` and its kinds."""

    name: str
    costs: bool
    """whether a call costs dollars"""

    def reply(self, request: ModelRequest) -> Turn: ...

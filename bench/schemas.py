"""What the tools' schemas cost in every request to the model."""

from __future__ import annotations

import json

from airflow_agentfix.agent.tools import TOOLS
from bench.figure import Figure

CHARS_PER_TOKEN = 3.5


def measure() -> list[Figure]:
    sent = [{"name": tool.name, "description": tool.description, "input_schema": tool.input_schema} for tool in TOOLS]
    characters = len(json.dumps(sent, separators=(",", ":"), ensure_ascii=False))
    how = (
        f"an estimate: {characters} characters of compact JSON over {CHARS_PER_TOKEN}, {len(TOOLS)} tools with name, description "
        "and input_schema as sent; no tokenizer of Claude's works offline, and count_tokens needs a key"
    )
    return [Figure("tool schemas", round(characters / CHARS_PER_TOKEN), "tokens", 1500, 1, how)]

"""The budget of a session: what its model events used against what its policy allows.

Invariant: usage is summed from events, so it holds across retries, waits and workers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind, Usage


def usage_of(events: Iterable[Event]) -> Usage:
    """What the model calls among `events` used together."""
    total = Usage()
    for event in events:
        if event.kind is EventKind.MODEL:
            total = _plus(total, event)
    return total


def tokens(usage: Usage) -> int:
    """Tokens in and out together, cached ones included: what a model was made to read and write."""
    return usage.input_tokens + usage.output_tokens + usage.cache_read_tokens + usage.cache_write_tokens


def exceeded(usage: Usage, policy: Policy) -> str | None:
    """Which limit is used up, as a sentence; None while another model call is allowed."""
    if usage.turns >= policy.max_turns:
        return f"{usage.turns} of {policy.max_turns} model calls are used up (max_turns)."
    if tokens(usage) >= policy.max_tokens:
        return f"{tokens(usage)} of {policy.max_tokens} tokens are used up (max_tokens)."
    if usage.dollars > 0 and usage.dollars >= policy.max_dollars:
        return f"${usage.dollars:.2f} of ${policy.max_dollars:.2f} are used up (max_dollars)."
    return None


def _plus(total: Usage, event: Event) -> Usage:
    used = event.data.get("usage") or {}

    def count(name: str) -> int:
        return int(used.get(name) or 0)

    return replace(
        total,
        turns=total.turns + 1,
        input_tokens=total.input_tokens + count("input_tokens"),
        output_tokens=total.output_tokens + count("output_tokens"),
        cache_read_tokens=total.cache_read_tokens + count("cache_read_input_tokens"),
        cache_write_tokens=total.cache_write_tokens + count("cache_creation_input_tokens"),
        dollars=total.dollars + float(event.data.get("dollars") or 0.0),
    )

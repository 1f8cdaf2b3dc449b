"""YAML of a repository as plain values: whatever a file holds, reading it neither fails in another way nor takes long."""

from __future__ import annotations

from typing import Any

import yaml

MOST_VALUES = 100_000
"""that aliases may make of a file; each alias of an alias multiplies them"""


def load(text: str) -> Any:
    """The first document. ValueError for what is no YAML, or unfolds to too much."""
    try:
        data = yaml.safe_load(text)
        _refuse_too_many(data)
    except (yaml.YAMLError, RecursionError, TypeError, OverflowError) as error:
        raise ValueError(f"no YAML: {error}") from error
    return data


def _refuse_too_many(data: Any) -> None:
    left, waiting = MOST_VALUES, [data]
    while waiting:
        left -= 1
        if left < 0:
            raise ValueError(f"aliases unfold to over {MOST_VALUES} values")
        node = waiting.pop()
        waiting += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()

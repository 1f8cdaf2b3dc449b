"""Plain JSON: what every database keeps and every answer can tell again. A value that could not be read back would lock its
session."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_agentfix.errors import InvalidRequest

Json = dict[str, Any]

MAX_DEPTH = 50
_UNTELLABLE = re.compile(r"[\x00\ud800-\udfff]")


def plain(value: Any, *, depth: int = 0) -> Any:
    """The value without NUL and lone surrogates (bytes of a foreign file name, half a character). InvalidRequest for deep
    nesting."""
    if isinstance(value, str):
        return _UNTELLABLE.sub("", value)
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"The data is nested over {MAX_DEPTH} levels deep; expected plain JSON.")
    if isinstance(value, Mapping):
        return {plain(name): plain(part, depth=depth + 1) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part, depth=depth + 1) for part in value]
    return value

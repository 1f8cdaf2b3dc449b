"""Regular expressions that come from a model: short, valid, and none that backtracks for hours."""

from __future__ import annotations

import re

from airflow_agentfix.errors import ToolRefused

MAX_CHARS = 200
_NESTED_REPEAT = re.compile(r"\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)\s*[+*{]")


def compiled(regex: str) -> re.Pattern[str]:
    """The pattern, or ToolRefused with the reason. `re` cannot be interrupted, so a nested repeat is refused."""
    if len(regex) > MAX_CHARS:
        raise ToolRefused(f"The regex has {len(regex)} characters; expected at most {MAX_CHARS}.")
    if _NESTED_REPEAT.search(regex):
        raise ToolRefused(f"The regex {regex!r} repeats a group that itself repeats; write it without the nested repeat.")
    try:
        return re.compile(regex)
    except re.error as error:
        raise ToolRefused(f"{regex!r} is no regular expression: {error}.") from error

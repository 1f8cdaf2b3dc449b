"""Regular expressions and globs that come from a model or a repository: short, valid, and none that runs for hours."""

from __future__ import annotations

import re
import time

import regex
from pathspec import GitIgnoreSpec

from airflow_agentfix.errors import ToolRefused

MAX_CHARS = 200
SECONDS = 20.0
"""that one pattern may take in all, over however many lines"""
STARS = 3
"""wildcards in one part of a glob, and `**` in all of it: each multiplies what a matcher may have to try, which nothing can
interrupt"""
_NESTED_REPEAT = re.compile(r"\((?:[^()\\]|\\.)*[+*}](?:[^()\\]|\\.)*\)\s*[+*{]")


class Pattern:
    """A compiled expression that gives up when its time is used up; `re` could not be interrupted."""

    def __init__(self, expression: str, *, seconds: float = SECONDS) -> None:
        self._expression = expression
        self._left = seconds
        self._compiled = regex.compile(expression)

    def search(self, text: str) -> bool:
        """Whether it occurs in the text. ToolRefused once its time is used up."""
        started = time.monotonic()
        try:
            found = self._compiled.search(text, timeout=max(self._left, 0.001)) is not None
        except TimeoutError as error:
            raise ToolRefused(f"The regex {self._expression!r} takes too long; write it with fewer repeats.") from error
        self._left -= time.monotonic() - started
        return found


def compiled(expression: str, *, seconds: float = SECONDS) -> Pattern:
    """The pattern, or ToolRefused with the reason. A nested repeat is refused before it costs its time."""
    if len(expression) > MAX_CHARS:
        raise ToolRefused(f"The regex has {len(expression)} characters; expected at most {MAX_CHARS}.")
    if _NESTED_REPEAT.search(expression):
        raise ToolRefused(f"The regex {expression!r} repeats a group that itself repeats; write it without the nested repeat.")
    try:
        return Pattern(expression, seconds=seconds)
    except (regex.error, OverflowError, RecursionError, ValueError) as error:
        raise ToolRefused(f"{expression!r} is no regular expression: {error}.") from error


def glob_spec(glob: str) -> GitIgnoreSpec:
    """The glob as in .gitignore, or ToolRefused with the reason."""
    if len(glob) > MAX_CHARS or any(part.count("*") > STARS for part in glob.split("/")) or glob.count("**") > STARS:
        raise ToolRefused(f"The glob {glob[:60]!r} has too many characters or wildcards; expected such as 'dags/**/*.py'.")
    try:
        return GitIgnoreSpec.from_lines([glob])
    except ValueError as error:
        raise ToolRefused(f"{glob!r} is no glob: {error}; expected such as 'dags/**/*.py'.") from error

"""Reading a log by hand: a range of lines, and grep with the lines around each match."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from airflow_agentfix.core.log_lines import rows, unpacked
from airflow_agentfix.core.log_scan import detail_rows
from airflow_agentfix.core.tracebacks import from_detail

Row = tuple[int, str]


def grep_lines(
    lines: Iterable[bytes], *, pattern: str | None, around: int, start: int | None, end: int | None, max_chars: int
) -> list[tuple[int, str]]:
    """Lines `start` to `end` (from 1, inclusive) that match `pattern`, with `around` lines before and after each.

    An event shows as one row per line of its text and traceback. Raises ValueError, saying how to narrow, for a bad pattern
    and for an answer over `max_chars`.
    """
    search = _compiled(pattern)
    before: list[Row] = []
    out: list[Row] = []
    size, follow = 0, 0
    for number, raw in enumerate(unpacked(lines), 1):
        if end is not None and number > end:
            break
        if start is not None and number < start:
            continue
        found = shown(number, raw)
        if search is None or any(search(text) for _, text in found):
            new, before, follow = [*before, *found], [], around
        elif follow > 0:
            new, follow = found, follow - 1
        else:
            before = _last_lines([*before, *found], around)
            continue
        out += new
        size += sum(len(text) + len(str(n)) + 3 for n, text in new)
        if size > max_chars:
            raise ValueError(_too_much(number, pattern, max_chars))
    return out


def _compiled(pattern: str | None) -> Callable[[str], object] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern).search
    except re.error as error:
        raise ValueError(f"grep={pattern!r} is no regular expression ({error}); escape what is meant literally.") from error


def shown(number: int, raw: bytes) -> list[Row]:
    """The rows a person reads for one line: its text, and an event's traceback below it."""
    parsed = rows(number, raw)
    out = [(number, row.text) for row in parsed]
    if parsed[0].detail:
        out += [(number, text) for text in detail_rows(from_detail(parsed[0].detail))]
    return out


def _last_lines(shown: list[Row], around: int) -> list[Row]:
    numbers = sorted({number for number, _ in shown})[-around:] if around else []
    return [row for row in shown if numbers and row[0] >= numbers[0]]


def _too_much(number: int, pattern: str | None, max_chars: int) -> str:
    narrower = "a more specific grep" if pattern else "grep"
    return (
        f"The answer passes {max_chars:,} characters at L{number}; narrow it with {narrower}, a smaller around, or start and end."
    )

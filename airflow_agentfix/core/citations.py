"""Whether the lines a report cites were ever shown to whoever wrote it.

`L12` is line 12 of a log, `E3` fact 3 of the evidence, `path:12` line 12 of a file; ranges with a hyphen. A cite is grounded if
its first line was shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.transcript import calls_of, incident_of, last, results, turns

_ID_CITE = re.compile(r"([LE]\d+)(?:\s*-\s*[LE]?\d+)?")
_CODE_CITE = re.compile(r"(?P<path>[^\s:]+):(?P<line>\d+)(?:\s*-\s*\d+)?")
_ID_LINE = re.compile(r"^\s*([LE]\d+)\b", re.MULTILINE)
_FILE_LINE = re.compile(r"^(\d+)\t", re.MULTILINE)
_MENTION = re.compile(r"([\w./\-]+\.\w+):(\d+)")
_DIFF_FILE = re.compile(r"^\+\+\+ b/(.+)$")
_HUNK = re.compile(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@")


@dataclass
class Shown:
    """Every line that was shown: of logs and evidence by id, of files by path."""

    ids: set[str] = field(default_factory=set)
    code: dict[str, set[int]] = field(default_factory=dict)

    def has(self, cite: str) -> bool:
        cite = cite.replace("\N{EN DASH}", "-").strip("` []()")
        if match := _ID_CITE.fullmatch(cite):
            return match.group(1) in self.ids
        if match := _CODE_CITE.fullmatch(cite):
            return int(match["line"]) in self.code.get(match["path"].removeprefix("./"), set())
        return False

    def add_code(self, path: str, lines: Iterable[int]) -> None:
        self.code.setdefault(path, set()).update(lines)


def shown(events: Sequence[Event]) -> Shown:
    """What the incident's text and the tool results of the present conversation have shown, and the summary it began with."""
    seen = Shown()
    _read_text(seen, incident_of(events).text)
    if (start := last(events, EventKind.NEW_TRANSCRIPT)) is not None:
        _read_text(seen, start.data["text"])
    given = results(events)
    for turn in turns(events):
        for call in calls_of(turn):
            result = given.get(call.id)
            if result is None:
                continue
            text = result.data["text"]
            if call.name == "read_file":
                seen.add_code(str(call.input.get("path", "")).removeprefix("./"), map(int, _FILE_LINE.findall(text)))
            elif call.name == "change_files":
                _read_diff(seen, text)
            else:
                _read_text(seen, text)
    return seen


def ungrounded(chain: Iterable[Mapping[str, Any]], events: Sequence[Event]) -> list[str]:
    """Claims without a cite, or with one that was never shown."""
    seen = shown(events)
    return [link["claim"] for link in chain if not link["cites"] or not all(seen.has(cite) for cite in link["cites"])]


def _read_text(seen: Shown, text: str) -> None:
    seen.ids.update(_ID_LINE.findall(text))
    for path, line in _MENTION.findall(text):
        seen.add_code(path, [int(line)])


def _read_diff(seen: Shown, diff: str) -> None:
    path = None
    for line in diff.splitlines():
        if match := _DIFF_FILE.match(line):
            path = match.group(1).strip()
        elif path and (match := _HUNK.match(line)):
            first, length = int(match.group(1)), int(match.group(2) or 1)
            seen.add_code(path, range(first, first + length))

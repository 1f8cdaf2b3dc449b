"""Whether the lines a report cites were ever shown to whoever wrote it, and which event showed them first.

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


IN_FIRST_MESSAGE = 0
"""instead of an event's number: what every conversation begins with"""


@dataclass
class Shown:
    """Every line that was shown, with the number of the event that showed it first: of logs and evidence by id, of files by
    path."""

    ids: dict[str, int] = field(default_factory=dict)
    code: dict[str, dict[int, int]] = field(default_factory=dict)

    def event_of(self, cite: str) -> int | None:
        """`IN_FIRST_MESSAGE` for what was shown before any tool was called; None for what never was."""
        cite = cite.replace("\N{EN DASH}", "-").strip("` []()")
        if match := _ID_CITE.fullmatch(cite):
            return self.ids.get(match.group(1))
        if match := _CODE_CITE.fullmatch(cite):
            return self.code.get(match["path"].removeprefix("./"), {}).get(int(match["line"]))
        return None

    def add_id(self, line_id: str, event: int) -> None:
        self.ids.setdefault(line_id, event)

    def add_code(self, path: str, lines: Iterable[int], event: int) -> None:
        known = self.code.setdefault(path, {})
        for line in lines:
            known.setdefault(line, event)


def shown(events: Sequence[Event]) -> Shown:
    """What the incident's text and the tool results of the present conversation have shown, and the summary it began with."""
    seen = Shown()
    _read_text(seen, incident_of(events).text, IN_FIRST_MESSAGE)
    if (start := last(events, EventKind.NEW_TRANSCRIPT)) is not None:
        _read_text(seen, start.data["text"], start.number)
    given = results(events)
    for turn in turns(events):
        for call in calls_of(turn):
            result = given.get(call.id)
            if result is None:
                continue
            text, number = result.data["text"], result.number
            if call.name == "read_file":
                seen.add_code(str(call.input.get("path", "")).removeprefix("./"), map(int, _FILE_LINE.findall(text)), number)
            elif call.name == "change_files":
                _read_diff(seen, text, number)
            else:
                _read_text(seen, text, number)
    return seen


def ungrounded(chain: Iterable[Mapping[str, Any]], events: Sequence[Event]) -> list[str]:
    """Claims without a cite, or with one that was never shown."""
    seen = shown(events)
    return [link["claim"] for link in chain if not link["cites"] or None in map(seen.event_of, link["cites"])]


def shown_by_tools(chain: Iterable[Mapping[str, Any]], events: Sequence[Event]) -> dict[str, int]:
    """The cites that tools alone have shown, each with the number of the event that did so first."""
    seen = shown(events)
    found = ((cite, seen.event_of(cite)) for link in chain for cite in link["cites"])
    return {cite: number for cite, number in found if number}


def _read_text(seen: Shown, text: str, event: int) -> None:
    for line_id in _ID_LINE.findall(text):
        seen.add_id(line_id, event)
    for path, line in _MENTION.findall(text):
        seen.add_code(path, [int(line)], event)


def _read_diff(seen: Shown, diff: str, event: int) -> None:
    path = None
    for line in diff.splitlines():
        if match := _DIFF_FILE.match(line):
            path = match.group(1).strip()
        elif path and (match := _HUNK.match(line)):
            first, length = int(match.group(1)), int(match.group(2) or 1)
            seen.add_code(path, range(first, first + length), event)

"""What a session came to so far, in words for a model that takes it over without its conversation.

Invariants: deterministic, from events alone; bounded whatever the session's length; everything others wrote is redacted piece
by piece, cut after that, and stands inside one evidence fence. What people told the session is not in it: notes follow as
they are, since they instruct.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix.core import transcript
from airflow_agentfix.core.basis import told
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.core.transcript import Call, Events
from airflow_agentfix.core.verification import told as told_stages

LINES = 80
LINE_CHARS = 240
INPUT_CHARS = 120
SAID_CHARS = 2_000
FULL_CHARS = 20_000
"""of the last calls' results, which nobody has read yet"""
PATHS = 20

Redact = Callable[[str], str]

_HEAD = (
    "The conversation of this session so far is not shown, because {because} changed since. This is a summary of it, made from "
    "the session's record. What it says was done is done: the working copy holds its changes, its branch and its rerun exist. "
    "Do not do them again; read again what you need to see."
)
_TAIL = "Go on from here, and end with submit_report."
_ACTS = frozenset({"change_files", "open_fix", "pause_for_human", "rerun", "submit_report"})


@dataclass(frozen=True)
class SoFar:
    """What stands where a conversation begins from a summary, as values."""

    changed: tuple[str, ...]
    """paths the working copy was changed at"""
    fix: Mapping[str, Any] | None
    """the newest fix, as its event has it"""
    rerun: str | None
    """what the rerun of that fix came to, None while it has no result"""


@dataclass(frozen=True)
class _Line:
    text: str
    matters: bool
    """what only looked is the first to be left out"""


def summary(events: Events, *, because: Sequence[str], redact: Redact) -> str:
    """The message that stands for the conversation so far. `because`: which parts of its basis changed."""
    parts = [
        *_standing(events, redact),
        "\nWhat happened, in order:",
        *_bounded(list(_lines(events, redact))),
        *_said_last(events, redact),
        *_in_full(events, redact),
    ]
    return "\n\n".join([_HEAD.format(because=told(because)), transcript.fenced("\n".join(parts)), _tail(events)])


def so_far(events: Events) -> SoFar | None:
    """What stood when the present conversation began from a summary; None where it is the session's first."""
    start = transcript.last(events, EventKind.NEW_TRANSCRIPT)
    if start is None:
        return None
    before = [event for event in events if event.number < start.number]
    fix, judged = transcript.newest_fix(before), transcript.rerun_result(before)
    changed = tuple(sorted(transcript.working_files(before)))
    return SoFar(changed, fix.data if fix else None, judged.data["text"] if judged else None)


def _tail(events: Events) -> str:
    """A reminder that is due is not lost with the turn it was due for."""
    return f"{transcript.FINISH_REMINDER} {_TAIL}" if transcript.idle_turns(transcript.since_finished(events)) else _TAIL


# --- what stands -----------------------------------------------------------------------------------------------------


def _standing(events: Events, redact: Redact) -> Iterator[str]:
    yield "What stands:"
    paths = sorted(transcript.working_files(events))
    more = f" and {len(paths) - PATHS} more" if len(paths) > PATHS else ""
    yield f"- changed in the working copy: {', '.join(paths[:PATHS]) or 'nothing'}{more}"
    fix = transcript.newest_fix(events)
    if fix is None:
        yield "- no fix is open"
        return
    yield f"- newest fix: {_fix(fix, redact)}"
    judged = transcript.rerun_result(events)
    yield f"- its rerun: {_one_line(judged.data['text'], redact) if judged else 'has no result'}"


def _fix(event: Event, redact: Redact) -> str:
    data = event.data
    request = f", {data['pull_request']}" if data.get("pull_request") else ""
    return f"{data.get('branch')} at {data.get('commit')}{request}: {_one_line(str(data.get('title') or ''), redact)}"


# --- what happened ---------------------------------------------------------------------------------------------------


def _lines(events: Events, redact: Redact) -> Iterator[_Line]:
    calls = {call.id: call for turn in transcript.of_kind(events, EventKind.MODEL) for call in transcript.calls_of(turn)}
    given = transcript.results(events)
    for event in events:
        if event.kind is EventKind.RESULT:
            yield _of_call(calls.get(event.data["call_id"]), event, redact)
        elif event.kind is EventKind.MODEL:
            yield from (_Line(f"- {_called(call, redact)}: not run", True) for call in _left(event, given))
        elif event.kind in _TOLD:
            yield _Line(f"- {_TOLD[event.kind](event, redact)}", True)


def _left(turn: Event, given: Mapping[str, Event]) -> list[Call]:
    return [call for call in transcript.calls_of(turn) if call.id not in given]


def _of_call(call: Call | None, result: Event, redact: Redact) -> _Line:
    data = result.data
    name = _called(call, redact) if call else data["tool"]
    outcome = "error: " if data["is_error"] else ""
    return _Line(f"- {name}: {outcome}{_one_line(data['text'], redact)}", data["tool"] in _ACTS)


def _called(call: Call, redact: Redact) -> str:
    return f"{call.name} {_one_line(json.dumps(call.input, sort_keys=True), redact, INPUT_CHARS)}"


def _paths(event: Event, _: Redact) -> str:
    return f"files changed: {', '.join(file['path'] for file in event.data['files'][:PATHS])}"


def _finished(event: Event, redact: Redact) -> str:
    return f"the session ended as {event.data['outcome']}: {_one_line(str(event.data.get('summary') or ''), redact)}"


_TOLD: Mapping[EventKind, Callable[[Event, Redact], str]] = {
    EventKind.PATCH: _paths,
    EventKind.FIX: lambda event, redact: f"fix opened: {_fix(event, redact)}",
    EventKind.VERIFIED: lambda event, _: f"looked at: {told_stages(list(map(Stage.from_json, event.data['stages'])))}",
    EventKind.RERUN: lambda event, _: f"rerun started: {event.data['run_id']} on {event.data['commit']}",
    EventKind.QUESTION: lambda event, redact: f"asked: {_one_line(event.data['subject'], redact)}",
    EventKind.ANSWER: lambda event, redact: (
        f"{event.actor} answered ({event.data['decision']}): {_one_line(event.data['message'], redact)}"
    ),
    EventKind.APPROVAL: lambda event, _: f"{event.data['decision']} of {event.data['commit']} by {event.actor}",
    EventKind.FINISHED: _finished,
}


def _bounded(lines: Sequence[_Line]) -> list[str]:
    """At most LINES: what only looked goes first, the oldest first."""
    spare = max(0, len(lines) - LINES)
    looked = [number for number, line in enumerate(lines) if not line.matters][:spare]
    kept = [line.text for number, line in enumerate(lines) if number not in set(looked)][-LINES:]
    left_out = len(lines) - len(kept)
    return [*([f"[{left_out} lines are left out; make a call again to see its result]"] if left_out else []), *kept]


# --- the last turn ---------------------------------------------------------------------------------------------------


def _said_last(events: Events, redact: Redact) -> list[str]:
    said = redact(transcript.said(events))
    if not said:
        return []
    return ["\nWhat the model said last:", said if len(said) <= SAID_CHARS else f"{said[:SAID_CHARS]} [cut]"]


def _in_full(events: Events, redact: Redact) -> Iterator[str]:
    """The results of the newest turn's calls: the model that made them may not have seen them, a rerun's failure for one."""
    turn, given, room = transcript.last(events, EventKind.MODEL), transcript.results(events), FULL_CHARS
    for call in transcript.calls_of(turn) if turn else ():
        if call.id not in given:
            continue
        text = redact(given[call.id].data["text"])
        yield f"\nResult of the last {call.name}:"
        yield text[:room] if len(text) <= room else f"{text[:room]}\n[{len(text) - room} characters are left out]"
        room -= min(room, len(text))


def _one_line(text: str, redact: Redact, limit: int = LINE_CHARS) -> str:
    line = " ".join(redact(text).split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"

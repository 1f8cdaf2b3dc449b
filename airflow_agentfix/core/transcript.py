"""The transcript: a session's events folded into Messages API messages, and what else is read from them.

Invariants: the fold is deterministic and append-only (more events only add to the end of what was sent before, which prompt
caching and signed thinking need), and every tool_use block it holds is answered. Where the basis of the conversation changed
(`core.basis`) a `new_transcript` event begins it anew: incident, summary, all notes, then the turns since.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix.core.basis import Basis
from airflow_agentfix.core.incident import Incident
from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.session import SERVER, Event, EventKind

Events = Sequence[Event]

FINISH_REMINDER = (
    "Your turn ended without a tool call. Go on with the work, or end the session with submit_report; "
    "without one the session ends as given up."
)
CUT_REMINDER = (
    "Your turn was cut ({reason}) and nothing of it was run. Go on in smaller steps: fewer words, one tool call, smaller edits; "
    "or end the session with submit_report."
)
NOT_RUN = "Not run: the turn was cut ({reason}), so this call may be incomplete. Make it again if you still need it."
ENDED = "Not run: the session had ended."

_FENCE = re.compile(r"<(\s*/?\s*evidence)", re.IGNORECASE)

RERUN_GREEN = "rerun green"
RERUN_FAILED = "rerun failed"
CHECK_FAILED = "check failed"


@dataclass(frozen=True)
class Call:
    """A tool_use block that is to be run."""

    id: str
    name: str
    input: Json


# --- what the model is sent ------------------------------------------------------------------------------------------


def messages(events: Events) -> list[Json]:
    """The Messages API messages for the next model call. Every call of the last turn must have a result (`pending`)."""
    folded: list[Json] = []
    for block in _opening(events):
        _add(folded, "user", block)
    for turn in turns(events):
        _fold_turn(folded, turn, events)
    return folded


def turns(events: Events) -> list[Event]:
    """The model events of the present conversation."""
    start = last(events, EventKind.NEW_TRANSCRIPT)
    return [event for event in of_kind(events, EventKind.MODEL) if start is None or event.number > start.number]


def _opening(events: Events) -> list[Json]:
    """The first message: the incident, the summary where the conversation began anew, and every note that was there then."""
    start = last(events, EventKind.NEW_TRANSCRIPT)
    first = _next_model(events, start.number if start else 0)
    summary = [_text(start.data["text"])] if start else []
    return [_text(first_text(incident_of(events))), *summary, *_notes(events, after=0, upto=_seen(events, first))]


def first_text(incident: Incident) -> str:
    """The incident as the first message shows it: fenced, so that nothing in it can pass for our words. Which run and task it
    is stands inside: their names are others' words too."""
    return f"A task failed for good.\n\n{fenced(incident.text)}\n\nFind the cause and act on it."


def fenced(text: str) -> str:
    """Others' words, marked as evidence. What would end the fence from inside is broken."""
    return f"<evidence untrusted>\n{_defused(text)}\n</evidence>"


def _defused(text: str) -> str:
    return _FENCE.sub(r"<\\\1", text)


def _fold_turn(folded: list[Json], turn: Event, events: Events) -> None:
    stopped = turn.data["stop_reason"]
    notes = _notes(events, after=turn.data.get("after", turn.number), upto=_seen(events, _next_model(events, turn.number)))
    if stopped == "refusal":
        blocks = notes  # a declined turn is not part of the conversation any more
    else:
        for block in turn.data["content"]:
            _add(folded, "assistant", block)
        blocks = [*_answers(turn, events), *notes]
        if not blocks and stopped != "pause_turn":
            blocks = [_text(reminder(stopped))]
    for block in blocks:
        _add(folded, "user", block)


def _answers(turn: Event, events: Events) -> list[Json]:
    """A tool_result for each tool_use block of the turn, in its order."""
    given = results(events)
    stopped = turn.data["stop_reason"]
    blocks = []
    for block in turn.data["content"]:
        if block["type"] != "tool_use":
            continue
        if stopped != "tool_use":
            blocks.append(_result(block["id"], NOT_RUN.format(reason=stopped or "no stop reason"), True))
        elif (event := given.get(block["id"])) is not None:
            blocks.append(_result(block["id"], event.data["text"], event.data["is_error"]))
        else:
            blocks.append(_result(block["id"], ENDED, True))
    return blocks


def reminder(stop_reason: str | None) -> str:
    """What is said after a turn that called no tool."""
    return FINISH_REMINDER if stop_reason == "end_turn" else CUT_REMINDER.format(reason=stop_reason or "no stop reason")


def _add(folded: list[Json], role: str, block: Mapping[str, Any]) -> None:
    if not folded or folded[-1]["role"] != role:
        folded.append({"role": role, "content": []})
    folded[-1]["content"].append(dict(block))


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _result(call_id: str, text: str, is_error: bool) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": text, "is_error": is_error}


def _notes(events: Events, *, after: int, upto: int) -> list[Json]:
    """Notes the model first saw in this message; a note that came while it was thinking belongs to the next one."""
    return [_text(note_text(event)) for event in said_by_people(events) if after < event.number <= upto]


def note_text(event: Event) -> str:
    """A person's note. What was a comment on a pull request is quoted: no line of it can pass for another person's note."""
    message = event.data["message"]
    if not event.data.get("comment"):
        return f"Note from {event.actor}: {message}"
    return "\n".join([f"Note from {event.actor}:", *(f"> {_defused(line)}" for line in message.splitlines())])


def said_by_people(events: Events) -> list[Event]:
    """Notes of persons; the server's own tell persons why nobody works on the session."""
    return [event for event in of_kind(events, EventKind.NOTE) if event.actor != SERVER]


def _next_model(events: Events, number: int) -> Event | None:
    return next((event for event in of_kind(events, EventKind.MODEL) if event.number > number), None)


def _seen(events: Events, turn: Event | None) -> int:
    """Number of the last event that was folded for this model call; all of them for the call to come."""
    if turn is None:
        return events[-1].number if events else 0
    return int(turn.data.get("after", turn.number))


# --- what else is read from the events -------------------------------------------------------------------------------


def of_kind(events: Iterable[Event], kind: EventKind) -> list[Event]:
    return [event for event in events if event.kind is kind]


def last(events: Events, kind: EventKind) -> Event | None:
    """The newest event of a kind, None if there is none."""
    return next((event for event in reversed(events) if event.kind is kind), None)


def since_finished(events: Events) -> Events:
    """The events after the session last ended; all of them while it never has."""
    ended = last(events, EventKind.FINISHED)
    return events if ended is None else [event for event in events if event.number > ended.number]


def incident_of(events: Events) -> Incident:
    """The incident the conversation began with."""
    first = _next_model(events, 0)
    known = [event for event in of_kind(events, EventKind.INCIDENT) if first is None or event.number < first.number]
    return Incident.from_json(known[-1].data)


def results(events: Events) -> dict[str, Event]:
    """The result of each call, by call id; the first one counts."""
    found: dict[str, Event] = {}
    for event in of_kind(events, EventKind.RESULT):
        found.setdefault(event.data["call_id"], event)
    return found


def calls_of(turn: Event) -> list[Call]:
    """The calls of a model event that may be run: none unless the turn stopped for them."""
    if turn.data["stop_reason"] != "tool_use":
        return []
    return [Call(block["id"], block["name"], block["input"]) for block in turn.data["content"] if block["type"] == "tool_use"]


def pending(events: Events) -> tuple[Call, ...]:
    """Calls of the newest turn without a result, in order: what runs next, or what the session waits for."""
    turn, ended = last(events, EventKind.MODEL), last(events, EventKind.FINISHED)
    if turn is None or (ended is not None and ended.number > turn.number):
        return ()
    given = results(events)
    return tuple(call for call in calls_of(turn) if call.id not in given)


def idle_turns(events: Events) -> int:
    """How many of the newest turns in a row called no tool (a paused turn does not count)."""
    count = 0
    for turn in reversed(of_kind(events, EventKind.MODEL)):
        if turn.data["stop_reason"] == "pause_turn":
            continue
        if calls_of(turn):
            break
        count += 1
    return count


def said(events: Events) -> str:
    """What the model said last: the text of its newest turn that has any."""
    for turn in reversed(of_kind(events, EventKind.MODEL)):
        texts = [block["text"] for block in turn.data["content"] if block["type"] == "text" and block["text"].strip()]
        if texts:
            return "\n".join(texts)
    return ""


def basis(events: Events) -> Basis | None:
    """What the present conversation rests on; None before its first model call."""
    newest = next((e for e in reversed(events) if e.kind in (EventKind.MODEL, EventKind.NEW_TRANSCRIPT)), None)
    if newest is None:
        return None
    recorded = newest.data.get("basis")
    return Basis(**recorded) if recorded else Basis(str(newest.data["model"]))


def own_ids(content: Iterable[Mapping[str, Any]], events: Events) -> list[Json]:
    """A turn's blocks, each call with an id that no call of the session has: a result is known by it, and so is an effect.

    Claude's ids are unique; a gateway may count per answer, and the offline model counts per conversation."""
    taken = {block["id"] for turn in of_kind(events, EventKind.MODEL) for block in turn.data["content"] if _is_call(block)}
    blocks = []
    for given in content:
        block = dict(given)
        if _is_call(block):
            ids = (block["id"], *(f"{block['id']}_{number}" for number in range(2, len(taken) + 3)))
            block["id"] = next(one for one in ids if one not in taken)
            taken.add(block["id"])
        blocks.append(block)
    return blocks


def _is_call(block: Mapping[str, Any]) -> bool:
    return bool(block["type"] == "tool_use")


def working_files(events: Events) -> dict[str, str | None]:
    """Path to text of every file the session changed (None: deleted): what makes the base tree the working copy."""
    return {file["path"]: file["after"] for event in of_kind(events, EventKind.PATCH) for file in event.data["files"]}


def same_before(events: Events, call: Call) -> Event | None:
    """The result of an identical earlier call that still holds: no file was changed and no try was added since. What was
    read before the present conversation began is not in it, and may be read again."""
    moved = max((event.number for event in events if event.kind in (EventKind.PATCH, EventKind.RERUN)), default=0)
    given = results(events)
    wanted = json.dumps(call.input, sort_keys=True)
    for turn in turns(events):
        for earlier in calls_of(turn):
            result = given.get(earlier.id)
            if earlier.id == call.id or earlier.name != call.name or result is None or result.data["is_error"]:
                continue
            if result.number > moved and json.dumps(earlier.input, sort_keys=True) == wanted:
                return result
    return None


def newest_fix(events: Events) -> Event | None:
    return last(events, EventKind.FIX)


def rerun_result(events: Events) -> Event | None:
    """The newest verdict of a rerun on the newest fix: green, failed, or a check that failed before it. None: none yet."""
    fix = newest_fix(events)
    if fix is None:
        return None
    judged = [
        event
        for event in of_kind(events, EventKind.RESULT)
        if event.number > fix.number
        and event.data["tool"] == "rerun"
        and event.data["text"].startswith((RERUN_GREEN, RERUN_FAILED, CHECK_FAILED))
    ]
    return judged[-1] if judged else None


def is_green(events: Events) -> bool:
    """The newest fix was rerun and its rerun was green."""
    result = rerun_result(events)
    return result is not None and result.data["text"].startswith(RERUN_GREEN)

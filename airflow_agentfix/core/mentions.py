"""Comments on a fix's pull request that are meant for the agent: what they say to it, and which of them it was told and answered.

Invariant: a session is told a comment once, known by the code host's id, which stands in the note made of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from airflow_agentfix.core.session import Event, EventKind, Outcome, PinEnd, WaitFor
from airflow_agentfix.core.transcript import since_finished

AUTHOR = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
"""a login on a code host; what is none has no place beside a person's words"""
MOST_CHARS = 20_000
"""of a message, as the session API takes them"""

_BOT = re.compile(r"\[bot\]$")
_CUT = "\n[cut: the rest is at {url}]"
_SETTLED = (PinEnd.MERGED.value, PinEnd.CLOSED.value)


@dataclass(frozen=True)
class Remark:
    """The comment a message was written as. `id` is the code host's, `at` ISO 8601 in UTC."""

    id: str
    url: str
    author: str
    at: str

    @property
    def actor(self) -> str:
        """Its author, as a session's events name one who has no login there."""
        return f"{self.author} (pull request)"

    def noted(self, message: str, *, brought_by: str) -> dict[str, Any]:
        """The note's data; `brought_by` is the login whose word it is that the author wrote this."""
        return {"message": message, "comment": {"id": self.id, "url": self.url, "at": self.at, "brought_by": brought_by}}


def is_bot(author: str) -> bool:
    """Whether the code host's login is a program's."""
    return bool(_BOT.search(author))


def said(text: str, prose: str, *, mention: str) -> str | None:
    """What the comment says to the agent: `@mention` anywhere, or `/mention` at the head of a line, taken out of the text. None
    where it is not addressed. `prose` is the text with what is quoted or code blanked: a mention in there is somebody else's.
    """
    found = [match.span() for match in _pattern(mention).finditer(prose)]
    if not found:
        return None
    for begin, end in reversed(found):
        text = text[:begin] + text[end:]
    return text.strip()


@lru_cache(maxsize=4)
def _pattern(mention: str) -> re.Pattern[str]:
    name, after = re.escape(mention), r"(?![\w@/-])(?!\.\w)[:,]?[ \t]*"
    return re.compile(rf"(?<![\w@/.+`-])@{name}(?:\[bot\])?{after}|^[ \t]*/{name}{after}", re.IGNORECASE | re.MULTILINE)


def message(text: str, *, where: str | None, url: str) -> str:
    """The session's message: bounded, with the line it was written beside."""
    whole, rest = (f"On {where}: {text}" if where else text), _CUT.format(url=url[:1_000])
    return whole if len(whole) <= MOST_CHARS else whole[: MOST_CHARS - len(rest)] + rest


# --- read from a session's events ------------------------------------------------------------------------------------


def told(events: Sequence[Event]) -> list[Event]:
    """The notes that were comments."""
    return [event for event in events if event.kind is EventKind.NOTE and event.data.get("comment")]


def knows(events: Sequence[Event], comment_id: str) -> bool:
    """Whether the session was told this comment before."""
    return any(_comment(note)["id"] == comment_id for note in told(events))


def seen_until(events: Sequence[Event]) -> str | None:
    """When the newest comment was written that the session was told; before there is one, when its first fix was opened."""
    fixes = [event.at for event in events if event.kind is EventKind.FIX]
    return max((_comment(note)["at"] for note in told(events)), default=fixes[0] if fixes else None)


def is_settled(events: Sequence[Event]) -> bool:
    """Whether it is on record that its newest fix was merged or closed, or the session was erased: nobody reviews it any more."""
    since = max((event.number for event in events if event.kind is EventKind.FIX), default=0)
    return any(event.kind is EventKind.ERASED or (event.number > since and _settles(event)) for event in events)


def _settles(event: Event) -> bool:
    return event.kind is EventKind.RECOVERY or (event.kind is EventKind.PIN_ENDED and event.data.get("reason") in _SETTLED)


def to_answer(events: Sequence[Event]) -> Event | None:
    """The newest comment that nobody has answered, of a session that is about to end or to wait for a person: `events` do not
    have that end yet. One answer for each time that comments set it to work."""
    lately = since_finished(events)
    notes = told(lately)
    if not notes:
        return None
    waited = any(
        event.kind is EventKind.PARKED
        and event.data.get("waiting_for") == WaitFor.PERSON.value
        and event.number > notes[-1].number
        for event in lately
    )
    return None if waited else notes[-1]


def was_read(note: Event, events: Sequence[Event]) -> bool:
    """Whether a model was asked after the note came; one that comes while the last turn is made is not read by it."""
    turns = [event for event in events if event.kind is EventKind.MODEL]
    return any(int(turn.data.get("after", turn.number)) >= note.number for turn in turns)


def _comment(note: Event) -> Mapping[str, Any]:
    found: Mapping[str, Any] = note.data["comment"]
    return found


# --- what is written back --------------------------------------------------------------------------------------------


def answer_text(note: Event, ending: str, *, session_id: str, page: str | None, was_read: bool) -> str:
    """The comment on the pull request, for text that is redacted already. What a model wrote stands as plain text: it shows no
    picture, calls nobody and addresses no agent."""
    author = note.actor.partition(" ")[0]
    late = "" if was_read else "\n\nIt ended before it came to your comment. Write again if that still holds."
    session = (
        f"[session `{session_id}`]({page})" if page else f"session `{session_id}`; `agentfix show {session_id}` tells the story"
    )
    return (
        f"@{author}, on [your comment]({_comment(note)['url']}):\n\n```text\n{ending.replace('```', chr(39) * 3)}\n```{late}\n\n"
        f"AgentFix, {session}."
    )


def ending(outcome: Outcome | None, summary: str | None) -> str:
    """How a session ended, in a line for those who read the pull request."""
    return f"{outcome}: {summary or 'no summary'}" if outcome else summary or "It goes on."

"""The timeline of a session: each event as a person reads it. Pure.

Invariant: every kind of event has its own sentence, and one that was erased says so. What is long is cut, and says how much is
left out; the whole of it is fetched when somebody opens it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from airflow_agentfix.code.text_edit import unified_diff
from airflow_agentfix.core.session import SERVER, WORKER, Event, EventKind
from airflow_agentfix.redaction import redact_code
from airflow_agentfix.views.sentences import NOUNS, TELL, Fold

PART_CHARS = 600
"""of a folded text in the page; the rest is fetched when it is opened"""
WORDS_CHARS = 3_000
"""of what somebody said"""


@dataclass(frozen=True)
class Entry:
    """One event. `who`: agent | server | person; `tone`: plain | quiet | good | bad | asks."""

    number: int
    kind: str
    at: str
    actor: str
    who: str
    says: str
    tone: str = "plain"
    words: str = ""
    """Markdown that somebody wrote"""
    items: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()
    cost: str = ""
    link: str | None = None
    """a web address that it is about"""


def entry(event: Event) -> Entry:
    """The event with long texts cut."""
    whole = entire(event)
    words, rest = whole.words, tuple[Fold, ...]()
    if len(words) > WORDS_CHARS:
        rest = (Fold("All of it", words, "words"),)
        words = f"{words[:WORDS_CHARS]}…"
    return replace(whole, words=words, folds=tuple(map(_cut, (*whole.folds, *rest))))


def entire(event: Event) -> Entry:
    """The event with all it holds."""
    is_gone = not event.data and event.kind is not EventKind.ERASED
    told = (
        {"says": f"{NOUNS.get(event.kind, event.kind.value)}: erased.", "tone": "quiet"} if is_gone else TELL[event.kind](event)
    )
    return Entry(event.number, event.kind.value, event.at, _actor(event), _who(event), **told)


def fold(event: Event, place: int) -> Fold | None:
    """One of the event's long texts, whole; counted as `entry` has them."""
    whole = entire(event)
    if event.kind is EventKind.PATCH and whole.folds and place == 0:
        diff = "".join(unified_diff(one["path"], one["before"], one["after"]) for one in event.data["files"])
        return replace(whole.folds[0], text=redact_code(diff), left=0)
    folds = (*whole.folds, Fold("All of it", whole.words, "words"))
    return folds[place] if place < len(folds) else None


def _cut(one: Fold) -> Fold:
    return one if len(one.text) <= PART_CHARS else replace(one, text=one.text[:PART_CHARS], left=len(one.text) - PART_CHARS)


def _who(event: Event) -> str:
    if event.actor == WORKER:
        return "agent"
    return "server" if event.actor in (SERVER, "waived") else "person"


def _actor(event: Event) -> str:
    return {WORKER: "agent", SERVER: "Agent Fix", "waived": "policy"}.get(event.actor, event.actor)

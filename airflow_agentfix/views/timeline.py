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
LINE_CHARS = 1_000
"""of its sentence, and of each item"""
ITEMS = FOLDS = 50
RENDERED_CHARS = 200_000
"""of Markdown or a diff; what is longer is shown as it was written"""


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
    folds, items = _folds(whole), tuple(_short(one, LINE_CHARS) for one in whole.items[:ITEMS])
    if (left := len(folds) - FOLDS) > 0:
        items = (*items, f"{left:,} more of its texts are not shown here; the export has them.")
    return replace(
        whole,
        says=_short(whole.says, LINE_CHARS),
        words=_short(whole.words, WORDS_CHARS),
        items=items,
        folds=tuple(map(_cut, folds[:FOLDS])),
        cost=_short(whole.cost, LINE_CHARS),
    )


def entire(event: Event) -> Entry:
    """The event with all it holds."""
    is_gone = not event.data and event.kind is not EventKind.ERASED
    told = (
        {"says": f"{NOUNS.get(event.kind, event.kind.value)}: erased.", "tone": "quiet"} if is_gone else TELL[event.kind](event)
    )
    return Entry(event.number, event.kind.value, event.at, _actor(event), _who(event), **told)


def fold(event: Event, place: int) -> Fold | None:
    """One of the event's long texts, whole; counted as `entry` has them."""
    folds = _folds(entire(event))
    if place >= len(folds):
        return None
    found = folds[place]
    if event.kind is EventKind.PATCH and found.form == "diff":
        diff = "".join(unified_diff(one["path"], one["before"], one["after"]) for one in event.data["files"])
        found = replace(found, text=redact_code(diff), left=0)
    return replace(found, form="text") if len(found.text) > RENDERED_CHARS else found


def _folds(whole: Entry) -> tuple[Fold, ...]:
    """Its long texts, and whole what does not fit where it stands."""
    lines = (whole.says, *whole.items)
    is_long = len(whole.items) > ITEMS or any(len(line) > LINE_CHARS for line in lines)
    told = [Fold("All of it", whole.words, "words")] if len(whole.words) > WORDS_CHARS else []
    told += [Fold("Its lines in full", "\n".join(lines))] if is_long else []
    return (*whole.folds, *told)


def _short(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def _cut(one: Fold) -> Fold:
    return one if len(one.text) <= PART_CHARS else replace(one, text=one.text[:PART_CHARS], left=len(one.text) - PART_CHARS)


def _who(event: Event) -> str:
    if event.actor == WORKER:
        return "agent"
    return "server" if event.actor in (SERVER, "waived") else "person"


def _actor(event: Event) -> str:
    return {WORKER: "agent", SERVER: "Agent Fix", "waived": "policy"}.get(event.actor, event.actor)

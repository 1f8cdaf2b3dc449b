"""The inbox: sessions of the DAGs that a person may read, in their groups, and how the day stands.

Liveness is cheap: while no session was written to and nothing else that is shown has changed, a poll costs one query.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_agentfix.core.budget import DayLimits
from airflow_agentfix.core.groups import Group
from airflow_agentfix.core.session import Session
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.service import SessionService
from airflow_agentfix.store.listing import Filter, Listing, Place, place_of
from airflow_agentfix.views.noticing import noticed

PER_PAGE = 50


class Since(StrEnum):
    """When a session was made, in days as UTC has them."""

    TODAY = "today"
    WEEK = "week"


@dataclass(frozen=True)
class Asked:
    """What a person wants to see. `after`: the place, as `to_text` tells it, that the page begins behind."""

    wanted: Filter = field(default_factory=Filter)
    since: Since | None = None
    after: str = ""

    @property
    def is_filtered(self) -> bool:
        """By anything but the group."""
        return replace(self.wanted, group=None) != Filter() or self.since is not None


@dataclass(frozen=True)
class Row:
    """A session and how many failures were given to it, its own among them."""

    session: Session
    failures: int


@dataclass(frozen=True)
class Today:
    """US dollars of the day (UTC), of all DAGs; `limit` None: no model that costs any is ever asked."""

    spent: float
    limit: float | None

    @property
    def is_used_up(self) -> bool:
        return self.limit is not None and self.spent >= self.limit


@dataclass(frozen=True)
class Inbox:
    """A page of it. `numbers`: of each group under the rest of the filter; `waiting` for a person, `working`: of all."""

    rows: Sequence[Row]
    numbers: Mapping[Group, int]
    waiting: int
    working: int
    today: Today
    dag_ids: Sequence[str]
    """that have sessions and that the person may read"""
    after: str | None
    """where the next page begins; None where there is none"""
    etag: str

    @property
    def total(self) -> int:
        return sum(self.numbers.values())


def unchanged(desk: Desk, user: Any, asked: Asked, known: str | None) -> bool:
    """Whether the inbox with this tag is the one that would be told now."""
    readable = desk.readers.remembered(user) if known else None
    return readable is not None and known == _tag(desk, Listing(desk.store.engine).revision(), readable, asked)


def inbox(service: SessionService, user: Any, asked: Asked) -> Inbox:
    """InvalidRequest for a place that is none."""
    desk, after = service.desk, from_text(asked.after) if asked.after else None
    listing = Listing(desk.store.engine)
    revision = listing.revision()  # before all else is read: what is written meanwhile shows with the next poll
    readable = desk.readers.readable(user, desk.store.dag_ids())
    wanted = replace(asked.wanted, since=_since(desk.clock(), asked.since))
    found = listing.look(readable, wanted, after=after, limit=PER_PAGE + 1)
    page = found.page[:PER_PAGE]
    of_open = listing.open_numbers(readable)
    failures = listing.failures([one.session.id for one in page])
    return Inbox(
        rows=[Row(one, failures.get(one.id, 1)) for one in noticed(service, user, page)],
        numbers=found.numbers,
        waiting=of_open.get(Group.WAITS, 0),
        working=of_open.get(Group.WORKS, 0),
        today=_today(desk),
        dag_ids=sorted(readable),
        after=to_text(place_of(page[-1])) if len(found.page) > PER_PAGE else None,
        etag=_tag(desk, revision, desk.readers.remembered(user) or readable, asked),
    )


def _today(desk: Desk) -> Today:
    settings = desk.settings
    limits = DayLimits(_day(desk), 0.0, settings.daily_dollars_total, most=settings.daily_dollars)
    spent = desk.store.day("", limits).total_spent
    return Today(round(spent, 6), None if settings.offline else settings.daily_dollars_total)


def _tag(desk: Desk, revision: str, readable: frozenset[str], asked: Asked) -> str:
    told = repr((revision, _day(desk), sorted(readable), asked))
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:24]}"'


def _day(desk: Desk) -> str:
    return desk.at()[:10]


def _since(now: datetime, since: Since | None) -> str | None:
    days = {None: None, Since.TODAY: 0, Since.WEEK: 6}[since]
    return None if days is None else (now - timedelta(days=days)).date().isoformat()


def to_text(place: Place) -> str:
    return f"{place.part}~{place.created_at}~{place.id}"


def from_text(text: str) -> Place:
    part, _, rest = text.partition("~")
    created_at, _, session_id = rest.partition("~")
    if part not in ("0", "1", "2") or not created_at or not session_id:
        raise InvalidRequest(f"after is {text!r}; expected what a page's own link to the next one has. Begin at the first page.")
    return Place(int(part), created_at, session_id)

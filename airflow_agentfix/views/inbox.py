"""The inbox: sessions of the DAGs that a person may read, in their groups, and how the day stands.

Liveness is cheap: while no session that the person may read was written to, and no dollar spent, a poll costs two small queries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from airflow_agentfix.core.groups import Group
from airflow_agentfix.core.session import Session
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.readers import Seen
from airflow_agentfix.service import SessionService
from airflow_agentfix.store.listing import Filter, Listing, Place, place_of
from airflow_agentfix.store.record import Stored
from airflow_agentfix.views.noticing import noticed

PER_PAGE = 50


class Since(StrEnum):
    """When a session was made, in days as UTC has them."""

    TODAY = "today"
    WEEK = "week"


@dataclass(frozen=True)
class Asked:
    """What a person wants to see. `after`, `before`: the place, as `to_text` tells it, that the page begins behind or ends at."""

    wanted: Filter = field(default_factory=Filter)
    since: Since | None = None
    after: str = ""
    before: str = ""

    @property
    def is_filtered(self) -> bool:
        """By anything but the group."""
        return replace(self.wanted, group=None) != Filter() or self.since is not None

    @property
    def is_narrowed(self) -> bool:
        """By anything at all."""
        return self.is_filtered or self.wanted.group is not None


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
    before: str | None
    """where the previous page ends; None on the first one"""
    etag: str

    @property
    def total(self) -> int:
        return sum(self.numbers.values())


def unchanged(desk: Desk, user: Any, asked: Asked, known: str | None) -> bool:
    """Whether the inbox with this tag is the one that would be told now."""
    seen = desk.readers.remembered(user) if known else None
    return seen is not None and known == _tag(desk, _revision(desk, seen), seen, asked)


def inbox(service: SessionService, user: Any, asked: Asked) -> Inbox:
    """InvalidRequest for a place that is none."""
    desk = service.desk
    cuts = {name: from_text(name, text) for name, text in (("after", asked.after), ("before", asked.before)) if text}
    if len(cuts) > 1:
        raise InvalidRequest("after and before are given; expected one of them, or none for the first page.")
    listing = Listing(desk.store.engine)
    seen = desk.readers.seen(user, desk.store.dag_ids())
    tag = _tag(desk, _revision(desk, seen), seen, asked)  # before the rest is read: what is written meanwhile shows with a poll
    readable = desk.readers.readable(user, desk.store.dag_ids())
    wanted = replace(asked.wanted, since=_since(desk.clock(), asked.since))
    numbers, page, before, after = _page(listing, readable, wanted, cuts)
    of_open = listing.open_numbers(readable)
    failures = listing.failures([one.session.id for one in page])
    return Inbox(
        rows=[Row(one, failures.get(one.id, 1)) for one in noticed(service, user, page)],
        numbers=numbers,
        waiting=of_open.get(Group.WAITS, 0),
        working=of_open.get(Group.WORKS, 0),
        today=_today(desk),
        dag_ids=sorted(readable),
        after=to_text(after) if after else None,
        before=to_text(before) if before else None,
        etag=tag,
    )


_Cut = tuple[Mapping[Group, int], Sequence[Stored], Place | None, Place | None]
"""numbers, rows, where the previous page ends, where the next one begins"""


def _page(listing: Listing, readable: Collection[str], wanted: Filter, cuts: Mapping[str, Place]) -> _Cut:
    """A page that ends at a place is a whole one: where less than that is left above it, it is the first one."""
    if "before" in cuts:
        found = listing.look(readable, wanted, **cuts, limit=PER_PAGE + 1)
        if len(found.page) > PER_PAGE:
            page = found.page[-PER_PAGE:]
            return found.numbers, page, place_of(page[0]), place_of(page[-1])
        cuts = {}
    found = listing.look(readable, wanted, **cuts, limit=PER_PAGE + 1)
    page = found.page[:PER_PAGE]
    before = (place_of(page[0]) if page else cuts["after"]) if cuts else None
    return found.numbers, page, before, place_of(page[-1]) if len(found.page) > PER_PAGE else None


def _revision(desk: Desk, seen: Seen) -> str:
    """Of the sessions that the person may read, and of DAGs that nobody was asked about yet."""
    return Listing(desk.store.engine).revision(hidden=seen.hidden)


def _today(desk: Desk) -> Today:
    settings = desk.settings
    spent = Listing(desk.store.engine).spent(_day(desk), most=settings.daily_dollars)
    return Today(round(spent, 6), None if settings.offline else settings.daily_dollars_total)


def _tag(desk: Desk, revision: str, seen: Seen, asked: Asked) -> str:
    told = repr((revision, _day(desk), _today(desk), sorted(seen.readable), asked))
    return f'"{hashlib.sha256(told.encode()).hexdigest()[:24]}"'


def _day(desk: Desk) -> str:
    return desk.at()[:10]


def _since(now: datetime, since: Since | None) -> str | None:
    days = {None: None, Since.TODAY: 0, Since.WEEK: 6}[since]
    return None if days is None else (now - timedelta(days=days)).date().isoformat()


def to_text(place: Place) -> str:
    return f"{place.part}~{place.at}~{place.id}"


def from_text(name: str, text: str) -> Place:
    part, _, rest = text.partition("~")
    at, _, session_id = rest.partition("~")
    if part not in ("0", "1", "2") or not at or not session_id:
        raise InvalidRequest(f"{name} is {text!r}; expected what a page's own links have. Begin at the first page.")
    return Place(int(part), at, session_id)

"""Sessions as people's lists show them: in groups, filtered and searched, a page at a time.

Invariants: a page begins after a row or ends before one, never at a number of rows, so sessions that come meanwhile move none;
nothing of a DAG that was not named is read.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain, islice
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - the store runs inside the API server only

from airflow_agentfix.core.groups import OUTCOMES, Group, group_of
from airflow_agentfix.core.incident import TaskRef, Verdict
from airflow_agentfix.core.session import Event, EventKind, Outcome, WaitFor
from airflow_agentfix.store import spending, tables
from airflow_agentfix.store.engine import reading
from airflow_agentfix.store.record import Stored
from airflow_agentfix.store.sql import event_of, stored_of

_T = tables.session


FEW = 500
"""rows that a search finds"""


@dataclass(frozen=True)
class Filter:
    """Which sessions: all that is given has to fit. `since`: made at this moment (ISO 8601, UTC) or later; `search`: a part of
    cause, DAG, task, run or session id, in whatever case."""

    group: Group | None = None
    verdict: Verdict | None = None
    dag_id: str | None = None
    since: str | None = None
    search: str = ""


@dataclass(frozen=True)
class Place:
    """Where a row stands in the list: part, the moment that it goes by there, id. A session that changes its part meanwhile has a
    new place."""

    part: int
    at: str
    id: str


@dataclass(frozen=True)
class _From:
    """Where a page is cut: behind a place, before it (`back`), or from the top."""

    place: Place | None = None
    back: bool = False

    def parts(self) -> Iterator[tuple[int, _Part]]:
        """Those that may hold rows of the page, the nearest first."""
        for number, part in reversed(list(enumerate(PARTS))) if self.back else enumerate(PARTS):
            if self.place is None or (number <= self.place.part if self.back else number >= self.place.part):
                yield number, part

    def is_cut(self, number: int) -> bool:
        """Whether the place is in this part."""
        return self.place is not None and self.place.part == number


@dataclass(frozen=True)
class _Part:
    """A part of the list, the moment that its rows go by, and whether its oldest come first."""

    groups: frozenset[Group]
    oldest_first: bool
    moment: sa.ColumnElement[str]

    @property
    def is_of_it(self) -> sa.ColumnElement[bool]:
        return sa.or_(*(_in_group(group) for group in self.groups)) if len(self.groups) < len(OUTCOMES) else _IS_DONE

    def rises(self, cut: _From) -> bool:
        return self.oldest_first is not cut.back

    def order(self, cut: _From) -> list[sa.ColumnElement[Any]]:
        return [column.asc() if self.rises(cut) else column.desc() for column in (self.moment, _T.c.id)]

    def beyond(self, cut: _From, place: Place) -> sa.ColumnElement[bool]:
        row, at = sa.tuple_(self.moment, _T.c.id), sa.tuple_(sa.literal(place.at), sa.literal(place.id))
        return row > at if self.rises(cut) else row < at


_IS_DONE = _T.c.outcome.is_not(None)


def _in_group(group: Group) -> sa.ColumnElement[bool]:
    if group in OUTCOMES:
        return _T.c.outcome.in_([outcome.value for outcome in OUTCOMES[group]])
    if group is Group.WAITS:
        return _T.c.waiting_for == WaitFor.PERSON.value
    # both say that it is not done: an index has the one, the index that has the order has the other
    is_open = sa.and_(_T.c.open_key.is_not(None), _T.c.outcome.is_(None))
    return sa.and_(is_open, sa.func.coalesce(_T.c.waiting_for, "") != WaitFor.PERSON.value)


PARTS = (
    _Part(frozenset({Group.WAITS}), oldest_first=True, moment=_T.c.asked_at),
    _Part(frozenset({Group.WORKS}), oldest_first=False, moment=_T.c.created_at),
    _Part(frozenset(OUTCOMES), oldest_first=False, moment=_T.c.created_at),
)
"""The list from its top: what waits for a person longest, then what is at work, then what is done."""


_PART_OF = {group: number for number, part in enumerate(PARTS) for group in part.groups}


def place_of(stored: Stored) -> Place:
    session = stored.session
    group = group_of(session.outcome, session.waiting_for)
    return Place(_PART_OF[group], _moment(group, session.asked_at, session.created_at), session.id)


def _moment(group: Group, asked_at: str | None, created_at: str) -> str:
    return (asked_at or created_at) if group is Group.WAITS else created_at


@dataclass(frozen=True)
class Found:
    """A page, and how many there are in each group of what fits the rest of the filter; a group with none is not there."""

    numbers: Mapping[Group, int]
    page: tuple[Stored, ...]


class Listing:
    """Reads of AgentFix's tables for lists."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def revision(self, *, hidden: Collection[str] = ()) -> str:
        """Another one after every write to a session, but to those of hidden DAGs: each write adds to a version, and sessions are
        never deleted."""
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_T.c.version), 0))
        with reading(self._engine) as connection:
            row = connection.execute(query.where(_T.c.dag_id.not_in(hidden)) if hidden else query).one()
        return f"{row[0]}-{row[1]}"

    def look(
        self, dag_ids: Collection[str], wanted: Filter, *, after: Place | None = None, before: Place | None = None, limit: int
    ) -> Found:
        """What fits, from the top, from behind a place, or up to one."""
        cut = _From(before, back=True) if before else _From(after)
        with reading(self._engine) as connection:
            numbers = _numbers(connection, dag_ids, wanted)
            many = numbers.get(wanted.group, 0) if wanted.group else sum(numbers.values())
            rows = _few if wanted.search and many < FEW else _rows
            page = list(rows(connection, dag_ids, wanted, cut, limit)) if many else []
            return Found(numbers, tuple(page[::-1] if cut.back else page))

    def spent(self, day: str, *, most: float) -> float:
        """US dollars of a day (YYYY-MM-DD, UTC), of all DAGs; of one never more than `most`."""
        with reading(self._engine) as connection:
            return spending.total_of(connection, day, most)

    def open_numbers(self, dag_ids: Collection[str]) -> dict[Group, int]:
        """The same of sessions that are not done, whatever the filter."""
        asks = (sa.func.coalesce(_T.c.waiting_for, "") == WaitFor.PERSON.value).label("asks")
        query = sa.select(asks, sa.func.count()).where(_T.c.open_key.is_not(None), _T.c.dag_id.in_(dag_ids)).group_by(asks)
        with reading(self._engine) as connection:
            return {Group.WAITS if asks else Group.WORKS: number for asks, number in connection.execute(query)}

    def failures(self, session_ids: Collection[str]) -> dict[str, int]:
        """How many failures were given to each of these."""
        t = tables.failure
        query = sa.select(t.c.session_id, sa.func.count()).where(t.c.session_id.in_(session_ids)).group_by(t.c.session_id)
        with reading(self._engine) as connection:
            return {session_id: number for session_id, number in connection.execute(query)}

    def of_run(self, dag_id: str, run_id: str) -> list[Stored]:
        """The sessions that were made on failures of a run, oldest first."""
        return self._all(_T.c.dag_id == dag_id, _T.c.run_id == run_id)

    def failures_of_run(self, dag_id: str, run_id: str) -> list[tuple[TaskRef, str]]:
        """The failures of a run that were handed over, oldest first, and the session that each was given to."""
        t = tables.failure
        query = sa.select(t).where(t.c.dag_id == dag_id, t.c.run_id == run_id).order_by(t.c.at, t.c.task_id, t.c.map_index)
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return [(TaskRef(**{one.name: row[one.name] for one in fields(TaskRef)}), row["session_id"]) for row in rows]

    def these(self, session_ids: Collection[str]) -> list[Stored]:
        """Those that there are of these, oldest first."""
        return self._all(_T.c.id.in_(session_ids))

    def events(self, session_ids: Collection[str], kinds: Collection[EventKind]) -> dict[str, list[Event]]:
        """Those of these kinds, of each of these sessions."""
        t, found = tables.event, {session_id: list[Event]() for session_id in session_ids}
        of_kind = t.c.kind.in_([kind.value for kind in kinds])
        query = sa.select(t).where(t.c.session_id.in_(session_ids), of_kind).order_by(t.c.session_id, t.c.number)
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                found[row["session_id"]].append(event_of(row))
        return found

    def _all(self, *where: sa.ColumnElement[bool]) -> list[Stored]:
        query = sa.select(_T).where(*where).order_by(_T.c.created_at, _T.c.id)
        with reading(self._engine) as connection:
            return [stored_of(row) for row in connection.execute(query).mappings()]


def _fits(dag_ids: Collection[str], wanted: Filter) -> Sequence[sa.ColumnElement[bool]]:
    """The filter without its group."""
    where: list[sa.ColumnElement[bool]] = [_T.c.dag_id.in_(dag_ids)]
    if wanted.dag_id is not None:
        where.append(_T.c.dag_id == wanted.dag_id)
    if wanted.verdict is not None:
        where.append(_T.c.verdict == wanted.verdict.value)
    if wanted.since is not None:
        where.append(_T.c.created_at >= wanted.since)
    if wanted.search:
        where.append(_T.c.searched.contains(wanted.search.lower(), autoescape=True))
    return where


def _numbers(connection: sa.Connection, dag_ids: Collection[str], wanted: Filter) -> dict[Group, int]:
    what = (_T.c.outcome, _T.c.waiting_for)
    query = sa.select(*what, sa.func.count()).where(*_fits(dag_ids, wanted)).group_by(*what)
    found: dict[Group, int] = {}
    for outcome, waiting_for, number in connection.execute(query):
        group = _group(outcome, waiting_for)
        found[group] = found.get(group, 0) + number
    return found


def _rows(connection: sa.Connection, dag_ids: Collection[str], wanted: Filter, cut: _From, limit: int) -> Iterator[Stored]:
    """Part by part: each has an index that has it in its order."""
    for number, part in cut.parts():
        if wanted.group and wanted.group not in part.groups:
            continue
        of_group = _in_group(wanted.group) if wanted.group else part.is_of_it
        beyond = [part.beyond(cut, cut.place)] if cut.place and cut.is_cut(number) else []
        query = sa.select(_T).where(of_group, *_fits(dag_ids, wanted), *beyond).order_by(*part.order(cut)).limit(limit)
        rows = connection.execute(query).mappings().all()
        yield from map(stored_of, rows)
        limit -= len(rows)
        if not limit:
            return


def _few(connection: sa.Connection, dag_ids: Collection[str], wanted: Filter, cut: _From, limit: int) -> Iterator[Stored]:
    """The same where a search finds little: every row is read once, as it lies, and what was found is put in order here. Through
    the index it would be rows here and there."""
    groups: dict[Group, list[_At]] = {}
    of_group = [_in_group(wanted.group)] if wanted.group else []
    columns = (_T.c.asked_at, _T.c.created_at, _T.c.id, _T.c.outcome, _T.c.waiting_for)
    query = sa.select(*columns).where(*of_group, *_fits(dag_ids, wanted))
    for asked_at, created_at, session_id, outcome, waiting_for in connection.execute(query):
        group = _group(outcome, waiting_for)
        groups.setdefault(group, []).append((_moment(group, asked_at, created_at), session_id))
    ids = [session_id for _, session_id in islice(_in_order(groups, cut), limit)]
    rows = {row["id"]: stored_of(row) for row in connection.execute(sa.select(_T).where(_T.c.id.in_(ids))).mappings()}
    yield from (rows[session_id] for session_id in ids if session_id in rows)


_At = tuple[str, str]
"""the moment that a session goes by, and its id"""


def _in_order(groups: Mapping[Group, Sequence[_At]], cut: _From) -> Iterator[_At]:
    """As the parts have them, from the cut on."""
    for number, part in cut.parts():
        rises = part.rises(cut)
        rows = sorted(chain(*(groups.get(group, ()) for group in part.groups)), reverse=not rises)
        if cut.place and cut.is_cut(number):
            at = (cut.place.at, cut.place.id)
            rows = [row for row in rows if (row > at if rises else row < at)]
        yield from rows


def _group(outcome: str | None, waiting_for: str | None) -> Group:
    return group_of(Outcome(outcome) if outcome else None, WaitFor(waiting_for) if waiting_for else None)

"""Sessions in SQL: every write is one transaction, compares the session's version and chains its events.

Invariants: an event is never changed (erasing empties its data, its digest and hash stay); an approval row is written with
its event; one task has at most one session that is not done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - the store runs inside the API server only
from sqlalchemy.exc import IntegrityError  # noqa: TID253 - as above

from airflow_agentfix.core.audit import digest, link
from airflow_agentfix.core.budget import TURNS, Day, DayLimits
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.recovery import OVER, REOPENING
from airflow_agentfix.core.session import WORKER, Event, EventKind, Outcome, Session, State, Usage, WaitFor
from airflow_agentfix.core.ways import Way
from airflow_agentfix.errors import StaleWrite
from airflow_agentfix.store import spending, tables
from airflow_agentfix.store.engine import reading, writing
from airflow_agentfix.store.record import Approval, Change, Stored, Wanted

_SESSION_FIELDS = tuple(field.name for field in fields(Session) if field.name != "usage")
_USAGE_FIELDS = tuple(field.name for field in fields(Usage))
_CHECKED_AT_ONCE = 10
"""events of a chain that are in memory together; one may have some MB"""


class SqlStore:
    """AgentFix's tables. `key` keys the audit chain."""

    def __init__(self, engine: sa.Engine, *, key: bytes) -> None:
        self.engine = engine
        self._key = key

    # --- reading

    def get(self, session_id: str) -> Stored | None:
        return self._one(tables.session.c.id == session_id)

    def of_failure(self, ref: TaskRef) -> Stored | None:
        """The session this failure was given to."""
        wanted = sa.select(tables.failure.c.session_id).where(*_is(ref))
        return self._one(tables.session.c.id == wanted.scalar_subquery())

    def open_on(self, dag_id: str, run_id: str, task_id: str) -> Stored | None:
        """The session that works on this task now."""
        return self._one(tables.session.c.open_key == _open_key(dag_id, run_id, task_id))

    def same_cause(self, session: Session) -> list[Stored]:
        """The other sessions with its repository, DAG and fingerprint that are not done, or that looked at its very run."""
        t = tables.session
        of_cause = [t.c[name].is_not_distinct_from(getattr(session, name)) for name in ("repository", "dag_id", "fingerprint")]
        at_work, same_run = t.c.state != State.DONE.value, t.c.run_id == session.run_id
        query = sa.select(t).where(*of_cause, sa.or_(at_work, same_run), t.c.id != session.id)
        with reading(self.engine) as connection:
            return [stored_of(row) for row in connection.execute(query).mappings()]

    def failures(self, session_id: str) -> list[TaskRef]:
        """The failures that were given to a session."""
        t = tables.failure
        query = sa.select(t).where(t.c.session_id == session_id).order_by(t.c.at, t.c.map_index, t.c.try_number)
        with reading(self.engine) as connection:
            return [
                TaskRef(**{one.name: row[one.name] for one in fields(TaskRef)}) for row in connection.execute(query).mappings()
            ]

    def dag_ids(self) -> list[str]:
        with reading(self.engine) as connection:
            return list(connection.scalars(sa.select(tables.session.c.dag_id).distinct()))

    def sessions(self, dag_ids: Iterable[str], wanted: Wanted, *, limit: int, offset: int) -> tuple[list[Session], int]:
        """A page of what is wanted of these DAGs, newest first, and how many there are in all."""
        t, fits = tables.session, _fits(dag_ids, wanted)
        page = sa.select(t).where(*fits).order_by(t.c.created_at.desc(), t.c.id).limit(limit).offset(offset)
        with reading(self.engine) as connection:
            total = connection.scalar(sa.select(sa.func.count()).select_from(t).where(*fits)) or 0
            return [stored_of(row).session for row in connection.execute(page).mappings()], total

    def events(
        self,
        session_id: str,
        *,
        after: int = 0,
        kinds: Iterable[EventKind] = (),
        limit: int | None = None,
        most: int | None = None,
    ) -> list[Event]:
        """Those above `after`; of these kinds alone, where any are named; the first `limit`, where there is one. `most`: bytes of
        what they hold together; the first comes whatever its size."""
        wanted = _wanted(session_id, kinds).where(tables.event.c.number > after).limit(limit)
        return self._events(wanted, tables.event.c.number, most)

    def newest_events(
        self,
        session_id: str,
        *,
        limit: int,
        before: int | None = None,
        kinds: Iterable[EventKind] = (),
        most: int | None = None,
    ) -> list[Event]:
        """The last `limit` events, of those below `before` where that is given, in their order. `most`: bytes of what they hold
        together; the last comes whatever its size."""
        wanted, number = _wanted(session_id, kinds).limit(limit), tables.event.c.number
        return self._events(wanted if before is None else wanted.where(number < before), number.desc(), most)[::-1]

    def results_of(self, session_id: str, tool: str, *, after: int) -> list[Event]:
        """The results of one tool's calls, above `after`."""
        t = tables.event
        is_of = (t.c.session_id == session_id, t.c.number > after, t.c.kind == EventKind.RESULT.value)
        query = sa.select(t).where(*is_of, t.c.data["tool"].as_string() == tool).order_by(t.c.number)
        with reading(self.engine) as connection:
            return [event_of(row) for row in connection.execute(query).mappings()]

    def moments(self, session_id: str) -> list[Event]:
        """When workers took it, gave it back, and were last seen before that or at all: events without what they hold. Of a
        session of thousands of events they are a few."""
        t, turns = tables.event, [kind.value for kind in TURNS]
        seen = sa.or_(t.c.actor == WORKER, t.c.kind.in_([*turns, EventKind.RERUN.value]))
        following = sa.func.lead(t.c.kind).over(order_by=t.c.number).label("following")
        rows = sa.select(t.c.number, t.c.kind, t.c.actor, t.c.at, following).where(t.c.session_id == session_id, seen).subquery()
        is_last = sa.or_(rows.c.following.is_(None), rows.c.following.in_(turns))
        query = sa.select(rows).where(sa.or_(rows.c.kind.in_(turns), is_last)).order_by(rows.c.number)
        with reading(self.engine) as connection:
            return [Event(row.number, EventKind(row.kind), row.actor, row.at, {}) for row in connection.execute(query)]

    def day(self, dag_id: str, limits: DayLimits) -> Day:
        """What was spent on the limits' day and is reserved now, of a DAG and of all."""
        with reading(self.engine) as connection:
            return spending.day_of(connection, dag_id, limits)

    def approvals(self, session_id: str) -> list[Approval]:
        """Decisions, oldest first."""
        t = tables.approval
        query = sa.select(t).where(t.c.session_id == session_id).order_by(t.c.number)
        with reading(self.engine) as connection:
            rows = connection.execute(query).mappings()
            return [Approval(**{name: row[name] for name in row if name != "session_id"}) for row in rows]

    def broken_link(self, session_id: str) -> int | None:
        """The number of the first event that is not what was written, or is missing; None for a whole chain."""
        t, previous, number = tables.event, "", 0
        of_session = sa.select(t).where(t.c.session_id == session_id)
        is_erasing = of_session.where(t.c.kind == EventKind.ERASED.value).with_only_columns(t.c.number).limit(1)
        with reading(self.engine) as connection:
            last = connection.scalar(sa.select(tables.session.c.last_event).where(tables.session.c.id == session_id)) or 0
            erased = connection.scalar(is_erasing) is not None
            few = {"yield_per": _CHECKED_AT_ONCE}
            for row in connection.execute(of_session.order_by(t.c.number), execution_options=few).mappings():
                event, number = event_of(row), number + 1
                content = event.data if event.data or not erased else None
                told = content is None or digest(self._key, content) == row["digest"]
                hashed = link(self._key, previous, session_id, event, row["digest"])
                if event.number != number or not told or hashed != row["hash"]:
                    return number
                previous = row["hash"]
        return number + 1 if number < last else None

    def hashes(self, session_id: str) -> list[str]:
        """Of all its events, in their order."""
        t = tables.event
        query = sa.select(t.c.hash).where(t.c.session_id == session_id).order_by(t.c.number)
        with reading(self.engine) as connection:
            return list(connection.scalars(query))

    # --- writing

    def create(self, stored: Stored, events: Sequence[Event], *, failure: TaskRef, limits: DayLimits | None = None) -> Stored:
        """Raises StaleWrite where another writer took the failure, or the task, first; BudgetExceeded where the day has not
        what the session would reserve."""
        try:
            with writing(self.engine) as connection, spending.reserving(connection, (stored.session, limits)):
                connection.execute(sa.insert(tables.session).values(**_columns(stored)))
                self._add(connection, stored.session, events, after=0)
                _assign(connection, failure, stored.session)
        except IntegrityError as error:
            raise StaleWrite(f"Another writer took the failure {failure} first; read again.") from error
        return stored

    def write(self, *changes: Change) -> list[Stored]:
        """Make all changes or none. Raises StaleWrite unless each `before` is what the table holds, and as `create` does."""
        in_order = sorted(changes, key=lambda change: change.before.session.id)  # two writers of the same rows must not deadlock
        try:
            reserved = [(change.before.session, change.limits) for change in in_order]
            with writing(self.engine) as connection, spending.reserving(connection, *reserved):
                written = {change.before.session.id: self._change(connection, change) for change in in_order}
        except IntegrityError as error:
            ids = ", ".join(change.before.session.id for change in in_order)
            raise StaleWrite(f"Another session works on the task of session {ids} now; read again.") from error
        return [written[change.before.session.id] for change in changes]

    # --- inside

    def _events(self, wanted: sa.Select[Any], order: sa.ColumnElement[Any], most: int | None) -> list[Event]:
        query = wanted.order_by(order) if most is None else _within(wanted.order_by(order), order, most)
        with reading(self.engine) as connection:
            return [event_of(row) for row in connection.execute(query).mappings()]

    def _one(self, condition: sa.ColumnElement[bool]) -> Stored | None:
        with reading(self.engine) as connection:
            row = connection.execute(sa.select(tables.session).where(condition)).mappings().one_or_none()
        return stored_of(row) if row is not None else None

    def _change(self, connection: sa.Connection, change: Change) -> Stored:
        t, session_id, version = tables.session, change.before.session.id, change.before.session.version
        after = replace(change.after, session=replace(change.after.session, version=version + 1))
        where = (t.c.id == session_id, t.c.version == version)
        if connection.execute(sa.update(t).where(*where).values(**_columns(after))).rowcount != 1:
            raise StaleWrite(f"Session {session_id!r} is past version {version}; read it again.")
        self._add(connection, after.session, change.events, after=change.before.session.last_event)
        for failure in change.failures:
            _assign(connection, failure, after.session)
        if change.erase:
            _erase(connection, session_id, change.erase)
        return after

    def _add(self, connection: sa.Connection, session: Session, events: Sequence[Event], *, after: int) -> None:
        t, session_id = tables.event, session.id
        spending.count(connection, session.dag_id, events)
        last = sa.select(t.c.hash).where(t.c.session_id == session_id, t.c.number == after)
        previous: str = connection.scalar(last) or ""
        for event in events:
            data_digest = digest(self._key, event.data)
            previous = link(self._key, previous, session_id, event, data_digest)
            row = {**event.to_json(), "session_id": session_id, "digest": data_digest, "hash": previous}
            connection.execute(sa.insert(t).values(**row))
            if event.kind is EventKind.APPROVAL:
                connection.execute(sa.insert(tables.approval).values(session_id=session_id, **_approval(event)))


def _wanted(session_id: str, kinds: Iterable[EventKind]) -> sa.Select[Any]:
    t, named = tables.event, [kind.value for kind in kinds]
    query = sa.select(t).where(t.c.session_id == session_id)
    return query.where(t.c.kind.in_(named)) if named else query


def _within(query: sa.Select[Any], order: sa.ColumnElement[Any], most: int) -> sa.Select[Any]:
    """Of the rows those, from the first one on, that hold at most so many bytes together. The database alone looks at all of
    them; `canonical` is ASCII, so that its characters are bytes."""
    t = tables.event
    size = sa.func.length(sa.cast(t.c.data, sa.Text)).label("size")
    sizes = query.with_only_columns(t.c.session_id, t.c.number, size, sa.func.row_number().over(order_by=order).label("place"))
    one = sizes.subquery()
    summed = sa.select(one, sa.func.sum(one.c.size).over(order_by=one.c.place).label("so_far")).subquery()
    fits = sa.or_(summed.c.place == 1, summed.c.so_far <= most)
    is_it = sa.and_(t.c.session_id == summed.c.session_id, t.c.number == summed.c.number)
    return sa.select(t).join(summed, is_it).where(fits).order_by(order)


def _fits(dag_ids: Iterable[str], wanted: Wanted) -> list[sa.ColumnElement[bool]]:
    t = tables.session
    named = {name: value for name, value in vars(wanted).items() if value is not None and not isinstance(value, bool)}
    pinned = [_newest_of_pins() == EventKind.RERUN.value] if wanted.pinned else []
    unsettled = _is_unsettled() if wanted.unsettled else []
    proposed = [t.c.pull_request.is_not(None)] if wanted.pull_request else []
    as_named = (t.c[name] == _plain(value) for name, value in named.items())
    return [t.c.dag_id.in_(list(dag_ids)), *as_named, *pinned, *unsettled, *proposed]


def _is_unsettled() -> list[sa.ColumnElement[bool]]:
    t, kinds = tables.session, [kind.value for kind in REOPENING]
    has_fix = [t.c.state == State.DONE.value, t.c.outcome != Outcome.DUPLICATE.value, t.c.fix_commit.is_not(None)]
    told = _of_newest(tables.event.c.data["state"].as_string(), tables.event.c.kind.in_(kinds))
    return [*has_fix, sa.func.coalesce(told, "") != OVER]


def _newest_of_pins() -> sa.ScalarSelect[str]:
    """Whether the session's newest event about pins began or ended one."""
    t = tables.event
    is_pin = sa.and_(t.c.kind == EventKind.RERUN.value, t.c.data["way"].as_string() == Way.PIN.value)
    return _of_newest(t.c.kind, sa.or_(is_pin, t.c.kind == EventKind.PIN_ENDED.value))


def _of_newest(what: sa.ColumnElement[str], about: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    """Of the session's newest event that is about this."""
    t = tables.event
    of_session = sa.select(what).where(t.c.session_id == tables.session.c.id, about)
    return of_session.order_by(t.c.number.desc()).limit(1).scalar_subquery()


def _is(ref: TaskRef) -> list[sa.ColumnElement[bool]]:
    return [tables.failure.c[name] == value for name, value in asdict(ref).items()]


def _assign(connection: sa.Connection, ref: TaskRef, session: Session) -> None:
    connection.execute(sa.delete(tables.failure).where(*_is(ref)))
    connection.execute(sa.insert(tables.failure).values(**asdict(ref), session_id=session.id, at=session.updated_at))


def _erase(connection: sa.Connection, session_id: str, numbers: Sequence[int]) -> None:
    t = tables.event
    connection.execute(sa.update(t).where(t.c.session_id == session_id, t.c.number.in_(numbers)).values(data={}))


def _open_key(dag_id: str, run_id: str, task_id: str) -> str:
    return hashlib.sha256("\0".join((dag_id, run_id, task_id)).encode()).hexdigest()


def _columns(stored: Stored) -> dict[str, Any]:
    session = stored.session
    open_key = None if session.state is State.DONE else _open_key(session.dag_id, session.run_id, session.task_id)
    return {
        **{name: _plain(getattr(session, name)) for name in _SESSION_FIELDS},
        **asdict(session.usage),
        "runs": stored.runs,
        "lease": stored.lease,
        "holder": stored.holder,
        "lease_until": stored.lease_until,
        "max_dollars": stored.max_dollars,
        "open_key": open_key,
        "searched": searched(session),
    }


def searched(session: Session) -> str:
    """What a search looks in."""
    return "\n".join((session.cause or "", session.dag_id, session.task_id, session.run_id, session.id)).lower()


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


def stored_of(row: sa.RowMapping) -> Stored:
    session = Session(
        **{
            **{name: row[name] for name in _SESSION_FIELDS},
            "state": State(row["state"]),
            "outcome": row["outcome"] and Outcome(row["outcome"]),
            "waiting_for": row["waiting_for"] and WaitFor(row["waiting_for"]),
            "usage": Usage(**{name: row[name] for name in _USAGE_FIELDS}),
        }
    )
    return Stored(session, **{name: row[name] for name in ("runs", "lease", "holder", "lease_until", "max_dollars")})


def event_of(row: sa.RowMapping) -> Event:
    return Event(row["number"], EventKind(row["kind"]), row["actor"], row["at"], row["data"], row["hash"])


def _approval(event: Event) -> dict[str, Any]:
    wanted = ("question_id", "commit", "decision", "via")
    return {**{name: event.data[name] for name in wanted}, "number": event.number, "person": event.actor, "at": event.at}

"""Dollars by day: what model calls cost, and what sessions at work may still spend.

Invariants: what is spent is written with the event that says so; what is reserved is read from the sessions, never stored twice.
Who reserves does so under one lock of the deployment and looks after writing, so two of them never both take the last dollars.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa  # noqa: TID253 - the store runs inside the API server only
from sqlalchemy.dialects import postgresql, sqlite  # noqa: TID253 - as above

from airflow_agentfix.core.budget import COUNTED, Day, DayLimits, refused
from airflow_agentfix.core.session import Event, Session, State, WaitFor
from airflow_agentfix.errors import BudgetExceeded
from airflow_agentfix.store import tables

_POSTGRES_LOCK = 0x6167656E74246279
"""any fixed number that is not store.migrate's"""


@contextmanager
def reserving(connection: sa.Connection, *sessions: tuple[Session, DayLimits | None]) -> Iterator[None]:
    """Around the writes of a transaction: raises BudgetExceeded where a session with limits then reserves more than its day has.

    The lock comes before any row is written, so that nobody who reserves waits for another in a circle. SQLite has one writer
    anyway.
    """
    limited = [(session, limits) for session, limits in sessions if limits is not None]
    if limited and connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_POSTGRES_LOCK)))
    yield
    for session, limits in limited:
        _require(connection, session, limits)


def count(connection: sa.Connection, dag_id: str, events: Sequence[Event]) -> None:
    """Add what these events cost to the days they are of."""
    t, insert = tables.spending, postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for event in events:
        if event.kind in COUNTED and (dollars := float(event.data.get("dollars") or 0.0)):
            row = insert(t).values(day=event.at[:10], dag_id=dag_id, dollars=dollars)
            more = {"dollars": t.c.dollars + row.excluded.dollars}
            connection.execute(row.on_conflict_do_update(index_elements=[t.c.day, t.c.dag_id], set_=more))


def day_of(connection: sa.Connection, dag_id: str, limits: DayLimits) -> Day:
    return Day(**connection.execute(_day(dag_id, limits)).mappings().one())


def total_of(connection: sa.Connection, day: str, most: float) -> float:
    return float(connection.scalar(_total(day, most)) or 0.0)


def _require(connection: sa.Connection, session: Session, limits: DayLimits) -> None:
    own = sa.select(_reserved()).where(tables.session.c.id == session.id).scalar_subquery()
    row: dict[str, Any] = {**connection.execute(_day(session.dag_id, limits).add_columns(own.label("own"))).mappings().one()}
    wanted = row.pop("own")
    if (reason := refused(session, Day(**row), wanted, limits)) is not None:
        raise BudgetExceeded(reason)


def _day(dag_id: str, limits: DayLimits) -> sa.Select[Any]:
    """One statement: on Postgres each sees a moment of its own, and dollars move from reserved to spent."""
    spending, session = tables.spending, tables.session
    of_day = spending.c.day == limits.day
    spent = sa.select(sa.func.coalesce(sa.func.sum(spending.c.dollars), 0.0)).where(of_day)
    reserved = sa.select(sa.func.coalesce(sa.func.sum(_reserved()), 0.0)).where(session.c.open_key.is_not(None))  # has an index
    return sa.select(
        spent.where(spending.c.dag_id == dag_id).scalar_subquery().label("spent"),
        reserved.where(session.c.dag_id == dag_id).scalar_subquery().label("reserved"),
        _total(limits.day, limits.most).scalar_subquery().label("total_spent"),
        reserved.scalar_subquery().label("total_reserved"),
    )


def _total(day: str, most: float) -> sa.Select[Any]:
    t = tables.spending
    counted = sa.case((t.c.dollars > most, most), else_=t.c.dollars)
    return sa.select(sa.func.coalesce(sa.func.sum(counted), 0.0)).where(t.c.day == day)


def _reserved() -> sa.ColumnElement[float]:
    """What a session holds back: what it may still spend, but for one that is done or waits for a person."""
    t = tables.session
    left = t.c.max_dollars - t.c.dollars
    rests = sa.or_(t.c.state == State.DONE.value, sa.func.coalesce(t.c.waiting_for, "") == WaitFor.PERSON.value)
    return sa.case((rests, 0.0), (left > 0, left), else_=0.0)

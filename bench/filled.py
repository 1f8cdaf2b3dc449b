"""Tables with what years of work leave in them: 10,000 sessions and 500,000 events on 200 DAGs, made inside the database."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from airflow_agentfix.core.session import EventKind, Outcome, Session, State, Usage, WaitFor
from airflow_agentfix.store import tables
from airflow_agentfix.store.listing import Place
from airflow_agentfix.store.sql import searched

SESSIONS, DAGS, EVENTS = 10_000, 200, 500_000
PER_SESSION = EVENTS // SESSIONS
LONG, LONG_EVENTS = "long", 2_000
"""the session that has more events than any other"""
SHORT = "s00000"
"""one with as many as usual"""
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = "scheduled__2026-11-22T00:00:00+00:00"
"""of the first DAG: the run whose tab is looked at"""
LONG_RUN = f"{RUN}_long"
LATE = Place(2, (NOW - timedelta(minutes=13 * 9_000)).isoformat(timespec="milliseconds"), "s")
"""a place nine tenths down the list"""
_CAUSES = (
    "KeyError: 'currency' in transform_orders",
    "ValueError: could not convert string to float: '12,50'",
    "sqlalchemy.exc.ProgrammingError: column orders.total does not exist",
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='warehouse', port=443): Max retries exceeded",
    "dbt: 3 of 114 tests failed, the first: not_null_orders_customer_id",
)
_OUTCOMES = (Outcome.FIXED, Outcome.PROPOSED, Outcome.REPORTED, Outcome.GAVE_UP, Outcome.DUPLICATE, Outcome.STOPPED)
_VERDICTS = ("code", "data", "config", "infra", "dependency", "unknown")


def first_dag() -> str:
    return _dag(0)


def fill(engine: sa.Engine) -> None:
    """Into migrated, empty tables."""
    with engine.begin() as connection:
        for rows in _in_lots([*_sessions(), _long()], 500):
            connection.execute(sa.insert(tables.session), rows)
        connection.execute(sa.insert(tables.failure), list(_failures()))
        _add_events(connection)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("ANALYZE")
    if engine.dialect.name == "postgresql":  # as its autovacuum does within a minute
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _sessions() -> Iterator[dict[str, Any]]:
    dice = random.Random(7)
    for number in range(SESSIONS):
        dag_id, at = _dag(number), NOW - timedelta(minutes=13 * number)
        state, outcome, waits = _stand(number, dice)
        cause = f"{dice.choice(_CAUSES)} (batch {number * 31 % 9973}){' of many' * (number % 9)}"
        made = Session(
            f"s{number:05}", dag_id, RUN if number < DAGS else f"scheduled__{at:%Y-%m-%dT%H:%M}:00+00:00", f"load_{number % 7}",
            -1 if number % 3 else number % 40, 1, state, "rerun", "callback", _iso(at), _iso(at), version=PER_SESSION,
            outcome=outcome, waiting_for=waits, fingerprint=f"{number % 1500:032x}", repository="https://github.com/acme/dags",
            verdict=dice.choice(_VERDICTS), cause=cause, model="claude-opus-5-5", summary="What was found and done. " * 12,
            last_event=PER_SESSION, usage=Usage(8, 90_000, 4_000, 300_000, 40_000, dice.random() * 2),
            asked_at=_iso(at + timedelta(minutes=number % 90)) if waits else None,
        )  # fmt: skip
        yield _row(made)


def _dag(number: int) -> str:
    return f"team_{number % 20:02}_pipeline_{number % DAGS:03}"


def _long() -> dict[str, Any]:
    first = next(_sessions())
    return {**first, "id": LONG, "run_id": LONG_RUN, "last_event": LONG_EVENTS, "open_key": None}


def _stand(number: int, dice: random.Random) -> tuple[State, Outcome | None, WaitFor | None]:
    if number % 400 == 1:
        return State.WAITING, None, WaitFor.PERSON
    if number % 250 == 2:
        return State.RUNNING, None, None
    return State.DONE, dice.choice(_OUTCOMES), None


def _row(session: Session) -> dict[str, Any]:
    columns = {name: value for name, value in vars(session).items() if name != "usage"}
    own = {"runs": 1, "lease": None, "holder": None, "lease_until": None, "max_dollars": 5.0}
    key = None if session.outcome else session.id
    return {**columns, **asdict(session.usage), **own, "open_key": key, "searched": searched(session)}


def _failures() -> Iterator[dict[str, Any]]:
    """One each, and for every tenth five more that were found to be of its cause."""
    for number, one in enumerate(_sessions()):
        for times in range(6 if number % 10 == 0 else 1):
            where = {name: one[name] for name in ("dag_id", "task_id", "map_index")}
            run_id = one["run_id"] if not times else f"{one['run_id']}_{times}"
            yield {**where, "run_id": run_id, "try_number": 1, "session_id": one["id"], "at": one["created_at"]}
    long = _long()
    where = {name: long[name] for name in ("dag_id", "run_id", "task_id", "map_index")}
    yield {**where, "try_number": 1, "session_id": LONG, "at": long["created_at"]}


def _add_events(connection: sa.Connection) -> None:
    """Every session gets the same story, the long one forty times."""
    payload = sa.Table("payload", sa.MetaData(), *(column.copy() for column in _event_columns()), prefixes=["TEMPORARY"])
    payload.create(connection)
    connection.execute(sa.insert(payload), [{**row, "number": number} for number, row in enumerate(_story(LONG_EVENTS), 1)])
    t, s = tables.event, tables.session
    names = [column.name for column in t.columns]
    copied = [payload.c[name] for name in names[1:]]
    most = sa.case((s.c.id == LONG, LONG_EVENTS), else_=PER_SESSION)
    rows = sa.select(s.c.id, *copied).select_from(s.join(payload, payload.c.number <= most)).order_by(s.c.id, payload.c.number)
    connection.execute(sa.insert(t).from_select(names, rows))
    payload.drop(connection)


def _event_columns() -> list[sa.Column[Any]]:
    return [sa.Column(column.name, column.type) for column in tables.event.columns if column.name != "session_id"]


def _story(length: int) -> Iterator[dict[str, Any]]:
    """Events as a session writes them, of their usual sizes."""
    for number in range(length):
        kind, actor, data = _told(number)
        at = NOW + timedelta(seconds=number)
        yield {"kind": kind.value, "actor": actor, "at": _iso(at), "data": data, "digest": "d" * 64, "hash": "e" * 64}


def _told(number: int) -> tuple[EventKind, str, dict[str, Any]]:
    if number == 0:
        return EventKind.CREATED, "server", {"source": "callback", "autonomy": "rerun", "requested_by": None}
    if number == 1:
        return EventKind.CLAIMED, "server", {"worker": "agentfix_fix/agentfix__s__1/fix/1", "login": "agentfix"}
    call = f"call-{number // 3}"
    match number % 3:
        case 0:
            said = {"type": "text", "text": "The column is called amount since the table was changed. " * 4}
            used = {"type": "tool_use", "id": call, "name": "read_file", "input": {"path": "dags/orders.py", "from": 1, "to": 80}}
            usage = {"input_tokens": 900, "output_tokens": 250, "cache_read_input_tokens": 30_000}
            spent = {"stop_reason": "tool_use", "model": "claude-opus-5-5", "usage": usage, "dollars": 0.03, "after": number}
            return EventKind.MODEL, "worker", {"content": [said, used], **spent}
        case 1:
            return EventKind.INTENT, "worker", {"call_id": call, "tool": "read_file", "input": {"path": "dags/orders.py"}}
        case _:
            text = "    total = sum(order['amount'] for order in orders)  # line of code\n" * 25
            return EventKind.RESULT, "worker", {"call_id": call, "tool": "read_file", "text": text, "is_error": False}


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _in_lots(rows: list[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]

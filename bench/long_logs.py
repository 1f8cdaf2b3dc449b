"""Long logs made at run time: what a busy task says, with handled errors in between. Deterministic; no benchmark of its own."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

START = datetime(2026, 7, 3, 13, tzinfo=UTC)
TABLES = ("stg_orders", "dim_customer", "fct_refunds", "failed_payments", "mart_revenue", "exceptions_audit")
HANDLED = (
    'Traceback (most recent call last):\n  File "/opt/airflow/plugins/acme/http.py", line 91, in get\n    answer = get(url)\n'
    "ConnectionResetError: [Errno 104] Connection reset by peer",
    'Traceback (most recent call last):\n  File "/opt/airflow/plugins/acme/rows.py", line 40, in promo\n    return row["promo"]\n'
    "KeyError: 'promo'",
)

Line = Callable[[datetime, str, str], str]


def noise(dice: random.Random) -> Iterator[tuple[str, str]]:
    """Level and text of one thing after another that a task says; now and then an error that is handled at once."""
    number = 0
    while True:
        number += 1
        table = dice.choice(TABLES)
        if number % 400 == 0:
            yield "WARNING", f"page {number} failed, will retry\n{dice.choice(HANDLED)}"
            yield "INFO", f"page {number} ok on attempt 2, continuing"
        said = (
            f"batch {number}: read {dice.randrange(500, 50_000)} rows from {table} in {dice.random():.3f} s, 0 errors",
            f"Copied s3://lake/{table}/dt=2026-07-{dice.randrange(10, 28)}/part-{dice.randrange(10**5):05d}.parquet",
            f"checkpoint committed offset={dice.randrange(10**9)} errors=0 failed=0",
            f"26/07/03 13:00:00 INFO TaskSetManager: Finished task {number % 200}.0 in stage {number // 200}.0 (TID {number})",
            f"{number % 90 + 1} of 90 PASS not_null_{table}_id ........... [PASS in {dice.random():.2f}s]",
            f"progress {number} rows, memory rss={dice.randrange(300, 2900)}MiB",
        )
        yield "INFO", dice.choice(said)


def event(at: datetime, level: str, text: str) -> str:
    """An Airflow 3 event, with all that such an event repeats."""
    ids = {"dag_id": "shop", "run_id": "scheduled__2026-07-03", "task_id": "load", "try_number": 1, "map_index": -1}
    stamped = {"timestamp": at.isoformat(), "level": level.lower(), "event": text, "logger": "task.etl", "ti": ids}
    return json.dumps(stamped, separators=(",", ":")) + "\n"


def line(at: datetime, level: str, text: str) -> str:
    """A line as Airflow 2 writes it."""
    return f"[{at:%Y-%m-%dT%H:%M:%S}.000+0000] {{batch.py:118}} {level} - {text}\n"


def lines_of(size: int, form: Line, *, seed: int) -> Iterator[bytes]:
    """At least `size` bytes of such a log."""
    dice, at, made = random.Random(seed), START, 0
    for level, text in noise(dice):
        at += timedelta(milliseconds=7)
        raw = form(at, level, text).encode()
        yield raw
        made += len(raw)
        if made >= size:
            return


def embedded(log: bytes, *, size: int, seed: int) -> Iterator[bytes]:
    """A failure's log in the middle of a long one of its own form, with up to some hundred lines after it."""
    form = event if log.lstrip()[:1] == b"{" else line
    yield from lines_of(size, form, seed=seed)
    yield log if log.endswith(b"\n") else log + b"\n"
    yield from lines_of(random.Random(seed).choice((0, 2_000, 20_000, 60_000)), form, seed=seed + 1)

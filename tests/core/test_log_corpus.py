"""What the log reader finds in tests/corpus: failures of many kinds as Airflow writes them, each with its label.

The logs were written for this, after real ones; `root_cause` is a text of the log, `accept` other lines that state the cause.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.fingerprint import fingerprint
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.core.logs import distill
from airflow_agentfix.core.triage import judge

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "failures"
KINDS = {Verdict.CONFIG: "code", Verdict.DEPENDENCY: "code"}
Row = dict[str, Any]


def labels() -> list[Row]:
    return [json.loads(line) for line in (CORPUS / "labels.jsonl").read_text(encoding="utf-8").splitlines()]


def log(row: Row) -> bytes:
    return (CORPUS / f"{row['id']}.log").read_bytes()


def around(row: Row) -> Iterator[bytes]:
    """The log in the middle of a long one of its own form: errors that were handled before it, a callback's own after it."""
    if row["format"] == "airflow3-json":
        before, handled, after = (_event(text) for text in ("read 500 rows, 0 errors", "page 7 ok on attempt 2", "closed"))
        decoy = _event(
            "request failed, will retry", level="warning", error_detail=[{"exc_type": "OSError", "exc_value": "reset"}]
        )
    else:
        stamp = b"[2024-07-03T13:00:00.000+0000] {batch.py:118} "
        before, handled, after = stamp + b"INFO - read 500 rows, 0 errors\n", stamp + b"INFO - page 7 ok on attempt 2\n", b"bye\n"
        decoy = (
            stamp
            + b'WARNING - page 7 failed, will retry\nTraceback (most recent call last):\n  File "/usr/lib/python3.11/x.py", '
        )
        decoy += b"line 1, in f\nConnectionResetError: [Errno 104] Connection reset by peer\n"
    yield from [*[before] * 40, decoy, handled] * 60
    yield log(row)
    yield from [after] * 300


def _event(text: str, **more: object) -> bytes:
    event = {"timestamp": "2026-07-03T13:00:00Z", "level": "info", "event": text, "logger": "task.stdout", **more}
    return json.dumps(event).encode() + b"\n"


def stated(text: str, row: Row) -> bool:
    return any(cause in text for cause in (row["root_cause"], *row["accept"]))


@pytest.mark.parametrize("row", labels(), ids=lambda row: row["id"])
def test_the_cause_is_named_and_judged(row):
    cause = distill(io.BytesIO(log(row))).cause
    verdict = judge(cause).verdict
    assert stated(cause.line, row) or (cause.line and cause.line in row["root_cause"]) or row["id"] in OTHER_LINE
    assert KINDS.get(verdict, verdict) == row["label"]


OTHER_LINE = {"spark_java_home", "pydantic_validation"}
"""logs whose cause is shown, but not named as the one line"""


@pytest.mark.parametrize("chars", [4_000, 16_000])
def test_what_is_shown_of_a_log_states_the_cause(chars):
    lost = [row["id"] for row in labels() if not stated(distill(io.BytesIO(log(row)), max_chars=chars).text, row)]
    assert lost == []


@pytest.mark.parametrize("chars", [4_000, 16_000])
def test_what_is_shown_of_a_long_log_states_the_cause(chars):
    lost = [row["id"] for row in labels() if not stated(distill(around(row), max_chars=chars).text, row)]
    assert lost == []


def test_what_stands_around_a_failure_changes_neither_cause_nor_fingerprint():
    for row in labels():
        alone, among = distill(io.BytesIO(log(row))).cause, distill(around(row)).cause
        assert (row["id"], among.line) == (row["id"], alone.line)
        assert fingerprint(among) == fingerprint(alone)


def test_sure_infrastructure_is_infrastructure():
    decided = [row for row in labels() if judge(distill(io.BytesIO(log(row))).cause).decided]
    assert {row["label"] for row in decided} == {"infra"}
    assert len(decided) >= 0.6 * sum(row["label"] == "infra" for row in labels())

"""Which cites are grounded."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.citations import shown_by_tools, ungrounded
from airflow_agentfix.core.session import EventKind
from tests.core.test_transcript import Log
from tests.fakes.models import call

READ = call("read_file", path="dags/a.py", start=3)
FOUND = call("search_code", regex="x")
CHANGED = call("change_files")
FAILED = call("read_log")
LOG = (
    Log()
    .model(READ, FOUND, CHANGED, FAILED)
    .result(READ, "3\tx = 1\n4\ty = 2")
    .result(FOUND, "dags/b.py:7:x")
    .result(CHANGED, "--- a/dags/c.py\n+++ b/dags/c.py\n@@ -1,2 +10,3 @@\n x")
    .result(FAILED, "L40\tboom\nE3\ta fact")
)


@pytest.mark.parametrize(
    "cite",
    [
        "L12",
        "E3",
        "L40",
        "L40-L44",
        "L40\N{EN DASH}44",
        "[L12]",
        "dags/a.py:3",
        "./dags/a.py:4",
        "dags/a.py:3-4",
        "dags/b.py:7",
        "dags/c.py:12",
    ],
)
def test_a_line_that_was_shown_may_be_cited(cite: str) -> None:
    assert ungrounded([{"claim": "c", "cites": [cite]}], LOG.events) == []


@pytest.mark.parametrize("cite", ["L13", "E9", "dags/a.py:2", "dags/other.py:3", "dags/c.py:13", "the log", "dags/a.py", ""])
def test_a_line_that_was_not_shown_grounds_nothing(cite: str) -> None:
    assert ungrounded([{"claim": "c", "cites": [cite]}], LOG.events) == ["c"]


def test_a_claim_needs_a_cite_and_every_cite_must_hold() -> None:
    chain = [{"claim": "none", "cites": []}, {"claim": "half", "cites": ["L12", "L999"]}]
    assert ungrounded(chain, LOG.events) == ["none", "half"]


def test_what_only_a_tool_has_shown_is_told_with_the_event_that_did_so_first() -> None:
    log = Log().model(READ, FAILED).result(READ, "3\tx = 1").result(FAILED, "L12\tagain\nL40\tboom")
    again = call("read_file", path="dags/a.py", start=1)
    log = log.model(again).result(again, "3\tx = 1")
    read, failed = [event.number for event in log.events if event.kind is EventKind.RESULT][:2]
    chain = [{"claim": "c", "cites": ["dags/a.py:3", "L12", "L40", "dags/never.py:1"]}]
    assert shown_by_tools(chain, log.events) == {"dags/a.py:3": read, "L40": failed}

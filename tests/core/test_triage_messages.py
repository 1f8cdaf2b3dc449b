"""What databases, clouds, clusters, tools and libraries say when they fail, and whose failure that is.

The messages, in tests/corpus/messages, are those of their own makers, shortened. `code` stands for config and dependency too.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_agentfix.core.incident import RootCause, Verdict
from airflow_agentfix.core.tracebacks import names_exception
from airflow_agentfix.core.triage import judge

MESSAGES = Path(__file__).resolve().parents[1] / "corpus" / "messages"


def cause_of(line: str) -> RootCause:
    named = names_exception(line, strict=False) if ": " in line and " " not in line.partition(":")[0] else None
    named = named if named and ("." in named["type"] or named["type"][0].isupper()) else None
    exception = named["type"] if named else None
    return RootCause(line=line, message=(named["message"] or "") if named else line, exception=exception)


def cases() -> list[pytest.param]:
    return [
        pytest.param(file.stem, line, id=f"{file.stem}-{line[:70]}")
        for file in sorted(MESSAGES.glob("*.txt"))
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize(("label", "line"), cases())
def test_a_message_is_judged_as_whose_failure_it_is(label: str, line: str) -> None:
    told = judge(cause_of(line))
    verdict = "code" if told.verdict in (Verdict.CONFIG, Verdict.DEPENDENCY) else str(told.verdict)
    assert verdict == label, told.reason
    assert label == "infra" or not told.decided

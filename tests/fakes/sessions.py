"""A session that was fixed and one that waits for a person, as the session API tells them."""

from __future__ import annotations

from typing import Any

from airflow_agentfix.core.session import Event, EventKind, Outcome, State, Usage, WaitFor
from tests.fakes.deployment import Deployment

COMMIT = "3c9a" + "0" * 36
STAGES = [
    {"name": "gates", "state": "passed", "detail": "nothing was found"},
    {"name": "compiled", "state": "passed", "detail": "with Python 3.12.4: dags/money.py"},
    {"name": "shape kept", "state": "not_run", "detail": "the DAG file does not import"},
    {"name": "rerun", "state": "passed", "detail": "load success in 3.0 s; run monday of orders (pin)"},
]
DIFF = "--- a/dags/money.py\n+++ b/dags/money.py\n@@ -1 +1 @@\n-total(amont)\n+total(amount)\n"


def add_fixed(airflow: Deployment, session_id: str = "s1") -> None:
    """Fixed by the rules model, its rerun waived by the deployment."""
    airflow.add_session(
        session_id,
        state=State.DONE,
        outcome=Outcome.FIXED,
        verdict="code",
        cause="NameError: name 'amont' is not defined",
        model="rules",
        fix_branch="fix/orders-load-3c9a",
        fix_commit=COMMIT,
        summary="The run is green on the fix commit.",
        usage=Usage(turns=6, input_tokens=12_000, output_tokens=345),
    )
    airflow.events[session_id] = numbered(
        (EventKind.CREATED, "server", {"source": "callback", "autonomy": "rerun", "requested_by": None}),
        (EventKind.INCIDENT, "worker", {"fingerprint": "f1", "text": "the whole evidence", "cause": {"line": "NameError"}}),
        (EventKind.FIX, "worker", fix()),
        (EventKind.APPROVAL, "server", {"question_id": None, "commit": COMMIT, "decision": "approve", "via": "waived"}),
        (EventKind.RERUN, "server", rerun()),
        (EventKind.VERIFIED, "worker", {"commit": COMMIT, "stages": STAGES, "call_id": "c1"}),
        (
            EventKind.FINISHED,
            "worker",
            {"outcome": "fixed", "verdict": "code", "summary": "green", "error": None, "report": {"v": 1}},
        ),
    )


def add_waiting(airflow: Deployment, session_id: str = "s2") -> None:
    """Asks for approval of its commit."""
    airflow.add_session(session_id, state=State.WAITING, waiting_for=WaitFor.PERSON, verdict="code", cause="NameError")
    question = {
        "question_id": "q1",
        "call_id": "c1",
        "about": "approval",
        "subject": "Run 3c9a?",
        "body": "…",
        "options": ["Approve", "Reject"],
        "commit": COMMIT,
        "ask_run": {"dag_id": "agentfix_ask", "run_id": "q1"},
        "approvers": [],
    }
    airflow.events[session_id] = numbered((EventKind.FIX, "worker", fix()), (EventKind.QUESTION, "server", question))


def fix() -> dict[str, Any]:
    return {
        "branch": "fix/orders-load-3c9a",
        "commit": COMMIT,
        "base_commit": "b" * 40,
        "title": "Use the name that exists",
        "summary": "…",
        "diff": DIFF,
        "pull_request": None,
        "findings": [],
        "call_id": "c0",
    }


def rerun() -> dict[str, Any]:
    return {
        "way": "pin",
        "dag_id": "orders",
        "run_id": "monday",
        "commit": COMMIT,
        "task_ids": ["load", "publish"],
        "original_version": "b",
    }


def numbered(*events: tuple[EventKind, str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        Event(number, kind, actor, f"2026-11-22T07:00:{number * 5:02}+00:00", data).to_json()
        for number, (kind, actor, data) in enumerate(events, start=1)
    ]

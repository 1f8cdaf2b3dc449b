"""Sessions in their states, made by the use cases themselves, and their pages as a browser asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from airflow_agentfix.core.incident import Judgement, Verdict
from airflow_agentfix.core.session import EventKind, Outcome, WaitFor
from airflow_agentfix.ports import Claim, WaitRun
from tests.fakes.api_server import ApiServer
from tests.fakes.incidents import an_incident
from tests.fakes.server import ANNA, COMMIT, DAG, RUN, WORKER, Server

K = EventKind
LINE = "KeyError: 'total'"
TEXT = (
    "E1\tfailed: orders/monday/load try 1 (of 1), operator PythonOperator, state failed\n"
    f"E2\troot cause: {LINE}\n"
    "E3\tverdict by rules: code, confidence 0.90: a traceback in user code [L12]\n\n"
    "S1\tdags/orders.py at 0123456789, as it ran\n"
    "11\tdef load(rows):\n12\t    return sum(row['total'] for row in rows)\n\n"
    f'L11\t  File "dags/orders.py", line 12, in load\nL12\t{LINE}'
)
DIFF = (
    "--- a/dags/orders.py\n+++ b/dags/orders.py\n@@ -11,2 +11,2 @@\n def load(rows):\n"
    "-    return sum(row['total'] for row in rows)\n+    return sum(row['amount'] for row in rows)\n"
)
BEFORE = "def load(rows):\n    return sum(row['total'] for row in rows)\n"
AFTER = BEFORE.replace("total", "amount")
USAGE = {"input_tokens": 4_000, "output_tokens": 300, "cache_read_input_tokens": 900, "cache_creation_input_tokens": 0}


def incident(**changes: Any) -> dict[str, Any]:
    judgement = Judgement(Verdict.CODE, 0.9, "a traceback in user code", ("L12",))
    data = an_incident(text=TEXT, judgement=judgement, victims=("publish",), **changes).to_json()
    data["cause"]["line"] = LINE
    return {**data, "repository": {"url": "https://git.example.com/shop/dags", "base_branch": "main"}, "base_commit": "b" * 40}


def turn(*content: Mapping[str, Any], dollars: float = 0.05) -> tuple[EventKind, dict[str, Any]]:
    data = {
        "content": list(content),
        "stop_reason": "tool_use",
        "model": "claude",
        "usage": USAGE,
        "dollars": dollars,
        "after": 0,
    }
    return K.MODEL, data


def says(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def calls(tool: str, call_id: str = "c1", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": tool, "input": given}


def result(tool: str, text: str, *, call_id: str = "c1", is_error: bool = False) -> tuple[EventKind, dict[str, Any]]:
    return K.RESULT, {"call_id": call_id, "tool": tool, "text": text, "is_error": is_error}


def fix(**changes: Any) -> dict[str, Any]:
    return {
        "branch": "fix/orders-load-1a2b",
        "commit": COMMIT,
        "base_commit": "b" * 40,
        "title": "Read the amount by its name",
        "summary": "The column is called `amount` since Monday.",
        "diff": "what the worker says it did",
        "paths": ["dags/orders.py"],
        "pull_request": "https://git.example.com/shop/dags/pull/7",
        "findings": [{"rule": "money", "severity": "person", "path": "dags/orders.py", "reason": "a sum changes", "line": 12}],
        "call_id": "c2",
        **changes,
    }


def stage(name: str, state: str, detail: str) -> dict[str, str]:
    return {"name": name, "state": state, "detail": detail}


def at_work(server: Server) -> Claim:
    """A session whose agent reads."""
    claim = server.claimed()
    looks = turn(says("I look at **the log** first."), calls("read_log", grep="Error"))
    server.append(claim, (K.INCIDENT, incident()), looks, result("read_log", "\n".join(f"L{n}\tline" for n in range(900))))
    return claim


def with_fix(server: Server) -> Claim:
    claim = at_work(server)
    patch = {"files": [{"path": "dags/orders.py", "before": BEFORE, "after": AFTER}], "findings": [], "call_id": "c2"}
    stages = [stage("gates", "passed", "one finding"), stage("compiled", "passed", "with Python 3.12.4: dags/orders.py")]
    server.append(claim, turn(calls("change_files", "c2")), (K.PATCH, patch), (K.FIX, fix()))
    server.append(claim, (K.VERIFIED, {"commit": COMMIT, "stages": stages, "call_id": "c2"}))
    return claim


def waiting_for_approval(server: Server) -> Claim:
    claim = with_fix(server)
    _park(server, claim, server.approval(claim, call_id="c3"))
    return claim


def waiting_for_answer(server: Server) -> Claim:
    claim = at_work(server)
    asked = server.service.worker.ask(
        claim.session.id, WORKER, lease=claim.lease, call_id="c3", subject="Gross or net?", body="*Both* are there.",
        options=["Gross", "Net"],
    )  # fmt: skip
    _park(server, claim, asked)
    return claim


def rerunning(server: Server) -> Claim:
    """Approved by anna; the run goes on the fix commit."""
    session_id = waiting_for_approval(server).session.id
    server.service.reply(session_id, ANNA, decision="approve", message="Looks right.")
    claim = server.claimed(session_id)
    server.approval(claim, call_id="c3")
    started = server.rerun(claim, call_id="c4")
    _park(server, claim, WaitRun(started.dag_id, started.run_id, WaitFor.RERUN, "c4"))
    return claim


def fixed(server: Server) -> Claim:
    session_id = rerunning(server).session.id
    server.airflow.end_run(DAG, RUN, "success")
    claim = server.claimed(session_id)
    stages = [stage("rerun", "passed", "load success in 3.0 s"), stage("shape kept", "passed", "the same tasks")]
    done = result("rerun", "rerun green: load", call_id="c4")
    server.append(claim, (K.VERIFIED, {"commit": COMMIT, "stages": stages, "call_id": "c4"}), done)
    finish(server, claim, Outcome.FIXED, report=report(outcome="fixed"))
    return claim


def reported(server: Server) -> Claim:
    claim = at_work(server)
    action = "Ask the shop team to send `total` again."
    finish(
        server, claim, Outcome.REPORTED, verdict="data", report=report(outcome="reported", verdict="data", owner_action=action)
    )
    return claim


def report(**changes: Any) -> dict[str, Any]:
    return {
        "verdict": "code",
        "confidence": 0.85,
        "root_cause": "The column `total` is called `amount` since Monday.",
        "owner_action": None,
        "outcome": "fixed",
        "causal_chain": [
            {"claim": "The key is missing", "cites": ["L12", "dags/orders.py:12"]},
            {"claim": "It was renamed upstream", "cites": ["E9"]},
        ],
        "ungrounded": ["It was renamed upstream"],
        "verification": [],
        **changes,
    }


def finish(server: Server, claim: Claim, outcome: Outcome, **more: Any) -> None:
    told = {"summary": "The column was renamed. The rerun is green.", "verdict": "code", "report": None, "error": None, **more}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=outcome, **told)


def _park(server: Server, claim: Claim, wait: WaitRun) -> None:
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=wait)


# --- as a browser asks -----------------------------------------------------------------------------------------------


class Browser:
    """A person's, whose login is a bearer token, so that no CSRF token is asked for."""

    def __init__(self, api: ApiServer, session_id: str, user: str = "anna") -> None:
        self.base = f"{api.url}/agentfix/sessions/{session_id}"
        self.login = {"Authorization": f"Bearer {user}"}

    def get(self, path: str = "", *, etag: str | None = None, status: int = 200, **params: Any) -> str:
        headers = {**self.login, **({"If-None-Match": etag} if etag else {})}
        answer = requests.get(f"{self.base}{path}", headers=headers, params=params, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, path: str, *, status: int = 200, **form: str) -> str:
        answer = requests.post(f"{self.base}{path}", headers={**self.login, "HX-Request": "true"}, data=form, timeout=20)
        assert answer.status_code == status, answer.text
        return answer.text

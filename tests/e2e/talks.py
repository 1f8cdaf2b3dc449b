"""What the scripted model says in the sessions that people talk to, and the DAGs that fail for it.

Each session is on a run named as its talk. Each has a DAG of its own: on one DAG, with one cause, they would be one session.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import requests

from airflow_agentfix.airflow_http import path_of
from airflow_agentfix.core.session import Event, EventKind, Session, State
from airflow_agentfix.demo.shop import DAG_ID
from tests.e2e.production import FIX_FILE, PATIENCE, Production
from tests.fakes.messages_api import Block, Entry, MessagesApi, call, text

DAGS = {"talk": DAG_ID, "cleared": "cleared", "stopped": "stopped", "rejected": "rejected"}
"""by run id"""
HALVES = "dags/shop/halves.py"
FILES = {
    HALVES: "def half(value: int) -> float:\n    return valeu / 2\n",
    "dags/halves.py": '''"""DAGs for airflow that fail of a misspelt name."""
from airflow.sdk import DAG, task
from airflow_agentfix import agentfix_on_failure
from shop.halves import half

for dag_id in ("cleared", "stopped", "rejected"):
    with DAG(dag_id, schedule=None, is_paused_upon_creation=False, default_args={"on_failure_callback": agentfix_on_failure()}):

        @task
        def halve() -> float:
            return half(2)

        halve()
''',
}

REASON = "May I rename the call {{ to_euro }}?"
SUMMARY = "`money.to_euro` is gone.\n\n- {{ ds }} stays as it is\n- **500 % of** nothing is lost"
OPTIONS = ["Rename it", "Leave it"]


def _asks(call_id: str) -> Block:
    return call("pause_for_human", call_id, reason=REASON, summary_for_human=SUMMARY, options=OPTIONS)


def _changes(call_id: str, path: str, old: str, new: str) -> Block:
    return call("change_files", call_id, edits=[{"path": path, "old": old, "new": new}])


def _spells_value(prefix: str) -> list[Entry]:
    return [
        [_changes(f"{prefix}1", HALVES, "valeu", "value")],
        [call("open_fix", f"{prefix}2", title="Spell value", summary="A misspelt name.")],
        [call("rerun", f"{prefix}3")],
    ]


def _reports(call_id: str, cause: str, line: str) -> Block:
    chain = [{"claim": cause, "cites": [line]}]
    return call("submit_report", call_id, verdict="code", root_cause=cause, outcome="fixed", causal_chain=chain)


SCRIPTS: dict[str, list[Entry]] = {
    "talk": [
        [text("I had better ask."), _asks("t1")],
        [_changes("t2", FIX_FILE, "money.to_euro(amount)", "money.to_euros(amount)")],
        [call("open_fix", "t3", title="Call money.to_euros by its new name", summary="The helper was renamed.")],
        [call("rerun", "t4")],
        [_reports("t5", "revenue.py calls money.to_euro", f"{FIX_FILE}:15")],
        [_reports("t6", "nobody else calls it", f"{FIX_FILE}:15")],
    ],
    "cleared": [[_asks("c0")], *_spells_value("c"), [_reports("c4", "a misspelt name", f"{HALVES}:2")]],
    "stopped": _spells_value("s"),
    "rejected": _spells_value("r"),
}


def scripted() -> MessagesApi:
    """The model's side of all talks; a first message names its run."""
    return MessagesApi({f"/{name}/": script for name, script in SCRIPTS.items()})


@dataclass(frozen=True)
class Talks:
    """The deployment and the model's side of it; every question is asked by a talk's name."""

    here: Production
    api: MessagesApi

    def session(self, name: str) -> Session:
        return self.here.session(name)

    def events(self, name: str, kind: EventKind | None = None) -> list[Event]:
        return self.here.events(self.session(name), kind)

    def question(self, name: str) -> dict[str, Any]:
        return self.here.question(self.session(name))

    def asked_of_model(self, name: str) -> list[list[dict[str, Any]]]:
        """The messages of each request, as the model got them."""
        return [_without_caching(request["messages"]) for request in self.api.conversations[f"/{name}/"].requests]

    def get(self, *path: str | int, **params: Any) -> Any:
        """Airflow's own REST API."""
        return self.here.deployment.http("admin").json("GET", path_of("/api/v2", *path), params=params or None)

    def status(self, method: str, name: str, route: str, body: Mapping[str, Any] | None = None, *, user: str | None) -> int:
        """How our own API answers a request on the session. user None: nobody is logged in."""
        base, headers = self.here.deployment.standalone.url, {}
        if user:
            login = requests.post(f"{base}/auth/token", json={"username": user, "password": user}, timeout=PATIENCE).json()
            headers = {"Authorization": f"Bearer {login['access_token']}"}
        url = f"{base}/agentfix/api/v1/sessions/{self.session(name).id}{route}"
        return requests.request(method, url, json=body, headers=headers, timeout=PATIENCE).status_code

    def worker(self, name: str) -> dict[str, Any]:
        """The task instance that drives the session."""
        run_id = self.session(name).worker_run_id or ""
        return dict(self.get("dags", "agentfix_fix", "dagRuns", run_id, "taskInstances", "drive"))

    def clear_worker(self, name: str, *, user: str) -> None:
        run_id = self.session(name).worker_run_id
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["drive"], "only_failed": False, "reset_dag_runs": True}
        self.here.deployment.http(user).json("POST", "/api/v2/dags/agentfix_fix/clearTaskInstances", body=body)

    def until_asked(self, name: str, *, times: int) -> None:
        self.here.until(lambda: len(self.events(name, EventKind.QUESTION)) == times, f"{name} has asked {times} times")
        self.question(name)

    def until_parked(self, name: str, *, try_number: int = 1) -> None:
        """Until the session waits and its task does: the task defers a moment later."""
        self.here.until(lambda: self.session(name).state is State.WAITING, f"{name} waits")
        wanted = ("deferred", try_number)
        self.here.until(
            lambda: (self.worker(name)["state"], self.worker(name)["try_number"]) == wanted, f"the task of {name} waits"
        )


def _without_caching(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**message, "content": [{k: v for k, v in block.items() if k != "cache_control"} for block in message["content"]]}
        for message in messages
    ]

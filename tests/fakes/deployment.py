"""An Airflow with AgentFix's plugin, as the doors see it: real HTTP, a login, pages of a few entries, every request recorded."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from airflow_agentfix.core.policy import Autonomy, Layer, combine
from airflow_agentfix.core.session import Session, State
from airflow_agentfix.settings import Settings

Json = dict[str, Any]
TOKEN = "let-me-in"
API = "/agentfix/api/v1"
BUDGET = {
    "turns": {"used": 6, "limit": 40},
    "tokens": {"used": 12_345, "limit": 1_000_000},
    "dollars": {"used": 0.5, "limit": 5.0},
    "minutes": {"used": 3.4, "limit": 120},
    "day": {"used": 1.25, "reserved": 5.0, "limit": 50.0, "total_used": 3.5, "total_limit": 200.0},
}
"""of every session"""


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    body: Any


@dataclass
class Deployment:
    """What it holds is public: a test arranges it and reads what was asked."""

    page: int = 2
    health: Json = field(default_factory=lambda: {"status": "ok", "version": "0.1.0", "database": "ok"})
    plugin: bool = True
    policy_problem: str = ""
    warning: str | None = None
    stalled: bool = False
    refuses_login: bool = False
    delay: float = 0.0
    runs: list[Json] = field(default_factory=list)
    task_instances: list[Json] = field(default_factory=list)
    dags: dict[str, Json] = field(default_factory=dict)
    import_errors: list[Json] = field(default_factory=list)
    sessions: dict[str, Json] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    """ids of sessions whose run is on its fix commit"""
    unsettled: set[str] = field(default_factory=set)
    """ids of sessions whose fix may be merged by now"""
    recovered: dict[str, Json] = field(default_factory=dict)
    """by session id: what `recover` answers"""
    events: dict[str, list[Json]] = field(default_factory=dict)
    refusals: dict[str, tuple[int, str]] = field(default_factory=dict)
    """`METHOD path` to (status, detail)"""
    errors: dict[str, tuple[int, Json]] = field(default_factory=dict)
    """`METHOD path` to (status, the whole answer)"""
    requests: list[Request] = field(default_factory=list)

    def __enter__(self) -> Deployment:
        deployment = self

        class Handler(_Handler):
            world = deployment

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def environ(self) -> dict[str, str]:
        return {"AGENTFIX_AIRFLOW_URL": self.url}

    def sent(self, method: str, path: str) -> list[Any]:
        """The bodies of the requests that were made with this method to this path."""
        return [request.body for request in self.requests if (request.method, request.path) == (method, path)]

    def add_session(self, session_id: str, **more: Any) -> Json:
        self.sessions[session_id] = session_json(session_id, **more)
        return self.sessions[session_id]

    def add_run(self, dag_id: str, run_id: str, *, state: str, end: str, failed: tuple[tuple[str, str], ...] = ()) -> None:
        """A finished run; `failed` are (task id, end date)."""
        self.runs.append(run_json(dag_id, run_id, state=state, end=end))
        self.task_instances += [task_json(dag_id, run_id, task_id, end=at) for task_id, at in failed]

    def add_dag(self, dag_id: str, **more: Any) -> None:
        self.dags[dag_id] = {
            "dag_id": dag_id,
            "relative_fileloc": f"{dag_id}.py",
            "fileloc": f"/dags/{dag_id}.py",
            "bundle_name": "shop",
            "bundle_version": None,
            "is_paused": False,
            "tags": [],
            "owners": ["airflow"],
            **more,
        }


class _Handler(BaseHTTPRequestHandler):
    world: Deployment

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_DELETE = do_PATCH = do_GET

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        path = unquote(parts.path)
        self.world.requests.append(Request(self.command, path, parse_qs(parts.query), body))
        time.sleep(self.world.delay)
        status, answer = self._of(path, parse_qs(parts.query), body)
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _of(self, path: str, query: dict[str, list[str]], body: Any) -> tuple[int, Any]:
        if path == "/auth/token":
            return (401, {"detail": "Invalid credentials"}) if self.world.refuses_login else (201, {"access_token": TOKEN})
        if path == "/api/v2/version":
            return 200, {"version": "3.3.2", "git_version": None}
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"detail": "Not authenticated"}
        if refusal := self.world.refusals.get(f"{self.command} {path}"):
            return refusal[0], {"detail": refusal[1]}
        if error := self.world.errors.get(f"{self.command} {path}"):
            return error
        for method, pattern, route in _ROUTES:
            if method == self.command and (match := re.fullmatch(pattern, path)):
                return route(self.world, match, query, body)
        return 404, {"detail": "Not Found"}


def _dag(world: Deployment, match: re.Match[str], *_: Any) -> tuple[int, Any]:
    dag = world.dags.get(match[1])
    return (200, dag) if dag else (404, {"detail": f"Dag with id {match[1]} was not found"})


def _dags(world: Deployment, _: Any, query: dict[str, list[str]], __: Any) -> tuple[int, Any]:
    return 200, _page(world, "dags", [world.dags[name] for name in sorted(world.dags)], query)


def _runs(world: Deployment, match: re.Match[str], query: dict[str, list[str]], _: Any) -> tuple[int, Any]:
    since, states = query.get("end_date_gte", [""])[0], query.get("state")
    found = [run for run in world.runs if match[1] in ("~", run["dag_id"])]
    found = [run for run in found if (not states or run["state"] in states) and (run["end_date"] or "9") >= since]
    newest_first = query.get("order_by", [""])[0].startswith("-")
    return 200, _page(world, "dag_runs", sorted(found, key=lambda run: run["end_date"] or "9", reverse=newest_first), query)


def _task_instances(world: Deployment, match: re.Match[str], query: dict[str, list[str]], _: Any) -> tuple[int, Any]:
    found = [one for one in world.task_instances if (one["dag_id"], one["dag_run_id"]) == (match[1], match[2])]
    return 200, _page(world, "task_instances", found, query)


def _task_instances_list(world: Deployment, _: Any, __: Any, body: Json) -> tuple[int, Any]:
    found = [one for one in world.task_instances if one["dag_id"] in body["dag_ids"] and one["dag_run_id"] in body["dag_run_ids"]]
    found = [one for one in found if one["state"] in body["state"]]
    return 200, _page(world, "task_instances", found, {"offset": [str(body["page_offset"])], "limit": [str(body["page_limit"])]})


def _import_errors(world: Deployment, _: Any, query: dict[str, list[str]], __: Any) -> tuple[int, Any]:
    return 200, _page(world, "import_errors", world.import_errors, query)


def _page(world: Deployment, key: str, entries: list[Json], query: dict[str, list[str]]) -> Json:
    offset, limit = (int(query.get(name, [default])[0]) for name, default in (("offset", "0"), ("limit", "50")))
    return {key: entries[offset : offset + min(limit, world.page)], "total_entries": len(entries)}


def _health(world: Deployment, *_: Any) -> tuple[int, Any]:
    return (200, world.health) if world.plugin else (404, {"detail": "Not Found"})


def _taken(world: Deployment, _: Any, __: Any, body: Json) -> tuple[int, Any]:
    known = next((one for one in world.sessions.values() if one["task_id"] == body["task_id"]), None)
    session = known or world.add_session("s1", dag_id=body["dag_id"], run_id=body["run_id"], task_id=body["task_id"])
    told = {"session_id": session["id"], "state": session["state"], "created": known is None}
    return 201, {**told, "warning": world.warning, "stalled": world.stalled}


def _sessions(world: Deployment, _: Any, query: dict[str, list[str]], __: Any) -> tuple[int, Any]:
    flags = ("limit", "offset", "pinned", "unsettled", "pull_request")
    wanted = {name: query[name][0] for name in query if name not in flags}
    found = [one for one in world.sessions.values() if all(one[name] == value for name, value in wanted.items())]
    found = [one for one in found if "pinned" not in query or one["id"] in world.pinned]
    found = [one for one in found if "unsettled" not in query or one["id"] in world.unsettled]
    found = [one for one in found if "pull_request" not in query or one["pull_request"]]
    offset, limit = int(query["offset"][0]), int(query["limit"][0])
    return 200, {"sessions": found[offset : offset + min(limit, world.page)], "total": len(found)}


def _session(world: Deployment, match: re.Match[str], *_: Any) -> tuple[int, Any]:
    session = world.sessions.get(match[1])
    links = {"session": f"{world.url}/agentfix/sessions/{match[1]}"}
    return (200, {"session": session, "budget": BUDGET, "links": links}) if session else _unknown(match[1])


def _unpinned(world: Deployment, match: re.Match[str], *more: Any) -> tuple[int, Any]:
    world.pinned.discard(match[1])
    return _session(world, match, *more)


def _recovered(world: Deployment, match: re.Match[str], *_: Any) -> tuple[int, Any]:
    return 200, {"recovery": world.recovered[match[1]]}


def _events(world: Deployment, match: re.Match[str], query: dict[str, list[str]], _: Any) -> tuple[int, Any]:
    after = int(query.get("after", ["0"])[0])
    return 200, {"events": [one for one in world.events.get(match[1], []) if one["number"] > after]}


def _told(world: Deployment, match: re.Match[str], *_: Any) -> tuple[int, Any]:
    return 200, {"session_id": match[1], "state": world.sessions[match[1]]["state"], "created": False, "warning": None}


def _policy(world: Deployment, match: re.Match[str], *_: Any) -> tuple[int, Any]:
    problems = [problem] if (problem := world.policy_problem) else []
    layer = Layer(".agentfix.yaml at main", autonomy=Autonomy.REPORT if problems else None)
    found = combine([*Settings().ceilings(match[1], ()), layer]).to_json()
    return 200, {"dag_id": match[1], **found, "problems": problems}


def _unknown(session_id: str) -> tuple[int, Any]:
    return 404, {"error": {"type": "SessionNotFound", "message": f"No session {session_id!r}."}}


Route = Callable[[Deployment, re.Match[str], dict[str, list[str]], Any], tuple[int, Any]]
_ROUTES: list[tuple[str, str, Route]] = [
    ("GET", "/api/v2/dags", _dags),
    ("GET", "/api/v2/dags/([^/]+)", _dag),
    ("GET", "/api/v2/dags/([^/]+)/dagRuns", _runs),
    ("GET", "/api/v2/dags/([^/]+)/dagRuns/([^/]+)/taskInstances", _task_instances),
    ("POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list", _task_instances_list),
    ("GET", "/api/v2/importErrors", _import_errors),
    ("GET", f"{API}/health", _health),
    ("GET", f"{API}/dags/([^/]+)/policy", _policy),
    ("POST", f"{API}/failures", _taken),
    ("POST", f"{API}/sessions", _taken),
    ("GET", f"{API}/sessions", _sessions),
    ("GET", f"{API}/sessions/([^/]+)", _session),
    ("GET", f"{API}/sessions/([^/]+)/events", _events),
    ("POST", f"{API}/sessions/([^/]+)/continue", _session),
    ("POST", f"{API}/sessions/([^/]+)/stop", _session),
    ("POST", f"{API}/sessions/([^/]+)/end-pin", _unpinned),
    ("POST", f"{API}/sessions/([^/]+)/recover", _recovered),
    ("POST", f"{API}/sessions/([^/]+)/message", _told),
]


def run_json(dag_id: str, run_id: str, *, state: str, end: str | None, start: str = "2026-11-22T00:00:00+00:00") -> Json:
    return {
        "dag_id": dag_id,
        "dag_run_id": run_id,
        "state": state,
        "run_type": "scheduled",
        "logical_date": None,
        "start_date": start,
        "end_date": end,
        "bundle_version": None,
        "conf": {},
    }


def task_json(dag_id: str, run_id: str, task_id: str, *, end: str, state: str = "failed", try_number: int = 1) -> Json:
    return {
        "dag_id": dag_id,
        "dag_run_id": run_id,
        "task_id": task_id,
        "map_index": -1,
        "try_number": try_number,
        "max_tries": 0,
        "state": state,
        "operator": "PythonOperator",
        "start_date": "2026-11-22T00:00:00+00:00",
        "end_date": end,
        "duration": 1.0,
        "hostname": "",
        "pool": "default_pool",
        "queue": "default",
        "rendered_fields": {},
        "dag_version": None,
    }


def session_json(session_id: str, **more: Any) -> Json:
    """A session as the API gives it."""
    plain = {"dag_id": "orders", "run_id": "monday", "task_id": "load", "map_index": -1, "try_number": 1, "state": State.OPEN}
    said = {"autonomy": "rerun", "source": "callback", "created_at": "2026-11-22T07:00:00+00:00"}
    return Session(**{"id": session_id, **plain, **said, "updated_at": "2026-11-22T07:00:41+00:00", **more}).to_json()

"""A small Airflow: REST API v2 with state, over real HTTP, with the faults a network has.

What it answers was compared with Airflow 3.3.2. What a test sets is a plain attribute or a method.
"""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

from tests.fakes.http_fake import Answer, HttpFake, Request, refuse

Json = dict[str, Any]
NOON = "2026-11-22T12:00:00Z"
PAGE, MAX_PAGE = 50, 100


def event(text: str, *, level: str = "info", **more: Any) -> Json:
    """A structured log event, as a task writes it."""
    return {"timestamp": NOON, "level": level, "event": text, "logger": "task.stdout", **more}


def traceback(kind: str, message: str, *frames: tuple[str, int, str]) -> Json:
    """The event with which Airflow 3 logs a task's exception."""
    places = [{"filename": file, "lineno": line, "name": name} for file, line, name in frames]
    detail = {"exc_type": kind, "exc_value": message, "exc_notes": [], "syntax_error": None, "is_cause": False, "frames": places}
    more = {"is_group": False, "exceptions": []}
    return event("Task failed with exception", level="error", logger="task", error_detail=[{**detail, **more}])


class FakeAirflow(HttpFake):
    """Start it with `with FakeAirflow() as airflow:`; `airflow.url` is its base URL, `base_path` included."""

    def __init__(self, *, base_path: str = "", all_admins: bool = True, users: Mapping[str, str] | None = None) -> None:
        super().__init__(base_path=base_path)
        self.all_admins = all_admins
        self.users = dict(users or {"admin": "admin"})
        self.version = "3.3.2"
        self.page_limit = MAX_PAGE
        self.log_as_json = False
        self.forbidden: set[str] = set()
        """DAG ids nobody may read"""
        self.token_seconds: float = 3600
        self.tokens: set[str] = set()
        self.dags: dict[str, Json] = {}
        self.tasks: dict[str, dict[str, list[str]]] = {}
        self.runs: dict[tuple[str, str], Json] = {}
        self.instances: list[Json] = []
        self.earlier_tries: list[Json] = []
        self.logs: dict[tuple[str, str, str, int, int], list[Json | bytes]] = {}
        self.errors: list[Json] = []
        self.assets: list[Json] = []
        self.upstream_events: dict[tuple[str, str], list[Json]] = {}
        self.xcoms: dict[tuple[str, str, str, int], Any] = {}
        """what tasks returned, by dag id, run id, task id and map index"""
        self.params: dict[tuple[str, str], Json] = {}
        self.mapped: set[tuple[str, str]] = set()
        """(dag id, task id) of tasks that are mapped"""
        self.trigger_rules: dict[tuple[str, str], str] = {}
        self._issued = 0
        self._register()

    # --- state -----------------------------------------------------------------------------------------------------

    def add_dag(self, dag_id: str, tasks: Mapping[str, Iterable[str]], *, file: str = "dags/shop.py", **more: Any) -> None:
        """A DAG whose `tasks` name what is directly downstream of each."""
        self.dags[dag_id] = {
            "dag_id": dag_id, "dag_display_name": dag_id, "is_paused": False, "is_stale": False, "bundle_name": "dags-folder",
            "bundle_version": None, "relative_fileloc": file, "fileloc": f"/opt/airflow/{file}", "tags": [],
            "owners": ["airflow"], "has_import_errors": False, "max_active_runs": 16, "description": None, **more,
        }  # fmt: skip
        self.tasks[dag_id] = {task: list(below) for task, below in tasks.items()}

    def add_run(self, dag_id: str, run_id: str, *, state: str = "failed", **more: Any) -> Json:
        run = {
            "dag_id": dag_id, "dag_run_id": run_id, "state": state, "run_type": "manual", "logical_date": None, "run_after": NOON,
            "start_date": NOON, "end_date": NOON if state in ("failed", "success") else None, "queued_at": NOON, "conf": {},
            "note": None, "bundle_version": None, "dag_versions": [], "dag_display_name": dag_id, "triggered_by": "rest_api",
            **more,
        }  # fmt: skip
        self.runs[dag_id, run_id] = run
        return run

    def add_task_instance(
        self, dag_id: str, run_id: str, task_id: str, *, state: str | None = "failed", log: Iterable[Json | bytes] | None = None,
        **more: Any,
    ) -> Json:  # fmt: skip
        """A task instance and, with `log`, its newest try's log: events, or bytes sent as they are."""
        instance = {
            "id": f"01{len(self.instances) + len(self.earlier_tries):030d}", "dag_id": dag_id, "dag_run_id": run_id,
            "task_id": task_id, "map_index": -1, "state": state, "try_number": 1, "max_tries": 0, "operator": "PythonOperator",
            "operator_name": "@task", "start_date": NOON, "end_date": NOON, "duration": 1.5, "logical_date": None,
            "run_after": self.runs[dag_id, run_id]["run_after"], "hostname": "worker-1", "unixname": "airflow",
            "pool": "default_pool", "pool_slots": 1, "queue": "default", "rendered_fields": {}, "note": None, "executor": None,
            "dag_version": {"id": "0199", "version_number": 1, "dag_id": dag_id, "bundle_name": "dags-folder"},
            "rendered_map_index": None, "trigger": None, "triggerer_job": None, **more,
        }  # fmt: skip
        self.instances.append(instance)
        if log is not None:
            self.set_log(instance, log)
        return instance

    def add_earlier_try(self, instance: Json, try_number: int, *, log: Iterable[Json | bytes] | None = None, **more: Any) -> None:
        """A try before the newest one."""
        tried = {**instance, "try_number": try_number, "state": "failed", **more}
        tried.pop("rendered_fields")
        self.earlier_tries.append(tried)
        if log is not None:
            self.set_log(tried, log)

    def set_log(self, instance: Json, log: Iterable[Json | bytes]) -> None:
        self.logs[_log_key(instance)] = list(log)

    def add_asset(
        self, name: str, *, producers: Iterable[tuple[str, str]] = (), consumers: Iterable[tuple[str, str]] = (),
        scheduled: Iterable[str] = (), last: str | None = None, uri: str | None = None,
    ) -> None:  # fmt: skip
        """An asset with the tasks that update and read it, the DAGs that wait for it, and its last update."""
        at = {"created_at": NOON, "updated_at": NOON}
        self.assets.append({
            "id": len(self.assets) + 1, "name": name, "uri": uri or f"s3://lake/{name}", "group": "asset", "extra": {}, **at,
            "scheduled_dags": [{"dag_id": dag, **at} for dag in scheduled],
            "producing_tasks": [{"dag_id": dag, "task_id": task, **at} for dag, task in producers],
            "consuming_tasks": [{"dag_id": dag, "task_id": task, **at} for dag, task in consumers],
            "aliases": [], "last_asset_event": {"id": 1 if last else None, "timestamp": last},
            **({} if self.version.startswith("3.1.") else {"watchers": []}),
        })  # fmt: skip

    def add_upstream_event(
        self, dag_id: str, run_id: str, asset: str, *, at: str = NOON, by: tuple[str, str, str] | None = None
    ) -> None:
        """An update of an asset that started the run; `by` is the dag id, run id and task id that made it, None for one from
        outside."""
        source = dict(zip(("source_dag_id", "source_run_id", "source_task_id"), by or (None,) * 3, strict=True))
        events = self.upstream_events.setdefault((dag_id, run_id), [])
        events.append({
            "id": len(events) + 1, "asset_id": 1, "uri": f"s3://lake/{asset}", "name": asset, "group": "asset", "extra": {},
            **source, "source_map_index": -1, "created_dagruns": [], "timestamp": at,
            **({} if self.version.startswith("3.1.") else {"partition_key": None}),
        })  # fmt: skip

    def revoke_tokens(self) -> None:
        """Every token given so far is refused from now on."""
        self.tokens.clear()

    def logged_in(self, request: Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def may(self, request: Request) -> bool:
        return not (request.parts and request.parts[0] in self.forbidden and "/dags/" in request.path)

    def issue_token(self) -> str:
        """A JWT in shape, with an `exp`; nothing here signs it."""
        self._issued += 1
        claims = {"sub": "admin", "exp": time.time() + self.token_seconds, "jti": self._issued}
        parts = ({"alg": "none"}, claims)
        token = (
            ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + ".signature"
        )
        self.tokens.add(token)
        return token

    # --- endpoints -------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        self.mount("POST", "/auth/token", self._password_login, login=False)
        self.mount("GET", "/auth/token", self._open_login, login=False)
        self.mount("GET", "/api/v2/version", lambda _: Answer(body={"version": self.version, "git_version": None}), login=False)
        self.mount("GET", "/api/v2/importErrors", lambda r: self._page(r, "import_errors", self.errors))
        self.mount("GET", "/api/v2/dags", lambda r: self._page(r, "dags", list(self.dags.values())))
        self.mount("GET", "/api/v2/dags/{}", self._dag)
        self.mount("GET", "/api/v2/dags/{}/tasks", self._dag_tasks)
        self.mount("GET", "/api/v2/dags/{}/dagRuns", self._dag_runs)
        self.mount("POST", "/api/v2/dags/{}/dagRuns", self._trigger)
        self.mount("GET", "/api/v2/dags/{}/dagRuns/{}", self._run)
        self.mount("GET", "/api/v2/dags/{}/dagRuns/{}/upstreamAssetEvents", self._upstream_events)
        self.mount("GET", "/api/v2/assets", self._assets)
        instances = "/api/v2/dags/{}/dagRuns/{}/taskInstances"
        self.mount("GET", instances + "/{}/listMapped", self._mapped)
        self.mount("GET", instances + "/{}/xcomEntries/{}", self._xcom)
        self.mount("GET", instances, self._instances)
        self.mount("GET", instances + "/{}", self._instance)
        self.mount("GET", instances + "/{}/logs/{}", self._log)
        self.mount("GET", instances + "/{}/tries", self._tries)
        self.mount("GET", instances + "/{}/{}/tries", self._tries)
        self.mount("GET", instances + "/{}/{}", self._instance)

    def _password_login(self, request: Request) -> Answer:
        body = request.body or {}
        if not self.all_admins and self.users.get(str(body.get("username"))) != body.get("password"):
            return refuse(401, "Invalid credentials")
        return Answer(201, {"access_token": self.issue_token()})

    def _open_login(self, _: Request) -> Answer:
        if not self.all_admins:
            return refuse(403, "This method is only allowed if ``[core] simple_auth_manager_all_admins`` is True")
        return Answer(201, {"access_token": self.issue_token()})

    def _page(self, request: Request, key: str, entries: list[Json]) -> Answer:
        if order := request.query.get("order_by"):
            name = order.lstrip("-")
            entries = sorted(entries, key=lambda entry: str(entry.get(name)), reverse=order.startswith("-"))
        limit = min(int(request.query.get("limit", PAGE)), self.page_limit)
        offset = int(request.query.get("offset", 0))
        return Answer(body={key: entries[offset : offset + limit], "total_entries": len(entries)})

    def _dag(self, request: Request) -> Answer:
        (dag_id,) = request.parts
        if dag_id not in self.dags:
            return refuse(404, f"Dag with id: {dag_id} was not found")
        return Answer(body=self.dags[dag_id])

    def _dag_tasks(self, request: Request) -> Answer:
        (dag_id,) = request.parts
        if dag_id not in self.tasks:
            return refuse(404, f"The Dag with ID: `{dag_id}` was not found")
        tasks = [
            {
                "task_id": task,
                "downstream_task_ids": below,
                "params": self.params.get((dag_id, task), {}),
                "is_mapped": (dag_id, task) in self.mapped,
                "trigger_rule": self.trigger_rules.get((dag_id, task), "all_success"),
            }
            for task, below in self.tasks[dag_id].items()
        ]
        return Answer(body={"tasks": tasks, "total_entries": len(tasks)})

    def _dag_runs(self, request: Request) -> Answer:
        (dag_id,) = request.parts
        if dag_id not in self.dags:
            return refuse(404, f"The Dag with ID: `{dag_id}` was not found")
        found = [run for (owner, _), run in self.runs.items() if owner == dag_id]
        states, before = request.lists.get("state"), request.query.get("start_date_lt")
        found = [run for run in found if not states or run["state"] in states]
        found = [run for run in found if before is None or (run["start_date"] and run["start_date"] < before)]
        return self._page(request, "dag_runs", found)

    def _trigger(self, request: Request) -> Answer:
        (dag_id,) = request.parts
        if dag_id not in self.dags:
            return refuse(404, f"Dag with dag_id: '{dag_id}' not found")
        if "logical_date" not in request.body:
            missing = {"type": "missing", "loc": ["body", "logical_date"], "msg": "Field required", "input": request.body}
            return refuse(422, [missing])
        run_id = request.body["dag_run_id"]
        if (dag_id, run_id) in self.runs:
            return refuse(409, {"reason": "Unique constraint violation", "statement": "hidden", "orig_error": "hidden"})
        return Answer(body=self.add_run(dag_id, run_id, state="queued", conf=request.body.get("conf") or {}))

    def _run(self, request: Request) -> Answer:
        if request.parts not in self.runs:
            return self._no_run(request)
        return Answer(body=self.runs[request.parts[0], request.parts[1]])

    def _no_run(self, request: Request) -> Answer:
        dag_id, run_id = request.parts[:2]
        return refuse(404, f"The DagRun with dag_id: `{dag_id}` and run_id: `{run_id}` was not found")

    def _instances(self, request: Request) -> Answer:
        dag_id, run_id = request.parts
        if run_id != "~" and (dag_id, run_id) not in self.runs:
            return self._no_run(request)
        wanted = {"dag_id": dag_id, "task_id": request.query.get("task_id"), "map_index": request.query.get("map_index")}
        if run_id != "~":
            wanted["dag_run_id"] = run_id
        known = [{**one, "rendered_fields": {}} for one in self.instances] if self.version.startswith("3.1.") else self.instances
        chosen = [one for one in known if all(value is None or str(one[key]) == value for key, value in wanted.items())]
        chosen = [one for one in chosen if one["state"] in request.lists.get("state", [one["state"]])]
        return self._page(request, "task_instances", chosen)

    def _mapped(self, request: Request) -> Answer:
        mapped = [one for one in self.instances if _log_key(one)[:3] == request.parts and one["map_index"] >= 0]
        if not mapped and (request.parts[0], request.parts[2]) not in self.mapped:
            return refuse(404, f"Task id {request.parts[2]} is not mapped")
        return self._page(request, "task_instances", mapped)

    def _assets(self, request: Request) -> Answer:
        wanted = set(request.query.get("dag_ids", "").split(",")) - {""}
        uses = ("scheduled_dags", "producing_tasks", "consuming_tasks")
        found = [one for one in self.assets if not wanted or wanted & {use["dag_id"] for name in uses for use in one[name]}]
        return self._page(request, "assets", found)

    def _upstream_events(self, request: Request) -> Answer:
        if request.parts not in self.runs:
            return self._no_run(request)
        events = self.upstream_events.get((request.parts[0], request.parts[1]), [])
        return Answer(body={"asset_events": events, "total_entries": len(events)})

    def _xcom(self, request: Request) -> Answer:
        dag_id, run_id, task_id, key = request.parts
        where = (dag_id, run_id, task_id, int(request.query.get("map_index", -1)))
        if key != "return_value" or where not in self.xcoms:
            return refuse(404, f"XCom entry with key: `{key}` not found")
        entry = {"key": key, "timestamp": NOON, "map_index": where[3], "task_id": task_id, "dag_id": dag_id, "run_id": run_id}
        body = json.dumps({**entry, "value": self.xcoms[where]}, separators=(",", ":")).encode()
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return Answer(lines=[gzip.compress(body)], headers=headers)  # compressed and in chunks, so without its length

    def _found(self, request: Request) -> list[Json]:
        dag_id, run_id, task_id, *mapped = request.parts
        index = int(mapped[0]) if mapped else int(request.query.get("map_index", -1))
        where = (dag_id, run_id, task_id, index)
        return [one for one in [*self.earlier_tries, *self.instances] if _log_key(one)[:4] == where]

    def _instance(self, request: Request) -> Answer:
        dag_id, run_id, task_id, *mapped = request.parts
        if found := self._found(request):
            return Answer(body=found[-1])
        if not mapped and any(_log_key(one)[:3] == (dag_id, run_id, task_id) for one in self.instances):
            return refuse(404, "Task instance is mapped, add the map_index value to the URL")
        return refuse(
            404, f"The Task Instance with dag_id: `{dag_id}`, run_id: `{run_id}` and task_id: `{task_id}` was not found"
        )

    def _tries(self, request: Request) -> Answer:
        found = self._found(request)
        if not found:
            return self._instance(request)
        return Answer(body={"task_instances": found, "total_entries": len(found)})

    def _log(self, request: Request) -> Answer:
        dag_id, run_id, task_id, try_number = request.parts
        key = (dag_id, run_id, task_id, int(request.query.get("map_index", -1)), int(try_number))
        if not any(_log_key(one) == key for one in [*self.earlier_tries, *self.instances]):
            return refuse(404, "TaskInstance not found")
        content = [*self._log_header(key), *self.logs.get(key, [])]
        if self.log_as_json:
            return self._log_page(request, content)
        lines = [one if isinstance(one, bytes) else json.dumps(one, separators=(",", ":")).encode() for one in content]
        return Answer(lines=(line + b"\n" for line in lines), headers={"Content-Type": "application/x-ndjson"})

    def _log_header(self, key: tuple[str, str, str, int, int]) -> list[Json]:
        """What Airflow puts before every log: where it looked. 3.1 has it in the group's own event."""
        source = "/logs/attempt.log" if key in self.logs else "Could not read served logs: 404 Client Error"
        begin, end = "::group::Log message source details", "::endgroup::"
        if self.version.startswith("3.1."):
            return [{"timestamp": None, "event": begin, "sources": [source]}, {"timestamp": None, "event": end}]
        return [{"timestamp": None, "event": text} for text in (begin, source, end)]

    def _log_page(self, request: Request, content: list[Json | bytes]) -> Answer:
        start = int(request.query.get("token") or 0)
        rest = start + 2 < len(content)
        page = [entry if isinstance(entry, dict) else {"event": entry.decode()} for entry in content[start : start + 2]]
        return Answer(body={"content": page, "continuation_token": str(start + 2) if rest else None})


def _log_key(instance: Mapping[str, Any]) -> tuple[str, str, str, int, int]:
    return (*(instance[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")),)

"""`ports.AirflowApi` over Airflow's REST API v2, the same on 3.1 to 3.3.

All pages are followed. Answers are read by name and what is not needed is ignored, so fields that a newer Airflow adds or an
older one lacks (3.1 has no `next_cursor`, `partition_key`) do not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from airflow_agentfix.airflow_http import AirflowHttp, head_of, json_of, lines_of, path_of
from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, XCom
from airflow_agentfix.core.incident import DagFacts, RunFacts, TaskFacts, TaskRef
from airflow_agentfix.core.plain import Json
from airflow_agentfix.errors import AirflowConflict, AirflowNotFound, AirflowRefused
from airflow_agentfix.ports import TaskSpec

_DAGS = "/api/v2/dags"
_PAGE = 100
"""what `[api] maximum_page_limit` allows unless configured; a server that gives fewer is followed just the same"""
_XCOM_BYTES = 64 << 10
"""as much of an XCom as is read: one may hold megabytes"""


class RestAirflowApi:
    """Airflow from outside."""

    def __init__(self, http: AirflowHttp) -> None:
        self.http = http

    def __repr__(self) -> str:
        return f"RestAirflowApi({self.http.base_url!r})"

    def version(self) -> str:
        return str(self.http.json("GET", "/api/v2/version")["version"])

    def dag(self, dag_id: str) -> DagFacts:
        return _dag(self.http.json("GET", path_of(_DAGS, dag_id)))

    def dag_ids(self) -> list[str]:
        return [dag["dag_id"] for dag in self._all(_DAGS, "dags", order_by="dag_id")]

    def run(self, dag_id: str, run_id: str) -> RunFacts:
        return _run(self.http.json("GET", path_of(_DAGS, dag_id, "dagRuns", run_id)))

    def runs(self, dag_id: str, *, limit: int) -> list[RunFacts]:
        return [_run(run) for run in self._some(path_of(_DAGS, dag_id, "dagRuns"), "dag_runs", limit, order_by="-run_after")]

    def green_before(self, dag_id: str, started: str) -> RunFacts | None:
        wanted = {"state": "success", "start_date_lt": started, "order_by": "-start_date"}
        found = self._some(path_of(_DAGS, dag_id, "dagRuns"), "dag_runs", 1, **wanted)
        return _run(found[0]) if found else None

    def task_instances(self, dag_id: str, run_id: str, *, states: Sequence[str] = ()) -> list[TaskFacts]:
        wanted = {"state": list(states)} if states else {}
        where = path_of(_DAGS, dag_id, "dagRuns", run_id, "taskInstances")
        return [_task(instance) for instance in self._all(where, "task_instances", order_by="id", **wanted)]

    def mapped_count(self, dag_id: str, run_id: str, task_id: str) -> int:
        where = path_of(_instance(dag_id, run_id, task_id, -1), "listMapped")
        return int(self.http.json("GET", where, params={"limit": 1})["total_entries"])

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> TaskFacts:
        return _task(self.http.json("GET", _instance(dag_id, run_id, task_id, map_index)))

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> list[TaskFacts]:
        answer = self.http.json("GET", path_of(_instance(dag_id, run_id, task_id, map_index), "tries"))
        return sorted((_task(instance) for instance in answer["task_instances"]), key=lambda task: task.try_number)

    def history(self, dag_id: str, task_id: str, *, map_index: int = -1, limit: int) -> list[tuple[str, TaskFacts]]:
        where = path_of(_DAGS, dag_id, "dagRuns", "~", "taskInstances")
        wanted = {"task_id": task_id, "map_index": map_index, "order_by": "-run_after"}
        return [(instance["dag_run_id"], _task(instance)) for instance in self._some(where, "task_instances", limit, **wanted)]

    def log_lines(self, ref: TaskRef) -> Iterator[bytes]:
        """As NDJSON; from a server or proxy that answers JSON, its pages as NDJSON would have them."""
        where = path_of(_instance(ref.dag_id, ref.run_id, ref.task_id, -1), "logs", ref.try_number)
        accept = {"Accept": "application/x-ndjson"}
        with self.http.open("GET", where, params={"map_index": ref.map_index}, headers=accept) as response:
            if not response.headers.get("Content-Type", "").startswith("application/json"):
                yield from lines_of(response)
                return
            page = json_of(response)
        yield from self._log_pages(where, ref.map_index, page)

    def _log_pages(self, where: str, map_index: int, page: Json) -> Iterator[bytes]:
        """A task that still runs always has another page, so an empty one ends it too."""
        while page["content"]:
            yield from (_log_line(entry) for entry in page["content"])
            if not (token := page.get("continuation_token")):
                return
            page = self.http.json("GET", where, params={"map_index": map_index, "token": token})

    def downstream(self, dag_id: str, task_id: str) -> list[str]:
        graph = self.graph(dag_id)
        if task_id not in graph:
            raise AirflowNotFound(f"DAG {dag_id!r} has no task {task_id!r}; it has {', '.join(sorted(graph)) or 'none'}.")
        return graph[task_id]

    def graph(self, dag_id: str) -> dict[str, list[str]]:
        return {task.task_id: list(task.downstream) for task in self.tasks(dag_id)}

    def tasks(self, dag_id: str) -> list[TaskSpec]:
        return [_spec(task) for task in self.http.json("GET", path_of(_DAGS, dag_id, "tasks"))["tasks"]]

    def assets(self, dag_id: str) -> list[AssetFacts]:
        return [_asset(asset) for asset in self._all("/api/v2/assets", "assets", dag_ids=dag_id, order_by="name")]

    def upstream_events(self, dag_id: str, run_id: str) -> list[AssetEvent]:
        answer = self.http.json("GET", path_of(_DAGS, dag_id, "dagRuns", run_id, "upstreamAssetEvents"))
        return [_event(event) for event in answer["asset_events"]]

    def xcom(self, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, max_chars: int) -> XCom | None:
        where = path_of(_instance(dag_id, run_id, task_id, -1), "xcomEntries", "return_value")
        try:
            with self.http.open("GET", where, params={"map_index": map_index}) as response:
                text, whole = head_of(response, _XCOM_BYTES)
        except AirflowNotFound:
            return None
        value = _returned(text) if whole else _beginning(text)
        return XCom(task_id, value[:max_chars], max(0, len(value) - max_chars), map_index)

    def trigger(self, dag_id: str, *, run_id: str, conf: Mapping[str, Any]) -> RunFacts:
        body = {"dag_run_id": run_id, "conf": dict(conf), "logical_date": None}
        try:
            return _run(self.http.json("POST", path_of(_DAGS, dag_id, "dagRuns"), body=body))
        except AirflowConflict as conflict:
            return self._existing(dag_id, run_id, conflict)

    def _existing(self, dag_id: str, run_id: str, conflict: AirflowConflict) -> RunFacts:
        try:
            return self.run(dag_id, run_id)
        except AirflowNotFound:
            raise conflict from None  # the conflict was about something else

    def import_errors(self) -> list[Json]:
        return list(self._all("/api/v2/importErrors", "import_errors", order_by="id"))

    def _all(self, path: str, key: str, **params: Any) -> Iterator[Json]:
        """Every entry of a paged list, whatever page size the server allows."""
        seen = 0
        while True:
            answer = self.http.json("GET", path, params={**params, "limit": _PAGE, "offset": seen})
            yield from answer[key]
            seen += len(answer[key])
            if not answer[key] or seen >= (answer.get("total_entries") or 0):
                return

    def _some(self, path: str, key: str, limit: int, **params: Any) -> list[Json]:
        """The first `limit` entries."""
        entries: list[Json] = []
        while len(entries) < limit:
            page = {"limit": min(_PAGE, limit - len(entries)), "offset": len(entries)}
            answer = self.http.json("GET", path, params={**params, **page})
            entries += answer[key]
            if not answer[key] or len(entries) >= (answer.get("total_entries") or 0):
                break
        return entries[:limit]


def _instance(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    mapped = (map_index,) if map_index >= 0 else ()
    return path_of(_DAGS, dag_id, "dagRuns", run_id, "taskInstances", task_id, *mapped)


def _log_line(entry: Any) -> bytes:
    return entry.encode() if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False).encode()


def _dag(data: Json) -> DagFacts:
    return DagFacts(
        dag_id=data["dag_id"],
        file=data["relative_fileloc"] or data["fileloc"],
        bundle_name=data["bundle_name"],
        bundle_version=data["bundle_version"],
        is_paused=data["is_paused"],
        tags=tuple(tag["name"] for tag in data["tags"]),
        owners=tuple(data["owners"]),
        fileloc=data["fileloc"],
    )


def _run(data: Json) -> RunFacts:
    names = ("dag_id", "state", "run_type", "logical_date", "start_date", "end_date", "bundle_version")
    return RunFacts(run_id=data["dag_run_id"], conf=data["conf"] or {}, **{name: data[name] for name in names})


def _task(data: Json) -> TaskFacts:
    names = ("task_id", "map_index", "try_number", "state", "operator", "max_tries", "start_date", "end_date", "duration")
    more = ("hostname", "pool", "queue")
    version = data["dag_version"]
    return TaskFacts(
        **{name: data[name] for name in (*names, *more)},
        rendered_fields=data.get("rendered_fields") or {},  # tries have none
        dag_version=str(version["version_number"]) if version else None,
    )


def _spec(data: Json) -> TaskSpec:
    params = {name: _param(value) for name, value in (data.get("params") or {}).items()}
    below = tuple(sorted(data["downstream_task_ids"] or ()))
    return TaskSpec(data["task_id"], below, params, bool(data.get("is_mapped")), data.get("trigger_rule"))


def _param(value: Any) -> Any:
    """A Param comes as {value, schema, description, …}."""
    return value["value"] if isinstance(value, dict) and "value" in value and "schema" in value else value


def _asset(data: Json) -> AssetFacts:
    last = data.get("last_asset_event") or {}
    return AssetFacts(
        name=data["name"],
        uri=data["uri"],
        last_event=last.get("timestamp"),
        producers=tuple((task["dag_id"], task["task_id"]) for task in data["producing_tasks"]),
        consumers=tuple((task["dag_id"], task["task_id"]) for task in data.get("consuming_tasks") or ()),
        scheduled=tuple(dag["dag_id"] for dag in data["scheduled_dags"]),
    )


def _event(data: Json) -> AssetEvent:
    name = data.get("name") or data.get("uri") or f"asset {data['asset_id']}"
    return AssetEvent(name, data["timestamp"], data["source_dag_id"], data["source_run_id"], data["source_task_id"])


def _returned(text: str) -> str:
    """The value as text: Airflow gives the value itself, or, where something else than a task wrote it, JSON within JSON."""
    try:
        value = json.loads(text)["value"]
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        return _beginning(text)
    except (ValueError, TypeError, KeyError) as error:
        raise AirflowRefused(f"The answer for an XCom is no XCom but {text[:80]!r}.") from error


def _beginning(text: str) -> str:
    """The value of an answer that is cut or too deep: `value` is its last field. Of JSON within JSON, what can be unquoted."""
    value = text.partition('"value":')[2].lstrip()
    if not value.startswith('"'):
        return value
    for left_out in range(min(8, len(value))):  # an escape has up to six characters
        try:
            return str(json.loads(f'{value[: len(value) - left_out]}"'))
        except ValueError:
            continue
    return value

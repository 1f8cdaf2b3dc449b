"""A DAG's shape: what the scheduler decides from, read from Airflow's serialized DAG.

A pinned run keeps the scheduler's view (the serialized DAG it was created with) and runs other code. So a fix may be pinned
only where both have the same shape: tasks, edges, groups, mapping, setup and teardown, and the attributes the scheduler acts on.
Airflow leaves out what equals a default; which defaults differs from version to version, so they are filled in here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_agentfix.core.plain import Json

_DEFAULTS: Mapping[str, Any] = {
    "depends_on_past": False,
    "executor": None,
    "executor_config": {},
    "ignore_first_depends_on_past": False,
    "max_active_tis_per_dag": None,
    "max_active_tis_per_dagrun": None,
    "max_retry_delay": None,
    "pool": "default_pool",
    "pool_slots": 1,
    "priority_weight": 1,
    "queue": "default",
    "retries": 0,
    "retry_delay": 300.0,
    "retry_exponential_backoff": False,
    "start_from_trigger": False,
    "trigger_rule": "all_success",
    "wait_for_downstream": False,
    "weight_rule": "downstream",
    "_can_skip_downstream": False,
    "_is_empty": False,
}
"""Task attributes the scheduler acts on, with the value that their absence means."""


def shape_of(serialized: Mapping[str, Any]) -> Json:
    """The shape of a DAG as `SerializedDAG.to_dict` gives it and Airflow's database keeps it; plain JSON, order-free."""
    dag = _plain(serialized["dag"])
    defaults = _plain(serialized.get("client_defaults") or {}).get("tasks", {})
    groups, group_of = _groups(dag.get("task_group") or {})
    tasks = {}
    for task in dag.get("tasks", ()):
        tasks[task["task_id"]] = _task(task, defaults, group_of.get(task["task_id"]))
    return {"tasks": dict(sorted(tasks.items())), "groups": dict(sorted(groups.items()))}


def shape_diff(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """What differs between two shapes, one sentence each; empty when a run of one may run the code of the other."""
    return (
        *_compare("Task", before["tasks"], after["tasks"]),
        *_compare("Task group", before["groups"], after["groups"]),
    )


def _task(task: Mapping[str, Any], defaults: Mapping[str, Any], group: str | None) -> Json:
    partial = task.get("partial_kwargs") or {}
    known = {**_DEFAULTS, **defaults, **partial, **task}
    attributes = {name: known[name] for name in _DEFAULTS}
    attributes["retries"] = int(attributes["retries"] or 0)
    attributes["retry_exponential_backoff"] = float(attributes["retry_exponential_backoff"] or 0)
    return {
        "downstream": sorted(task.get("downstream_task_ids") or ()),
        "group": group,
        "mapped": _mapping(task) if task.get("_is_mapped") else None,
        "setup": bool(known.get("is_setup")),
        "teardown": bool(known.get("is_teardown")),
        "fails the run": bool(known.get("on_failure_fail_dagrun")),
        "attributes": attributes,
    }


def _groups(root: Mapping[str, Any]) -> tuple[dict[str, Json], dict[str, str]]:
    """Every task group but the root by id, and the innermost group of each task."""
    groups: dict[str, Json] = {}
    group_of: dict[str, str] = {}
    pending = [(root, None)]
    while pending:
        group, parent = pending.pop()
        group_id = group.get("_group_id")
        if group_id is not None:
            groups[group_id] = {"group": parent, "mapped": _mapping(group) if group.get("is_mapped") else None}
        for name, (kind, child) in (group.get("children") or {}).items():
            if kind == "operator" and group_id is not None:
                group_of[name] = group_id
            elif isinstance(child, dict):
                pending.append((child, group_id))
    return groups, group_of


def _mapping(mapped: Mapping[str, Any]) -> Json:
    """What the number of task instances comes from: the kind of expansion, and per argument a length or an XCom."""
    expand = mapped.get(mapped.get("_expand_input_attr") or "expand_input") or {}
    value = expand.get("value")
    named = value if isinstance(value, dict) and "task_id" not in value else {"": value}
    return {"kind": expand.get("type"), "over": {name: _source(part) for name, part in sorted(named.items())}}


def _source(part: Any) -> str:
    if isinstance(part, dict) and "task_id" in part:
        return f"XCom {part.get('key', 'return_value')!r} of {part['task_id']!r}"
    return f"{len(part)} values" if isinstance(part, (list, dict)) else str(part)


def _plain(value: Any) -> Any:
    """Airflow's encoding undone: {"__type": …, "__var": x} is x."""
    if isinstance(value, Mapping):
        if "__var" in value and "__type" in value:
            return _plain(value["__var"])
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return value


def _compare(what: str, before: Mapping[str, Json], after: Mapping[str, Json]) -> Iterable[str]:
    yield from (f"{what} {name!r} was removed." for name in sorted(before.keys() - after.keys()))
    yield from (f"{what} {name!r} was added." for name in sorted(after.keys() - before.keys()))
    for name in sorted(before.keys() & after.keys()):
        old, new = _flat(before[name]), _flat(after[name])
        for part in sorted(old.keys() | new.keys()):
            if old.get(part) != new.get(part):
                yield f"{what} {name!r}: {part.lstrip('_')} was {old.get(part)!r}, now {new.get(part)!r}."


def _flat(described: Mapping[str, Any]) -> Json:
    return {**{name: value for name, value in described.items() if name != "attributes"}, **described.get("attributes", {})}

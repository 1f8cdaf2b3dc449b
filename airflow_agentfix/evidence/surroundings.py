"""What stood around a failure, one fact a line: what changed, how it used to be, who suffers, inputs, precedent.

In the order in which they help most, for what has no room is cut from the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from airflow_agentfix.core.circumstances import AssetFacts, Changes, Commit, Lineage, Precedent, XCom
from airflow_agentfix.core.incident import Incident
from airflow_agentfix.evidence.changes import FILES
from airflow_agentfix.evidence.history import compared
from airflow_agentfix.ports import COMPARED_COMMITS

_NAMED = 20
_COMMITS, _FILES = 8, 12
_SUMMARY = 300
_TOUCHES = {"traceback": "touches the traceback", "dag": "touches the DAG's file", "dependencies": "changes dependencies"}


def surroundings(incident: Incident, edges: Mapping[str, Sequence[str]] | None, failed: Sequence[str] = ()) -> Iterator[str]:
    """The facts; each is one line once newlines are folded. `edges` is None where the DAG's tasks are not known."""
    around = incident.circumstances
    yield from _changes(incident)
    yield _times(incident)
    yield from _earlier(incident)
    yield from _others(incident, edges, failed)
    yield from _lineage(around.lineage)
    yield from (_precedent(one) for one in around.precedents)
    run, dag = incident.run, incident.dag
    yield f"run: {run.run_type}, {run.state}, logical date {run.logical_date}, started {run.start_date}, conf {_json(run.conf)}"
    yield (
        f"DAG: file {dag.file}, bundle {dag.bundle_name}, code version of the run {run.bundle_version}, newest "
        f"{dag.bundle_version}, DAG version {incident.task.dag_version}, owners {_some(dag.owners)}, tags {_some(dag.tags)}"
        + (", PAUSED" if dag.is_paused else "")
    )
    if incident.task.rendered_fields:
        yield f"rendered fields: {_json(incident.task.rendered_fields)}"
    if around.params:
        yield f"params (as defined; the run's conf overrides them): {_json(around.params)}"
    yield from (_returned(one) for one in around.xcoms)
    yield from (f"not known: {gap}" for gap in around.gaps)


def _changes(incident: Incident) -> Iterator[str]:
    found = incident.circumstances.changes
    if found is None:
        return
    how = "" if found.by == "bundle_version" else ", by time: the base branch when the runs started, for the runs have no version"
    span = f"{found.since_run}, the last green run ({found.base[:10]}..{found.head[:10]}{how})"
    if found.base == found.head:
        yield f"the code did not change since {span}: look at data, environment and services"
        return
    what = "this run was on older code, without" if found.undone else "changed since"
    commits, files = _count(found.commits, "commit", COMPARED_COMMITS), _count(found.files, "file", FILES)
    yield f"{what} {span}: {commits}, {files}{_none_of_ours(found)}"
    yield from (_commit(one) for one in found.commits[:_COMMITS])
    if len(found.commits) > _COMMITS:
        yield f"{len(found.commits) - _COMMITS} further of these commits; get_history of=changes has them"
    more = f" and {len(found.files) - _FILES} more; get_history of=changes has them" if len(found.files) > _FILES else ""
    yield f"changed files: {', '.join(found.files[:_FILES])}{more}"
    if found.dependencies:
        yield f"dependencies changed: {_some(found.dependencies)}; what is installed may differ"


def _count(found: Sequence[object], what: str, most: int) -> str:
    """How many; at the most that are asked for there may be more."""
    return f"{len(found)}{' or more' if len(found) >= most else ''} {what}{'' if len(found) == 1 else 's'}"


def _none_of_ours(found: Changes) -> str:
    touched = {commit.touches for commit in found.commits}
    return "" if touched & {"traceback", "dag"} else "; none touches the traceback's files or the DAG's"


def _commit(commit: Commit) -> str:
    touches = f" [{_TOUCHES[commit.touches]}]" if commit.touches in _TOUCHES else ""
    return f"commit {commit.sha[:10]} {commit.date[:16]} {commit.author}: {commit.subject}{touches}"


def _times(incident: Incident) -> str:
    task, usual = incident.task, incident.circumstances.earlier.usual
    took = "-" if task.duration is None else f"{task.duration:.1f} s"
    if usual:
        runs = f"{usual.runs} other success{'es' if usual.runs > 1 else ''}"
        spread = f"median {usual.median:.1f} s, {usual.fastest:.1f} to {usual.slowest:.1f} s in {runs}"
        took += f"{', ' if (how := compared(task.duration, usual)) else ''}{how} ({spread})"
    return (
        f"times: started {task.start_date}, ended {task.end_date}, took {took}; host {task.hostname or '-'}, "
        f"pool {task.pool}, queue {task.queue}"
    )


def _earlier(incident: Incident) -> Iterator[str]:
    earlier = incident.circumstances.earlier
    if earlier.states:
        counts = ", ".join(f"{count} {state}" for state, count in sorted(earlier.states.items(), key=lambda pair: -pair[1]))
        retried = f" ({earlier.retried} only after a retry)" if earlier.retried else ""
        green = f"; last green run {earlier.last_green}" if earlier.last_green else "; none of them green before this run"
        yield f"this task in the newest other runs: {counts}{retried}{green}"
    elif earlier.told:
        yield "this task has no other runs"
    if earlier.mapped is not None:
        yield f"mapped: {earlier.mapped_failed} of {earlier.mapped} instances failed in this run"


def _others(incident: Incident, edges: Mapping[str, Sequence[str]] | None, failed: Sequence[str]) -> Iterator[str]:
    task_id = incident.ref.task_id
    if edges is None:
        yield f"failed in this run: {_some(incident.first_failed)}; what is upstream and who is only a victim is not known"
        return
    later = [other for other in failed if other not in incident.first_failed]
    also = f"; failed too, below them: {_some(later)}" if later else ""
    yield f"first failed in this run: {_some(incident.first_failed)}{also}; victims of {task_id}: {_some(incident.victims)}"
    above = [other for other, below in edges.items() if task_id in below]
    yield f"upstream: {_some(above)}; downstream: {_some(edges.get(task_id, ()))}"


def _lineage(lineage: Lineage) -> Iterator[str]:
    for name, assets in (("reads", lineage.inlets), ("should have updated", lineage.outlets)):
        if assets:
            yield f"{name}: {_some(map(_asset, assets))}"
    if scheduled := [asset for asset in lineage.dag_schedule if asset not in lineage.inlets]:
        yield f"the DAG waits for: {_some(map(_asset, scheduled))}"
    if lineage.dag_outlets:
        yield f"not updated by the victims either: {_some(map(_asset, lineage.dag_outlets))}"
    if lineage.stale:
        yield f"stale downstream DAGs, which wait for these assets: {_some(lineage.stale)}"
    for event in lineage.fed_by[:_NAMED]:
        source = f"{event.dag_id}/{event.run_id}/{event.task_id}" if event.dag_id else "outside Airflow"
        yield f"this run was started by {event.asset} at {event.timestamp} from {source}"
    if len(lineage.fed_by) > _NAMED:
        yield f"{len(lineage.fed_by) - _NAMED} further events started this run; Airflow lists them under the run's asset events"


def _asset(asset: AssetFacts) -> str:
    uri = f" ({asset.uri})" if asset.uri and asset.uri != asset.name else ""
    return f"{asset.name}{uri}, last updated {asset.last_event or 'never'}"


def _precedent(one: Precedent) -> str:
    kind = "same cause" if one.same else "same task and exception, other message or place"
    fix = f", {one.fix}" if one.fix else ""
    said = (one.summary or one.cause or "")[:_SUMMARY]
    return f"precedent ({kind}): session {one.session_id} of {one.created_at[:10]} on {one.run_id}: {one.outcome}{fix}: {said}"


def _returned(one: XCom) -> str:
    name = f"{one.task_id}[{one.map_index}]" if one.map_index >= 0 else one.task_id
    cut = f" …at least {one.cut} more characters in Airflow, under XCom of {name}" if one.cut else ""
    return f"{name} upstream returned: {one.value}{cut}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return (", ".join(listed[:_NAMED]) or "none") + more


def _json(values: Mapping[str, Any]) -> str:
    """As JSON; what redaction could only keep as text, as that text."""
    if len(values) == 1 and isinstance(text := values.get("cut", values.get("redacted")), str):
        return text
    return json.dumps(values, default=str, ensure_ascii=False)

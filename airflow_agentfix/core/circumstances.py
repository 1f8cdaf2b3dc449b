"""What stood around a failure, as values: earlier runs, what changed in the code, lineage, inputs, source, earlier sessions.

Stored in events for years: `from_json` reads what an older or newer version wrote, with defaults for what is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")


def known(kind: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass from those of its fields that `data` has; what else `data` has is not ours."""
    return kind(**{one.name: data[one.name] for one in fields(kind) if one.name in data})  # type: ignore[arg-type]  # a dataclass


def _each(kind: type[T], entries: Iterable[Mapping[str, Any]]) -> tuple[T, ...]:
    return tuple(known(kind, entry) for entry in entries)


@dataclass(frozen=True)
class Usual:
    """The task's successes in other recent runs; seconds."""

    runs: int
    median: float
    fastest: float
    slowest: float


@dataclass(frozen=True)
class EarlierRuns:
    """The same task in the newest other runs: how they ended, how long the good ones took."""

    states: Mapping[str, int] = field(default_factory=dict)
    """state to number of runs"""
    retried: int = 0
    """successes that needed more than one try"""
    usual: Usual | None = None
    last_green: str | None = None
    """the newest earlier run in which this task succeeded"""
    mapped: int | None = None
    """how many mapped instances the task has in this run"""
    mapped_failed: int | None = None
    told: bool = True
    """false where Airflow did not say: then states, retries and durations are not known, and not none"""


@dataclass(frozen=True)
class Commit:
    """A commit since the last green run. `touches`: traceback | dag | dependencies | other, the first that holds."""

    sha: str
    author: str = ""
    date: str = ""
    subject: str = ""
    touches: str = "other"


@dataclass(frozen=True)
class Changes:
    """What changed in the code between the last green run and this one."""

    since_run: str
    base: str
    head: str
    by: str = "bundle_version"
    """`bundle_version`: the runs' own commits; `time`: what the base branch was when they started"""
    undone: bool = False
    """the run was on older code than the green one: the commits are those it lacks"""
    commits: tuple[Commit, ...] = ()
    """those that touch the traceback's files first, then the DAG's file, then the rest; newest first within each"""
    files: tuple[str, ...] = ()
    """in the same order"""
    dependencies: tuple[str, ...] = ()
    """of the files, those that say what is installed"""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Changes:
        parts = {"commits": _each(Commit, data.get("commits", ())), "files": tuple(data.get("files", ()))}
        return known(cls, {**data, **parts, "dependencies": tuple(data.get("dependencies", ()))})


@dataclass(frozen=True)
class AssetFacts:
    """An asset as Airflow's REST API gives it. Tasks as (dag id, task id)."""

    name: str
    uri: str = ""
    last_event: str | None = None
    """when it was last updated; only successes update an asset"""
    producers: tuple[tuple[str, str], ...] = ()
    consumers: tuple[tuple[str, str], ...] = ()
    scheduled: tuple[str, ...] = ()
    """ids of the DAGs that wait for it"""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AssetFacts:
        tasks = {name: tuple((dag, task) for dag, task in data.get(name, ())) for name in ("producers", "consumers")}
        return known(cls, {**data, **tasks, "scheduled": tuple(data.get("scheduled", ()))})


@dataclass(frozen=True)
class AssetEvent:
    """An update of an asset, and who made it."""

    asset: str
    timestamp: str
    dag_id: str | None = None
    run_id: str | None = None
    task_id: str | None = None


@dataclass(frozen=True)
class Lineage:
    """Data in and out of the failed task, and of its DAG."""

    inlets: tuple[AssetFacts, ...] = ()
    outlets: tuple[AssetFacts, ...] = ()
    dag_schedule: tuple[AssetFacts, ...] = ()
    """assets the DAG is scheduled on"""
    dag_outlets: tuple[AssetFacts, ...] = ()
    """assets that the victims of the failure should have updated"""
    fed_by: tuple[AssetEvent, ...] = ()
    """events that started this run"""
    stale: tuple[str, ...] = ()
    """ids of other DAGs that wait for an asset this failure left old"""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Lineage:
        lists = ("inlets", "outlets", "dag_schedule", "dag_outlets")
        assets = {name: tuple(AssetFacts.from_json(one) for one in data.get(name, ())) for name in lists}
        return cls(**assets, fed_by=_each(AssetEvent, data.get("fed_by", ())), stale=tuple(data.get("stale", ())))


@dataclass(frozen=True)
class XCom:
    """What a task directly upstream returned, as text; at least `cut` characters of it are left out."""

    task_id: str
    value: str
    cut: int = 0
    map_index: int = -1


@dataclass(frozen=True)
class Excerpt:
    """Lines of a repository file around a frame of the traceback; `first` is the number of the first one."""

    path: str
    commit: str
    first: int
    lines: tuple[str, ...] = ()
    exact: bool = True
    """whether `commit` is what ran; else the base branch as it was then"""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Excerpt:
        return known(cls, {**data, "lines": tuple(data.get("lines", ()))})


@dataclass(frozen=True)
class Precedent:
    """An earlier session on the same cause (`same`), or on the same kind of exception in the same task."""

    session_id: str
    created_at: str
    run_id: str
    outcome: str
    same: bool = True
    cause: str | None = None
    summary: str | None = None
    fix: str | None = None
    """its pull request, else its branch"""


@dataclass(frozen=True)
class Circumstances:
    """Everything around one failure. `gaps` says what could not be looked at, and why."""

    earlier: EarlierRuns = field(default_factory=EarlierRuns)
    changes: Changes | None = None
    lineage: Lineage = field(default_factory=Lineage)
    params: Mapping[str, Any] = field(default_factory=dict)
    xcoms: tuple[XCom, ...] = ()
    source: tuple[Excerpt, ...] = ()
    precedents: tuple[Precedent, ...] = ()
    gaps: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Circumstances:
        earlier, changes = data.get("earlier") or {}, data.get("changes")
        usual = earlier.get("usual")
        return cls(
            earlier=known(EarlierRuns, {**earlier, "usual": known(Usual, usual) if usual else None}),
            changes=Changes.from_json(changes) if changes else None,
            lineage=Lineage.from_json(data.get("lineage") or {}),
            params=data.get("params") or {},
            xcoms=_each(XCom, data.get("xcoms", ())),
            source=tuple(Excerpt.from_json(one) for one in data.get("source", ())),
            precedents=_each(Precedent, data.get("precedents", ())),
            gaps=tuple(data.get("gaps", ())),
        )

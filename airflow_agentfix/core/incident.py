"""What failed and what is known about it: the values that evidence, verdict and fingerprint are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from airflow_agentfix.core.circumstances import Circumstances, known


@dataclass(frozen=True)
class TaskRef:
    """One try of one task instance: what every Airflow call needs to find it."""

    dag_id: str
    run_id: str
    task_id: str
    try_number: int
    map_index: int = -1

    def __str__(self) -> str:
        mapped = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}/{self.run_id}/{self.task_id}{mapped} try {self.try_number}"


class Verdict(StrEnum):
    """What kind of failure it is."""

    CODE = "code"
    DATA = "data"
    CONFIG = "config"
    DEPENDENCY = "dependency"
    INFRA = "infra"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Frame:
    """One frame of a traceback. `file` is the path as the log gives it; `user` is false for Airflow's and libraries' own."""

    file: str
    line: int
    function: str
    user: bool
    code: str | None = None


@dataclass(frozen=True)
class RootCause:
    """The first real cause found in a log.

    `exception` is the type's name as logged, None where there was no exception (exit code, kill).
    `line` is the one line of the log that states the cause; `context` are whole lines around it, `L<n>` = line n of the log.
    """

    line: str
    message: str
    exception: str | None = None
    frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    context: tuple[tuple[int, str], ...] = ()
    """(line number in the log, text), whole lines, unredacted until `core.redact` has seen them"""

    @property
    def user_frames(self) -> tuple[Frame, ...]:
        return tuple(frame for frame in self.frames if frame.user)


@dataclass(frozen=True)
class Judgement:
    """A verdict by rules: confidence 0..1, and the evidence line ids it rests on (`L12`). `decided`: needs no model."""

    verdict: Verdict
    confidence: float
    reason: str
    evidence: tuple[str, ...] = ()
    decided: bool = False
    owner_action: str | None = None


@dataclass(frozen=True)
class TaskFacts:
    """A task instance as Airflow's REST API gives it; times are ISO 8601 with zone, durations seconds."""

    task_id: str
    map_index: int
    try_number: int
    state: str | None
    operator: str | None = None
    max_tries: int = 0
    start_date: str | None = None
    end_date: str | None = None
    duration: float | None = None
    hostname: str | None = None
    pool: str | None = None
    queue: str | None = None
    rendered_fields: Mapping[str, Any] = field(default_factory=dict)
    dag_version: str | None = None


@dataclass(frozen=True)
class RunFacts:
    """A DAG run as Airflow's REST API gives it."""

    dag_id: str
    run_id: str
    state: str
    run_type: str | None = None
    logical_date: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    bundle_version: str | None = None
    conf: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class DagFacts:
    """A DAG as Airflow's REST API gives it. `file` is relative to its bundle's root."""

    dag_id: str
    file: str
    bundle_name: str | None = None
    bundle_version: str | None = None
    is_paused: bool = False
    tags: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    fileloc: str | None = None


@dataclass(frozen=True)
class Repository:
    """Where a DAG's code lives.

    `url` as git understands it (path, file://, https://, ssh); no credentials in it. `subdir` is the bundle's root in the
    repository ("" = its top): repository path = subdir/DagFacts.file. `connection` names Airflow's git connection, if any.
    """

    url: str
    base_branch: str
    subdir: str = ""
    connection: str | None = None
    bundle: str | None = None
    """name of the versioned git bundle that serves the DAG; None where the DAG comes another way, and pin cannot apply"""
    prefix: str = ""
    """leading part of `DagFacts.file` that is not in the repository: git-sync puts a checkout below the bundle's root"""

    def path_of(self, file: str) -> str:
        """The repository path of a file that is known by its path in the bundle, such as `DagFacts.file`."""
        inner = file.removeprefix(f"{self.prefix}/") if self.prefix else file
        return "/".join(part for part in (self.subdir.strip("/"), inner.strip("/")) if part)


@dataclass(frozen=True)
class Incident:
    """A failure with its evidence. `text` is the rendering for model and person: redacted, bounded, every line citable."""

    ref: TaskRef
    cause: RootCause
    judgement: Judgement
    fingerprint: str
    task: TaskFacts
    run: RunFacts
    dag: DagFacts
    first_failed: tuple[str, ...] = ()
    victims: tuple[str, ...] = ()
    """task ids that are upstream_failed or skipped because of it"""
    text: str = ""
    circumstances: Circumstances = field(default_factory=Circumstances)
    """what stood around it: changes, lineage, inputs, source, precedent"""

    def to_json(self) -> dict[str, Any]:
        """The whole incident as plain JSON values; `from_json` gives it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Incident:
        """Reads what another version wrote too: fields it lacks have their defaults, fields it adds are not ours."""
        cause, judgement, dag = data["cause"], data["judgement"], data["dag"]
        frames = tuple(known(Frame, frame) for frame in cause.get("frames", ()))
        context = tuple((number, text) for number, text in cause.get("context", ()))
        told = {"verdict": Verdict(judgement["verdict"]), "evidence": _strings(judgement.get("evidence", ()))}
        lists = {name: _strings(dag.get(name, ())) for name in ("tags", "owners")}
        return cls(
            ref=known(TaskRef, data["ref"]),
            cause=known(RootCause, {**cause, "frames": frames, "notes": _strings(cause.get("notes", ())), "context": context}),
            judgement=known(Judgement, {**judgement, **told}),
            fingerprint=data["fingerprint"],
            task=known(TaskFacts, data["task"]),
            run=known(RunFacts, data["run"]),
            dag=known(DagFacts, {**dag, **lists}),
            first_failed=_strings(data.get("first_failed", ())),
            victims=_strings(data.get("victims", ())),
            text=data.get("text", ""),
            circumstances=Circumstances.from_json(data.get("circumstances") or {}),
        )


def _strings(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(values)

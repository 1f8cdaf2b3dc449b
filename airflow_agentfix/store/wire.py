"""How the session API's values travel: what the routes answer and what the clients make of it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from airflow_agentfix import errors
from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import Event, Session, State, WaitFor
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.ports import Answer, Approved, Claim, Json, Rerun, WaitRun

BASE = "/agentfix/api/v1"

Result = Answer | Approved | Rerun | WaitRun


@dataclass(frozen=True)
class Audit:
    """What a look at a session's chain of events gave."""

    session_id: str
    events: int
    head: str | None
    """the newest event's hash"""
    broken_at: int | None
    """number of the first event that is not what was written, or is missing"""
    anchored: bool | None = None
    """whether the hash that was asked for is in the chain"""

    @property
    def ok(self) -> bool:
        return self.broken_at is None and self.anchored is not False

    def to_json(self) -> Json:
        return {**vars(self), "ok": self.ok}

    @classmethod
    def from_json(cls, data: Json) -> Audit:
        return cls(**{name: value for name, value in data.items() if name != "ok"})


@dataclass(frozen=True)
class RecoveredRun:
    """Where the recovery of one run stands. `due`: a dry run would start it; `reason` says why it waits, was left or failed."""

    run_id: str
    state: RunState
    task_ids: tuple[str, ...] = ()
    """that were cleared, or that failed of the cause"""
    reason: str = ""


@dataclass(frozen=True)
class Recovery:
    """The runs of a session's cause, in the order they go. `version`: what Airflow serves the DAG on, so what they go on with."""

    session_id: str
    version: str | None
    runs: tuple[RecoveredRun, ...]
    over: bool
    """nothing is left to do or to wait for"""
    needs_person: str | None = None
    """why AgentFix starts none by itself, and what a person does"""
    warning: str | None = None
    """why the runs may not have the fix, or, of a dry run, would not: to a person"""

    def to_json(self) -> Json:
        return {**vars(self), "runs": [vars(run) for run in self.runs]}

    @classmethod
    def from_json(cls, data: Json) -> Recovery:
        runs = (RecoveredRun(**{**one, "state": RunState(one["state"])}) for one in data["runs"])
        return cls(**{**data, "runs": tuple(replace(one, task_ids=tuple(one.task_ids)) for one in runs)})


@dataclass(frozen=True)
class Page:
    """A page of a list of sessions. `total`: how many there are that fit and that the asker may read."""

    sessions: tuple[Session, ...]
    total: int

    def to_json(self) -> Json:
        return {"sessions": [session.to_json() for session in self.sessions], "total": self.total}

    @classmethod
    def from_json(cls, data: Json) -> Page:
        return cls(tuple(Session.from_json(session) for session in data["sessions"]), data["total"])


@dataclass(frozen=True)
class Taken:
    """What became of a failure. `created`: a session was made for it; `warning`: what keeps it from being worked on, or from
    asking a model; `stalled`: nobody comes to work on it yet."""

    id: str
    state: State
    created: bool
    warning: str | None = None
    stalled: bool = False

    def to_json(self) -> Json:
        told = {"state": self.state.value, "created": self.created, "warning": self.warning, "stalled": self.stalled}
        return {"session_id": self.id, **told}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Taken:
        warning = data.get("warning")
        said = str(warning) if warning else None
        return cls(str(data["session_id"]), State(str(data["state"])), bool(data["created"]), said, bool(data.get("stalled")))


def claim_to_json(claim: Claim) -> Json:
    return {
        "lease": claim.lease,
        "session": claim.session.to_json(),
        "events": [event.to_json() for event in claim.events],
        "policy": claim.policy,
        "unpaid": claim.unpaid,
    }


def claim_from_json(data: Json) -> Claim:
    events = tuple(Event.from_json(event) for event in data["events"])
    return Claim(data["lease"], Session.from_json(data["session"]), events, data["policy"], data.get("unpaid"))


def result_to_json(result: Result) -> Json:
    """One of the answers a worker gets to `ask`, `approval` and `rerun`, told apart by `type`."""
    return {"type": type(result).__name__, **asdict(result)}


def result_from_json(data: Json) -> Result:
    values = {name: value for name, value in data.items() if name != "type"}
    match data["type"]:
        case "Answer":
            return Answer(**values)
        case "Approved":
            return Approved(**values)
        case "Rerun":
            return Rerun(**{**values, "task_ids": tuple(values["task_ids"])})
        case "WaitRun":
            return WaitRun(**{**values, "waiting_for": WaitFor(values["waiting_for"])})
    raise ValueError(f"Unknown result {data['type']!r}")


def error_to_json(error: AgentFixError) -> Json:
    return {"error": {"type": type(error).__name__, "message": str(error)}}


def error_from_json(data: object) -> AgentFixError | None:
    """The error the API names; None for an answer that is not the API's (a proxy, an Airflow without the plugin)."""
    told = data.get("error") if isinstance(data, dict) else None
    if not isinstance(told, dict):
        return None
    kind = getattr(errors, str(told.get("type")), None)
    if not (isinstance(kind, type) and issubclass(kind, AgentFixError)):
        return None
    return kind(str(told.get("message")))

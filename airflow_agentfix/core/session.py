"""A session: an append-only list of events, a state, an outcome.

Invariant: events are never changed or reordered; the session's columns are a fold over them. What a session waits for is
read from its transcript (tool calls without results).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from airflow_agentfix.core.basis import Basis
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.errors import InvalidTransition


class State(StrEnum):
    """open -> running -> waiting -> running -> ... -> done"""

    OPEN = "open"
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"


class WaitFor(StrEnum):
    """What a waiting session waits for."""

    TASK = "task"
    """the failed task instance is not terminal yet, or its run is still going"""
    PERSON = "person"
    RERUN = "rerun"
    PREVIEW = "preview"
    """the DAG of the fix's preview is not there yet"""


class Outcome(StrEnum):
    """How a done session ended."""

    FIXED = "fixed"
    PROPOSED = "proposed"
    REPORTED = "reported"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    GAVE_UP = "gave_up"
    OVER_BUDGET = "over_budget"
    FAILED = "failed"
    STOPPED = "stopped"


class EventKind(StrEnum):
    """What an event records. `WORKER_KINDS` may be appended by whoever holds the lease; the server alone writes the rest."""

    CREATED = "created"
    CLAIMED = "claimed"
    POLICY = "policy"
    INCIDENT = "incident"
    NEW_TRANSCRIPT = "new_transcript"
    MODEL = "model"
    SPENT = "spent"
    INTENT = "intent"
    RESULT = "result"
    PATCH = "patch"
    FIX = "fix"
    VERIFIED = "verified"
    NOTE = "note"
    QUESTION = "question"
    ANSWER = "answer"
    APPROVAL = "approval"
    RERUN = "rerun"
    PARKED = "parked"
    PIN_ENDED = "pin_ended"
    RECOVERY = "recovery"
    OCCURRENCE = "occurrence"
    STOP = "stop"
    FINISHED = "finished"
    ERASED = "erased"


class PinEnd(StrEnum):
    """Why a run left a fix commit. Fixed words: they stay when a session is erased."""

    MERGED = "merged"
    """the fix is in the base branch, and so is what the run is on now"""
    CLOSED = "closed"
    """the branch is gone, or the pull request was closed without a merge"""
    ENDED = "ended"
    """the session was rejected, stopped or erased"""
    ASKED = "asked"
    """a person wanted it"""


WORKER_KINDS = frozenset(
    {
        EventKind.INCIDENT,
        EventKind.NEW_TRANSCRIPT,
        EventKind.MODEL,
        EventKind.SPENT,
        EventKind.INTENT,
        EventKind.RESULT,
        EventKind.PATCH,
        EventKind.FIX,
        EventKind.VERIFIED,
    }
)


@dataclass(frozen=True)
class Event:
    """One thing that happened. `at` is ISO 8601 in UTC; `actor` is `worker`, `server` or a person's user name.

    `data` by kind (all values JSON; everything redacted before it gets here):

    - created: {source, autonomy, requested_by}
    - claimed: {worker, login: user id of the worker's login}
    - policy: core.policy.Effective as JSON {policy, sources, problems}: what is in force from here on
    - incident: Incident.to_json() and {repository, base_commit} (null where the repository is not known, with `repository_error`)
    - model: {content: [content blocks as the Messages API has them], stop_reason, model, usage: {input_tokens, output_tokens,
      cache_read_input_tokens, cache_creation_input_tokens}, dollars, after: number of the last event the model had seen,
      basis: Basis.to_json(), absent in sessions of an earlier version}
    - spent: {model, usage, dollars, reason}: a model call that gave no turn, and what it used all the same
    - new_transcript: {because: the parts of the basis that changed, before: the basis so far, basis: the one from here on,
      text: the summary that stands for the conversation so far}
    - intent: {call_id, tool, input}: written before a tool with an effect acts
    - result: {call_id, tool, text, is_error}
    - patch: {files: [{path, before, after}]}: whole texts, before null for a new file, after null for a deleted one;
      {findings: [Finding as JSON], call_id}
    - fix: {branch, commit, base_commit, title, summary, diff, paths: of the changed files, pull_request: url or null, findings,
      call_id, made_by: the earlier session whose very commit it is, else null}
    - verified: {commit, stages: [core.stages.Stage as JSON {name, state: passed | failed | not_run, detail}], call_id,
      shape_changes: in what the fix's DAG differs from the run's, where it does}: what was looked at of the fix, in the order it
      was done; a later event's stage of a name replaces an earlier one's
    - note: {message, comment: {id, url, at, brought_by: login that told of it} where it was written on the pull request}: what a
      person said; from `server`: why no worker comes (its run could not be started)
    - question: {question_id, call_id, about: question | approval, subject, body, options, commit, ask_run: {dag_id, run_id},
      approvers: user ids it is assigned to, hours: after which it ends without an answer, 0 never; of an approval rerun: {way,
      reason}: how the commit will be run, and objections: [Finding as JSON]: what the gates want a person to look at}
    - answer: {question_id, decision: answer | approve | reject, or `nobody` from `server` where its run ended without one,
      message, via: required_actions | api}
    - approval: {question_id or null, commit, decision: approve | reject, via: required_actions | api | waived}
    - rerun: {way: pin | preview | conf | trigger, reason, dag_id, run_id, commit, task_ids, map_index: of the failed task, -1 for
      all that failed, original_version: what a pin set aside, else null}
    - parked: {waiting_for, dag_id, run_id, call_id or null}
    - pin_ended: {run_id, version: what the run is on since, null where it is gone, reason: a PinEnd}
    - recovery: {run_id, state: started | green | failed | left, task_ids, reason, by}: a run of this cause after the fix was
      merged; {run_id: null, state: over, …}: nothing is left to recover, or nothing without a person
    - occurrence: {ref, run_id, map_index, session_id: the session that ended as a duplicate of this one, or null}
    - stop: {reason}
    - finished: {outcome, verdict, summary, error or null, report or null, duplicate_of: id of the session that has its cause,
      where it ended as a duplicate}
    """

    number: int
    kind: EventKind
    actor: str
    at: str
    data: Mapping[str, Any]
    hash: str | None = None
    """its link of the audit chain (`core.audit`), as the store made it"""

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "kind": self.kind.value, "data": dict(self.data)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Event:
        return cls(**{**data, "kind": EventKind(data["kind"])})


@dataclass(frozen=True)
class Usage:
    """What a session has spent so far."""

    turns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    dollars: float = 0.0


@dataclass(frozen=True)
class Session:
    """A session's columns. `version` counts writes (compare-and-set)."""

    id: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int | None
    state: State
    autonomy: str
    source: str
    created_at: str
    updated_at: str
    version: int = 0
    outcome: Outcome | None = None
    waiting_for: WaitFor | None = None
    fingerprint: str | None = None
    repository: str | None = None
    verdict: str | None = None
    cause: str | None = None
    """the root cause in one redacted line"""
    model: str | None = None
    fix_branch: str | None = None
    fix_commit: str | None = None
    pull_request: str | None = None
    summary: str | None = None
    requested_by: str | None = None
    worker_run_id: str | None = None
    """the run of agentfix_fix that drives it now"""
    asked_at: str | None = None
    """when a person was asked last; never None while it waits for one, None once it is done"""
    last_event: int = 0
    usage: Usage = field(default_factory=Usage)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Session:
        return cls(
            **{
                **data,
                "state": State(data["state"]),
                "outcome": data["outcome"] and Outcome(data["outcome"]),
                "waiting_for": data["waiting_for"] and WaitFor(data["waiting_for"]),
                "usage": Usage(**data["usage"]),
            }
        )


_VERDICT_CHARS = 16
_FINGERPRINT_CHARS = 128
"""widths of the columns"""
_MOST_SPENT = 100_000_000
"""by one model call: tens of them fit a 32-bit column"""

# --- moves -----------------------------------------------------------------------------------------------------------

_ALWAYS = frozenset(State)
_UNTIL_DONE = _ALWAYS - {State.DONE}
_AT_WORK = frozenset({State.RUNNING})
_ASKED = frozenset({State.RUNNING, State.WAITING})

ALLOWED: Mapping[EventKind, frozenset[State]] = {
    EventKind.CREATED: frozenset({State.OPEN}),
    EventKind.CLAIMED: _UNTIL_DONE,
    **dict.fromkeys(WORKER_KINDS, _AT_WORK),
    EventKind.POLICY: _AT_WORK,
    EventKind.QUESTION: _AT_WORK,
    EventKind.RERUN: _ALWAYS,  # a session that ended while its run was pinned has pinned it all the same
    EventKind.PARKED: _AT_WORK,
    EventKind.ANSWER: _ASKED,
    EventKind.APPROVAL: _ASKED,
    EventKind.NOTE: _ALWAYS,
    EventKind.OCCURRENCE: _ALWAYS,
    EventKind.STOP: _UNTIL_DONE,
    EventKind.FINISHED: _UNTIL_DONE,
    EventKind.PIN_ENDED: _ALWAYS,
    EventKind.RECOVERY: frozenset({State.DONE}),
    EventKind.ERASED: frozenset({State.DONE}),
}
"""In which states an event may happen."""


def fold(session: Session, event: Event) -> Session:
    """The session after `event`. Raises InvalidTransition where its state does not allow it."""
    if session.state not in ALLOWED[event.kind]:
        ended = f" ({session.outcome})" if session.outcome else ""
        expected = " or ".join(sorted(ALLOWED[event.kind]))
        raise InvalidTransition(f"Session {session.id!r} is {session.state}{ended}; {event.kind} needs it {expected}.")
    changes = _FOLDS[event.kind](session, event) if event.kind in _FOLDS else {}
    return replace(session, **changes, last_event=event.number, updated_at=event.at)


def _claimed(_: Session, event: Event) -> dict[str, Any]:
    worker = _worker(event.data["worker"])
    run_id = worker.run_id if worker else event.data["worker"]
    return {"state": State.RUNNING, "waiting_for": None, "summary": None, "worker_run_id": run_id}


def _incident(session: Session, event: Event) -> dict[str, Any]:
    repository = event.data.get("repository") or {}
    return {
        "fingerprint": _text(event.data["fingerprint"], _FINGERPRINT_CHARS),
        "repository": _text(repository.get("url")) or session.repository,
        "verdict": _text(event.data["judgement"]["verdict"], _VERDICT_CHARS),
        "cause": _text(event.data["cause"]["line"]),
    }


def _model(session: Session, event: Event) -> dict[str, Any]:
    used, so_far = event.data.get("usage") or {}, session.usage
    usage = Usage(
        turns=so_far.turns + 1,
        input_tokens=so_far.input_tokens + _spent(used.get("input_tokens")),
        output_tokens=so_far.output_tokens + _spent(used.get("output_tokens")),
        cache_read_tokens=so_far.cache_read_tokens + _spent(used.get("cache_read_input_tokens")),
        cache_write_tokens=so_far.cache_write_tokens + _spent(used.get("cache_creation_input_tokens")),
        dollars=so_far.dollars + _spent(event.data.get("dollars")),
    )
    if event.data.get("basis"):
        Basis(**event.data["basis"])  # the next worker reads it
    return {"usage": usage, "model": _text(event.data.get("model")) or session.model}


def _new_transcript(_: Session, event: Event) -> dict[str, Any]:
    """Changes no column; every later model call reads its text, and people what changed."""
    words = [event.data["text"], *event.data["because"]]
    if not all(isinstance(word, str) for word in words):
        raise TypeError("text and what because lists are no texts")
    for name in ("before", "basis"):
        Basis(**event.data[name])
    return {}


def _spent(amount: Any) -> Any:
    """A number of tokens or dollars; nothing is ever given back to a budget. None is 0."""
    if not 0 <= (amount or 0) < _MOST_SPENT:
        raise ValueError(f"{amount!r} tokens or dollars; expected a number from 0 to {_MOST_SPENT}")
    return amount or 0


def _patch(_: Session, event: Event) -> dict[str, Any]:
    """Changes no column; what the server reads of it later has to be there."""
    for file in event.data["files"]:
        texts = (file["path"], file["before"], file["after"])
        if not isinstance(texts[0], str) or not all(text is None or isinstance(text, str) for text in texts[1:]):
            raise TypeError(f"files hold {texts[0]!r} with texts that are none")
    _require_findings(event)
    return {}


def _require_findings(event: Event) -> None:
    if not all(isinstance(finding, Mapping) for finding in event.data.get("findings") or ()):
        raise TypeError("findings are no list of objects")


def _fix(_: Session, event: Event) -> dict[str, Any]:
    _require_findings(event)
    return {
        "fix_branch": _text(event.data["branch"]),
        "fix_commit": _text(event.data["commit"]),
        "pull_request": _text(event.data.get("pull_request")),
    }


def _verified(_: Session, event: Event) -> dict[str, Any]:
    """Changes no column; the record is read from it later."""
    if not isinstance(event.data["commit"], str):
        raise TypeError(f"commit is {event.data['commit']!r}; expected a text")
    for stage in event.data["stages"]:
        Stage.from_json(stage)
    return {}


def _note(session: Session, event: Event) -> dict[str, Any]:
    if event.actor == SERVER:
        return {"summary": _text(event.data["message"])}
    if session.state is State.DONE:
        return {"state": State.OPEN, "outcome": None}
    return {}


def _question(_: Session, event: Event) -> dict[str, Any]:
    return {"asked_at": event.at}


def _parked(session: Session, event: Event) -> dict[str, Any]:
    waiting_for = WaitFor(event.data["waiting_for"])
    asked_at = session.asked_at or (event.at if waiting_for is WaitFor.PERSON else None)
    return {"state": State.WAITING, "waiting_for": waiting_for, "asked_at": asked_at}


def _finished(session: Session, event: Event) -> dict[str, Any]:
    return {
        "state": State.DONE,
        "waiting_for": None,
        "asked_at": None,
        "outcome": Outcome(event.data["outcome"]),
        "verdict": _text(event.data.get("verdict"), _VERDICT_CHARS) or session.verdict,
        "summary": _text(event.data["summary"]),
    }


def _erased(_: Session, __: Event) -> dict[str, Any]:
    return {"cause": None, "summary": None}


_FOLDS: Mapping[EventKind, Callable[[Session, Event], dict[str, Any]]] = {
    EventKind.CLAIMED: _claimed,
    EventKind.INCIDENT: _incident,
    EventKind.NEW_TRANSCRIPT: _new_transcript,
    EventKind.MODEL: _model,
    EventKind.SPENT: _model,
    EventKind.PATCH: _patch,
    EventKind.FIX: _fix,
    EventKind.VERIFIED: _verified,
    EventKind.NOTE: _note,
    EventKind.QUESTION: _question,
    EventKind.PARKED: _parked,
    EventKind.FINISHED: _finished,
    EventKind.ERASED: _erased,
}


def _text(value: str | None, limit: int = 2000) -> str | None:
    """Text a column can hold: Postgres takes no NUL."""
    return value.replace("\0", "")[:limit] if value else None


# --- actors and workers ----------------------------------------------------------------------------------------------

SERVER = "server"
WORKER = "worker"


def worker_name(dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
    """A worker's name: the task instance that drives the session, so that a resumed or retried task is known again."""
    return f"{dag_id}/{run_id}/{task_id}/{try_number}"


def run_of(worker: str) -> tuple[str, str] | None:
    """The DAG and the run a worker belongs to; None for a name that is no task instance's."""
    ref = _worker(worker)
    return (ref.dag_id, ref.run_id) if ref else None


def takes_over(worker: str, holder: str) -> bool:
    """May `worker` take the session from `holder` at once? Airflow runs one try of a task at a time: a newer try, or the
    session's next run, means that the old process is dead; the same name is the same task resumed."""
    if worker == holder:
        return True
    new, old = _worker(worker), _worker(holder)
    if new is None or old is None or (new.dag_id, new.task_id) != (old.dag_id, old.task_id):
        return False
    if new.run_id == old.run_id:
        return new.try_number >= old.try_number
    (base, number), (old_base, old_number) = _numbered(new.run_id), _numbered(old.run_id)
    return base == old_base and number > old_number


def fix_run_id(session_id: str, number: int) -> str:
    """The run of agentfix_fix that works on a session for the `number`-th time."""
    return f"agentfix__{session_id}__{number}"


def _worker(name: str) -> TaskRef | None:
    parts = name.split("/")
    return TaskRef(parts[0], parts[1], parts[2], int(parts[3])) if len(parts) == 4 and parts[3].isdecimal() else None


def _numbered(run_id: str) -> tuple[str, int]:
    base, _, number = run_id.rpartition("__")
    return (base, int(number)) if base and number.isdecimal() else (run_id, 0)

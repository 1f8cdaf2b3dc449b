"""A session: an append-only list of events, a state, an outcome.

Invariant: events are never changed or reordered; the session's columns are a fold over them. What a session waits for is
read from its transcript (tool calls without results).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


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
    INCIDENT = "incident"
    MODEL = "model"
    INTENT = "intent"
    RESULT = "result"
    PATCH = "patch"
    FIX = "fix"
    NOTE = "note"
    QUESTION = "question"
    ANSWER = "answer"
    APPROVAL = "approval"
    RERUN = "rerun"
    PARKED = "parked"
    PIN_ENDED = "pin_ended"
    OCCURRENCE = "occurrence"
    STOP = "stop"
    FINISHED = "finished"
    ERASED = "erased"


WORKER_KINDS = frozenset(
    {EventKind.INCIDENT, EventKind.MODEL, EventKind.INTENT, EventKind.RESULT, EventKind.PATCH, EventKind.FIX}
)


@dataclass(frozen=True)
class Event:
    """One thing that happened. `at` is ISO 8601 in UTC; `actor` is `worker`, `server` or a person's user name.

    `data` by kind (all values JSON; everything redacted before it gets here):

    - created: {source, autonomy, requested_by}
    - incident: Incident.to_json() and {repository, base_commit} (null where the repository is not known, with `repository_error`)
    - model: {content: [content blocks as the Messages API has them], stop_reason, model, usage: {input_tokens, output_tokens,
      cache_read_input_tokens, cache_creation_input_tokens}, dollars, after: number of the last event the model had seen}
    - intent: {call_id, tool, input}: written before a tool with an effect acts
    - result: {call_id, tool, text, is_error}
    - patch: {files: [{path, before, after}]}: whole texts, before null for a new file, after null for a deleted one;
      {findings: [Finding as JSON], call_id}
    - fix: {branch, commit, base_commit, title, summary, diff, pull_request: url or null, findings, checks: [{name, ok, detail}],
      call_id}
    - note: {message}: what a person said
    - question: {question_id, call_id, about: question | approval, subject, body, options, commit, ask_run: {dag_id, run_id}}
    - answer: {question_id, decision, message, via: required_actions | api}
    - approval: {question_id or null, commit, decision: approve | reject, via: required_actions | api | waived}
    - rerun: {way, dag_id, run_id, commit, task_ids, original_version}
    - parked: {waiting_for, dag_id, run_id, call_id or null}
    - pin_ended: {run_id, version}
    - occurrence: {ref, run_id}
    - stop: {reason}
    - finished: {outcome, verdict, summary, error or null, report or null}
    """

    number: int
    kind: EventKind
    actor: str
    at: str
    data: Mapping[str, Any]


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
    last_event: int = 0
    usage: Usage = field(default_factory=Usage)

"""What was looked at of a fix, stage by stage, and what was not, with the reason. Pure: a session's events in, its record out.

Invariant: the record claims no more than an event says. A stage nobody wrote down was not run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from airflow_agentfix.core import transcript
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.stages import (
    AT_OPEN,
    ORDER,
    PULL_REQUEST,
    RERUN,
    RERUN_AND_AFTER,
    Stage,
    StageState,
    not_run,
)

__all__ = ["KINDS", "Stage", "StageState", "on_record", "record", "record_at_open", "told"]

KINDS = (
    EventKind.POLICY,
    EventKind.FIX,
    EventKind.VERIFIED,
    EventKind.QUESTION,
    EventKind.ANSWER,
    EventKind.APPROVAL,
    EventKind.RERUN,
    EventKind.RESULT,
    EventKind.FINISHED,
)
"""The kinds of events that a record is made of."""

_REASON_CHARS = 300
_BELOW_RERUN = ("report", "propose")

NOT_RECORDED = "it was not recorded"
NOBODY = "nobody approved running the commit before the question ended"
CHECK_BEFORE = "a check before it failed"
NOT_APPROVED = "nobody has approved running the commit yet, and nothing of it is executed before"


def record(events: Sequence[Event], *, now: Iterable[Stage] = (), because: str | None = None) -> tuple[Stage, ...]:
    """Every stage of the newest fix's commit, in order; empty where no fix is open.

    :param now: stages that are about to be recorded.
    :param because: why it goes no further, where the events do not say so yet.
    """
    fix = transcript.newest_fix(events)
    if fix is None or not fix.data.get("commit"):  # none, or erased
        return ()
    found = {**on_record(events, fix.data["commit"]), **_by_name(now)}
    return _whole(found, lambda name: _why_not(name, events, fix, because))


def record_at_open(events: Sequence[Event], stages: Iterable[Stage]) -> tuple[Stage, ...]:
    """The record that a fix is opened with, before it has a commit."""
    return _whole(_by_name(stages), lambda _: _autonomy(events) or NOT_APPROVED)


def on_record(events: Sequence[Event], commit: str) -> dict[str, Stage]:
    """What was recorded of a commit, by stage; the newest word on each."""
    found: dict[str, Stage] = {}
    for event in transcript.of_kind(events, EventKind.VERIFIED):
        if event.data.get("commit") == commit:
            found |= _by_name(map(Stage.from_json, event.data["stages"]))
    return found


def told(stages: Sequence[Stage]) -> str:
    """The record in a sentence or two: which stages passed, failed and were not run."""
    words = {StageState.PASSED: "Verified", StageState.FAILED: "Failed", StageState.NOT_RUN: "Not run"}
    named = {state: [stage.name for stage in stages if stage.state is state] for state in words}
    return " ".join(f"{words[state]}: {', '.join(names)}." for state, names in named.items() if names)


def _by_name(stages: Iterable[Stage]) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages}


def _whole(found: Mapping[str, Stage], why_not: Callable[[str], str]) -> tuple[Stage, ...]:
    stages = [found.get(name) or not_run(name, why_not(name)) for name in ORDER]
    request = found.get(PULL_REQUEST)
    return (*stages, request) if request and request.state is not StageState.PASSED else tuple(stages)


# --- why a stage was not run -----------------------------------------------------------------------------------------


def _why_not(name: str, events: Sequence[Event], fix: Event, because: str | None) -> str:
    """The nearest reason: what ended the way to it, else what it still waits for."""
    if name in AT_OPEN:
        return NOT_RECORDED
    since = [event for event in events if event.number > fix.number]
    started = any(e.kind is EventKind.RERUN and e.data.get("commit") == fix.data["commit"] for e in since)
    if started:
        return because or _of_rerun(name, on_record(events, fix.data["commit"]).get(RERUN), since)
    stopped = _failed_before(events, name) or _no_rerun(since)
    reasons = (because, stopped, _refused(since, fix), _autonomy(events), _ended(since))
    return next((reason for reason in reasons if reason), None) or _waits_for(since, fix)


def _of_rerun(name: str, rerun: Stage | None, since: Sequence[Event]) -> str:
    """Why a stage was not run although there was a rerun."""
    if name not in RERUN_AND_AFTER or (rerun and rerun.state is not StageState.NOT_RUN):
        return NOT_RECORDED
    return "the rerun gave no result" if rerun else _ended(since) or "the rerun was started and has not ended"


def _failed_before(events: Sequence[Event], name: str) -> str | None:
    """The fix was judged without a rerun, for a check; which one the rerun's own reason says."""
    return CHECK_BEFORE if name != RERUN and transcript.rerun_result(events) else None


def _refused(since: Sequence[Event], fix: Event) -> str | None:
    """Who said no to running the commit; or that nobody said anything until the question ended."""
    for event in reversed(since):
        if event.kind is EventKind.APPROVAL and event.data.get("commit") == fix.data["commit"]:
            return f"{event.actor} rejected running the commit" if event.data.get("decision") == "reject" else None
    questions = transcript.of_kind(since, EventKind.QUESTION)
    asked = {event.data.get("question_id") for event in questions if event.data.get("about") == "approval"}
    answers = [event for event in transcript.of_kind(since, EventKind.ANSWER) if event.data.get("question_id") in asked]
    return NOBODY if answers and answers[-1].data.get("decision") == "nobody" else None


def _no_rerun(since: Sequence[Event]) -> str | None:
    """What the newest attempt to rerun it was told."""
    told = [e for e in transcript.of_kind(since, EventKind.RESULT) if e.data.get("tool") == "rerun"]
    if not told or not told[-1].data.get("is_error"):
        return None
    line = " ".join(str(told[-1].data.get("text") or "").split())
    return f"no rerun: {line if len(line) <= _REASON_CHARS else line[: _REASON_CHARS - 1] + '…'}"


def _autonomy(events: Sequence[Event]) -> str | None:
    policy = transcript.last(events, EventKind.POLICY)
    autonomy = (policy.data.get("policy") or {}).get("autonomy") if policy else None
    return f"autonomy is {autonomy}: nothing of the fix is executed" if autonomy in _BELOW_RERUN else None


def _ended(since: Sequence[Event]) -> str | None:
    end = transcript.last(since, EventKind.FINISHED)
    return f"the session ended before ({end.data.get('outcome') or 'erased'})" if end else None


def _waits_for(since: Sequence[Event], fix: Event) -> str:
    approved = any(e.kind is EventKind.APPROVAL and e.data.get("commit") == fix.data["commit"] for e in since)
    return "the commit is approved, and it was not run yet" if approved else NOT_APPROVED

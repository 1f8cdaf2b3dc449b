"""The loop: one step after the other, each saved before the next, until the session waits or ends.

A step is the next unanswered tool call, else the end that the events ask for, else one model call. Because a step reads nothing
but events, a worker that takes the session over goes on where the last one was; what was under way is done again, and tools
with an effect are written so that doing them again changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from airflow_agentfix.agent.case import Case, Done, Ending, Recorded
from airflow_agentfix.agent.journal import Journal, Stopped
from airflow_agentfix.agent.prompt import system_prompt
from airflow_agentfix.agent.reporting import done_so_far
from airflow_agentfix.agent.toolbox import EFFECTS, use_tool
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.core import transcript
from airflow_agentfix.core.basis import Basis, basis_of
from airflow_agentfix.core.budget import exceeded, minutes_at_work, usage_of
from airflow_agentfix.core.prose import prose
from airflow_agentfix.core.session import EventKind, Outcome, Session, State
from airflow_agentfix.core.summary import so_far, summary
from airflow_agentfix.core.transcript import Call
from airflow_agentfix.errors import (
    AirflowError,
    AirflowUnreachable,
    CodeError,
    ConfigurationError,
    ModelError,
    ModelRefused,
    ModelUnavailable,
    RepositoryUnreachable,
)
from airflow_agentfix.ports import Model, ModelRequest, ToolSchema, WaitRun

log = logging.getLogger(__name__)

AGAIN_MAY_HELP = (AirflowUnreachable, RepositoryUnreachable, ModelUnavailable)
IDLE_TURNS = 2
"""turns in a row without a tool call: one reminder, then the end"""
NOT_OURS = (AirflowError, CodeError, ConfigurationError, ModelError)
"""What the model cannot mend and no bug of ours is: the session ends as failed with its message. All else is raised."""


@dataclass(frozen=True)
class Work:
    """What the loop runs on."""

    case: Case
    make_model: Callable[[], Model]
    journal: Journal
    clock: Callable[[], datetime]
    tools: tuple[ToolSchema, ...] = TOOLS
    unpaid: str | None = None
    """see ports.Claim"""

    @cached_property
    def model(self) -> Model:
        """Made when it is first asked: a worker that only goes on with a rerun pays for no client of a model."""
        return self.make_model()


def run(work: Work) -> WaitRun | Session:
    """Step until the session waits (it is parked then) or ends. One that is done already is given back."""
    if work.journal.session.state is State.DONE:
        return work.journal.session
    try:
        work.journal.heed_stop()
        while (end := step(work)) is None:
            pass
        if isinstance(end, WaitRun):
            return work.journal.park(end)
    except Stopped as stop:
        end = _ending(work, Outcome.STOPPED, str(stop))
    except ModelRefused as error:
        end = _ending(work, Outcome.GAVE_UP, str(error))
    except AGAIN_MAY_HELP:
        raise  # the driver knows whether another worker will try
    except NOT_OURS as error:
        log.warning("Session %s failed: %s", work.case.session_id, work.case.redact(str(error)))
        end = _ending(work, Outcome.FAILED, str(error), error=f"{type(error).__name__}: {error}")
    return work.journal.finish(end)


def step(work: Work) -> WaitRun | Ending | None:
    """One step, saved. None: there is more to do."""
    if calls := transcript.pending(work.journal.events):
        return _use(work, calls[0])
    if (end := _conclusion(work)) is not None:
        return end
    _ask(work)
    return None


def _use(work: Work, call: Call) -> WaitRun | Ending | None:
    """Run one tool call: intent before an effect, result after."""
    journal = work.journal
    if call.name in EFFECTS and not journal.has_intent(call.id):
        journal.append((EventKind.INTENT, {"call_id": call.id, "tool": call.name, "input": call.input}))
    given = use_tool(call, work.case, journal.events)
    if isinstance(given, Done):
        result = {"call_id": call.id, "tool": call.name, "text": given.text, "is_error": given.is_error}
        journal.append(*given.events, (EventKind.RESULT, result))
        return None
    if isinstance(given, Recorded):
        journal.append(*given.events)
        return None
    return given


def _ask(work: Work) -> None:
    """One model call, saved with the number of the last event it had seen: later notes belong after it."""
    case, journal = work.case, work.journal
    system = system_prompt(case.policy, case.skills, has_code=case.code is not None)
    basis = basis_of(model=work.model.name, tools=map(vars, work.tools), prompt=system)
    _begin_anew_if_changed(work, basis)
    seen = journal.last
    request = ModelRequest(
        system=system,
        tools=work.tools,
        messages=transcript.messages(journal.events),
        incident=case.incident,
        so_far=so_far(journal.events),
    )
    try:
        turn = work.model.reply(request)
    except ModelError as error:
        journal.append((EventKind.SPENT, _spent(work, error)))
        raise
    data = {
        "content": transcript.own_ids(turn.content, journal.events),
        "stop_reason": turn.stop_reason,
        "model": turn.model,
        "usage": turn.usage,
        "dollars": turn.dollars,
    }
    journal.append((EventKind.MODEL, {**data, "after": seen, "basis": basis.to_json()}))


def _begin_anew_if_changed(work: Work, basis: Basis) -> None:
    """Where the conversation so far rests on another model, other tools or another prompt, it goes on from a summary."""
    before = transcript.basis(work.journal.events)
    because = before.changed(basis) if before else ()
    if before is None or not because:
        return
    log.info("Session %s: new transcript from a summary; changed: %s", work.case.session_id, ", ".join(because))
    text = summary(work.journal.events, because=because, redact=work.case.redact)
    changed = {"because": list(because), "before": before.to_json(), "basis": basis.to_json(), "text": text}
    work.journal.append((EventKind.NEW_TRANSCRIPT, changed))


def _spent(work: Work, error: ModelError) -> dict[str, Any]:
    """A call that gave no turn is on record and counts as one: a model that only fails must not be asked for ever."""
    reason = work.case.redact(f"{type(error).__name__}: {error}")
    return {"model": work.model.name, "usage": dict(error.usage or {}), "dollars": error.dollars, "reason": reason}


def _conclusion(work: Work) -> Ending | None:
    """The end that what happened so far asks for: a refusal, turns that lead nowhere, a budget that is used up."""
    events = transcript.since_finished(work.journal.events)
    turn = transcript.last(events, EventKind.MODEL)
    if turn is not None and turn.data["stop_reason"] == "refusal":
        return _ending(work, Outcome.GAVE_UP, "The model declined to go on.")
    if transcript.idle_turns(events) >= IDLE_TURNS:
        return _ending(work, Outcome.GAVE_UP, "The model ended its turn without a report, twice.")
    all_events = work.journal.events
    minutes = minutes_at_work(all_events, work.clock())
    if (limit := exceeded(usage_of(all_events), work.case.policy, minutes=minutes)) is not None:
        return _ending(work, Outcome.OVER_BUDGET, limit)
    if work.unpaid and work.model.costs:
        return _ending(work, Outcome.OVER_BUDGET, f"No model was asked. {work.unpaid}")
    return None


def _ending(work: Work, outcome: Outcome, reason: str, *, error: str | None = None) -> Ending:
    """An end without a report: the reason, what was done, what the model found so far."""
    events = work.journal.events
    said = transcript.said(events)
    redact = work.case.redact
    summary = redact(prose(reason, done_so_far(events), f"Findings so far: {said}" if said else None))
    return Ending(outcome, summary, work.case.incident.judgement.verdict, error=redact(error) if error else None)

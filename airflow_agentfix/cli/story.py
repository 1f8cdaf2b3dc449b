"""What a session did, as one value: the fold of its events that `show` prints and the demo ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from airflow_agentfix.core import verification
from airflow_agentfix.core.session import Event, EventKind, Session


def story_of(session: Session, events: Sequence[Event], budget: Mapping[str, Any], *, page: str | None = None) -> dict[str, Any]:
    """The whole story as plain JSON values; parts that did not happen are null or empty. `page`: where a person sees it."""
    finished = _last(events, EventKind.FINISHED) or {}
    return {
        "session": session.to_json(),
        "page": page,
        "policy": _last(events, EventKind.POLICY),
        "incident": _incident(events),
        "fix": _last(events, EventKind.FIX),
        "questions": _questions(events),
        "approvals": [_with_actor(event) for event in events if event.kind == EventKind.APPROVAL],
        "verification": [stage.to_json() for stage in verification.record(events)],
        "rerun": _last(events, EventKind.RERUN),
        "pin_ended": _last(_since(events, EventKind.RERUN), EventKind.PIN_ENDED),
        "recovery": _recovery(events),
        "occurrences": [str(event.data.get("ref") or "(erased)") for event in events if event.kind == EventKind.OCCURRENCE],
        "report": finished.get("report"),
        "error": finished.get("error"),
        "cost": {**asdict(session.usage), "model": session.model, "seconds": seconds_of(session, events)},
        "budget": budget,
        "events": [event.to_json() for event in events],
    }


def seconds_of(session: Session, events: Sequence[Event]) -> float:
    """From the session's creation to its end, or to its last event while it has none."""
    end = next((event.at for event in reversed(events) if event.kind == EventKind.FINISHED), session.updated_at)
    return round((datetime.fromisoformat(end) - datetime.fromisoformat(session.created_at)).total_seconds(), 1)


def pending_question(story: dict[str, Any]) -> dict[str, Any] | None:
    """The newest question nobody has answered."""
    return next((question for question in reversed(story["questions"]) if question["answer"] is None), None)


def _incident(events: Sequence[Event]) -> dict[str, Any] | None:
    """Without the evidence text: `context` prints it, and the events hold it."""
    incident = _last(events, EventKind.INCIDENT)
    return incident and {key: value for key, value in incident.items() if key != "text"}


def _questions(events: Sequence[Event]) -> list[dict[str, Any]]:
    answers = {event.data["question_id"]: _with_actor(event) for event in events if event.kind == EventKind.ANSWER}
    decided = {event.data.get("question_id"): _with_actor(event) for event in events if event.kind == EventKind.APPROVAL}
    asked = [dict(event.data) for event in events if event.kind == EventKind.QUESTION]
    return [{**one, "answer": answers.get(one["question_id"]) or decided.get(one["question_id"])} for one in asked]


def _recovery(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The newest word on each run."""
    told = (event.data for event in events if event.kind == EventKind.RECOVERY and event.data.get("run_id"))
    return [*{one["run_id"]: dict(one) for one in told}.values()]


def _last(events: Sequence[Event], kind: EventKind) -> dict[str, Any] | None:
    return next((dict(event.data) for event in reversed(events) if event.kind == kind), None)


def _since(events: Sequence[Event], kind: EventKind) -> Sequence[Event]:
    """The events after the last one of that kind; none without one."""
    at = next((index for index in reversed(range(len(events))) if events[index].kind == kind), len(events))
    return events[at + 1 :]


def _with_actor(event: Event) -> dict[str, Any]:
    return {**event.data, "actor": event.actor, "at": event.at}

"""What the demo says about each event of a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_agentfix.core.session import Event, EventKind

Data = Mapping[str, Any]


def narrate(event: Event) -> str | None:
    """A sentence or two for a person watching; None for what only a machine needs."""
    teller = _TELLERS.get(EventKind(event.kind))
    return teller(event.data) if teller else None


def _incident(data: Data) -> str:
    judgement = data["judgement"]
    frames = [frame for frame in data["cause"]["frames"] if frame["user"]]
    where = [f"  at {_short(frame['file'])}:{frame['line']} in {frame['function']}" for frame in frames[-2:]]
    verdict = f"verdict by rules: {judgement['verdict']} ({judgement['confidence']:.0%}): {judgement['reason']}"
    victims = f"; victims: {', '.join(data['victims'])}" if data["victims"] else ""
    return "\n".join(
        [f"Evidence: {data['cause']['line']}", *where, f"first failed: {', '.join(data['first_failed'])}{victims}", verdict]
    )


def _short(path: str) -> str:
    return "/".join(path.split("/")[-2:])


def _model(data: Data) -> str | None:
    said = " ".join(block["text"] for block in data["content"] if block["type"] == "text").strip()
    calls = ", ".join(block["name"] for block in data["content"] if block["type"] == "tool_use")
    return f"{data['model']}: {said or 'next'}" + (f"  → {calls}" if calls else "")


def _patch(data: Data) -> str:
    return f"Changed in the working copy: {', '.join(file['path'] for file in data['files'])}; gates passed"


def _fix(data: Data) -> str:
    return f"Fix on branch {data['branch']} at {data['commit'][:12]}; the base branch is untouched"


def _approval(data: Data) -> str:
    how = "waived by this deployment's policy" if data["via"] == "waived" else f"given ({data['via']})"
    return f"Approval of {data['commit'][:12]}: {how}"


def _rerun(data: Data) -> str:
    if data["way"] != "pin":
        return f"Rerun ({data['way']}): run {data['run_id']} of {data['dag_id']}; {data['reason']}"
    return f"Rerun (pin): the failed run is on the fix commit; cleared: {', '.join(data['task_ids'])}"


def _parked(data: Data) -> str:
    return f"The session waits for {data['waiting_for']}, without a worker slot"


def _finished(data: Data) -> str:
    return f"Session done: {data['outcome']}"


_TELLERS: Mapping[EventKind, Callable[[Data], str | None]] = {
    EventKind.CREATED: lambda data: f"Session opened, by {data['source']}",
    EventKind.INCIDENT: _incident,
    EventKind.MODEL: _model,
    EventKind.PATCH: _patch,
    EventKind.FIX: _fix,
    EventKind.APPROVAL: _approval,
    EventKind.RERUN: _rerun,
    EventKind.PARKED: _parked,
    EventKind.FINISHED: _finished,
}

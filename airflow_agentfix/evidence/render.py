"""The evidence as one compact text: facts with ids `E<n>`, then the log's lines with ids `L<n>`.

Invariants: the whole text is redacted before it is cut; every cut is marked with how to get the rest; it stays in its budget.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix.core.incident import Frame, Incident, RootCause

Redact = Callable[[str], str]
LogText = Callable[[int], str]
"""The log's rendering within so many characters, redacted"""

FACT_CHARS = 900
VALUE_CHARS = 4_000
DEPTH = 20
"""of a value that is kept as it is: deeper ones become text, which every reader can take"""
_NAMED = 20
_FRAMES = 12


@dataclass(frozen=True)
class Extra:
    """What the text tells beside the incident's own fields."""

    usual_duration: str | None = None
    edges: Mapping[str, Sequence[str]] | None = None
    log_gone: str | None = None
    """why there is no log to read, None where there is one"""


def render(incident: Incident, extra: Extra, *, log: LogText, redact: Redact, budget_chars: int) -> str:
    """At most `budget_chars`: the facts, which are short, and of the log what the rest holds."""
    facts = redact("\n".join(f"E{number}\t{_one_line(fact)}" for number, fact in enumerate(_facts(incident, extra), 1)))
    facts = _first_lines(facts, budget_chars * 2 // 3)
    left = budget_chars - len(facts) - 2
    if extra.log_gone or left < 200:
        return facts
    return f"{facts}\n\n{log(left)}"


def redacted_cause(cause: RootCause, redact: Redact) -> RootCause:
    """Line, message and context redacted together, for a secret may span the context's lines."""
    texts = redact("\n".join(text.replace("\n", " ") for _, text in cause.context)).split("\n") if cause.context else []
    return RootCause(
        line=redact(cause.line),
        message=redact(cause.message),
        exception=cause.exception,
        frames=tuple(_redacted_frame(frame, redact) for frame in cause.frames),
        notes=tuple(redact(note) for note in cause.notes),
        context=tuple((number, text) for (number, _), text in zip(cause.context, texts, strict=True)),
    )


def redacted_values(values: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    """Rendered fields or a conf, redacted as text so that a key gives its value away; cut where it is too long."""
    try:
        text = redact(json.dumps(values, default=str, ensure_ascii=False))
    except RecursionError:
        return {"cut": "nested too deep to be shown; look in Airflow"}
    if len(text) > VALUE_CHARS:
        return {"cut": f"{text[:VALUE_CHARS]} …{len(text) - VALUE_CHARS} more characters in Airflow"}
    try:
        found = json.loads(text)
    except ValueError:
        return {"redacted": text}
    return found if isinstance(found, dict) and not _is_deep(found) else {"redacted": text}


def _is_deep(value: Any, left: int = DEPTH) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left == 0 or any(_is_deep(part, left - 1) for part in parts)


def _facts(incident: Incident, extra: Extra) -> Iterator[str]:
    ref, task, run, dag, cause, judgement = (
        incident.ref, incident.task, incident.run, incident.dag, incident.cause, incident.judgement
    )  # fmt: skip
    yield f"failed: {ref} (of {task.max_tries + 1}), operator {task.operator}, state {task.state}"
    yield f"root cause: {cause.line or 'the log states none'}"
    if len(cause.message) > len(cause.line):
        yield f"message: {cause.message}"
    yield from (f"note: {note}" for note in cause.notes)
    yield from _frames(cause.frames)
    resting = f" [{', '.join(judgement.evidence)}]" if judgement.evidence else ""
    yield f"verdict by rules: {judgement.verdict}, confidence {judgement.confidence:.2f}: {judgement.reason}{resting}"
    if judgement.owner_action:
        yield f"owner action: {judgement.owner_action}"
    if extra.log_gone:
        yield f"log: {extra.log_gone}"
    yield _times(incident, extra)
    yield f"first failed in this run: {_some(incident.first_failed)}; victims of {ref.task_id}: {_some(incident.victims)}"
    if extra.edges is not None:
        above = [other for other, below in extra.edges.items() if ref.task_id in below]
        yield f"upstream: {_some(above)}; downstream: {_some(extra.edges.get(ref.task_id, ()))}"
    yield f"run: {run.run_type}, {run.state}, logical date {run.logical_date}, started {run.start_date}, conf {_json(run.conf)}"
    yield (
        f"DAG: file {dag.file}, bundle {dag.bundle_name}, code version of the run {run.bundle_version}, newest "
        f"{dag.bundle_version}, DAG version {task.dag_version}, owners {_some(dag.owners)}, tags {_some(dag.tags)}"
        + (", PAUSED" if dag.is_paused else "")
    )
    if task.rendered_fields:
        yield f"rendered fields: {_json(task.rendered_fields)}"


def _frames(frames: Sequence[Frame]) -> Iterator[str]:
    """The innermost last, as a traceback has it; of a long one the innermost."""
    user = [frame for frame in frames if frame.user]
    if len(user) > _FRAMES:
        yield f"{len(user) - _FRAMES} outer frames of user code left out; read_log grep=Traceback shows them"
    for frame in user[-_FRAMES:]:
        code = f": {frame.code.strip()}" if frame.code else ""
        yield f"in user code: {frame.file}:{frame.line} in {frame.function}{code}"


def _times(incident: Incident, extra: Extra) -> str:
    task = incident.task
    took = "-" if task.duration is None else f"{task.duration:.1f} s"
    usual = f" ({extra.usual_duration})" if extra.usual_duration else ""
    return (
        f"times: started {task.start_date}, ended {task.end_date}, took {took}{usual}; host {task.hostname or '-'}, "
        f"pool {task.pool}, queue {task.queue}"
    )


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return (", ".join(listed[:_NAMED]) or "none") + more


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, default=str, ensure_ascii=False)


def _one_line(fact: str) -> str:
    text = " ⏎ ".join(part.rstrip() for part in fact.splitlines()) or fact
    if len(text) <= FACT_CHARS:
        return text
    return f"{text[:FACT_CHARS]} …{len(text) - FACT_CHARS} more characters; read_log or get_history show more"


def _redacted_frame(frame: Frame, redact: Redact) -> Frame:
    return Frame(frame.file, frame.line, frame.function, frame.user, redact(frame.code) if frame.code else frame.code)


def _first_lines(text: str, budget: int) -> str:
    if len(text) <= budget:
        return text
    lines = text.split("\n")
    kept: list[str] = []
    size = 60
    for line in lines:
        size += len(line) + 1
        if size > budget:
            break
        kept.append(line)
    return "\n".join([*kept, f"… {len(lines) - len(kept)} facts left out for want of room"])

"""The evidence as one compact text: facts with ids `E<n>`, source as `S<n>` with line numbers, the log's lines as `L<n>`.

Invariants: the whole text is redacted before it is cut; every cut is marked with how to get the rest; it stays in its budget.
The cause comes first and is cut last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from airflow_agentfix.core.circumstances import Excerpt
from airflow_agentfix.core.incident import Frame, Incident
from airflow_agentfix.evidence.surroundings import surroundings

Redact = Callable[[str], str]
LogText = Callable[[int], str]
"""The log's rendering within so many characters, redacted"""

CHARS_PER_TOKEN = 3
"""how budgets in tokens are counted: logs and ids have 3 to 4 characters a token, so this promises too little, never too much"""
FACT_CHARS = 900
_FRAMES = 12
_CAUSE_SHARE, _SOURCE_SHARE, _LOG_SHARE = 0.45, 0.25, 0.25
"""of the budget: at most for the cause, at most for source, at least for the log; what stood around has the rest"""


@dataclass(frozen=True)
class Extra:
    """What the text tells beside the incident's own fields."""

    edges: Mapping[str, Sequence[str]] | None = None
    failed: Sequence[str] = ()
    """every task of the run that failed, the first ones too"""
    log_gone: str | None = None
    """why there is no log to read, None where there is one"""


def render(incident: Incident, extra: Extra, *, log: LogText, redact: Redact, budget_chars: int) -> str:
    """At most `budget_chars`: the cause, its source, what stood around it, and of the log what the rest holds."""
    # the first two facts, and the mark, fit in the cause's share whatever the length of ids and cause
    cause = [_one_line(fact, min(FACT_CHARS, budget_chars // 7)) for fact in _cause(incident, extra)]
    around = [_one_line(fact) for fact in surroundings(incident, extra.edges, extra.failed)]
    sections = _redacted_together((_numbered(cause, 1), _source(incident), _numbered(around, len(cause) + 1)), redact)
    told = _cut(sections[0], int(budget_chars * _CAUSE_SHARE) if budget_chars > 2_000 else budget_chars * 2 // 3, _FACTS_LEFT_OUT)
    source = _cut(sections[1], int(budget_chars * _SOURCE_SHARE), _SOURCE_LEFT_OUT)
    kept_for_log = 0 if extra.log_gone else int(budget_chars * _LOG_SHARE)
    left = budget_chars - len(told) - len(source) - kept_for_log - 6
    parts = [told, source, _cut(sections[2], left, _FACTS_LEFT_OUT)]
    left = budget_chars - sum(len(part) + 2 for part in parts if part)
    if not extra.log_gone and left >= 200:
        parts.append(log(left))
    return "\n\n".join(part for part in parts if part)


_FACTS_LEFT_OUT = "… {count} facts left out for want of room; agentfix context with a larger --budget, or --json, has them"
_SOURCE_LEFT_OUT = "… {count} lines of source left out for want of room; read_file has them"


def _redacted_together(sections: Sequence[str], redact: Redact) -> list[str]:
    """A secret may span facts; redaction keeps the number of lines, by which the sections are told apart again."""
    lines = redact("\n".join(sections)).split("\n")
    found = []
    for section in sections:
        size = section.count("\n") + 1
        found.append("\n".join(lines[:size]))
        lines = lines[size:]
    return found


def _numbered(facts: Iterable[str], first: int) -> str:
    return "\n".join(f"E{number}\t{fact}" for number, fact in enumerate(facts, first))


def _cause(incident: Incident, extra: Extra) -> Iterator[str]:
    task, cause, judgement = incident.task, incident.cause, incident.judgement
    yield f"failed: {incident.ref} (of {task.max_tries + 1}), operator {task.operator}, state {task.state}"
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


def _frames(frames: Sequence[Frame]) -> Iterator[str]:
    """The innermost last, as a traceback has it; of a long one the innermost."""
    user = [frame for frame in frames if frame.user]
    if len(user) > _FRAMES:
        yield f"{len(user) - _FRAMES} outer frames of user code left out; read_log grep=Traceback shows them"
    for frame in user[-_FRAMES:]:
        code = f": {frame.code.strip()}" if frame.code else ""
        yield f"in user code: {frame.file}:{frame.line} in {frame.function}{code}"


def _source(incident: Incident) -> str:
    return "\n".join(line for number, one in enumerate(incident.circumstances.source, 1) for line in _excerpt(number, one))


def _excerpt(number: int, excerpt: Excerpt) -> Iterator[str]:
    """A head that names the file, then its lines: cited as path:line."""
    which = "as it ran" if excerpt.exact else "the base branch when the run started; what ran is not known"
    yield f"S{number}\t{excerpt.path} at {excerpt.commit[:10]}, {which}"
    yield from (f"{line}\t{text}" for line, text in enumerate(excerpt.lines, excerpt.first))


def _one_line(fact: str, most: int = FACT_CHARS) -> str:
    text = " ⏎ ".join(part.rstrip() for part in fact.splitlines()) or fact
    if len(text) <= most:
        return text
    return f"{text[:most]} …{len(text) - most} more characters; read_log, or the task in Airflow, shows more"


def _cut(text: str, budget: int, mark: str) -> str:
    """Whole lines within the budget, and a mark that says how many are left out; nothing where not even that has room."""
    if len(text) <= budget:
        return text
    lines = text.split("\n")
    kept: list[str] = []
    size = len(mark) + 8
    for line in lines:
        size += len(line) + 1
        if size > budget:
            break
        kept.append(line)
    said = mark.format(count=len(lines) - len(kept))
    return "\n".join([*kept, said]) if len(said) <= budget else ""

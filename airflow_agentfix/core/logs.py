"""A log's root cause and a rendering of what matters in it, in one pass and bounded memory.

The first *real* cause: not the wrapper that says a command failed, not what a callback raised afterwards, not errors that
were handled before. Whole lines are selected, then redacted (by the caller's function), then cut; every cut is marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from airflow_agentfix.core import log_signs as signs
from airflow_agentfix.core.incident import RootCause
from airflow_agentfix.core.log_chunks import Totals, relevant
from airflow_agentfix.core.log_lines import rows
from airflow_agentfix.core.log_reading import grep_lines as grep_lines
from airflow_agentfix.core.log_reading import shown as shown
from airflow_agentfix.core.log_render import LINE_CHARS, Selected, rendered, selection, trimmed
from airflow_agentfix.core.log_scan import Candidate, Scan, rank
from airflow_agentfix.core.tracebacks import (
    TRACEBACK,
    Link,
    frames_of,
    is_general,
    is_vague,
    is_wrapper,
    names_exception,
    root_of,
)

MESSAGE_CHARS = 4_000
CAUSE_CHARS = 400
"""A cause is one line that a person reads; of a longer one, its beginning."""
NEAR_ROWS = 3


@dataclass(frozen=True)
class Distilled:
    """What a log says. `text` is unredacted: use `render(distilled, redact=…)` for what leaves the process.

    `cut`: how many lines of the log the text leaves out.
    """

    cause: RootCause
    text: str
    lines: int
    bytes: int
    cut: int
    selection: tuple[Selected, ...] = field(default=(), repr=False)
    """(priority, (line number, text)) in the log's order; 0 goes first"""


def distill(lines: Iterable[bytes], *, max_chars: int = 16_000) -> Distilled:
    """Read a log once; its root cause and a rendering of at most `max_chars` characters."""
    totals, scan = Totals(), Scan()
    for number, raw in relevant(lines, totals):
        scan.feed(number, raw)
    scan.finish()
    found, cause = _decide(scan)
    distilled = Distilled(cause, "", totals.lines, totals.bytes, 0, selection(scan, found, cause))
    text, shown = _render(distilled, redact=None, max_chars=max_chars)
    return replace(distilled, text=text, cut=max(0, totals.lines - shown))


def render(distilled: Distilled, *, redact: Callable[[str], str], max_chars: int) -> str:
    """The selection, redacted as a whole (a secret may span lines), then cut to `max_chars`."""
    return _render(distilled, redact=redact, max_chars=max_chars)[0]


def _render(distilled: Distilled, *, redact: Callable[[str], str] | None, max_chars: int) -> tuple[str, int]:
    cause, lines = distilled.cause.line, distilled.lines
    return rendered(distilled.selection, cause=cause, lines=lines, redact=redact, max_chars=max_chars)


# --- which candidate -------------------------------------------------------------------------------------------------


def _decide(scan: Scan) -> tuple[Candidate | None, RootCause]:
    failure = scan.end.failure if scan.end else None
    if failure is not None and _is_cause(failure):
        if printed := _printed_instead(scan, failure):
            return printed, _cause_of(printed)
        cause = _cause_of(failure)
        killed = failure.killed or "SIGTERM" in cause.line
        reason = _reason_of_kill(scan, failure) if killed else _told_before(scan, failure) or _told_by_cluster(scan, failure)
        return (reason, _cause_of(reason)) if reason else (failure, cause)
    inside = _inside_wrapper(failure) if failure else None
    best = _best(scan, failure)
    if inside and (best is None or best.weight < signs.KILL_WEIGHT):
        return failure, inside
    job = _told_by_job(scan) if failure is None and not (best and (best.chain or best.weight >= signs.NAMED_WEIGHT)) else None
    chosen = job or best or _last_output(scan) or failure or scan.job or _last_line(scan)
    if chosen is None:
        return None, RootCause(line="", message="")
    return chosen, _cause_of(chosen)


def _is_cause(failure: Candidate) -> bool:
    if not failure.chain:
        return failure.killed
    return not failure.wraps and not _only_quotes(failure)


def _printed_instead(scan: Scan, failure: Candidate) -> Candidate | None:
    """A wrapper that was raised while something else was handled: what its command or container printed comes before that."""
    chain = failure.chain
    if len(chain) < 2 or not is_wrapper(chain[0]) or chain[1].explicit:
        return None
    best = _best(scan, failure)
    is_printed = best is not None and signs.OUTPUT_SOURCE.search(best.row.source) is not None
    return best if is_printed and best is not None and (best.chain or best.weight >= signs.NAMED_WEIGHT) else None


def _only_quotes(failure: Candidate) -> bool:
    """Whether a general type's message is the whole output of a command, which states the cause further down."""
    link = failure.chain[root_of(failure.chain)]
    first = link.message.strip().split("\n", 1)[0]
    return is_general(link) and not signs.weigh(first, "") and _inside_wrapper(failure) is not None


def _best(scan: Scan, failure: Candidate | None) -> Candidate | None:
    end = scan.end.number if scan.end else None
    ranked = [(rank(c, scan, end), c) for c in scan.candidates if c is not failure]
    ranked = [(rank, c) for rank, c in ranked if rank > (20 if scan.end else 0)]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _reason_of_kill(scan: Scan, failure: Candidate) -> Candidate | None:
    """A SIGTERM has a reason that was logged just before: another state, no heartbeat, out of memory."""
    near = [c for c in scan.candidates if c.killed and failure.number - c.number < 30 and "SIGTERM" not in c.line]
    return near[0] if near else None


def _told_before(scan: Scan, failure: Candidate) -> Candidate | None:
    """User code that logs the error and then raises `failed`: the cause is what it logged."""
    link = failure.chain[root_of(failure.chain)] if failure.chain else None
    if link is None or not is_vague(link):
        return None
    near = [c for c in scan.candidates if 0 <= failure.number - c.last <= NEAR_ROWS and c.weight >= signs.LEVEL_WEIGHT["error"]]
    told = [c for c in near if not c.wraps and (c.chain or len(c.line) > len(link.message))]
    return told[-1] if told else None


def _told_by_cluster(scan: Scan, failure: Candidate) -> Candidate | None:
    """Why a pod did not start is in its events, which the operator logs."""
    if not failure.chain or not failure.chain[root_of(failure.chain)].name.startswith("PodLaunch"):
        return None
    return next((c for c in reversed(scan.candidates) if signs.POD_EVENT.search(c.line)), None)


def _inside_wrapper(failure: Candidate) -> RootCause | None:
    """Some wrappers quote what they wrap: a pod's status, a job's error, the command's standard error."""
    if not failure.chain:
        return None
    link = failure.chain[root_of(failure.chain)]
    parts = [part.strip() for part in re.split(r"\n|\\n", link.message[: MESSAGE_CHARS * 4])][1:]
    for part in parts:
        if signs.KILLED.search(part) or signs.weigh(part, "") >= 70 or signs.NAMED_INSIDE.search(part):
            named = names_exception(part)
            message = named["message"] or part if named else part
            return _rooted(failure, part[:CAUSE_CHARS], message, named["type"] if named else None, ())
    return None


def _told_by_job(scan: Scan) -> Candidate | None:
    """The exception's message as the job runner repeats it, where that says more than that something failed."""
    if scan.job is None:
        return None
    said = Link("AirflowException", scan.job.line)
    return None if is_wrapper(said) or is_vague(said) else scan.job


def _last_output(scan: Scan) -> Candidate | None:
    """With no sign of an error, what the command said last."""
    for at, text in reversed(scan.output):
        if not signs.COMMAND_STARTS.match(text.strip()) and not signs.COMMAND_ENDED.match(text):
            return Candidate(at, 10, rows(at, text.encode())[0], [(at, text)], tuple(r for r in scan.output if r[0] < at))
    return None


def _last_line(scan: Scan) -> Candidate | None:
    if scan.end is not None:
        row = (scan.end.number, scan.end.text)
    else:
        row = next((r for r in reversed(scan.tail) if r[1].strip()), (0, ""))
    return Candidate(row[0], 0, rows(row[0], row[1].encode())[0], [row]) if row[1] else None


# --- the cause as a value --------------------------------------------------------------------------------------------


def _cause_of(candidate: Candidate) -> RootCause:
    if candidate.chain:
        return _cause_of_chain(candidate)
    line = _around_sign(candidate.line)[:CAUSE_CHARS]
    told = "\n".join(text.strip() for _, text in candidate.rows[candidate.states :])
    named = names_exception(line) or names_exception(re.sub(r"^(?:Caused by: |Exception in thread \"[^\"]*\" )", "", line))
    if candidate.states:
        told = f"{candidate.rows[candidate.states - 1][1].strip()}: {told}"
    message = (named["message"] or "") if named and not candidate.states else told
    return _rooted(candidate, line, message[:MESSAGE_CHARS], named["type"] if named else None, ())


def _cause_of_chain(candidate: Candidate) -> RootCause:
    root = root_of(candidate.chain)
    link = candidate.chain[root]
    line, message, name = link.headline, link.message, link.type
    if inner := _java_root(link) or _quoted_root(link):
        line, message, name = inner
    frames = frames_of(candidate.chain, root)
    rooted = _rooted(candidate, line[:CAUSE_CHARS], message[:MESSAGE_CHARS], name, link.notes)
    return replace(rooted, frames=frames)


def _java_root(link: Link) -> tuple[str, str, str] | None:
    """The last `Caused by:` of a Java exception that came through py4j."""
    if link.name != "Py4JJavaError":
        return None
    stated = [text.strip() for text in link.message.split("\n")]
    causes = [text.removeprefix("Caused by: ") for text in stated if text.startswith("Caused by: ")]
    causes = causes[-1:] or [text.removeprefix(": ") for text in stated if text.startswith(": ")][:1]
    named = names_exception(causes[0], strict=False) if causes else None
    return (causes[0], named["message"] or "", named["type"]) if named else None


def _quoted_root(link: Link) -> tuple[str, str, str] | None:
    """What a traceback inside the message ends with: a remote worker's, an earlier task's."""
    if TRACEBACK not in link.message[: MESSAGE_CHARS * 4]:
        return None
    quoted = link.message[: MESSAGE_CHARS * 4].partition(TRACEBACK)[2].split("\n")
    named = [match for line in quoted if (match := names_exception(line.strip()))]
    return (named[-1].group(0), named[-1]["message"] or "", named[-1]["type"]) if named else None


def _around_sign(line: str) -> str:
    """Of a line that is too long to be read, the part that begins with its sign of an error."""
    sign = signs.NAMED_INSIDE.search(line) if len(line) > CAUSE_CHARS else None
    return line[sign.start() :] if sign and sign.start() > CAUSE_CHARS // 2 else line


def _rooted(candidate: Candidate, line: str, message: str, exception: str | None, notes: tuple[str, ...]) -> RootCause:
    context = tuple((number, text[:LINE_CHARS]) for number, text in [*candidate.before[-6:], *trimmed(candidate.rows)])
    return RootCause(line=line, message=message, exception=exception, notes=notes, context=context)

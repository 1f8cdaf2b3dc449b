"""A log's root cause and a rendering of what matters in it, in one pass and bounded memory.

The first *real* cause: not the wrapper that says a command failed, not what a callback raised afterwards, not errors that
were handled before. Whole lines are selected, then redacted (by the caller's function), then cut; every cut is marked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from airflow_agentfix.core import log_signs as signs
from airflow_agentfix.core.incident import RootCause
from airflow_agentfix.core.log_lines import rows, unpacked
from airflow_agentfix.core.log_scan import Candidate, Scan, Totals, detail_rows, relevant
from airflow_agentfix.core.tracebacks import Link, frames_of, is_wrapper, names_exception, root_of

MESSAGE_CHARS = 4_000
LINE_CHARS = 2_000
CAUSE_CHARS = 400
"""A cause is one line that a person reads; of a longer one, its beginning."""

Row = tuple[int, str]


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
    selection: tuple[tuple[int, Row], ...] = field(default=(), repr=False)
    """(priority, (line number, text)) in the log's order; 0 goes first"""


def distill(lines: Iterable[bytes], *, max_chars: int = 16_000) -> Distilled:
    """Read a log once; its root cause and a rendering of at most `max_chars` characters."""
    totals, scan = Totals(), Scan()
    for number, raw in relevant(lines, totals):
        scan.feed(number, raw)
    scan.finish()
    found, cause = _decide(scan)
    distilled = Distilled(cause, "", totals.lines, totals.bytes, 0, _selection(scan, found, cause))
    text, shown = _render(distilled, redact=None, max_chars=max_chars)
    return replace(distilled, text=text, cut=max(0, totals.lines - shown))


def render(distilled: Distilled, *, redact: Callable[[str], str], max_chars: int) -> str:
    """The selection, redacted as a whole (a secret may span lines), then cut to `max_chars`."""
    return _render(distilled, redact=redact, max_chars=max_chars)[0]


# --- which candidate -------------------------------------------------------------------------------------------------


def _decide(scan: Scan) -> tuple[Candidate | None, RootCause]:
    failure = scan.end.failure if scan.end else None
    if failure is not None and _is_cause(failure):
        cause = _cause_of(failure)
        reason = _reason_of_kill(scan, failure) if failure.killed or "SIGTERM" in cause.line else None
        return (reason, _cause_of(reason)) if reason else (failure, cause)
    inside = _inside_wrapper(failure) if failure else None
    best = _best(scan, failure)
    if inside and (best is None or best.weight < signs.KILL_WEIGHT):
        return failure, inside
    chosen = best or _last_output(scan) or failure or _last_line(scan)
    if chosen is None:
        return None, RootCause(line="", message="")
    return chosen, _cause_of(chosen)


def _is_cause(failure: Candidate) -> bool:
    if not failure.chain:
        return failure.killed
    return not is_wrapper(failure.chain[root_of(failure.chain)])


def _best(scan: Scan, failure: Candidate | None) -> Candidate | None:
    end = scan.end.number if scan.end else None
    ranked = [(_rank(c, scan, end), c) for c in scan.candidates if c is not failure]
    ranked = [(rank, c) for rank, c in ranked if rank > (20 if scan.end else 0)]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _rank(candidate: Candidate, scan: Scan, end: int | None) -> float:
    """Weight, more for the failing command's own output, less the farther it is from the end."""
    rank = float(candidate.weight)
    last = end or (scan.tail[-1][0] if scan.tail else candidate.last)
    if candidate.chain and is_wrapper(candidate.chain[root_of(candidate.chain)]):
        rank -= 40
    if scan.command and candidate.row.source == scan.command[2] and candidate.last <= scan.command[0]:
        rank += signs.OUTPUT_BONUS
    distance = max(0, last - candidate.last)
    step = 30 if end else 400
    return rank - min(45, distance // step * 3) - (distance / 1e6 if candidate.chain else -distance / 1e6)


def _reason_of_kill(scan: Scan, failure: Candidate) -> Candidate | None:
    """A SIGTERM has a reason that was logged just before: another state, no heartbeat, out of memory."""
    near = [c for c in scan.candidates if c.killed and failure.number - c.number < 30 and "SIGTERM" not in c.line]
    return near[0] if near else None


def _inside_wrapper(failure: Candidate) -> RootCause | None:
    """Some wrappers quote what they wrap: a pod's status, a job's error, the command's standard error."""
    if not failure.chain:
        return None
    link = failure.chain[root_of(failure.chain)]
    parts = [part.strip() for part in re.split(r"\n|\\n", link.message[: MESSAGE_CHARS * 4])][1:]
    for part in parts:
        if signs.KILLED.search(part) or signs.weigh(part, "") >= 70:
            named = names_exception(part)
            message = named["message"] or part if named else part
            return _rooted(failure, part[:CAUSE_CHARS], message, named["type"] if named else None, ())
    return None


def _last_output(scan: Scan) -> Candidate | None:
    """With no sign of an error, what the command said last."""
    if scan.command is None:
        return None
    number = scan.command[0]
    for at, text in reversed(scan.output):
        if at < number and text.strip() and text.strip() != "Output:" and not text.startswith("Running command"):
            return Candidate(
                at, 10, next(iter(rows(at, text.encode()))), [(at, text)], tuple(r for r in scan.output if r[0] < at)
            )
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
    line = candidate.line[:CAUSE_CHARS]
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
    if inner := _java_root(link):
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


def _rooted(candidate: Candidate, line: str, message: str, exception: str | None, notes: tuple[str, ...]) -> RootCause:
    context = tuple((number, text[:LINE_CHARS]) for number, text in [*candidate.before[-6:], *_trimmed(candidate.rows)])
    return RootCause(line=line, message=message, exception=exception, notes=notes, context=context)


def _trimmed(block: Sequence[Row], keep: int = 40) -> list[Row]:
    return list(block) if len(block) <= keep else [*block[: keep // 4], *block[-(keep - keep // 4) :]]


# --- the selection and its rendering ---------------------------------------------------------------------------------


def _selection(scan: Scan, found: Candidate | None, cause: RootCause) -> tuple[tuple[int, Row], ...]:
    chosen: dict[tuple[int, int], tuple[int, str]] = {}

    def take(block: Iterable[Row], priority: int) -> None:
        seen: dict[int, int] = {}
        for number, text in block:
            at = seen[number] = seen.get(number, -1) + 1
            key = (number, at)
            if key not in chosen or chosen[key][0] > priority:
                chosen[key] = (priority, text)

    failure = scan.end.failure if scan.end else None
    if found is not None:
        take(_graded_block(found, cause), 0)
        take(found.before[-8:], 2)
    if scan.end is not None:
        take([(scan.end.number, scan.end.text)], 1)
    if failure is not None and failure is not found:
        take(_graded_block(failure, cause), 1)
    if scan.command is not None:
        take([scan.command[:2]], 1)
        take(scan.output, 4)
    end = scan.end.number if scan.end else None
    others = sorted((c for c in scan.candidates if c is not found), key=lambda c: -_rank(c, scan, end))
    for place, other in enumerate(others[:60]):
        take(_stated(other), 3 if place < 8 else 6)
        take(_trimmed(other.rows, 30), 5 if place < 4 else 7)
    take(scan.tail, 8)
    take(scan.head, 9)
    return tuple((priority, (number, text)) for (number, _), (priority, text) in sorted(chosen.items()))


def _graded_block(candidate: Candidate, cause: RootCause) -> list[Row]:
    if candidate.row.detail:
        texts = [candidate.row.text, *detail_rows(candidate.chain)]
        return [(candidate.number, text) for text in texts]
    folded = _fold_library_frames(candidate.rows)
    stating = [i for i, (_, text) in enumerate(folded) if cause.line and cause.line[:200] in text]
    if len(folded) <= 60:
        return folded
    middle = stating[0] if stating else len(folded) - 1
    wanted = {*range(4), *range(max(0, middle - 20), middle + 10), *range(len(folded) - 10, len(folded))}
    return [row for i, row in enumerate(folded) if i in wanted]


def _fold_library_frames(block: Sequence[Row]) -> list[Row]:
    """A text traceback without the inner frames of libraries; the last frame before an exception stays."""
    from airflow_agentfix.core.tracebacks import is_user_file

    out: list[Row] = []
    skipping = False
    for i, (number, text) in enumerate(block):
        frame = re.match(r'^\s*File "([^"]+)", line', text)
        if frame:
            upcoming = next((t for _, t in block[i + 1 :] if t.strip() and not t.startswith("    ")), "")
            skipping = not is_user_file(frame[1]) and bool(re.match(r'^\s*File "', upcoming))
        elif not text.startswith("    "):
            skipping = False
        if not skipping:
            out.append((number, text))
    return out


def _stated(candidate: Candidate) -> list[Row]:
    if candidate.chain:
        line = candidate.chain[root_of(candidate.chain)].headline[:300]
        return [next(((n, t) for n, t in candidate.rows if line[:80] in t), candidate.rows[-1])]
    return candidate.rows[candidate.states : candidate.states + 2]


def _render(distilled: Distilled, *, redact: Callable[[str], str] | None, max_chars: int) -> tuple[str, int]:
    selection = _redacted(distilled.selection, redact) if redact else list(distilled.selection)
    clip = max(80, min(LINE_CHARS, max_chars // 4))
    selection = [(priority, (number, _clipped(text, clip, distilled.cause.line))) for priority, (number, text) in selection]
    budget = max_chars
    while True:
        kept = _within(selection, budget)
        text = _laid_out(kept, distilled.lines)
        if len(text) <= max_chars or not kept:
            return text[:max_chars], len({number for number, _ in kept})
        budget = budget - max(40, len(text) - max_chars)


def _redacted(selection: Sequence[tuple[int, Row]], redact: Callable[[str], str]) -> list[tuple[int, Row]]:
    if not selection:
        return []
    texts = redact("\n".join(text.replace("\n", " ") for _, (_, text) in selection)).split("\n")
    return [(priority, (number, text)) for (priority, (number, _)), text in zip(selection, texts, strict=True)]


def _clipped(text: str, width: int, cause: str) -> str:
    if len(text) <= width:
        return text
    at = text.find(cause[:60]) if cause else -1
    start = max(0, min(at - width // 4, len(text) - width)) if at > width // 2 else 0
    head, behind = f"…{start:,} characters… " if start else "", len(text) - start - width
    return f"{head}{text[start : start + width]}" + (f" …{behind:,} characters" if behind > 0 else "")


def _within(selection: Sequence[tuple[int, Row]], budget: int) -> list[Row]:
    wanted: list[int] = []
    left = budget
    for i in sorted(range(len(selection)), key=lambda i: (selection[i][0], -i)):
        number, text = selection[i][1]
        cost = len(text) + len(str(number)) + 3
        if cost <= left:
            wanted.append(i)
            left -= cost
    return [selection[i][1] for i in sorted(wanted)]


_VARIES = re.compile(r"\d+|0x[0-9a-f]+")


def _laid_out(kept: Sequence[Row], total: int) -> str:
    out: list[str] = []
    previous = 0
    repeated, alike = 0, ""
    for number, text in kept:
        like = _VARIES.sub("#", text)
        if like == alike and number == previous + 1 and len(text) > 3:
            repeated += 1
            previous = number
            continue
        if repeated:
            out.append(f"\t… {repeated} more like it")
            repeated = 0
        if number > previous + 1:
            out.append(_gap(previous + 1, number - 1))
        out.append(f"L{number}\t{text}")
        previous, alike = number, like
    if repeated:
        out.append(f"\t… {repeated} more like it")
    if previous < total:
        out.append(_gap(previous + 1, total))
    return "\n".join(out)


def _gap(start: int, end: int) -> str:
    count = f"{end - start + 1:,} line{'s' if end > start else ''}"
    return f"… {count} left out (L{start} to L{end}); read_log start={start} end={end}"


# --- reading a log by hand -------------------------------------------------------------------------------------------


def grep_lines(
    lines: Iterable[bytes], *, pattern: str | None, around: int, start: int | None, end: int | None, max_chars: int
) -> list[tuple[int, str]]:
    """Lines `start` to `end` (from 1, inclusive) that match `pattern`, with `around` lines before and after each.

    An event shows as one row per line of its text and traceback. Raises ValueError, saying how to narrow, for a bad pattern
    and for an answer over `max_chars`.
    """
    search = _compiled(pattern)
    before: list[Row] = []
    out: list[Row] = []
    size, follow = 0, 0
    for number, raw in enumerate(unpacked(lines), 1):
        if end is not None and number > end:
            break
        if start is not None and number < start:
            continue
        found = shown(number, raw)
        if search is None or any(search(text) for _, text in found):
            new, before, follow = [*before, *found], [], around
        elif follow > 0:
            new, follow = found, follow - 1
        else:
            before = _last_lines([*before, *found], around)
            continue
        out += new
        size += sum(len(text) + len(str(n)) + 3 for n, text in new)
        if size > max_chars:
            raise ValueError(_too_much(number, pattern, max_chars))
    return out


def _compiled(pattern: str | None) -> Callable[[str], object] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern).search
    except re.error as error:
        raise ValueError(f"grep={pattern!r} is no regular expression ({error}); escape what is meant literally.") from error


def shown(number: int, raw: bytes) -> list[Row]:
    """The rows a person reads for one line: its text, and an event's traceback below it."""
    parsed = rows(number, raw)
    out = [(number, row.text) for row in parsed]
    if parsed[0].detail:
        from airflow_agentfix.core.tracebacks import from_detail

        out += [(number, text) for text in detail_rows(from_detail(parsed[0].detail))]
    return out


def _last_lines(shown: list[Row], around: int) -> list[Row]:
    numbers = sorted({number for number, _ in shown})[-around:] if around else []
    return [row for row in shown if numbers and row[0] >= numbers[0]]


def _too_much(number: int, pattern: str | None, max_chars: int) -> str:
    narrower = "a more specific grep" if pattern else "grep"
    return (
        f"The answer passes {max_chars:,} characters at L{number}; narrow it with {narrower}, a smaller around, or start and end."
    )

"""What of a scanned log is shown: whole lines chosen by how much they tell, redacted as one text, then cut to the budget.

Every cut is marked with what was left out and how to get it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from airflow_agentfix.core.incident import RootCause
from airflow_agentfix.core.log_scan import Candidate, Scan, detail_rows, rank
from airflow_agentfix.core.tracebacks import is_user_file, root_of

LINE_CHARS = 2_000
GAP_CHARS = 80
"""of a mark that says what is left out"""

Row = tuple[int, str]
Selected = tuple[int, Row]
"""(priority, (line number, text)); 0 goes first"""


def trimmed(block: Sequence[Row], keep: int = 40) -> list[Row]:
    return list(block) if len(block) <= keep else [*block[: keep // 4], *block[-(keep - keep // 4) :]]


def selection(scan: Scan, found: Candidate | None, cause: RootCause) -> tuple[Selected, ...]:
    chosen: dict[tuple[int, int], tuple[int, str]] = {}

    def take(block: Iterable[Row], priority: int, *, stating: str = "") -> None:
        seen: dict[int, int] = {}
        for number, text in block:
            at = seen[number] = seen.get(number, -1) + 1
            key, own = (number, at), priority - 1 if stating and stating in text else priority
            if key not in chosen or chosen[key][0] > own:
                chosen[key] = (own, text)

    failure = scan.end.failure if scan.end else None
    if found is not None:
        take(_graded_block(found, cause), 0, stating=cause.line[:200])
        take(found.before[-8:], 2)
    if scan.end is not None:
        take([(scan.end.number, scan.end.text)], 1)
    if failure is not None and failure is not found:
        take(_graded_block(failure, cause), 1)
    if scan.command is not None:
        take([(scan.command.number, scan.command.text)], 1)
    take(scan.output, 4)
    end = scan.end.number if scan.end else None
    others = sorted((c for c in scan.candidates if c is not found), key=lambda c: -rank(c, scan, end))
    for place, other in enumerate(others[:60]):
        take(_stated(other), 3 if place < 8 else 6)
        take(trimmed(other.rows, 30), 5 if place < 4 else 7)
    take(scan.tail, 8)
    take(scan.head, 9)
    return tuple((priority, (number, text)) for (number, _), (priority, text) in sorted(chosen.items()))


def _graded_block(candidate: Candidate, cause: RootCause) -> list[Row]:
    if candidate.row.detail:
        folded = [(candidate.number, text) for text in [candidate.row.text, *detail_rows(candidate.chain)]]
    else:
        folded = _fold_library_frames(candidate.rows)
    stating = [i for i, (_, text) in enumerate(folded) if cause.line and cause.line[:200] in text]
    if len(folded) <= 60:
        return folded
    middle = stating[0] if stating else len(folded) - 1
    wanted = {*range(4), *range(max(0, middle - 20), middle + 10), *range(len(folded) - 10, len(folded))}
    return [row for i, row in enumerate(folded) if i in wanted]


def _fold_library_frames(block: Sequence[Row]) -> list[Row]:
    """A text traceback without the inner frames of libraries; the last frame before an exception stays."""
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


def rendered(
    chosen: Sequence[Selected], *, cause: str, lines: int, redact: Callable[[str], str] | None, max_chars: int
) -> tuple[str, int]:
    """The text of the chosen rows of a log of `lines` lines, and how many lines it shows."""
    clip = max(80, min(LINE_CHARS, max_chars // 4))
    rows = [(p, (number, _clipped(text, clip, cause))) for p, (number, text) in (_redacted(chosen, redact) if redact else chosen)]
    budget = max_chars
    while True:
        kept = _within(rows, budget)
        text = _laid_out(kept, lines)
        if len(text) <= max_chars or not kept:
            return text[:max_chars], len({number for number, _ in kept})
        budget = budget - max(40, len(text) - max_chars)


def _redacted(selection: Sequence[Selected], redact: Callable[[str], str]) -> list[Selected]:
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


def _within(rows: Sequence[Selected], budget: int) -> list[Row]:
    """What has room, the most telling first. A row that stands alone costs a mark of what is left out around it, too."""
    wanted: list[int] = []
    lines: set[int] = set()
    left = budget - GAP_CHARS
    for i in sorted(range(len(rows)), key=lambda i: (rows[i][0], -i)):
        number, text = rows[i][1]
        stands_alone = lines.isdisjoint((number - 1, number, number + 1))
        cost = len(text) + len(str(number)) + 3 + (GAP_CHARS if stands_alone else 0)
        if cost <= left:
            wanted.append(i)
            lines.add(number)
            left -= cost
    return [rows[i][1] for i in sorted(wanted)]


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

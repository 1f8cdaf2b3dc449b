"""One pass over a log: what may be the cause, where the task ended. Memory is bounded whatever the size.

`relevant` drops, at the speed of a byte search, what cannot matter; `Scan` reads the rest closely. A traceback or an error
anywhere is kept with the lines around it; lines without a sign are kept only near the end of the task.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate

from airflow_agentfix.core import log_signs as signs
from airflow_agentfix.core.log_lines import Row, rows, unpacked
from airflow_agentfix.core.tracebacks import TRACEBACK, Link, TracebackText, from_detail, names_exception, with_row

BATCH_LINES = 2048
BATCH_BYTES = 1_000_000
HELD_BATCHES = 2
FIRST_WINDOWS, LAST_WINDOWS = 30, 60
WINDOW_BEFORE, WINDOW_AFTER = 3, 60
AFTER_END = 400
LINE_KEPT = 64_000
EVENT_KEPT = 1_000_000
WINDOW_LINE_KEPT = 8_000
BLOCK_ROWS = 160

Numbered = tuple[int, bytes]


# --- the fast part ---------------------------------------------------------------------------------------------------


@dataclass
class Totals:
    lines: int = 0
    bytes: int = 0


def relevant(lines: Iterable[bytes], totals: Totals) -> Iterator[Numbered]:
    """The lines worth reading closely, in order, with their numbers."""
    windows = _Windows()
    held: deque[tuple[int, list[bytes]]] = deque()
    through = 0
    for start, batch in _batches(lines, totals):
        blob = b"".join(batch)
        if any([end in blob for end in signs.ENDS]):
            yield from windows.release()
            while held:
                yield from enumerate(held[0][1], held.popleft()[0])
            yield from enumerate(batch, start)
            through = start + len(batch) + AFTER_END
        elif start <= through:
            yield from enumerate(batch, start)
        else:
            held.append((start, batch))
            if len(held) > HELD_BATCHES:
                windows.look(*held.popleft())
    yield from windows.release()
    for start, batch in held:
        yield from enumerate(batch, start)


def _batches(lines: Iterable[bytes], totals: Totals) -> Iterator[tuple[int, list[bytes]]]:
    batch: list[bytes] = []
    size, start = 0, 1
    for raw in unpacked(lines):
        size += len(raw)
        batch.append(raw if len(raw) <= LINE_KEPT else _cut(raw))
        if len(batch) >= BATCH_LINES or size > BATCH_BYTES:
            totals.lines, totals.bytes = start + len(batch) - 1, totals.bytes + size
            yield start, batch
            batch, size, start = [], 0, totals.lines + 1
    totals.lines, totals.bytes = start + len(batch) - 1, totals.bytes + size
    yield start, batch


def _cut(raw: bytes) -> bytes:
    if raw[:1] == b"{" and len(raw) < EVENT_KEPT and b'"error_detail"' in raw:
        return raw
    mark = b" ... %d bytes of this line left out ... " % (len(raw) - LINE_KEPT // 2)
    return raw[: LINE_KEPT // 4] + mark + raw[-LINE_KEPT // 4 :]


class _Windows:
    """The signs seen far from the end, each with the lines around it: the first ones and the last ones, never more."""

    def __init__(self) -> None:
        self._first: list[list[Numbered]] = []
        self._last: deque[list[Numbered]] = deque(maxlen=LAST_WINDOWS)

    def look(self, start: int, batch: list[bytes]) -> None:
        shown = 0
        for hit in _hits(batch):
            if hit < shown:
                continue
            shown = min(len(batch), hit + (6 if batch[hit][:1] == b"{" else WINDOW_AFTER))
            window = [(start + i, _short(batch[i])) for i in range(max(0, hit - WINDOW_BEFORE), shown)]
            (self._first if len(self._first) < FIRST_WINDOWS else self._last).append(window)

    def release(self) -> Iterator[Numbered]:
        through = 0
        for window in [*self._first, *self._last]:
            yield from [line for line in window if line[0] > through]
            through = window[-1][0]
        self._first, self._last = [], deque(maxlen=LAST_WINDOWS)


def _short(raw: bytes) -> bytes:
    return raw if len(raw) <= WINDOW_LINE_KEPT or raw[:1] == b"{" else raw[:WINDOW_LINE_KEPT]


def _hits(batch: list[bytes]) -> list[int]:
    blob = b"".join(batch)
    found: list[int] = []
    for sign in signs.STRONG:
        at = blob.find(sign)
        while at >= 0:
            found.append(at)
            at = blob.find(sign, at + len(sign))
    if not found:
        return []
    ends = list(accumulate(map(len, batch)))
    return sorted({bisect_right(ends, at) for at in found})


# --- the close part --------------------------------------------------------------------------------------------------


@dataclass
class Candidate:
    """A line or traceback that may state the cause."""

    number: int
    weight: int
    row: Row
    rows: list[tuple[int, str]]
    before: tuple[tuple[int, str], ...] = ()
    chain: list[Link] = field(default_factory=list)
    states: int = 0
    """index in `rows` of the row that states the cause"""
    killed: bool = False

    @property
    def line(self) -> str:
        return self.rows[self.states][1].strip()

    @property
    def last(self) -> int:
        return self.rows[-1][0]


@dataclass
class End:
    """The line that ended the task, and the exception it carries, if any."""

    number: int
    text: str
    failure: Candidate | None = None


class Scan:
    """Reads rows and remembers candidates; the state of one pass."""

    def __init__(self) -> None:
        self.candidates: deque[Candidate] = deque(maxlen=400)
        self.head: list[tuple[int, str]] = []
        self.tail: deque[tuple[int, str]] = deque(maxlen=40)
        self.end: End | None = None
        self.command: tuple[int, str, str] | None = None
        """(line, text, source) of `Command exited with return code`"""
        self.output: deque[tuple[int, str]] = deque(maxlen=12)
        """the last rows of the command's output, as they stood when it ended"""
        self._open: tuple[Candidate, TracebackText, bool] | None = None
        self._awaits: Candidate | None = None
        self._told_end: Candidate | None = None
        self._watched: list[Candidate] = []
        self._recent: deque[Row] = deque(maxlen=16)

    def feed(self, number: int, raw: bytes) -> None:
        for row in rows(number, raw):
            self._take(row)

    def finish(self) -> None:
        self._close()

    def _take(self, row: Row) -> None:
        if self._open is not None and self._continues(row):
            return
        self._remember(row)
        if self._marks(row):
            return
        if self.end is not None and not self._belongs_to_end(row):
            return
        self._watch(row)
        if row.detail:
            self._add_detail(row)
        elif TRACEBACK in row.text:
            self._open_traceback(row)
        elif not self._told(row):
            self._weigh(row)

    def _remember(self, row: Row) -> None:
        shown = (row.number, row.text)
        if len(self.head) < 4:
            self.head.append(shown)
        self.tail.append(shown)

    # -- ends --

    def _marks(self, row: Row) -> bool:
        text = row.text
        if self.end is not None and signs.STARTS.match(text):
            self.__init__()  # type: ignore[misc]  # another try in the same log: what was before it is its past
            return True
        if signs.COMMAND_ENDED.match(text) and self.end is None:
            self.command = (row.number, text, row.source)
            self.output = deque(((r.number, r.text) for r in self._recent if r.text.strip()), maxlen=12)
            return False
        failed_here = signs.FAILED_HERE.match(text) or self._is_old_failure(row)
        if failed_here and (self.end is None or self.end.failure is None):
            self._fail(row)
            return True
        if self.end is None and signs.ENDED.match(text):
            self.end = End(row.number, text)
            if signs.KILLED.search(text):
                self.end.failure = self._candidate(row, signs.KILL_WEIGHT, killed=True)
            return True
        self._recent.append(row)
        return False

    def _is_old_failure(self, row: Row) -> bool:
        # Airflow before 2.2 logs the exception's text itself, from taskinstance.py
        return (
            row.level == "error" and row.source in ("taskinstance.py", "models.py", "__init__.py") and "callback" not in row.text
        )

    def _fail(self, row: Row) -> None:
        self.end = End(row.number, row.text)
        if row.detail:
            self.end.failure = self._from_detail(row)

    def _belongs_to_end(self, row: Row) -> bool:
        """Only the unstamped rows right after the ending line tell its exception."""
        if self._told_end is not None:
            return (
                not row.stamped
                and bool(row.text.strip())
                and row.number - self._told_end.last < 2
                and len(self._told_end.rows) < BLOCK_ROWS
            )
        return self.end is not None and self.end.failure is None and not row.stamped and row.number - self.end.number < 4

    # -- candidates --

    def _candidate(self, row: Row, weight: int, *, killed: bool = False) -> Candidate:
        before = tuple((r.number, r.text) for r in list(self._recent)[-10:] if r.number < row.number)
        return Candidate(row.number, weight, row, [(row.number, row.text)], before, killed=killed)

    def _add(self, candidate: Candidate) -> None:
        if self.end is not None:
            self.end.failure = candidate
            return
        self.candidates.append(candidate)
        self._watched = [c for c in self._watched if candidate.number - c.last < 4] + [candidate]

    def _add_detail(self, row: Row) -> None:
        self._add(self._from_detail(row))

    def _from_detail(self, row: Row) -> Candidate:
        chain = from_detail(row.detail)
        weight = 70 + signs.LEVEL_CHANGE.get(row.level, 0) + (signs.HANDLED_CHANGE if signs.HANDLED.search(row.text) else 0)
        candidate = self._candidate(row, weight)
        candidate.chain = chain
        candidate.rows = [(row.number, row.text), *((row.number, text) for text in detail_rows(chain))]
        return candidate

    def _open_traceback(self, row: Row) -> None:
        previous = self._recent[-2] if len(self._recent) > 1 else None
        weight = signs.TRACEBACK_WEIGHT
        introduced = previous is not None and not row.stamped and previous.number >= row.number - 1
        if introduced and previous is not None and self.end is None:
            weight += signs.LEVEL_CHANGE.get(previous.level, 0)
            if signs.HANDLED.search(previous.text):
                weight += signs.HANDLED_CHANGE
        candidate = self._candidate(row, weight)
        self._open = (candidate, TracebackText(row.text), not row.stamped)

    def _continues(self, row: Row) -> bool:
        candidate, text, loose = self._open  # type: ignore[misc]  # only called while one is open
        foreign = row.stamped and (loose or row.source != candidate.row.source)
        if not foreign and text.take(row.text, loose=loose):
            if len(candidate.rows) < BLOCK_ROWS:
                candidate.rows.append((row.number, row.text))
            else:
                candidate.rows[-1] = (row.number, row.text)
            return True
        self._close()
        return False

    def _close(self) -> None:
        if self._open is None:
            return
        candidate, text, _ = self._open
        self._open = None
        candidate.chain = text.chain()
        while len(candidate.rows) > 1 and not candidate.rows[-1][1].strip():
            candidate.rows.pop()
        if candidate.chain:
            self._add(candidate)

    def _told(self, row: Row) -> bool:
        """A header (`Database Error in model x`) is told by the rows that follow it."""
        waiting = self._awaits
        if waiting is None:
            return False
        text = row.text.strip()
        if not text and waiting.states == 0:
            return True
        told_enough = len(waiting.rows) > 14 or row.number - waiting.number > 30 or not text
        if told_enough or text.lower().startswith("compiled code at") or (waiting.states and not row.text.startswith(" ")):
            self._awaits = None
            return False
        if signs.DBT_HEADER.match(row.text):
            waiting.rows.append((row.number, row.text))
            return True
        waiting.rows.append((row.number, row.text))
        waiting.states = waiting.states or len(waiting.rows) - 1
        return True

    def _weigh(self, row: Row) -> None:
        if self.end is not None:
            self._headline_first(row)
            return
        if signs.DBT_HEADER.match(row.text):
            self._awaits = self._candidate(row, 90 + signs.LEVEL_CHANGE.get(row.level, 0))
            self._add(self._awaits)
            return
        weight = signs.weigh(row.text, row.level)
        if weight > 0:
            self._add(self._candidate(row, weight, killed=bool(signs.KILLED.search(row.text))))

    def _headline_first(self, row: Row) -> None:
        """Airflow 3's text form: `Type: message`, then `File "x", line 3 in f`."""
        if self._told_end is not None:
            self._told_end.rows.append((row.number, row.text))
            self._told_end.chain = [with_row(self._told_end.chain[0], row.text)]
            return
        match = names_exception(row.text.strip(), strict=False)
        if match and self.end is not None:
            self._told_end = self.end.failure = self._candidate(row, 80)
            self._told_end.chain = [Link(match["type"], match["message"] or "")]

    def _watch(self, row: Row) -> None:
        """What is followed at once by a success was no cause."""
        if self._watched and signs.RECOVERED.search(row.text.encode()):
            for candidate in self._watched:
                if 0 < row.number - candidate.last < 3 and row.number != candidate.number:
                    candidate.weight += signs.HANDLED_CHANGE
            self._watched = []


def detail_rows(chain: list[Link]) -> list[str]:
    """An event's exception chain as a traceback, outermost first, libraries' frames folded."""
    out: list[str] = []
    for depth, link in enumerate(chain):
        if depth:
            out.append("caused by:" if link.explicit else "while handling:")
        out += _frame_rows(link)
        first, *more = link.message.strip("\n").split("\n") or [""]
        out += [f"{link.type}: {first}" if first else link.type, *more, *(f"note: {note}" for note in link.notes)]
    return out


def _frame_rows(link: Link) -> list[str]:
    out: list[str] = []
    folded = 0
    for i, frame in enumerate(link.frames):
        if not frame.user and i < len(link.frames) - 1:
            folded += 1
            continue
        if folded:
            out.append(f"  ({folded} library frames)")
            folded = 0
        out.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
    return out

"""The close reading of a log: what may be the cause, where the task ended. Its memory is bounded whatever is fed.

`log_chunks.relevant` chooses the lines to feed: those around the task's end, and those around what looks like an error.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from airflow_agentfix.core import log_signs as signs
from airflow_agentfix.core.log_lines import Row, rows
from airflow_agentfix.core.tracebacks import (
    TRACEBACK,
    Link,
    TracebackText,
    from_detail,
    is_vague,
    is_wrapper,
    names_exception,
    root_of,
    with_row,
)

BLOCK_ROWS, BLOCK_CHARS = 160, 100_000


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
    chars: int = 0
    until: int = 0
    """the last line of the stack trace under it"""

    @property
    def line(self) -> str:
        return self.rows[self.states][1].strip()

    @property
    def last(self) -> int:
        return max(self.rows[-1][0], self.until)

    @property
    def wraps(self) -> bool:
        return bool(self.chain) and is_wrapper(self.chain[root_of(self.chain)])

    def add(self, row: Row) -> None:
        """One more row, of a block that is never large: past its bounds only the last row is kept."""
        self.chars += len(row.text)
        if len(self.rows) < BLOCK_ROWS and self.chars < BLOCK_CHARS:
            self.rows.append((row.number, row.text))
        else:
            self.rows[-1] = (row.number, row.text)


@dataclass
class End:
    """The line that ended the task, and the exception it carries, if any."""

    number: int
    text: str
    failure: Candidate | None = None
    told: bool = False
    """whether the line says that the exception follows"""


@dataclass
class Command:
    """A command that a task ran and that failed: lines `start` to `number` are its output."""

    start: int
    number: int
    text: str
    source: str

    def printed(self, candidate: Candidate) -> bool:
        same = candidate.row.source == self.source or not candidate.row.source
        return same and self.start < candidate.number and candidate.last <= self.number


class Scan:
    """Reads rows and remembers candidates; the state of one pass."""

    def __init__(self) -> None:
        self.candidates: deque[Candidate] = deque(maxlen=400)
        self.head: list[tuple[int, str]] = []
        self.tail: deque[tuple[int, str]] = deque(maxlen=40)
        self.end: End | None = None
        self.job: Candidate | None = None
        """what the job runner says of the failure, after the end"""
        self.command: Command | None = None
        self.output: list[tuple[int, str]] = []
        """the last rows of the failed command's output"""
        self._output_from = 0
        self._open: tuple[Candidate, TracebackText, bool] | None = None
        self._awaits: Candidate | None = None
        self._told_end: Candidate | None = None
        self._watched: list[Candidate] = []
        self._java: Candidate | None = None
        """the cause of the Java stack trace that is being read, so far"""
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
        if self.candidates and signs.STACK_FRAME.match(row.text) and row.number - self.candidates[-1].last == 1:
            self.candidates[-1].until = row.number
        if self._java is not None and not signs.JAVA_TRACE.match(row.text):
            self._java = None
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
        if signs.COMMAND_STARTS.match(text):
            self._output_from = row.number
        if signs.COMMAND_ENDED.match(text) and self.end is None:
            self.command = Command(self._output_from, row.number, text, row.source)
            self.output = self._last_output()
            return False
        if said := signs.JOB_FAILED.match(text):
            self.job = Candidate(row.number, 0, row, [(row.number, said["message"])])
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

    def _last_output(self, source: re.Pattern[str] | None = None) -> list[tuple[int, str]]:
        rows = (r for r in self._recent if r.number > self._output_from and (source is None or source.search(r.source)))
        return [(r.number, r.text) for r in rows if r.text.strip()][-12:]

    def _fail(self, row: Row) -> None:
        self.end = End(row.number, row.text, told=True)
        self.output = self.output or self._last_output(signs.OUTPUT_SOURCE)
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
        return (
            self.end is not None
            and self.end.told
            and self.end.failure is None
            and not row.stamped
            and row.number - self.end.number < 4
        )

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
            candidate.add(row)
            return True
        self._close()
        return False

    def _close(self) -> None:
        if self._open is None:
            return
        candidate, text, _ = self._open
        self._open = None
        candidate.chain = text.chain()
        self._deepen(candidate)
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
        printed = row.level in ("warning", "warn") and signs.OUTPUT_SOURCE.search(row.source)  # a command's standard error
        weight = signs.weigh(row.text, "" if printed else row.level)
        if weight > 0:
            candidate = self._candidate(row, weight, killed=bool(signs.KILLED.search(row.text)))
            self._deepen(candidate)
            self._add(candidate)

    def _deepen(self, candidate: Candidate) -> None:
        """Of a Java stack trace, what stands last under `Caused by:` is the cause."""
        if not signs.JAVA_CAUSE.match(candidate.rows[0][1]):
            return
        outer = self._java
        said = candidate.line.partition(": ")[2].partition(": ")[2]
        if outer is not None and said and said in outer.line:  # what is deeper says less
            candidate.weight -= signs.OUTER_CHANGE
            return
        if outer is not None:
            outer.weight -= signs.OUTER_CHANGE
        self._java = candidate

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


def rank(candidate: Candidate, scan: Scan, end: int | None) -> float:
    """Weight, more for the failing command's own output, less for what it did not print and what is far from the end."""
    weight = float(candidate.weight)
    last = end or (scan.tail[-1][0] if scan.tail else candidate.last)
    if candidate.wraps:
        weight -= 40
    elif candidate.chain and is_vague(candidate.chain[root_of(candidate.chain)]):
        weight -= signs.VAGUE_CHANGE
    if scan.command:
        weight += signs.OUTPUT_BONUS if scan.command.printed(candidate) else -signs.OUTPUT_BONUS
    elif scan.output and signs.OUTPUT_SOURCE.search(candidate.row.source):
        weight += signs.OUTPUT_BONUS
    distance = max(0, last - candidate.last)
    step = 30 if end else 400
    return weight - min(45, distance // step * 3) - (distance / 1e6 if candidate.chain else -distance / 1e6)


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

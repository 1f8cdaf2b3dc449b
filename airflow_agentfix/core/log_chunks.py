"""What of a log is worth reading closely, found at the speed of a byte search and in bounded memory.

A log comes as chunks of whole lines. Read closely are the lines around the end of the task (`signs.ENDS`) and around whatever
looks like an error anywhere (`signs.STRONG`); of those far from the end, the first ones and the last ones.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO

from airflow_agentfix.core import log_signs as signs
from airflow_agentfix.core.log_lines import LINE_BYTES, content_lines, is_content

CHUNK_BYTES = 1_000_000
PART_LINES = 32
NEAR_LINES, NEAR_BYTES = 800, 400_000
AFTER_END = 400
FIRST_WINDOWS, LAST_WINDOWS = 30, 60
WINDOW_BEFORE, WINDOW_AFTER, WINDOW_EVENTS = 3, 60, 6
WINDOW_BYTES = 64_000
LINE_KEPT = 64_000
EVENT_KEPT = 256_000
HEAD_BYTES = 8_000
_EVENTS = re.compile(rb'^\{"', re.MULTILINE)

Numbered = tuple[int, bytes]


@dataclass
class Totals:
    lines: int = 0
    bytes: int = 0


# --- chunks of whole lines -------------------------------------------------------------------------------------------


def chunks(lines: Iterable[bytes], totals: Totals) -> Iterator[bytes]:
    """The log as blocks of lines that all end in a newline, and its size; a binary stream is read in blocks."""
    blocks = _from_stream(lines, totals) if hasattr(lines, "read") else _from_lines(lines, totals)  # type: ignore[arg-type]
    for block in blocks:
        totals.lines += block.count(b"\n")
        yield block


def _from_stream(stream: IO[bytes], totals: Totals) -> Iterator[bytes]:
    block = stream.read(CHUNK_BYTES)
    if is_content(block):
        yield from _from_lines(content_lines(block, stream), totals)
        return
    while block:
        if not block.endswith(b"\n"):
            block += stream.readline(LINE_BYTES)
            totals.bytes += _skip_rest_of_line(stream) if len(block) >= LINE_BYTES and not block.endswith(b"\n") else 0
        totals.bytes += len(block)
        yield block if block.endswith(b"\n") else block + b"\n"
        block = stream.read(CHUNK_BYTES)


def _skip_rest_of_line(stream: IO[bytes]) -> int:
    skipped = 0
    while part := stream.readline(LINE_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _from_lines(lines: Iterable[bytes], totals: Totals) -> Iterator[bytes]:
    source = iter(lines)
    held: list[bytes] = []
    size = 0
    while part := list(islice(source, PART_LINES)):
        if totals.bytes == 0 and is_content(part[0]):
            part = [line for raw in part for line in (content_lines(raw, None) if is_content(raw) else (raw,))]
        size += sum(map(len, part))
        held += [line if line.endswith(b"\n") else line + b"\n" for line in part]
        if size >= CHUNK_BYTES:
            totals.bytes += size
            yield b"".join(held)
            held, size = [], 0
    totals.bytes += size
    if held:
        yield b"".join(held)


# --- what is relevant ------------------------------------------------------------------------------------------------


def relevant(lines: Iterable[bytes], totals: Totals) -> Iterator[Numbered]:
    """The lines worth reading closely, in order, with their numbers from 1."""
    search = _Search()
    told = 0
    for number, raw in search.lines(chunks(lines, totals)):
        if number > told:  # a window may reach into what is read closely anyway
            yield number, raw
            told = number


class _Search:
    """One pass: `buffer` begins at line `first`; what is before `at` was dealt with."""

    def __init__(self) -> None:
        self.buffer = b""
        self.ends: tuple[bytes, ...] = signs.ENDS
        self.first = 1
        self.at = 0
        self.owed = 0
        """lines still to be read closely after the last end"""
        self.windows = _Windows()

    def lines(self, blocks: Iterable[bytes]) -> Iterator[Numbered]:
        for number, block in enumerate(blocks):
            if number == 0 and _EVENTS.search(block, 0, HEAD_BYTES):
                self.ends += signs.ENDS_IN_EVENTS
                self.windows.strong += signs.STRONG_IN_EVENTS
            searched = len(self.buffer)
            self.buffer += block
            if self.owed:
                yield from self._after(0, self.owed)
            for end in sorted(_found(self.ends, self.buffer, searched, len(self.buffer))):
                yield from self._around(end)
            self._look(_back(self.buffer, len(self.buffer), self.at))
            self._drop()
        yield from self.windows.release()
        yield from self._close(len(self.buffer))

    def _around(self, end: int) -> Iterator[Numbered]:
        """The lines before an end and the first ones after it."""
        line = self.buffer.rfind(b"\n", 0, end) + 1
        if line > self.at:
            self._look(_back(self.buffer, line, self.at))
        yield from self.windows.release()
        yield from self._after(line, AFTER_END)

    def _after(self, line: int, lines: int) -> Iterator[Numbered]:
        to = _forward(self.buffer, line, lines)
        self.owed = lines - self.buffer.count(b"\n", line, to)
        yield from self._close(to)

    def _close(self, to: int) -> Iterator[Numbered]:
        if to <= self.at:
            return
        number = self.first + self.buffer.count(b"\n", 0, self.at)
        for at, raw in enumerate(_split(self.buffer[self.at : to]), number):
            yield at, raw if len(raw) <= LINE_KEPT else _cut(raw)
        self.at = to

    def _look(self, to: int) -> None:
        if to > self.at:
            self.windows.look(self.buffer, self.at, to, self.first)
            self.at = to

    def _drop(self) -> None:
        self.first += self.buffer.count(b"\n", 0, self.at)
        self.buffer = self.buffer[self.at :]
        self.at = 0


def _found(needles: Iterable[bytes], data: bytes, start: int, end: int) -> Iterator[int]:
    for needle in needles:
        at = data.find(needle, start, end)
        while at >= 0:
            yield at
            at = data.find(needle, at + len(needle), end)


def _back(data: bytes, position: int, limit: int) -> int:
    """Start of the line `NEAR_LINES` before `position`, not before `limit` and not many bytes away."""
    floor = max(limit, position - NEAR_BYTES)
    at = position
    for _ in range(NEAR_LINES):
        newline = data.rfind(b"\n", floor, max(floor, at - 1))
        if newline < 0:
            return limit if floor == limit else at
        at = newline + 1
    return at


def _forward(data: bytes, position: int, lines: int) -> int:
    for _ in range(lines):
        found = data.find(b"\n", position)
        if found < 0:
            return len(data)
        position = found + 1
    return position


def _split(data: bytes) -> list[bytes]:
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def _cut(raw: bytes) -> bytes:
    if raw[:1] == b"{" and len(raw) < EVENT_KEPT and b'"error_detail"' in raw:
        return raw
    mark = b" ... %d bytes of this line left out ... " % (len(raw) - LINE_KEPT // 2)
    return raw[: LINE_KEPT // 4] + mark + raw[-LINE_KEPT // 4 :]


class _Windows:
    """The signs seen far from the end, each with the lines around it: the first ones and the last ones, never more."""

    def __init__(self) -> None:
        self.strong: tuple[bytes, ...] = signs.STRONG
        self._first: list[Numbered] = []
        self._last: deque[Numbered] = deque(maxlen=LAST_WINDOWS)

    def look(self, data: bytes, start: int, end: int, first: int) -> None:
        shown, counted, number = start, 0, first
        for hit in sorted(_found(self.strong, data, start, end)):
            if hit < shown:
                continue
            line = data.rfind(b"\n", 0, hit) + 1
            begin = _lines_back(data, line, shown)
            shown = _window_end(data, line, hit)
            number += data.count(b"\n", counted, begin)
            counted = begin
            window = (number, _narrowed(data[begin:shown], hit - begin))
            (self._first if len(self._first) < FIRST_WINDOWS else self._last).append(window)

    def release(self) -> Iterator[Numbered]:
        for first, window in [*self._first, *self._last]:
            for number, raw in enumerate(_split(window), first):
                yield number, raw if len(raw) <= LINE_KEPT else _cut(raw)
        self._first, self._last = [], deque(maxlen=LAST_WINDOWS)


def _lines_back(data: bytes, line: int, limit: int) -> int:
    at = line
    for _ in range(WINDOW_BEFORE):
        before = data.rfind(b"\n", limit, max(limit, at - 1)) + 1
        if before <= limit or line - before > WINDOW_BYTES:
            break
        at = before
    return at


def _window_end(data: bytes, line: int, hit: int) -> int:
    """After the lines that may belong to the sign; into what follows the region too, for a traceback must not be cut."""
    alone = data[line : line + 1] == b"{" and not data.startswith(signs.TRACEBACK, hit)
    end = _forward(data, line, 1)
    for _ in range(WINDOW_EVENTS if alone else WINDOW_AFTER):
        further = _forward(data, end, 1)
        if further - line > WINDOW_BYTES:
            break
        end = further
    return end


def _narrowed(window: bytes, hit: int) -> bytes:
    """A window of one giant line keeps its beginning and what is around the sign."""
    if len(window) <= EVENT_KEPT + WINDOW_BYTES:
        return window
    return window[: LINE_KEPT // 4] + b" ... " + window[max(0, hit - LINE_KEPT // 4) : hit + LINE_KEPT // 4] + b"\n"

"""Log lines as a reader sees them, whatever wrote them: Airflow 3 events, Airflow 2 text, plain output.

Invariant: line `n` is the n-th line of the log as served; one line may show as several rows (an event with a traceback),
all numbered `n`. Memory is bounded: a row never holds more than `ROW_CHARS`, a line never more than `LINE_BYTES`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

LINE_BYTES = 4_000_000
"""An event longer than this is not parsed; what is behind is cut, with a mark."""
ROW_CHARS = 20_000
CONTENT_BYTES = 1_000_000
_CONTENT = re.compile(rb'\{\s{0,20}"content"\s{0,20}:\s{0,20}([\["])')
_SEPARATOR = re.compile(r"[\s,]*")
_DECODER = json.JSONDecoder()

_STAMP = re.compile(
    r"^\[\d{4}-\d\d-\d\d[^\]]{8,24}\] (?:\{+(?P<source>[^}]*?)(?::\d+)?\}+ )?(?P<level>[A-Z]{4,8}) - "
    r"|^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|[+-]\d\d:?\d\d)? \[(?P<level3>\w+) *\] "
    r"|^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[,.]\d+)?(?:Z|[+-]\d\d:?\d\d)? (?:\[?[\w.\-/]+\]? ?[-:"
    r"|]? ?)?\[?(?P<level2>DEBUG|INFO|WARN|WARNING|ERROR|CRITICAL|FATAL)\]?[ :|-]+"
    r"|^(?P<level4>DEBUG|INFO|WARNING|ERROR|CRITICAL):(?P<source2>[\w.]+):"
)
_SUBTASK = re.compile(r"^Job \d+: Subtask \S+ ")
_DBT_STAMP = re.compile(r"^\d\d:\d\d:\d\d(?:\.\d+)?(?: \[(?P<level>\w+) *\] \[[^\]]*\]:)? {1,2}|^\d\d:\d\d:\d\d *$")
_CONTAINER = re.compile(r"^\[[\w.\-]+\] ")
_SOURCE3 = re.compile(r'(?:: )?source="?(?P<source>[^"\s]+)"?(?: loc="?[^"\s]+"?)?$|: source=(?P<bare>\S+) loc=\S+$')
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b.|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BARE_COLOUR = re.compile(r"\[(?:\d{1,2};)*\d{1,2}m")
_STANDARD_KEYS = frozenset(
    [
        "timestamp",
        "level",
        "event",
        "logger",
        "error_detail",
        "dag_id",
        "run_id",
        "task_id",
        "ti_id",
        "try_number",
        "map_index",
        "filename",
        "lineno",
        "ti",
        "exception",
        "logical_date",
        "process",
        "func_name",
        "chan",
    ]
)


@dataclass(frozen=True)
class Row:
    """One row of text of one line. `source` is the logger or file that wrote it, `stamped` whether the line says so."""

    number: int
    text: str
    level: str = ""
    source: str = ""
    stamped: bool = False
    detail: tuple[dict[str, Any], ...] = field(default=(), compare=False)
    """an event's `error_detail`, on the event's first row"""


def read_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """The lines of a binary stream, cut at `LINE_BYTES`: a line of a gigabyte is never held whole."""
    while line := stream.readline(LINE_BYTES):
        yield line
        while len(line) >= LINE_BYTES and not line.endswith(b"\n"):
            line = stream.readline(LINE_BYTES)


def unpacked(lines: Iterable[bytes]) -> Iterator[bytes]:
    """The log's lines; one JSON object `{"content": [...]}` counts as the lines it holds."""
    source = iter(lines)
    for first in source:
        yield from content_lines(first, None) if is_content(first) else (first,)
        yield from source


def is_content(data: bytes) -> bool:
    """Whether a log begins like Airflow's answer in one JSON object."""
    return data[:1] == b"{" and _CONTENT.match(data) is not None


def content_lines(data: bytes, stream: IO[bytes] | None) -> Iterator[bytes]:
    """The lines of one JSON object `{"content": [...]}` that begins with `data` and goes on in `stream`.

    A list is read item by item, so that it is never held whole; a text is.
    """
    start = _CONTENT.match(data)
    if start is None or start[1] != b"[":
        yield from _whole_content(data + (stream.read() if stream else b""))
        return
    decoder, buffer = codecs.getincrementaldecoder("utf-8")("replace"), ""
    block, more = data[start.end() :], True
    while more:
        buffer += decoder.decode(block, not block)
        items, buffer, more = _items(buffer, last=not block or stream is None)
        yield from items
        block = stream.read(CONTENT_BYTES) if stream and more else b""
    if buffer:  # no JSON after all
        yield from buffer.encode().splitlines()


def _items(buffer: str, *, last: bool) -> tuple[list[bytes], str, bool]:
    """The lines of the complete items, what is left, and whether more may follow."""
    lines: list[bytes] = []
    at = 0
    while True:
        at = _SEPARATOR.match(buffer, at).end()  # type: ignore[union-attr]  # it matches nothing too
        if buffer[at : at + 1] == "]":
            return lines, "", False
        try:
            item, at = _DECODER.raw_decode(buffer, at)
        except (ValueError, RecursionError):
            return lines, buffer[at:], not last
        lines += _item_lines(item)


def _item_lines(item: Any) -> list[bytes]:
    if isinstance(item, dict):
        return [json.dumps(item).encode()]
    parts = item[1:] if isinstance(item, list) and len(item) > 1 else [item]
    return [line for part in parts for line in str(part).encode().splitlines()]


def _whole_content(data: bytes) -> Iterator[bytes]:
    try:
        content = json.loads(data)["content"]
    except (ValueError, KeyError, TypeError, RecursionError):
        yield from data.splitlines()
        return
    for item in content if isinstance(content, list) else [content]:
        yield from _item_lines(item)


def rows(number: int, raw: bytes) -> list[Row]:
    """The rows a line shows as; never empty."""
    if raw[:1] == b"{" and (event := _event(raw)) is not None:
        return _event_rows(number, event)
    return _text_rows(number, decode(raw))


def decode(raw: bytes) -> str:
    """Text without terminal codes; each line in the encoding it seems to have; of a progress bar, its last state."""
    if len(raw) > 4 * ROW_CHARS:
        raw = raw[: 3 * ROW_CHARS] + b" ... %d bytes of this line left out ... " % (len(raw) - 4 * ROW_CHARS) + raw[-ROW_CHARS:]
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("cp1252", "replace") if b"\xc3" not in raw else raw.decode("utf-8", "replace")
    return clean(text)


def clean(text: str) -> str:
    text = text.rstrip("\r\n")
    if "\r" in text:
        text = next((part for part in reversed(text.split("\r")) if part.strip()), "")
    if "\x1b" in text or not text.isprintable():
        text = _TERMINAL.sub("", text)
    return _BARE_COLOUR.sub("", text) if "m" in text and "[" in text else text


def _event(raw: bytes) -> dict[str, Any] | None:
    try:
        event = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _event_rows(number: int, event: dict[str, Any]) -> list[Row]:
    level, source = str(event.get("level", "")).lower(), str(event.get("logger", ""))
    detail = event.get("error_detail")
    details = tuple(item for item in detail if isinstance(item, dict)) if isinstance(detail, list) else ()
    texts = [clean(part) for part in str(event["event"]).split("\n")] or [""]
    if ".pod" in source or "kubernetes" in source:
        texts[0] = _CONTAINER.sub("", texts[0])
    extras = [
        f"{key}={value}" for key, value in event.items() if key not in _STANDARD_KEYS and not isinstance(value, dict | list)
    ]
    if extras:
        texts[0] = f"{texts[0]} {' '.join(extras)}"
    if not details and isinstance(event.get("exception"), str):
        texts += [clean(part) for part in event["exception"].split("\n")]
    first = Row(number, _row_text(texts[0]), level, source, stamped=True, detail=details)
    return [first, *(Row(number, _row_text(text), level, source) for text in texts[1:])]


def _row_text(text: str) -> str:
    stamp = _DBT_STAMP.match(text)
    text = text[stamp.end() :] if stamp else text
    return text if len(text) <= ROW_CHARS else text[: ROW_CHARS // 2] + " … " + text[-ROW_CHARS // 2 :]


def _text_rows(number: int, text: str) -> list[Row]:
    stamp = _STAMP.match(text)
    if stamp is None:
        dbt = _DBT_STAMP.match(text)
        level = (dbt["level"] or "").lower() if dbt else ""
        return [Row(number, text[dbt.end() :] if dbt else text, level, "dbt" if dbt else "", stamped=bool(dbt and dbt["level"]))]
    level = next(filter(None, stamp.group("level", "level2", "level3", "level4")), "").lower()
    source = stamp["source"] or stamp["source2"] or ""
    body = _SUBTASK.sub("", text[stamp.end() :])
    body = _CONTAINER.sub("", body) if source.startswith("pod") else body
    inner = _STAMP.match(body)
    if inner is not None and inner["source"]:
        return _text_rows(number, body)
    if not source and (tail := _SOURCE3.search(body)):
        source, body = tail["source"] or tail["bare"] or "", body[: tail.start()]
    return [Row(number, _row_text(body), level, source, stamped=True)]

"""Exceptions as chains, from Airflow's `error_detail`, from text and from exception objects, and which link is the cause.

Invariant: for the same failure all three ways give the same links, so that they give the same fingerprint.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from airflow_agentfix.core.incident import Frame

CHAIN_LINKS = 20
_LIBRARY = re.compile(
    r"(?:site|dist)-packages/|/lib(?:64)?/python\d|/lib/python3\.\d+/|^<|/pyspark(?:\.zip)?/|py4j-"
    r"|\.pyenv/|/(?:airflow-core|task-sdk)/src/"
    r"|^(?:\?|\[.*\])$|/usr/lib/python3/|\.(?:pyx|pxi|pxd)$"
)
_WRAPPER_MESSAGE = re.compile(
    r"(?:bash |the |ssh )?command (?:exited|failed|['\"\[].*returned)|returned (?:a )?non-?zero"
    r"|exit (?:code|status)|error code is"
    r"|returned a failure|container failed|^cannot execute|pod .{0,200}(?:failed|not succeeded)"
    r"|ssh operator error|invalid return code"
    r"|retryerror\[|^trigger failure$|^(?:job|step|task|run|query|execution|dbt (?:command|run|job)"
    r"|application|workflow|pipeline)\b.{0,80}\bfailed[.:]?(?:\n|$)"
    r"|could not be found; either it does not exist or it failed to parse"
    r"|subprocess .{0,60}(?:failed|died)|script .{0,80}failed|dbt .{0,60}failed|failed with (?:exit|return"
    r"|error) ?(?:code|status)|return ?code",
    re.IGNORECASE,
)
_WRAPPER_TYPE = re.compile(
    r"^(?:CalledProcessError|RetryError|DockerContainerFailedException|DbtRuntimeError|CosmosDbtRunError|SystemExit)$"
)
_GENERIC_TYPE = re.compile(
    r"^(?:TaskDeferralError|Airflow\w*Exception|RuntimeError|Exception|PodLaunch\w+Exception|\w*RetryError)$"
)


_TRANSPORT = re.compile(r"^(?:_InactiveRpcError|_MultiThreadedRendezvous|AioRpcError)$")
"""What a client library translates into the exception that names the fault."""
_VAGUE = re.compile(
    r"\b(?:fail(?:ed|ure|s)?|errors?|abort(?:ed|ing)?|unsuccessful|not (?:built|loaded|done|sent|written)|went wrong"
    r"|see (?:the )?logs?)\b",
    re.IGNORECASE,
)
VAGUE_CHARS = 80
_TELLS_ERRORS = re.compile(r"completed with errors: \S+: \S")
"""of dbt's runner: which node failed, and of what"""
_ANNOUNCES = re.compile(
    r":$|^[\[({]+$|^\(\d{3}\)$|^Tests? failed\.$|\b\w+ Error in \w+ \S+ \([^)]*\)$|error code \d+$"
    r"|error line \d+ at position \d+$"
)
_API_MESSAGE = re.compile(r'^\(\d{3}\)\s.*HTTP response body: .*?"message": ?"((?:[^"\\\n]|\\.)+)"', re.DOTALL)
"""of the Kubernetes API: what matters is inside the body"""
_ABORTED = re.compile(r"SparkException: (?:Job aborted|Task failed while writing rows)\.?\s*(?:\n|$)")
_ANNOUNCED = 6
_SENTENCE = 5
"""words that say something"""


@dataclass(frozen=True)
class Link:
    """One exception of a chain. `explicit`: it was raised `from` the next inner one's point of view; see `chain` order."""

    type: str
    message: str
    frames: tuple[Frame, ...] = ()
    notes: tuple[str, ...] = ()
    explicit: bool = False
    """this link is the declared cause (`raise … from`) or a member of the group before it in the chain"""

    @property
    def name(self) -> str:
        return self.type.rsplit(".", 1)[-1]

    @property
    def headline(self) -> str:
        """`Type: first line`, as a log states it; with the next line, where the first one only announces it."""
        if inside := _API_MESSAGE.search(self.message):
            return f"{self.type}: {self.message[:5]} {inside[1]}".replace('\\"', '"')
        said = ""
        for line in filter(None, (part.strip() for part in self.message.split("\n", _ANNOUNCED)[:_ANNOUNCED])):
            said = f"{said} {line}".strip()
            if not _ANNOUNCES.search(said):
                break
        return f"{self.type}: {said}" if said else self.type


def is_user_file(path: str) -> bool:
    """Whether a frame's file is the user's own: not Airflow's, a library's or the interpreter's."""
    return bool(path) and _LIBRARY.search(path) is None


def is_wrapper(link: Link) -> bool:
    """Whether it only says that something else, a command, pod or job, failed."""
    if _WRAPPER_TYPE.match(link.name):
        return _TELLS_ERRORS.search(link.message) is None
    return bool(is_general(link) and (not link.message.strip() or _WRAPPER_MESSAGE.search(link.message[:2000])))


def is_general(link: Link) -> bool:
    """Whether its type says nothing about what went wrong."""
    return _GENERIC_TYPE.match(link.name) is not None


def is_vague(link: Link) -> bool:
    """Whether a general type says little more than that something failed."""
    message = link.message.strip()
    if link.name == "Py4JJavaError" and "Caused by" not in message and _ABORTED.search(message):
        return True
    return (is_general(link) or link.name == "ValueError") and len(message) < VAGUE_CHARS and _VAGUE.search(message) is not None


# --- which link is the cause -----------------------------------------------------------------------------------------


def root_of(chain: Sequence[Link]) -> int:
    """Index of the first real cause in a chain that starts with the outermost exception."""
    at = 0
    while at + 1 < len(chain) and _goes_deeper(chain[at], chain[at + 1]):
        at += 1
    while at > 0 and _says_less(chain[at], chain[at - 1]):
        at -= 1
    return at


def _goes_deeper(outer: Link, inner: Link) -> bool:
    if inner.explicit or is_wrapper(outer) or _GENERIC_TYPE.match(outer.name) or outer.name == inner.name:
        return True
    stated = inner.message.strip()
    if len(stated) >= 8 and stated[:200] in outer.message:
        return True
    # an error while handling an error: a library that tries one way, then another, means the last; in user code the
    # first came first
    return any(frame.user for frame in inner.frames) or (_is_connection(outer) and _is_connection(inner))


def _is_connection(link: Link) -> bool:
    return (
        re.search(r"connect|timeout|ssl|retry|gaierror|socket|transport|urlerror|oserror", link.name, re.IGNORECASE) is not None
    )


def _says_less(inner: Link, outer: Link) -> bool:
    """`timed out` under `Read timed out. (read timeout=2)`: the same thing, said with less."""
    said = inner.message.strip().lower()
    if (
        _is_bare_lookup(inner)
        and "ExceptionGroup" not in outer.name
        and not is_wrapper(outer)
        and not is_vague(outer)
        and len(outer.message.split()) >= _SENTENCE
    ):
        return any(frame.user for frame in outer.frames[-1:])
    if inner.name == "HTTPError" and inner.message[:3].isdigit() and outer.message.startswith(inner.message[:3]):
        return len(outer.message) > len(inner.message)
    if _TRANSPORT.match(inner.name) or (outer.name.startswith("ClientConnector") and _is_connection(inner)):
        return True
    return (
        not is_wrapper(outer)
        and len(said) < 16
        and (said == "" or said in outer.message.lower())
        and len(outer.message) > len(said)
    )


def _is_bare_lookup(link: Link) -> bool:
    """`KeyError: 'x'`: what is missing, not what that means; whoever caught it may have said so."""
    return link.name in ("KeyError", "IndexError", "StopIteration") and len(link.message.split()) < _SENTENCE + 1


def frames_of(chain: Sequence[Link], root: int) -> tuple[Frame, ...]:
    """The root's frames; where none is the user's, the nearest outer link's before them: how one came there."""
    frames = chain[root].frames
    for outer in reversed(chain[:root]):
        if any(frame.user for frame in frames):
            break
        if any(frame.user for frame in outer.frames):
            last = max(i for i, frame in enumerate(outer.frames) if frame.user)
            frames = outer.frames[: last + 1] + frames
    return frames


# --- from an event, from an exception --------------------------------------------------------------------------------


def from_detail(detail: Iterable[Mapping[str, Any]]) -> list[Link]:
    """The chain of an event's `error_detail`, outermost first; a group is followed into its first member."""
    chain: list[Link] = []
    for item in detail:
        chain.append(_link(item))
        members = item.get("exceptions") or ()
        if members and isinstance(members[0], Mapping | Sequence) and len(chain) < CHAIN_LINKS:
            member = members[0]
            stacks = member.get("stacks", ()) if isinstance(member, Mapping) else member
            inner = from_detail(stacks if not isinstance(member, Mapping) or "stacks" in member else [member])
            return [*chain, *([_declared(inner[0]), *inner[1:]] if inner else [])][:CHAIN_LINKS]
    return chain[:CHAIN_LINKS]


def _link(item: Mapping[str, Any]) -> Link:
    syntax = item.get("syntax_error")
    frames = [_frame(str(f.get("filename", "?")), f.get("lineno"), str(f.get("name", "?"))) for f in item.get("frames") or ()]
    message = str(item.get("exc_value", ""))
    if isinstance(syntax, Mapping):
        frames.append(
            _frame(str(syntax.get("filename", "?")), syntax.get("lineno"), "<module>", str(syntax.get("line", "")).strip())
        )
        message = str(syntax.get("msg") or message)
    notes = tuple(str(note) for note in item.get("exc_notes") or ())
    return Link(str(item.get("exc_type", "Exception")), message, tuple(frames), notes, explicit=bool(item.get("is_cause")))


def _frame(file: str, line: Any, function: str, code: str | None = None) -> Frame:
    return Frame(file, line if isinstance(line, int) else 0, function, is_user_file(file), code or None)


def _declared(link: Link) -> Link:
    return replace(link, explicit=True)


def from_exception(error: BaseException) -> list[Link]:
    """The chain of an exception object, as Airflow would log it."""
    chain: list[Link] = []
    seen: set[int] = set()
    current: BaseException | None = error
    explicit = False
    while current is not None and id(current) not in seen and len(chain) < CHAIN_LINKS:
        seen.add(id(current))
        chain.append(_link_of(current, explicit=explicit))
        if isinstance(current, BaseExceptionGroup):
            current, explicit = current.exceptions[0], True
        elif current.__cause__ is not None:
            current, explicit = current.__cause__, True
        else:
            current, explicit = (None if current.__suppress_context__ else current.__context__), False
    return chain


def _link_of(error: BaseException, *, explicit: bool) -> Link:
    frames = [_frame(s.filename, s.lineno, s.name, s.line) for s in traceback.extract_tb(error.__traceback__, limit=-200)]
    message = _text_of(error)
    if isinstance(error, SyntaxError):
        frames.append(_frame(error.filename or "?", error.lineno, "<module>", (error.text or "").strip()))
        message = error.msg
    notes = tuple(str(note) for note in getattr(error, "__notes__", ()))
    return Link(type(error).__name__, message, tuple(frames), notes, explicit=explicit)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a __str__ of user code may raise anything; the failure is still to be told
        return ""


# --- from text -------------------------------------------------------------------------------------------------------

TRACEBACK = "Traceback (most recent call last)"
_FRAME_LINE = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)(?:,? in (?P<name>\S+))?')
_CAUSE = "The above exception was the direct cause of the following exception"
_CONTEXT = "During handling of the above exception, another exception occurred"
_GROUP_EDGE = re.compile(r"^\s*(?:[|+] ?(?:[-+]+(?: \d+ -+)?$)?)+")
EXCEPTION_LINE = re.compile(r"^(?P<type>(?:[A-Za-z_*][\w*]*\.)*[A-Za-z_]\w*)(?:: (?P<message>.*)|:?\s*$)", re.DOTALL)
_TYPE_NAME = re.compile(
    r"(?:Error|Exception|Exit|Interrupt|Warning|Timeout|Failure|Failed|Fault|Iteration|NotFound|Group|Invalid|Refused|Denied|"
    r"Lost|Closed|Aborted|Expired|Missing|Mismatch|Violation|NotExist|DoesNotExist|NoSuch\w+|HTTP\w*"
    r"|gaierror|timeout|herror|error|OutOfRange|Column|Table|Found)$"
)
_MARGIN = re.compile(r"^\s*(?:[~^]+\s*)+$")


def names_exception(line: str, *, strict: bool = True) -> re.Match[str] | None:
    """`pkg.SomeError: message`; strict asks for a name that sounds like one."""
    match = EXCEPTION_LINE.match(line)
    if match is None or (strict and not _TYPE_NAME.search(match["type"])):
        return None
    return match


def with_row(link: Link, text: str) -> Link:
    """The link with the next row of its text: a frame, or more of its message."""
    frame = _FRAME_LINE.match(text)
    if frame:
        added = _frame(frame["file"], int(frame["line"]), frame["name"] or "<module>")
        return replace(link, frames=(*link.frames, added))
    return link if link.frames else replace(link, message=f"{link.message}\n{text}")


class TracebackText:
    """Collects a text traceback line by line, chained and grouped ones too."""

    def __init__(self, first: str) -> None:
        self.links: list[Link] = []  # innermost first, as text has them
        self.closed = False
        self._base = len(first) - len(first.lstrip())
        self._grouped = "Exception Group" in first
        self._relation: str | None = None
        self._frames: list[Frame] = []
        self._headline: re.Match[str] | None = None
        self._more: list[str] = []
        self._member = False
        self._flat = False
        """whether indentation was lost, as in what Airflow's Spark hook repeats"""

    def take(self, line: str, *, loose: bool) -> bool:
        """Take the next line; False if it is not part of this. `loose`: unstamped, so any line after is the message's."""
        text = _GROUP_EDGE.sub("", line) if self._grouped else line[self._base :] if not line[: self._base].strip() else line
        if TRACEBACK in text and not self._quotes(text):
            return self._restart()
        if _CAUSE in text or _CONTEXT in text:
            self._finish()
            self._relation = _CAUSE if _CAUSE in text else _CONTEXT
            return True
        if self._headline is None:
            return self._take_frame(text)
        return self._take_message(text, line, loose=loose)

    def _quotes(self, text: str) -> bool:
        """Whether an exception's message quotes another traceback, as those of remote workers do."""
        return bool(self._frames) and self._headline is None and names_exception(text.partition(TRACEBACK)[0] + "x") is not None

    def _restart(self) -> bool:
        if self._headline is None and not self._frames:
            return True
        follows = self._relation is not None or self._grouped
        self._finish()
        if self._relation is None and self._grouped:
            self._member = True
        return follows

    def _take_frame(self, text: str) -> bool:
        frame = _FRAME_LINE.match(text)
        if frame:
            self._frames.append(_frame(frame["file"], int(frame["line"]), frame["name"] or "<module>"))
            self._flat = self._flat or text.startswith("File ")
            return True
        if not text.strip():
            return True
        if text[0].isspace() or (self._flat and self._is_code(text)):
            self._add_code(text.strip())
            return True
        self._headline = names_exception(text, strict=False)
        if self._headline is None:
            self._headline = re.match(r"(?P<type>[^\s:(]+)[:( ]?\s*(?P<message>.*)", text)
        return self._headline is not None

    def _is_code(self, text: str) -> bool:
        """Of lines that all begin at the margin: the one below a frame, unless it names an exception."""
        return _MARGIN.match(text) is not None or (self._frames[-1].code is None and names_exception(text) is None)

    def _add_code(self, text: str) -> None:
        if self._frames and self._frames[-1].code is None and not _MARGIN.match(text) and not text.startswith("[Previous line"):
            last = self._frames[-1]
            self._frames[-1] = Frame(last.file, last.line, last.function, last.user, text)

    def _take_message(self, text: str, line: str, *, loose: bool) -> bool:
        if not text.strip():
            self._more.append("")
            return len(self._more) < 400
        if loose and self._more and not self._more[-1] and names_exception(text):
            return False  # after an empty line: another exception, told by its last line only
        announced = not (self._headline["message"] or self._more)  # type: ignore[index]  # only called once there is one
        if (
            loose
            or announced
            or text[0].isspace()
            or re.match(
                r"Reason: |HTTP response (?:headers|body): |DETAIL|HINT|LINE \d|\[SQL|\[parameters|\(Background|Did you mean"
                r"|Caused by|\tat |: \S|\.\.\. \d+ more",
                text,
            )
        ):
            if len(self._more) < 400:
                self._more.append(text)
            return True
        return self._grouped and bool(re.match(r"^\s*[|+]", line))

    def _finish(self) -> None:
        if self._headline is None:
            return
        message = "\n".join([self._headline["message"] or "", *self._more]).strip("\n ")
        link = Link(self._headline["type"], message, tuple(self._frames))
        if self._member:
            self.links[:0] = [_declared(link)] if len(self.links) == 1 else []  # the first member stands for the group
        elif self._relation == _CAUSE and self.links:
            self.links[-1] = _declared(self.links[-1])
            self.links.append(link)
        else:
            self.links.append(link)
        self._frames, self._headline, self._more, self._relation, self._member = [], None, [], None, False

    def chain(self) -> list[Link]:
        """The chain so far, outermost first."""
        self._finish()
        return list(reversed(self.links))[:CHAIN_LINKS]

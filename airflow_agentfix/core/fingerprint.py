"""The fingerprint of a failure: the same cause gives the same one, whatever the run. Computed from the root cause only.

Contract `fp1`: sixteen hex digits of a SHA-256 over the exception's bare type name, its normalised message and the innermost
of the user's own frames as (file name, function). Dates, ids, addresses, ports, sizes, counts, temporary paths, map index, run
and try do not enter; names, quoted words, error codes and exit codes do. Nor do DAG, task and the frames further out: what two
tasks fail of alike is one cause.
"""

from __future__ import annotations

import hashlib
import json
import re

from airflow_agentfix.core.incident import Frame, RootCause
from airflow_agentfix.core.tracebacks import frames_of, from_exception, is_user_file, root_of

MESSAGE_LINES = 3

# Order matters: what has structure is taken before what is only digits.
_VARYING: tuple[tuple[str, str], ...] = (
    (r"\x1b\[[0-9;]*m", ""),
    (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b", "<n>"),
    (r"\b(?:manual|scheduled|backfill|asset_triggered|dataset_triggered)__[^\s'\",;)\]]+", "<run>"),
    (r"\b0x[0-9a-fA-F]+\b", "<address>"),
    (r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} [A-Z][a-z]{2} \d{4}(?: \d\d:\d\d:\d\d(?: [A-Z]{3,4}| [+-]\d{4})?)?", "<date>"),
    (
        r"(?i)(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}(?![\w:])|(?<![\w:])(?:[0-9a-f]{1,4}:){1,6}(?::[0-9a-f]{1,4}){1,6}(?![\w:])",
        "<host>",
    ),
    (r"-[0-9a-f]{8,10}-[a-z0-9]{5}\b", "-<n>"),
    (r"\b(?=[0-9A-Za-z]*\d)(?=[0-9A-Za-z]*[A-Z])[0-9A-Za-z]{16,}\b", "<n>"),
    (r"\b\d+m\d+s\b", "<time>"),
    (r"\b\d{4}[-/]\d\d[-/]\d\d(?:[T _]\d\d[:_-]?\d\d(?:[:_-]?\d\d)?(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?)?\b", "<date>"),
    (r"\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:T?\d{6}\w?)?\b", "<date>"),
    (r"\b\d{1,2}:\d\d(?::\d\d)?(?:[.,]\d+)?(?: ?[AP]M)?\b", "<time>"),
    (r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d{1,5})?\b", "<host>"),
    (r"(?<=[\w\])]):\d{2,5}(?=[\s/'\",;)\]]|$)", ":<port>"),
    (r"\bport[= ]+\d+", "port <port>"),
    (r"(?<![\w/])/(?:tmp|var/folders|private/tmp|dev/shm)/[^\s'\",;:)\]]*", "<temporary>"),
    (r"(?i)\bpid[:= ]+\d+", "pid <n>"),
    (r"\b(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,64}\b", "<n>"),
    (r"(?<=[-_.])(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]{8,}(?![a-z0-9])", "<n>"),
)
_KEPT_NUMBER = re.compile(
    r"(?i)(?:exit(?:ed)?(?: with)?(?: (?:code|status))?|return ?code|status(?: code)?|errno"
    r"|http(?:/[\d.]+)?|error(?: code)?|signal|sqlstate|code)[ :=(\[]*-?\d+"
    r"|\bORA-\d+|^\d{3} (?:Client|Server) Error"
)
_NUMBER = re.compile(
    r"(?<![A-Za-z_])[-+]?\d+(?:[.,]\d+)*(?:e[-+]?\d+)?(?:%|(?: ?(?:[KMGT]i?B|ms|s|bytes))\b)?|(?<=[A-Za-z_])\d{4,}"
)
_COMPILED = tuple((re.compile(pattern), replacement) for pattern, replacement in _VARYING)
_ASIDE = re.compile(
    r"^\s*(?:\[SQL|\[parameters|\(Background on|DETAIL:|LINE \d|CONTEXT:|\^|compiled code at|Job ID"
    r"|Location:|For further information)",
    re.IGNORECASE,
)
_TYPE_PREFIX = re.compile(r"^(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_]\w*(?:Error|Exception))")


def fingerprint(cause: RootCause) -> str:
    """`fp1:` and sixteen hex digits."""
    name = (cause.exception or "").rsplit(".", 1)[-1]
    message = "\n".join([cause.message if cause.exception else cause.message or cause.line, *cause.notes])
    return _hash(name, message, cause.frames)


def fingerprint_of_exception(error: BaseException) -> str:
    """The same as `fingerprint` of the log that this exception makes."""
    chain = from_exception(error)
    root = root_of(chain)
    message = "\n".join([chain[root].message, *chain[root].notes])
    return _hash(chain[root].name, message, frames_of(chain, root))


def normalised(message: str) -> str:
    """A message without what varies from run to run."""
    lines = [line.strip() for line in message.split("\n") if line.strip() and not _ASIDE.match(line)]
    text = "\n".join(_TYPE_PREFIX.sub("", line)[:400] for line in lines[:MESSAGE_LINES])
    kept: list[str] = []

    def keep(match: re.Match[str]) -> str:
        kept.append(match.group(0))
        return f"\x00{'x' * len(kept)}\x00"

    text = _KEPT_NUMBER.sub(keep, text)
    for pattern, replacement in _COMPILED:
        text = pattern.sub(replacement, text)
    text = _NUMBER.sub("<n>", text)
    text = re.sub(r"\x00(x+)\x00", lambda match: kept[len(match.group(1)) - 1], text)
    return re.sub(r"(?:<n>(?:, ?)?){2,}", "<n>", re.sub(r"[ \t]+", " ", text))


def _hash(name: str, message: str, frames: tuple[Frame, ...]) -> str:
    own = [[frame.file.replace("\\", "/").rsplit("/", 1)[-1], frame.function] for frame in frames if is_user_file(frame.file)]
    parts = json.dumps([name, normalised(message), own[-1:]], ensure_ascii=False)
    return f"fp1:{hashlib.sha256(parts.encode('utf-8', 'replace')).hexdigest()[:16]}"

"""Secrets that span lines: private keys, Kubernetes secrets, values on the line after their name.

Every rule sees the whole text and keeps its number of lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from airflow_agentfix.core.secret_names import KEY, MASK, STAMP, is_strong

# --- private keys ----------------------------------------------------------------------------------------------------

_KEY_BLOCK = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
    r"((?:(?!-----BEGIN )[\s\S]){1,20000}?)(-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
_CUT_KEY_BLOCK = re.compile(
    r"(-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)((?:(?:\s|\\n)+[-+]?[A-Za-z0-9+/=]{16,}(?![\w-]))+)(?!\s*\*{3})"
)
_KEY_BEGIN = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TAIL = re.compile(
    r"((?:[^\S\n]*[-+]?[A-Za-z0-9+/=]{16,}[^\S\n]*\n){1,200}(?:[^\S\n]*[-+]?[A-Za-z0-9+/=]+[^\S\n]*\n)?)"
    r"(?=[^\S\n]*[-+]?-----END (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
)
_KEY_BODY = re.compile(
    r"(?:.*\s)?[A-Za-z0-9+/=]{16,}\s*|\s*[A-Za-z0-9+/=]{1,15}\s*|\s*(?:Proc-Type|DEK-Info|Version|Comment):.*|\s*"
)
_PUTTY = re.compile(
    r"(Private-Lines: \d{1,3}(?:\n|\\{1,8}n))((?:[^\n]{0,200}?[A-Za-z0-9+/=]{4,}\s*?(?:\n|\\{1,8}n)){1,100}?)"
    r"(?=[^\n]{0,200}Private-MAC)"
)


def _mask_block(match: re.Match[str]) -> str:
    ending = match.group(3) if match.re.groups > 2 else ""
    return match.group(1) + "\n".join(_mask_line(line) for line in match.group(2).split("\n")) + ending


def _mask_tail(match: re.Match[str]) -> str:
    return "\n".join(_mask_line(line) for line in match.group(1).split("\n"))


def _mask_line(line: str) -> str:
    # a log stamps each line of a block: the stamp goes with it, which loses nothing that matters
    return MASK if line.strip() else line


def without_key_blocks(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Numbered lines as they stream by, the inside of private key blocks masked: a part that is chosen later no longer shows
    that it was inside of one."""
    inside = False
    for number, line in lines:
        inside = inside and _KEY_BODY.fullmatch(line) is not None
        yield number, _mask_line(line) if inside else line
        inside = inside or ((begun := _KEY_BEGIN.search(line)) is not None and "-----END" not in line[begun.end() :])


# --- Kubernetes secrets ----------------------------------------------------------------------------------------------

_ANY_SECRET = re.compile(r"\bkind\\*[\"']?:\s{0,3}\\*[\"']?Secret\b")
_DATA_OBJECT = re.compile(r"(\"(?:data|stringData)\\*\":\s{0,3}\{)([^{}\n]{1,20000})(?=\})")
_MEMBER = re.compile(r"(:\s{0,3}(\\*\"))((?:(?!\2)[^\n])+)(?=\2)")
_DATA_LINE = re.compile(r"([-+ ]*)(?:data|stringData):\s*")
_ENTRY = re.compile(r"([-+ ]*)([\w.\-/]+:\s+)(\S.*)")


def _kubernetes(lines: list[str]) -> list[str]:
    """The values of every `data` of a text that holds a Secret: base64, so nothing else tells what they are."""
    if not any(_ANY_SECRET.search(line) for line in lines):
        return lines
    shown, depth = [], -1
    for line in lines:
        entry = _ENTRY.fullmatch(line)
        if depth >= 0 and entry is not None and len(entry.group(1)) > depth:
            shown.append(entry.group(1) + entry.group(2) + MASK)
            continue
        begun = _DATA_LINE.fullmatch(line)
        depth = len(begun.group(1)) if begun else -1
        shown.append(_DATA_OBJECT.sub(lambda m: m.group(1) + _MEMBER.sub(rf"\1{MASK}", m.group(2)), line))
    return shown


# --- the value on another line than its name -------------------------------------------------------------------------

_LOOKED_AT = 200
"""characters at a line's end in which a name is looked for"""
_OPENS = re.compile(
    r"(?P<block>" + KEY + r"[\"']?:\s*[|>][-+\d]*\s*$)"
    r"|(?P<next>" + KEY + r"[\"']?\s?(?:[:=]\s*[(\[]?\s*\\?|\\)\s*$|\b(?:bearer|basic)\s*\\*\s*$)"
    r"|(?P<value>(?:name|key)[\"']?:\s*[\"']?[\w.\-]{0,60}?" + KEY + r"[\"']?,?\s*$)"
    r"|(?P<property><name>[\w.\-]{0,120}?" + KEY + r"</name>\s*$)",
    re.IGNORECASE,
)
_AFTER = {
    "next": re.compile(r"(\W{0,80})([^\s\"':=]{8,}={0,2})(?=[\s\"',;]|$)"),
    "value": re.compile(r"([-+\s]*[\"']?value[\"']?:\s*[\"']?)([^\s\"'{][^\"']{2,})", re.IGNORECASE),
    "property": re.compile(r"(\s*<value>)([^<>]{3,})(?=</)"),
}
_NAMES = ("pass", "pwd", "secret", "key", "token", "cred", "auth", "pat", "bearer", "basic")
_NETRC = re.compile(r"(\blogin\s+\S{1,255}\s+password\s+)(?=\S*[^a-z\s])(\S{3,})")
_NETRC_LINE = re.compile(r"([-+]?\s*password\s+)([^\s=:][^\s\"']{2,})(?=[\"'\s]*$)")
_LOGIN_LINE = re.compile(r"[-+]?\s*login\s+\S+\s*")


def _after_names(lines: list[str]) -> list[str]:
    """Values that stand on the line after their name: block scalars, wrapped headers, `name:` and `value:`, netrc."""
    shown = list(lines)
    for at, line in enumerate(lines[:-1]):
        low = line[-_LOOKED_AT:].lower()
        if _LOGIN_LINE.fullmatch(line):
            shown[at + 1] = _NETRC_LINE.sub(rf"\1{MASK}", shown[at + 1])
        if not _may_open(low) or (opened := _OPENS.search(line[-_LOOKED_AT:])) is None:
            continue
        if opened.lastgroup == "block":
            _mask_deeper(shown, at)
        elif opened.lastgroup is not None:
            shown[at + 1] = _AFTER[opened.lastgroup].sub(_mask_next, shown[at + 1], count=1)
    return shown


def _may_open(low: str) -> bool:
    """What a line must have before its end is looked at closely."""
    low = low.rstrip()
    opens = low[-1:] in (":", "=", "\\", "(", "[") or "|" in low[-3:] or ">" in low[-3:] or low.endswith(("bearer", "basic"))
    return (opens or ("name" in low and ":" in low)) and any(name in low for name in _NAMES)


def _mask_next(match: re.Match[str]) -> str:
    strong = match.re is not _AFTER["next"] or is_strong(match.group(2))
    return match.group(1) + MASK if strong and match.start() == 0 else match.group(0)


def _mask_deeper(lines: list[str], at: int) -> None:
    """The lines after `at` that are indented deeper, as a block scalar's are."""
    depth = _depth(lines[at])
    for number in range(at + 1, len(lines)):
        if lines[number].strip() and _depth(lines[number]) <= depth:
            return
        lines[number] = re.sub(r"^([-+]?\s*)\S.*$", rf"\1{MASK}", lines[number])


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip("-+ \t"))


# --- a secret key beside its id --------------------------------------------------------------------------------------

_AWS_ID = re.compile(r"(?:AKIA|ASIA)[0-9A-Z]{16}")
_AWS_SECRET = re.compile(
    r"(?<![A-Za-z0-9/+=])(?=[A-Za-z/+]{0,39}[0-9])(?=[a-z0-9/+]{0,39}[A-Z])(?=[A-Z0-9/+]{0,39}[a-z])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
)


def _aws_pairs(lines: list[str]) -> list[str]:
    """AWS's secret keys have no shape of their own; near an access key's id, forty such characters are one."""
    near = {at + step for at, line in enumerate(lines) if _AWS_ID.search(line) for step in (-1, 0, 1, 2)}
    return [_AWS_SECRET.sub(MASK, line) if at in near else line for at, line in enumerate(lines)]


# --- all of them -----------------------------------------------------------------------------------------------------

_PATTERNS: tuple[tuple[str, re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    ("-----BEGIN", _KEY_BLOCK, _mask_block),
    ("-----BEGIN", _CUT_KEY_BLOCK, _mask_block),
    ("PRIVATE KEY", _KEY_TAIL, _mask_tail),
    ("Private-Lines", _PUTTY, _mask_block),
    ("password", _NETRC, rf"\1{MASK}"),
)
_STAMP = re.compile(STAMP)
_LINE_END = re.compile(r"(\n|(?<!\\)\\{1,8}[rn])")


def redact_blocks(text: str) -> str:
    """`text` without the secrets that only its lines together give away. An escaped line end counts as one."""
    for marker, pattern, mask in _PATTERNS:
        if marker in text:
            text = pattern.sub(mask, text)
    parts = _LINE_END.split(text)
    stamps = [_STAMP.match(line) for line in parts[::2]]
    heads = [stamp.group() if stamp else "" for stamp in stamps]
    lines = [line[len(head) :] for line, head in zip(parts[::2], heads, strict=True)]
    if "AKIA" in text or "ASIA" in text:
        lines = _aws_pairs(lines)
    if "Secret" in text:
        lines = _kubernetes(lines)
    parts[::2] = map("".join, zip(heads, _after_names(lines), strict=True))
    return "".join(parts)

"""Structural redaction: secrets known by where they stand, by the name beside them, or by their prefix.

What vendors' tokens look like in general is a library's business (`airflow_agentfix.redaction`, which everyone calls); here
is what needs no library. Invariants: redacting twice changes nothing more, and the number of lines stays.
"""

from __future__ import annotations

import re

from airflow_agentfix.core.secret_blocks import redact_blocks
from airflow_agentfix.core.secret_blocks import without_key_blocks as without_key_blocks
from airflow_agentfix.core.secret_names import MASK as MASK
from airflow_agentfix.core.secret_names import NAME_RULES, redact_values
from airflow_agentfix.core.secret_places import PLACE_RULES
from airflow_agentfix.core.secret_tokens import TOKENS

_LINE_RULES = (*PLACE_RULES, *NAME_RULES)


def redact(text: str, settled: set[str] | None = None) -> str:
    """`text` with every secret that its place, name or prefix gives away replaced by `***`.

    `settled` keeps the lines that the rules for lines left as they are: who calls again does not pay for them again.
    """
    text = redact_blocks(text)
    for marker, pattern in TOKENS:
        if marker in text:
            text = pattern.sub(MASK, text)
    settled = set() if settled is None else settled
    return "\n".join([line if line in settled else _redact_line(line, settled) for line in text.split("\n")])


def _redact_line(line: str, settled: set[str]) -> str:
    shown, low = line, line.lower()
    for words, pattern, replacement in _LINE_RULES:
        for word in words:
            if word in low:
                shown = pattern.sub(replacement, shown)
                break
    shown = redact_values(shown)
    if shown == line:
        settled.add(line)
    return shown


# --- what a reader cannot see ----------------------------------------------------------------------------------------

INVISIBLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b."
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """`text` without terminal codes, control, invisible and bidirectional characters: what is read is what is there."""
    return INVISIBLE.sub("", text)


COMMENT_CHARS = 4_000
"""A longer one is not taken out: two marks far apart would hide all that a log says between them."""
_COMMENT_END = re.compile(r"--!?>")


def without_comments(text: str) -> str:
    """`text` without HTML comments, which who reads it rendered would not see and a model would.

    What has no end, or a far one, stays as text that nothing hides: its mark is broken. The number of lines stays.
    """
    shown: list[str] = []
    at, end = 0, None
    while (begin := text.find("<!--", at)) >= 0:
        if end is None or end.start() < begin + 2:
            end = _COMMENT_END.search(text, begin + 2)
        if end is None:
            return "".join([*shown, text[at:].replace("<!--", "< !--")])
        shown.append(text[at:begin])
        if end.end() - begin > COMMENT_CHARS:
            shown.append("< !--")
            at = begin + 4
        else:
            shown.append(" " + "\n" * text.count("\n", begin, end.end()))
            at = end.end()
    return "".join([*shown, text[at:]]) if at else text

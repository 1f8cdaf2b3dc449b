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


def redact(text: str) -> str:
    """`text` with every secret that its place, name or prefix gives away replaced by `***`."""
    text = redact_blocks(text)
    for marker, pattern in TOKENS:
        if marker in text:
            text = pattern.sub(MASK, text)
    return "\n".join([_redact_line(line) for line in text.split("\n")])


def _redact_line(line: str) -> str:
    low = line.lower()
    for words, pattern, replacement in _LINE_RULES:
        for word in words:
            if word in low:
                line = pattern.sub(replacement, line)
                break
    return redact_values(line)


# --- what a reader cannot see ----------------------------------------------------------------------------------------

INVISIBLE = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)|\x1b."
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """`text` without terminal codes, control, invisible and bidirectional characters: what is read is what is there."""
    return INVISIBLE.sub("", text)

"""Others' words as they may stand on a code host, which acts on what it reads: it calls who is named, closes what is said to be
fixed, and starts no checks where it is told to skip them. Pure.

Invariant: this is the last thing done to a text. Redaction after it would take the signs out again that part the words.
"""

from __future__ import annotations

import re

_PART = "\N{ZERO WIDTH SPACE}"
_CALL = re.compile(r"@(?=[\w-])")
_CLOSES = re.compile(
    r"\b(c|f|r|i)(?=(?:los(?:e[sd]?|ing)|ix(?:e[sd]|ing)?|esolv(?:e[sd]?|ing)|mplement(?:s|ed|ing)?)"
    r"[\s:*_`\[(\\]{1,8}(?:issues?\s+)?(?:[\w./-]*#\d|gh-\d|https?://))",
    re.IGNORECASE,
)
"""a word that closes, before what it would close: #1, owner/name#1, GH-1, an address"""
_SKIPS = re.compile(r"\[([^\[\]\n]{0,40}\b(?:skip|no)\b[^\[\]\n]{0,40})\](?!\()|\*{3}(NO_CI)\*{3}", re.IGNORECASE)


def inert(text: str) -> str:
    """The text as people read it, with nothing in it that a code host would act on."""
    text = _CALL.sub(f"@{_PART}", text)
    text = _CLOSES.sub(rf"\g<1>{_PART}", text)
    return _SKIPS.sub(lambda found: f"({found[1] or found[2]})", text)

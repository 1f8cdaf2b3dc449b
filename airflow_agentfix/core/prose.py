"""Prose put together of what several wrote: each part ends as a sentence does."""

from __future__ import annotations

_ENDS = (".", "!", "?", "…", ":", ";", "```")
_CLOSED = "\"'`)*_]"
"""what may stand behind a full stop"""


def whole(text: str) -> str:
    """The text with the full stop it lacks. What ends in a list, a table or a code block stays as it is."""
    text = text.strip()
    last = text.rpartition("\n")[2]
    is_prose = bool(text) and not last.startswith((" ", "\t", "- ", "* ", "> ", "|", "+", "```"))
    return f"{text}." if is_prose and not text.rstrip(_CLOSED).endswith(_ENDS) else text


def prose(*parts: str | None) -> str:
    """The parts that say something, as whole sentences one after another; what has lines of its own is a paragraph."""
    said = [whole(part) for part in parts if part and part.strip()]
    between = "\n\n" if any("\n" in part for part in said) else " "
    return between.join(said)

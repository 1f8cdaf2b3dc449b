"""Markdown, as far as it has to be told what of a comment is its author's own prose."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_NOT_PROSE = frozenset({"blockquote_open", "fence", "code_block", "html_block"})
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_VISIBLE = re.compile(r"[^\n]")


def prose(text: str) -> str:
    """The text with quotes, code and HTML blanked, as long as it was: what stands somewhere in it stands there in the text. Lines
    end in \\n alone."""
    lines = text.split("\n")
    tokens = [token for token in _parser().parse(text) if token.map]
    for token in tokens:
        begin, end = token.map or (0, 0)
        if token.type == "inline":
            lines[begin:end] = _CODE_SPAN.sub(_blank, "\n".join(lines[begin:end])).split("\n")
    for token in tokens:
        begin, end = token.map or (0, 0)
        if token.type in _NOT_PROSE:
            lines[begin:end] = [" " * len(line) for line in lines[begin:end]]
    return "\n".join(lines)


def _blank(match: re.Match[str]) -> str:
    return _VISIBLE.sub(" ", match.group())


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # 60 ms that only who reads comments pays

    return MarkdownIt("commonmark")

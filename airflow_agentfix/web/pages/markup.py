"""Text that others wrote, as HTML: a model's Markdown, a diff. The only place that makes HTML of text, and libraries do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any

import nh3
from markupsafe import Markup

from airflow_agentfix.core.urls import web_address

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from pygments.formatters import HtmlFormatter

MOST = 200_000
"""characters that are rendered; of more the beginning, and a word that says so"""
KEPT_WORDS, KEPT_DIFF = 4_000, 20_000
"""characters of a text whose HTML is kept for the next who looks at it; what is longer is rendered for each, so that a few MB are
kept and no more"""
_INLINE = ("a", "br", "code", "del", "em", "strong")
_BLOCKS = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "ul")
_TABLES = ("table", "tbody", "td", "th", "thead", "tr")
TAGS = {*_INLINE, *_BLOCKS, *_TABLES}


def _kept(*, texts: int, chars: int) -> Callable[[Callable[[str], Markup]], Callable[[str], Markup]]:
    """Many look at the same session: keeps the HTML of the last `texts` that have no more than `chars` characters."""

    def keeping(render: Callable[[str], Markup]) -> Callable[[str], Markup]:
        kept = lru_cache(maxsize=texts)(render)
        return wraps(render)(lambda text: kept(text) if len(text) <= chars else render(text))

    return keeping


@_kept(texts=256, chars=KEPT_WORDS)
def markdown(text: str) -> Markup:
    """A model's or a person's Markdown. HTML in it is shown as text, so is an image; links lead to whole http(s) addresses alone,
    out of the frame that we are in, and say nothing of us."""
    html = _markdown().render(text[:MOST])
    safe = nh3.clean(
        html,
        tags=TAGS,
        attributes={"a": {"href"}},
        set_tag_attribute_values={"a": {"target": "_blank", "data-out": ""}},
        url_schemes={"http", "https"},
        url_relative="deny",
        link_rel="noopener noreferrer",
    )
    return Markup(safe) + _left_out(text)


@_kept(texts=32, chars=KEPT_DIFF)
def diff(text: str) -> Markup:
    """A unified diff, highlighted; styles are classes."""
    from pygments import highlight
    from pygments.lexers import DiffLexer

    return Markup(highlight(text[:MOST], DiffLexer(), _formatter())) + _left_out(text)


def _left_out(text: str) -> Markup:
    left = len(text) - MOST
    return Markup('<p class="notice">{:,} more characters are not shown here.</p>').format(left) if left > 0 else Markup()


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    made.validateLink = lambda url: web_address(url) is not None  # type: ignore[method-assign]  # its own way to be told
    return made


@lru_cache(maxsize=1)
def _formatter() -> HtmlFormatter[str]:
    from pygments.formatters import HtmlFormatter

    return HtmlFormatter(cssclass="diff", wrapcode=True)


FILTERS: Mapping[str, Callable[..., Any]] = {"markdown": markdown, "diff": diff}

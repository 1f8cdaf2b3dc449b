"""The evidence's text as lines that can be linked to, and what cites them. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

_MARKED = re.compile(r"([LES]\d+)\t(.*)")
_OF_FILE = re.compile(r"(\d+)\t(.*)")
_CITE = re.compile(r"(?P<id>[LE]\d+)(?:\s*-\s*[LE]?\d+)?|(?P<path>[^\s:]+):(?P<line>\d+)(?:\s*-\s*\d+)?")


@dataclass(frozen=True)
class Line:
    """`anchor`: its id in the page, empty for one that is not cited; `label`: what it is called; `cause`: the log's, or a fact,
    that the verdict rests on."""

    text: str
    label: str = ""
    anchor: str = ""
    cause: bool = False


@dataclass(frozen=True)
class Cite:
    """What a claim cites; `href` leads to the line in the page, else to the event that showed it, None where the page has
    neither."""

    text: str
    href: str | None


@dataclass(frozen=True)
class Claim:
    """A link of the causal chain. `is_grounded`: each line it cites was shown to whoever wrote it."""

    text: str
    cites: tuple[Cite, ...]
    is_grounded: bool = True


def lines(text: str, *, rests_on: Collection[str] = ()) -> tuple[Line, ...]:
    """Lines of the log are `L12`, facts `E3`; lines of an excerpt are called as they are cited: `path:12`."""
    found: list[Line] = []
    path, known = "", set[str]()
    for row in text.split("\n") if text else ():
        line = Line(row)
        if marked := _MARKED.fullmatch(row):
            label, path = marked[1], marked[2].rpartition(" at ")[0] if marked[1].startswith("S") else ""
            line = Line(marked[2], label, label, label in rests_on)
        elif path and (numbered := _OF_FILE.fullmatch(row)):
            line = Line(numbered[2], numbered[1], f"{path}:{numbered[1]}")
        else:
            path = ""
        found.append(line if line.anchor not in known else Line(line.text, line.label))
        known |= {line.anchor} - {""}
    return tuple(found)


def cites(named: Iterable[object], shown: Iterable[Line], events: Mapping[str, Any] | None = None) -> tuple[Cite, ...]:
    """Each with where it leads. `events`: the numbers of those that showed what the evidence has not."""
    anchors = {line.anchor for line in shown}
    return tuple(_cite(str(one), anchors, (events or {}).get(str(one))) for one in named)


def _cite(text: str, anchors: Collection[str], event: object) -> Cite:
    found = _CITE.fullmatch(text.replace("\N{EN DASH}", "-").strip("` []()"))
    anchor = (found["id"] or f"{found['path'].removeprefix('./')}:{found['line']}") if found else ""
    if anchor in anchors:
        return Cite(text, f"#{quote(anchor, safe='')}")
    return Cite(text, f"#event-{event}" if isinstance(event, int) and event > 0 else None)


def chain(report: Mapping[str, Any], shown: Iterable[Line]) -> tuple[Claim, ...]:
    """The report's causal chain."""
    ungrounded, shown = set(map(str, listed(report.get("ungrounded")))), tuple(shown)
    told = report.get("shown_in")
    events = told if isinstance(told, Mapping) else {}
    links = [link for link in listed(report.get("causal_chain")) if isinstance(link, Mapping)]
    return tuple(
        Claim(text := str(link.get("claim") or ""), cites(listed(link.get("cites")), shown, events), text not in ungrounded)
        for link in links
    )


def listed(value: object) -> Sequence[Any]:
    """A list as it is, anything else as an empty one: a worker writes what it likes."""
    return value if isinstance(value, (list, tuple)) else ()

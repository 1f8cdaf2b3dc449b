"""Values as people read them: money, time, counts. Pure; the moment of reading is an argument of none: browsers know it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from airflow_agentfix.core.urls import web_address


def dollars(amount: float) -> str:
    """Cents; of less than one, that it is less."""
    return "< $0.01" if 0 < amount < 0.005 else f"${amount:,.2f}"


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def when(at: str | None) -> Markup:
    """A moment, told by its distance: scripts put `3 min ago` in place of the time."""
    if not at:
        return Markup("-")
    moment = datetime.fromisoformat(at).astimezone(UTC)
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}" data-ago>{}</time>').format(moment.isoformat(), exact, exact)


def segment(text: str) -> str:
    """One part of a path, whatever an id holds."""
    return quote(text, safe="")


def short(commit: str | None) -> str:
    return (commit or "")[:12]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "dollars": dollars,
    "count": count,
    "when": when,
    "segment": segment,
    "short": short,
    "web_address": web_address,
}

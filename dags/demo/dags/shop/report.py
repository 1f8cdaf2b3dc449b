"""The report people get at seven."""

from __future__ import annotations

from shop import money


def render(totals: dict[str, float]) -> str:
    """The report's text."""
    lines = [f"{country}: {money.to_text(total)}" for country, total in totals.items()]
    text = "\n".join(["Revenue by country", *lines])
    print(text)
    return text

"""Amounts of money: cents inside, euros in what people read."""

from __future__ import annotations


def to_euros(cents: int) -> float:
    """Cents as euros."""
    return round(cents / 100, 2)


def to_text(euros: float) -> str:
    """Euros as a person writes them."""
    return f"{euros:,.2f} EUR"

"""The day's orders, as the shop system exports them: amounts in cents."""

from __future__ import annotations

ORDERS = [
    {"order_id": 1001, "country": "DE", "amount_cents": 4990},
    {"order_id": 1002, "country": "FR", "amount_cents": 1250},
    {"order_id": 1003, "country": "DE", "amount_cents": 990},
    {"order_id": 1004, "country": "PL", "amount_cents": 22900},
]


def of_day() -> list[dict]:
    """The orders of one day."""
    print(f"{len(ORDERS)} orders exported")
    return ORDERS

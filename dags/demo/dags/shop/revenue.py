"""Revenue by country."""

from __future__ import annotations

from collections import Counter

from shop import money


def by_country(orders: list[dict]) -> dict[str, float]:
    """Revenue of the orders in euros, by country."""
    cents: Counter[str] = Counter()
    for order in orders:
        cents[order["country"]] += order["amount_cents"]
    return {country: money.to_euro(amount) for country, amount in sorted(cents.items())}

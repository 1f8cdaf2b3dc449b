"""When a name can only be a slip for another."""

from __future__ import annotations

import pytest

from airflow_agentfix.models.recipes.nearest import only_near


@pytest.mark.parametrize(
    ("wrong", "names", "right"),
    [
        ("amout", ["amount", "country"], "amount"),
        ("amuont", ["amount", "country"], "amount"),
        ("unitprice", ["unit_price", "quantity"], "unit_price"),
        ("calculate_totals_by_contry", ["calculate_totals_by_country", "to_text"], "calculate_totals_by_country"),
        ("OrderLoder", ["OrderLoader", "Orders"], "OrderLoader"),
        ("recieved_at", ["received_at", "created_at"], "received_at"),
    ],
)
def test_a_slip_has_one_near_name(wrong: str, names: list[str], right: str) -> None:
    assert only_near(wrong, names) == right


@pytest.mark.parametrize(
    ("wrong", "names"),
    [
        ("amout", ["amount", "amounts"]),
        ("reuslt", ["result", "results"]),
        ("min_price", ["max_price"]),
        ("get_price", ["set_price"]),
        ("include_tax", ["exclude_tax"]),
        ("encode", ["decode"]),
        ("import_orders", ["export_orders"]),
        ("total_1", ["total_2"]),
        ("q1_2025", ["q1_2026"]),
        ("start_date", ["end_date"]),
        ("orders", ["order"]),
        ("loaded", ["load"]),
        ("updated_at", ["update_at"]),
        ("valid", ["invalid"]),
        ("id", ["ids"]),
        ("key", ["keys"]),
        ("Order", ["order"]),
        ("country", ["county_code"]),
        ("price", []),
        ("price", ["price"]),
        ("source_table", ["target_table"]),
        ("lower", ["upper"]),
        ("to_euro", ["to_zero"]),
    ],
)
def test_two_meanings_two_rivals_or_nothing_near_have_none(wrong: str, names: list[str]) -> None:
    assert only_near(wrong, names) is None


def test_an_inflection_is_a_slip_only_among_callables() -> None:
    assert only_near("to_euro", ["to_euros", "to_text"], inflections=True) == "to_euros"
    assert only_near("to_euro", ["to_euros", "to_text"]) is None


def test_letter_case_is_a_slip_only_among_keys() -> None:
    assert only_near("userId", ["user_id"], fold=True) == "user_id"
    assert only_near("Amount", ["amount"], fold=True) == "amount"
    assert only_near("Amount", ["amount"]) is None

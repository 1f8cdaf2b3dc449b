"""Any text is read as YAML or refused, soon."""

from __future__ import annotations

import time

import pytest

from airflow_agentfix.code.plain_yaml import load
from tests.code.test_dbt_gate import findings

LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


def test_plain_yaml_is_its_values() -> None:
    assert load("a: &x [1]\nb: *x\n") == {"a": [1], "b": [1]}


@pytest.mark.parametrize(
    "text", ["a: [", "a: 2024-13-45", "? [a]\n: b", LAUGHS, "&a [*a]", "a: !!python/object:os.system x", "[" * 5_000]
)
def test_what_is_none_or_unfolds_without_end_is_refused_at_once(text: str) -> None:
    begun = time.monotonic()
    with pytest.raises(ValueError, match=r"."):
        load(text)
    assert time.monotonic() - begun < 60


def test_the_gate_for_data_tests_comes_back_from_a_file_that_unfolds_without_end() -> None:
    assert findings(LAUGHS, LAUGHS + "b: 1\n") == []

"""The recovery's contract with Airflow; each sentence is proved in tests/inside/recovery_contract.py, in a process of its own."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "recovery_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_a_real_database(name: str) -> None:
    inside.prove(_CONTRACT, name)

"""The contract of AskOperator with Airflow; each sentence is proved in tests/inside/ask_contract.py."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "ask_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_a_real_database(name: str) -> None:
    inside.prove(_CONTRACT, name)

"""The contract of AgentFixOperator with Airflow; each sentence is proved in tests/inside/operator_contract.py."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "operator_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_a_real_database(name: str) -> None:
    inside.prove(_CONTRACT, name)

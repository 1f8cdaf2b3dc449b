"""The API on Airflow's own logins and rights: each sentence is proved in tests/inside/rights_contract.py, in its own process."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "rights_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_a_real_airflow(name: str) -> None:
    inside.prove(_CONTRACT, name)

"""Evidence read inside the API server; each sentence is proved in tests/inside/facts_contract.py, in a process of its own."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "facts_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_a_real_database(name: str) -> None:
    inside.prove(_CONTRACT, name)

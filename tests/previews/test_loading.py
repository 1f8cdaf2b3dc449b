"""What a preview's DAG is; each sentence is proved in tests/inside/preview_contract.py, in a process with Airflow of its own."""

from __future__ import annotations

import pytest

from tests import inside

_CONTRACT = "preview_contract.py"


@pytest.mark.parametrize("name", inside.names(_CONTRACT))
def test_on_this_airflow(name: str) -> None:
    inside.prove(_CONTRACT, name)

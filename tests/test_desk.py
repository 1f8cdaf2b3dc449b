"""What another writer was quicker with is decided anew."""

from __future__ import annotations

import time

import pytest
from tenacity import retry, retry_if_exception_type

from airflow_agentfix.desk import enough
from airflow_agentfix.errors import StaleWrite

SHORT = 0.01
soon_again = retry(retry=retry_if_exception_type(StaleWrite), stop=enough(SHORT), reraise=True)


def test_what_took_longer_than_its_patience_is_decided_anew_all_the_same():
    """As an answer does that waits until Airflow shows the question."""
    times: list[str] = []

    @soon_again
    def answer() -> str:
        times.append("asked")
        if len(times) == 1:
            time.sleep(2 * SHORT)
            raise StaleWrite("The worker was first.")
        return "written"

    assert answer() == "written"
    assert len(times) == 2


def test_where_another_is_always_first_it_ends_and_says_so():
    times: list[str] = []

    @soon_again
    def answer() -> None:
        times.append("asked")
        raise StaleWrite("Always another.")

    with pytest.raises(StaleWrite, match="Always another"):
        answer()
    assert len(times) >= 3

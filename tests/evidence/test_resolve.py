"""Ids a person gives, and the answer to a typo."""

from __future__ import annotations

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.errors import AirflowNotFound
from airflow_agentfix.evidence.resolve import resolve_ref
from tests.evidence.conftest import REF, RUN
from tests.fakes.airflow_rest import FakeAirflow


def test_the_newest_try_is_meant_unless_one_is_named(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_task_instance("shop", RUN, "retried", try_number=3)
    assert resolve_ref(api, "shop", RUN, "retried") == TaskRef("shop", RUN, "retried", 3)
    assert resolve_ref(api, "shop", RUN, "retried", try_number=1).try_number == 1
    assert resolve_ref(api, "shop", RUN, "transform") == REF


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (("shpo", RUN, "transform"), "Airflow has no DAG 'shpo'. Did you mean 'shop'"),
        (("entirely-else", RUN, "transform"), r"Airflow has no DAG 'entirely-else'\.$"),
        (
            ("shop", RUN.replace("10:00", "11:00"), "transform"),
            r"DAG 'shop' has no run .*Did you mean 'manual__2026-11-22T10:00:00\+00:00'",
        ),
        (("shop", "zzz", "transform"), r"no run 'zzz'\. Its newest run is 'manual__"),
        (("shop", RUN, "transfrom"), "has no task 'transfrom'. Did you mean 'transform'"),
        (("shop", RUN, "zzz"), "has no task 'zzz'. It has 'extract', 'load', 'transform'"),
    ],
)
def test_a_wrong_id_is_named_with_what_is_near(api: RestAirflowApi, ids: tuple[str, str, str], words: str) -> None:
    with pytest.raises(AirflowNotFound, match=words):
        resolve_ref(api, *ids)


def test_a_map_index_that_is_missing_or_wrong_is_told_with_the_failed_ones(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    for index in range(115):
        airflow.add_task_instance("shop", RUN, "rows", map_index=index, state="failed" if index == 114 else "success")
    assert resolve_ref(api, "shop", RUN, "rows", 114).map_index == 114
    with pytest.raises(AirflowNotFound, match="is mapped; name the map index: it has 0 to 114; failed: 114"):
        resolve_ref(api, "shop", RUN, "rows")
    with pytest.raises(AirflowNotFound, match="has no map index 115: it has 0 to 114"):
        resolve_ref(api, "shop", RUN, "rows", 115)
    with pytest.raises(AirflowNotFound, match="is not mapped; leave map index 2 out"):
        resolve_ref(api, "shop", RUN, "extract", 2)


@pytest.mark.parametrize("try_number", [0, 2])
def test_a_try_that_never_was_is_told(api: RestAirflowApi, try_number: int) -> None:
    with pytest.raises(AirflowNotFound, match=f"no shop/.*/transform try {try_number}: its newest try is 1"):
        resolve_ref(api, "shop", RUN, "transform", try_number=try_number)

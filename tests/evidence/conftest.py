"""An Airflow with a failed run of a small shop pipeline."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.core.incident import TaskRef
from tests.fakes.airflow_rest import FakeAirflow, event, traceback

RUN = "manual__2026-11-22T10:00:00+00:00"
REF = TaskRef("shop", RUN, "transform", 1)
HELPER = "/opt/airflow/dags/shop/money.py"
LOG = [
    event("DAG bundles loaded: dags-folder"),
    event("connecting with password=hunter2secret99"),
    traceback("KeyError", "'amount'", ("/opt/airflow/dags/shop.py", 12, "transform"), (HELPER, 7, "total")),
]


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as fake:
        fake.add_dag(
            "shop", {"extract": ["transform"], "transform": ["load"], "load": []}, owners=["ann"], bundle_version="b" * 40
        )
        for day in (18, 19, 20):
            run_id = f"scheduled__2026-11-{day}"
            fake.add_run("shop", run_id, state="success", run_after=f"2026-11-{day}T00:00:00Z", bundle_version="a" * 40)
            fake.add_task_instance("shop", run_id, "transform", state="success", duration=float(day))
        fake.add_run("shop", RUN, conf={"api_key": "Zq81mLpV0s7d", "day": 1}, bundle_version="b" * 40)
        fake.add_task_instance("shop", RUN, "extract", state="success")
        fake.add_task_instance("shop", RUN, "transform", log=LOG, rendered_fields={"op_kwargs": {"password": "Yw5pass77word"}})
        fake.add_task_instance("shop", RUN, "load", state="upstream_failed", try_number=0)
        yield fake


@pytest.fixture
def api(airflow: FakeAirflow) -> RestAirflowApi:
    return RestAirflowApi(connect_with(Login(url=airflow.url)))

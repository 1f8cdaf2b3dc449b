"""Data in and out of a failed task, over real HTTP, as the text tells it."""

from __future__ import annotations

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.circumstances import AssetEvent
from airflow_agentfix.core.incident import Incident
from airflow_agentfix.evidence.collect import collect
from tests.evidence.conftest import REF, RUN
from tests.fakes.airflow_rest import FakeAirflow

BEFORE, SINCE = "2026-11-20T00:00:00Z", "2026-11-22T12:00:00.5Z"
"""of the run's start, which is at noon of the 22nd"""


def names(incident: Incident, of: str) -> list[str]:
    return [asset.name for asset in getattr(incident.circumstances.lineage, of)]


def test_what_the_task_reads_and_should_have_written_is_told_with_its_last_update(
    airflow: FakeAirflow, api: RestAirflowApi
) -> None:
    airflow.add_asset("raw", consumers=[("shop", "transform")], last=BEFORE)
    airflow.add_asset("orders", producers=[("shop", "transform")])
    incident = collect(REF, api=api)
    assert (names(incident, "inlets"), names(incident, "outlets")) == (["raw"], ["orders"])
    assert f"reads: raw (s3://lake/raw), last updated {BEFORE}" in incident.text
    assert "should have updated: orders (s3://lake/orders), last updated never" in incident.text


def test_what_other_tasks_read_and_write_is_not_the_failed_ones(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_asset("raw", producers=[("shop", "extract")], consumers=[("shop", "extract")])
    airflow.add_asset("same task id elsewhere", producers=[("other", "transform")], consumers=[("other", "transform")])
    incident = collect(REF, api=api)
    assert [names(incident, of) for of in ("inlets", "outlets", "dag_outlets")] == [[], [], []]
    assert "reads:" not in incident.text


def test_what_the_victims_did_not_write_is_told_too(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_asset("report", producers=[("shop", "load")], scheduled=["dashboards"])
    incident = collect(REF, api=api)
    assert "not updated by the victims either: report (s3://lake/report), last updated never" in incident.text
    assert "stale downstream DAGs, which wait for these assets: dashboards" in incident.text


def test_dags_that_wait_for_what_was_not_written_are_stale_but_not_our_own(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_asset("orders", producers=[("shop", "transform")], scheduled=["shop", "reports", "billing"], last=BEFORE)
    incident = collect(REF, api=api)
    assert incident.circumstances.lineage.stale == ("billing", "reports")


@pytest.mark.parametrize("last", [SINCE, "2026-11-22T12:00:00Z"])
def test_an_asset_that_was_updated_since_the_run_started_leaves_nobody_stale(
    airflow: FakeAirflow, api: RestAirflowApi, last: str
) -> None:
    airflow.add_asset("orders", producers=[("shop", "transform")], scheduled=["reports"], last=last)
    incident = collect(REF, api=api)
    assert incident.circumstances.lineage.stale == ()
    assert f"should have updated: orders (s3://lake/orders), last updated {last}" in incident.text


def test_what_the_dag_waits_for_is_told_unless_the_task_reads_it(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_asset("trigger", scheduled=["shop"], last=BEFORE)
    airflow.add_asset("both", scheduled=["shop"], consumers=[("shop", "transform")], last=BEFORE)
    text = collect(REF, api=api).text
    assert f"the DAG waits for: trigger (s3://lake/trigger), last updated {BEFORE}\n" in text
    assert f"reads: both (s3://lake/both), last updated {BEFORE}\n" in text


def test_the_events_that_started_the_run_are_told_with_who_made_them(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.runs["shop", RUN]["run_type"] = "asset_triggered"
    airflow.add_upstream_event("shop", RUN, "orders", by=("producer", "green", "write"))
    airflow.add_upstream_event("shop", RUN, "rates", at=SINCE)
    incident = collect(REF, api=api)
    assert incident.circumstances.lineage.fed_by[0] == AssetEvent("orders", "2026-11-22T12:00:00Z", "producer", "green", "write")
    assert "this run was started by orders at 2026-11-22T12:00:00Z from producer/green/write" in incident.text
    assert f"this run was started by rates at {SINCE} from outside Airflow" in incident.text


def test_of_many_events_the_first_are_told_and_the_rest_counted(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.runs["shop", RUN]["run_type"] = "asset_triggered"
    for _ in range(23):
        airflow.add_upstream_event("shop", RUN, "orders")
    text = collect(REF, api=api).text
    assert text.count("this run was started by") == 20
    assert "3 further events started this run; Airflow lists them under the run's asset events" in text


def test_a_run_that_was_started_otherwise_is_not_asked_for_its_events(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    collect(REF, api=api)
    assert airflow.asked("/upstreamAssetEvents") == []


def test_an_asset_whose_name_and_uri_hold_a_login_is_shown_without_it(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    uri = "postgres://app:Hd83kqPw0x@db.internal:5432/shop/public/orders"
    airflow.add_asset(uri, uri=uri, producers=[("shop", "transform"), ("shop", "load")], consumers=[("shop", "transform")])
    airflow.add_asset(f"{uri}2", uri=uri, producers=[("shop", "load")], scheduled=["shop"])
    airflow.runs["shop", RUN]["run_type"] = "asset_triggered"
    airflow.add_upstream_event("shop", RUN, uri)
    incident = collect(REF, api=api)
    assert "Hd83kqPw0x" not in str(incident.to_json())
    assert "should have updated: postgres://app:***@db.internal:5432/shop/public/orders, last updated never" in incident.text

"""Airflow's REST API v2 through the port, against a fake that answers as Airflow 3.3 does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, XCom
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.errors import AirflowConflict, AirflowForbidden, AirflowNotFound, AirflowRefused
from airflow_agentfix.ports import AirflowApi, TaskSpec
from tests.fakes.airflow_rest import FakeAirflow, event

RUN = "manual__2026-11-22T10:00:00+00:00"


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as fake:
        fake.add_dag("shop", {"extract": ["load"], "load": []}, tags=[{"name": "sales"}], owners=["ann"], bundle_version="abc")
        fake.add_run("shop", RUN, conf={"day": 1}, bundle_version="abc")
        yield fake


@pytest.fixture
def api(airflow: FakeAirflow) -> AirflowApi:
    return RestAirflowApi(connect_with(Login(url=airflow.url)))


def test_dag_and_run_come_as_values(api: AirflowApi) -> None:
    dag, run = api.dag("shop"), api.run("shop", RUN)
    assert (dag.file, dag.tags, dag.owners, dag.bundle_version) == ("dags/shop.py", ("sales",), ("ann",), "abc")
    assert (run.run_id, run.state, run.conf, run.bundle_version) == (RUN, "failed", {"day": 1}, "abc")
    assert api.version() == "3.3.2"


@pytest.mark.parametrize("page_limit", [100, 30])
def test_the_only_failure_among_115_mapped_instances_is_found_whatever_the_page_size(
    airflow: FakeAirflow, api: AirflowApi, page_limit: int
) -> None:
    airflow.page_limit = page_limit
    for index in range(115):
        airflow.add_task_instance("shop", RUN, "load", map_index=index, state="failed" if index == 114 else "success")
    instances = api.task_instances("shop", RUN)
    assert len(instances) == 115
    assert [one.map_index for one in instances if one.state == "failed"] == [114]


def test_a_mapped_task_instance_is_asked_for_by_its_index(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.add_task_instance("shop", RUN, "load", map_index=3, rendered_fields={"sql": "select 1"})
    assert api.task_instance("shop", RUN, "load", 3).rendered_fields == {"sql": "select 1"}
    with pytest.raises(AirflowNotFound, match="add the map_index"):
        api.task_instance("shop", RUN, "load")


def test_every_try_is_given_the_first_one_first(airflow: FakeAirflow, api: AirflowApi) -> None:
    newest = airflow.add_task_instance("shop", RUN, "load", try_number=2)
    airflow.add_earlier_try(newest, 1, hostname="worker-0")
    assert [(one.try_number, one.hostname) for one in api.tries("shop", RUN, "load")] == [(1, "worker-0"), (2, "worker-1")]


def test_runs_are_the_newest_first_over_pages(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.page_limit = 4
    for day in range(10, 20):
        airflow.add_run("shop", f"r{day}", run_after=f"2026-12-{day}T00:00:00Z")
    assert [run.run_id for run in api.runs("shop", limit=6)] == ["r19", "r18", "r17", "r16", "r15", "r14"]


def test_a_tasks_history_is_over_all_runs(airflow: FakeAirflow, api: AirflowApi) -> None:
    for day in (20, 21):
        airflow.add_run("shop", f"r{day}", run_after=f"2026-12-{day}T00:00:00Z")
        airflow.add_task_instance("shop", f"r{day}", "load", state="success", duration=float(day))
        airflow.add_task_instance("shop", f"r{day}", "extract", state="success")
    assert [(run, task.duration) for run, task in api.history("shop", "load", limit=5)] == [("r21", 21.0), ("r20", 20.0)]


def lines(api: AirflowApi, try_number: int = 1) -> list[bytes]:
    return list(api.log_lines(TaskRef("shop", RUN, "load", try_number)))[3:]


def test_a_log_is_streamed_as_ndjson_of_the_try_that_is_asked_for(airflow: FakeAirflow, api: AirflowApi) -> None:
    instance = airflow.add_task_instance("shop", RUN, "load", try_number=2, log=[event("second")])
    airflow.add_earlier_try(instance, 1, log=[event("first")])
    assert [json.loads(line)["event"] for line in lines(api, 1) + lines(api, 2)] == ["first", "second"]
    assert airflow.asked("/logs/")[0].headers["accept"] == "application/x-ndjson"


def test_a_server_that_answers_json_is_followed_page_by_page(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.log_as_json = True
    airflow.add_task_instance("shop", RUN, "load", log=[event(str(number)) for number in range(7)])
    assert [json.loads(line)["event"] for line in lines(api)] == list("0123456")


def test_a_try_that_never_was_has_no_log(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.add_task_instance("shop", RUN, "load", log=[event("first")])
    with pytest.raises(AirflowNotFound):
        lines(api, 5)


def test_downstream_tasks_are_the_direct_ones(api: AirflowApi) -> None:
    assert api.downstream("shop", "extract") == ["load"]
    with pytest.raises(AirflowNotFound, match=r"no task 'lod'; it has extract, load"):
        api.downstream("shop", "lod")


def test_triggering_the_same_run_twice_starts_it_once(airflow: FakeAirflow, api: AirflowApi) -> None:
    first = api.trigger("shop", run_id="agentfix__1", conf={"session": "1"})
    second = api.trigger("shop", run_id="agentfix__1", conf={"session": "1"})
    assert first == second
    assert first.conf == {"session": "1"}
    assert len([run for run in airflow.runs.values() if run["dag_run_id"] == "agentfix__1"]) == 1


def test_a_conflict_about_something_else_stays_one(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.fail_next("/dagRuns", status=409, method="POST")
    with pytest.raises(AirflowConflict):
        api.trigger("shop", run_id="new", conf={})


# --- assets, XComs, what was before ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["3.3.2", "3.1.8"])
def test_assets_of_a_dag_come_with_who_updates_reads_and_waits(airflow: FakeAirflow, api: AirflowApi, version: str) -> None:
    airflow.version = version
    airflow.add_asset(
        "orders", producers=[("shop", "load")], consumers=[("bi", "sum")], scheduled=["bi"], last="2026-11-20T00:00:00Z"
    )
    airflow.add_asset("unused", consumers=[("other", "x")])
    assert api.assets("shop") == [
        AssetFacts("orders", "s3://lake/orders", "2026-11-20T00:00:00Z", (("shop", "load"),), (("bi", "sum"),), ("bi",))
    ]
    assert [asset.last_event for asset in api.assets("other")] == [None]


def test_assets_are_all_given_whatever_the_page_size(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.page_limit = 2
    for number in range(5):
        airflow.add_asset(f"a{number}", scheduled=["shop"])
    assert [asset.name for asset in api.assets("shop")] == ["a0", "a1", "a2", "a3", "a4"]


@pytest.mark.parametrize("version", ["3.3.2", "3.1.8"])
def test_the_events_that_started_a_run_come_with_who_made_them(airflow: FakeAirflow, api: AirflowApi, version: str) -> None:
    airflow.version = version
    airflow.add_upstream_event("shop", RUN, "orders", by=("producer", "r1", "write"))
    airflow.add_upstream_event("shop", RUN, "rates")
    assert api.upstream_events("shop", RUN) == [
        AssetEvent("orders", "2026-11-22T12:00:00Z", "producer", "r1", "write"),
        AssetEvent("rates", "2026-11-22T12:00:00Z"),
    ]


def test_an_event_of_an_asset_without_a_name_is_known_by_its_uri_or_number(airflow: FakeAirflow, api: AirflowApi) -> None:
    for change in ({"name": None}, {"name": None, "uri": None}):
        airflow.add_upstream_event("shop", RUN, "orders")
        airflow.upstream_events["shop", RUN][-1].update(change)
    assert [event.asset for event in api.upstream_events("shop", RUN)] == ["s3://lake/orders", "asset 1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, "ü"]}, '{"a": [1, "ü"]}'),
        ("plain", "plain"),
        ('{"a": 1}', '{"a": 1}'),  # written over REST, or by an older Airflow: JSON within JSON
        (7, "7"),
        (None, "null"),
        (False, "false"),
    ],
)
def test_what_a_task_returned_comes_as_text(airflow: FakeAirflow, api: AirflowApi, value: Any, text: str) -> None:
    airflow.xcoms["shop", RUN, "load", -1] = value
    assert api.xcom("shop", RUN, "load", max_chars=100) == XCom("load", text)


def test_what_an_index_returned_is_asked_for_by_the_index(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.xcoms["shop", RUN, "load", 2] = "second"
    assert api.xcom("shop", RUN, "load", map_index=2, max_chars=100) == XCom("load", "second", map_index=2)
    assert api.xcom("shop", RUN, "load", max_chars=100) is None


@pytest.mark.parametrize("value", [["x" * 50] * 40, ["x" * 50] * 40_000, "y" * 200_000, json.dumps(["ü" * 50] * 40_000)])
def test_of_a_long_value_the_beginning_comes_with_how_much_is_missing_at_least(
    airflow: FakeAirflow, api: AirflowApi, value: Any
) -> None:
    airflow.xcoms["shop", RUN, "load", -1] = value
    xcom = api.xcom("shop", RUN, "load", max_chars=60)
    assert xcom is not None
    whole = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    assert xcom.value.replace(" ", "") == whole[: len(xcom.value.replace(" ", ""))]
    assert len(xcom.value) == 60
    assert 0 < xcom.cut <= len(whole) + 100


def test_a_value_nested_without_end_comes_as_it_is(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.fail_next("/xcomEntries/", status=200, body=b'{"key":"return_value","value":' + b"[" * 20_000 + b"]" * 20_000 + b"}")
    xcom = api.xcom("shop", RUN, "load", max_chars=10)
    assert xcom is not None
    assert xcom.value == "[" * 10


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"[1]", b'{"key": "return_value"}'])
def test_an_answer_that_is_no_xcom_is_refused(airflow: FakeAirflow, api: AirflowApi, body: bytes) -> None:
    airflow.fail_next("/xcomEntries/", status=200, body=body)
    with pytest.raises(AirflowRefused, match="is no XCom but"):
        api.xcom("shop", RUN, "load", max_chars=10)


def test_mapped_instances_are_counted_without_reading_them(airflow: FakeAirflow, api: AirflowApi) -> None:
    for index in range(115):
        airflow.add_task_instance("shop", RUN, "load", map_index=index)
    assert api.mapped_count("shop", RUN, "load") == 115
    assert len(airflow.asked("/listMapped")) == 1
    with pytest.raises(AirflowNotFound, match="not mapped"):
        api.mapped_count("shop", RUN, "extract")


def test_the_last_green_run_before_a_time_is_the_one_that_started_last(airflow: FakeAirflow, api: AirflowApi) -> None:
    for day, state in ((18, "success"), (19, "success"), (20, "failed"), (22, "success")):
        airflow.add_run("shop", f"r{day}", state=state, start_date=f"2026-11-{day}T00:00:00Z")
    found = api.green_before("shop", "2026-11-21T00:00:00Z")
    assert found is not None
    assert found.run_id == "r19"
    assert api.green_before("shop", "2026-11-18T00:00:00Z") is None


def test_only_instances_in_the_wanted_states_are_read(airflow: FakeAirflow, api: AirflowApi) -> None:
    for task, state in (("a", "success"), ("b", "failed"), ("c", "upstream_failed"), ("d", None)):
        airflow.add_task_instance("shop", RUN, task, state=state)
    found = api.task_instances("shop", RUN, states=("failed", "upstream_failed"))
    assert [one.task_id for one in found] == ["b", "c"]


def test_tasks_come_with_edges_params_rule_and_whether_they_are_mapped(airflow: FakeAirflow, api: AirflowApi) -> None:
    param = {"value": 10, "schema": {"type": "integer"}, "description": None, "source": "dag"}
    airflow.params["shop", "extract"] = {"limit": param, "raw": {"value": 1}}
    airflow.mapped.add(("shop", "load"))
    airflow.trigger_rules["shop", "load"] = "all_done"
    assert api.tasks("shop") == [
        TaskSpec("extract", ("load",), {"limit": 10, "raw": {"value": 1}}, trigger_rule="all_success"),
        TaskSpec("load", is_mapped=True, trigger_rule="all_done"),
    ]


def test_import_errors_are_all_given(airflow: FakeAirflow, api: AirflowApi) -> None:
    airflow.page_limit = 2
    airflow.errors = [{"import_error_id": n, "filename": f"{n}.py", "bundle_name": "b", "stack_trace": "boom"} for n in range(5)]
    assert [error["filename"] for error in api.import_errors()] == ["0.py", "1.py", "2.py", "3.py", "4.py"]


def test_unknown_and_forbidden_are_told_apart(airflow: FakeAirflow, api: AirflowApi) -> None:
    with pytest.raises(AirflowNotFound, match="nope"):
        api.dag("nope")
    airflow.forbidden.add("shop")
    with pytest.raises(AirflowForbidden):
        api.dag("shop")

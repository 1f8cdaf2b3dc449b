"""What is asked of Airflow for one failure, and what is said where Airflow does not tell, over real HTTP."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.errors import AirflowForbidden, AirflowNotFound, AirflowUnreachable
from airflow_agentfix.evidence.collect import collect
from airflow_agentfix.evidence.redacted import XCOM_CHARS
from tests.evidence.conftest import LOG, REF, RUN
from tests.fakes.airflow_rest import FakeAirflow

INDEX_3 = TaskRef("shop", RUN, "rows", 1, 3)


def mapped(airflow: FakeAirflow) -> None:
    """`rows`, mapped over what `numbers` returned; the last of four failed."""
    airflow.tasks["shop"].update(numbers=["rows"], rows=["total"], total=[])
    airflow.mapped.add(("shop", "rows"))
    for index in range(4):
        state = "failed" if index == 3 else "success"
        airflow.add_task_instance("shop", RUN, "rows", map_index=index, state=state, log=LOG)


def red_for_long(airflow: FakeAirflow) -> None:
    """More failed runs than are looked at stand between the last green one and this one."""
    for hour in range(10, 24):
        for minute in (0, 30):
            at = f"2026-11-21T{hour}:{minute:02}:00Z"
            airflow.add_run("shop", at, run_after=at, start_date=at)
            airflow.add_task_instance("shop", at, "transform")


# --- what upstream tasks returned ------------------------------------------------------------------------------------


def test_what_the_task_upstream_returned_is_shown(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.xcoms["shop", RUN, "extract", -1] = {"path": "s3://lake/größe.csv", "password": "Hd83kqPw0x"}
    text = collect(REF, api=api).text
    assert 'extract upstream returned: {"path": "s3://lake/größe.csv", "password": "***"}\n' in text


def test_a_task_upstream_that_returned_nothing_has_no_line(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    incident = collect(REF, api=api)
    assert incident.circumstances.xcoms == ()
    assert "upstream returned" not in incident.text


@pytest.mark.parametrize("rows", [300, 30_000])
def test_of_a_long_value_the_beginning_is_shown_and_that_there_is_more(
    airflow: FakeAirflow, api: RestAirflowApi, rows: int
) -> None:
    airflow.xcoms["shop", RUN, "extract", -1] = [f"row {number}" for number in range(rows)]
    incident = collect(REF, api=api)
    (xcom,) = incident.circumstances.xcoms
    assert len(xcom.value) == XCOM_CHARS
    assert xcom.cut > 1_000
    assert f" …at least {xcom.cut} more characters in Airflow, under XCom of extract\n" in incident.text


@pytest.mark.parametrize("before", [XCOM_CHARS - 40, XCOM_CHARS - 25, XCOM_CHARS - 5])
def test_a_secret_where_a_value_is_cut_is_not_shown_in_part(airflow: FakeAirflow, api: RestAirflowApi, before: int) -> None:
    airflow.xcoms["shop", RUN, "extract", -1] = {
        "note": "x" * before,
        "password": "Hd83kqPw0x correct horse",
        "more": "y" * 2_000,
    }
    assert "Hd83" not in str(collect(REF, api=api).to_json())


def test_of_many_tasks_upstream_two_are_asked_and_the_others_named(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.tasks["shop"].update({name: ["transform"] for name in "abcd"})
    for name in "abcd":
        airflow.xcoms["shop", RUN, name, -1] = name
    incident = collect(REF, api=api)
    assert [one.task_id for one in incident.circumstances.xcoms] == ["a", "b"]
    assert "not known: what upstream c, d, extract returned: not asked for; Airflow shows it under XCom" in incident.text


def test_a_mapped_task_upstream_of_an_unmapped_one_returned_too_many_values_to_ask_for(
    airflow: FakeAirflow, api: RestAirflowApi
) -> None:
    mapped(airflow)
    airflow.add_task_instance("shop", RUN, "total", log=LOG)
    text = collect(TaskRef("shop", RUN, "total", 1), api=api).text
    assert "not known: what upstream rows returned: not asked for" in text


def test_an_index_is_shown_what_it_was_mapped_over(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    mapped(airflow)
    airflow.xcoms["shop", RUN, "numbers", -1] = [1, 2, 3, 4]
    text = collect(INDEX_3, api=api).text
    assert "numbers upstream returned: [1, 2, 3, 4]\n" in text
    assert "mapped: 1 of 4 instances failed in this run\n" in text


def test_in_a_mapped_task_group_the_value_of_the_same_index_is_shown(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.tasks["shop"].update({"group.first": ["group.second"], "group.second": []})  # their `is_mapped` is false
    for index in range(3):
        airflow.add_task_instance("shop", RUN, "group.second", map_index=index, log=LOG)
        airflow.xcoms["shop", RUN, "group.first", index] = {"index": index}
    text = collect(TaskRef("shop", RUN, "group.second", 1, 2), api=api).text
    assert 'group.first[2] upstream returned: {"index": 2}\n' in text


# --- the last green run ----------------------------------------------------------------------------------------------


def test_the_last_green_run_is_asked_for_by_itself_where_the_newest_runs_are_all_red(
    airflow: FakeAirflow, api: RestAirflowApi
) -> None:
    red_for_long(airflow)
    airflow.runs["shop", "scheduled__2026-11-20"]["start_date"] = "2026-11-20T00:00:00Z"
    incident = collect(REF, api=api)
    assert incident.circumstances.earlier.last_green == "scheduled__2026-11-20"
    assert "this task in the newest other runs: 24 failed; last green run scheduled__2026-11-20" in incident.text


def test_an_old_run_is_compared_with_the_green_one_before_it(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    red_for_long(airflow)
    airflow.add_run("shop", "old", run_after="2026-11-19T00:00:00Z", start_date="2026-11-19T00:00:00Z")
    airflow.add_task_instance("shop", "old", "transform", log=LOG)
    for day in (18, 20):
        airflow.runs["shop", f"scheduled__2026-11-{day}"]["start_date"] = f"2026-11-{day}T06:00:00Z"
    airflow.runs["shop", "scheduled__2026-11-19"]["start_date"] = "2026-11-19T06:00:00Z"
    assert collect(TaskRef("shop", "old", "transform", 1), api=api).circumstances.earlier.last_green == "scheduled__2026-11-18"


def test_without_a_green_run_before_it_that_is_said(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    incident = collect(REF, api=api)  # the green ones started in the same moment
    assert incident.circumstances.earlier.last_green is None
    assert "this task in the newest other runs: 3 success; none of them green before this run" in incident.text


# --- what Airflow does not tell --------------------------------------------------------------------------------------

PARTS = {
    "/assets": "assets",
    "/dags/shop/tasks": "tasks",
    "/~/taskInstances": "earlier runs of the task",
    "/upstreamAssetEvents": "the events that started the run",
    "/listMapped": "the mapped instances",
}


@pytest.mark.parametrize("status", [403, 404, 400])
@pytest.mark.parametrize(("path", "part"), PARTS.items())
def test_a_part_that_cannot_be_looked_at_is_a_gap_with_its_reason(
    airflow: FakeAirflow, api: RestAirflowApi, path: str, part: str, status: int
) -> None:
    mapped(airflow)
    airflow.runs["shop", RUN]["run_type"] = "asset_triggered"
    airflow.fail_next(path, status=status, body=b'{"detail": "not for you"}')
    incident = collect(INDEX_3, api=api)
    (gap,) = [gap for gap in incident.circumstances.gaps if gap.startswith(f"{part}: ")]
    assert "not for you" in gap
    assert f"not known: {gap}" in incident.text
    assert incident.cause.exception == "KeyError"


def test_one_endpoint_that_is_out_of_order_is_a_gap_too(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/assets", status=500, body=b'{"detail": "Internal Server Error"}', times=9)
    assert "not known: assets: " in collect(REF, api=api).text


def test_an_xcom_that_cannot_be_read_is_a_gap(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/xcomEntries/", status=403, body=b'{"detail": "no XComs for you"}')
    assert "not known: what extract returned: " in collect(REF, api=api).text


def test_a_history_that_may_not_be_read_is_not_told_as_none(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/~/taskInstances", status=403)
    incident = collect(REF, api=api)
    assert not incident.circumstances.earlier.told
    assert "this task has no other runs" not in incident.text
    assert "this task in the newest other runs" not in incident.text


def test_a_task_without_other_runs_is_told_as_such(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_task_instance("shop", RUN, "fresh", log=LOG)
    assert "this task has no other runs" in collect(TaskRef("shop", RUN, "fresh", 1), api=api).text


def test_without_the_dags_tasks_nobody_is_called_a_victim_or_not(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/dags/shop/tasks", status=404)
    text = collect(REF, api=api).text
    assert "failed in this run: transform; what is upstream and who is only a victim is not known" in text
    assert "victims of" not in text


def test_a_secret_in_the_reason_of_a_gap_is_not_shown(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/assets", status=400, body=b'{"detail": "postgres://app:Hd83kqPw0x@db/airflow is away"}')
    incident = collect(REF, api=api)
    assert "not known: assets: " in incident.text
    assert "Hd83kqPw0x" not in str(incident.to_json())


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("/dags/shop", 403, AirflowForbidden),
        ("/taskInstances", 403, AirflowForbidden),
        ("/dagRuns", 503, AirflowUnreachable),
    ],
)
def test_dag_run_and_task_cannot_be_done_without(
    airflow: FakeAirflow, api: RestAirflowApi, path: str, status: int, error: type[Exception]
) -> None:
    airflow.fail_next(path, status=status, times=99)
    with pytest.raises(error):
        collect(REF, api=api)


# --- tries -----------------------------------------------------------------------------------------------------------


def test_an_earlier_try_of_a_mapped_index_has_its_own_facts(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    newest = airflow.add_task_instance("shop", RUN, "retried", map_index=2, try_number=3, max_tries=2)
    for number in (1, 2):
        airflow.add_earlier_try(newest, number, log=LOG, hostname=f"worker-{number}", duration=float(number))
    incident = collect(TaskRef("shop", RUN, "retried", 2, 2), api=api)
    assert (incident.task.try_number, incident.task.hostname, incident.task.duration) == (2, "worker-2", 2.0)
    assert "retried[2] try 2 (of 3)" in incident.text


def test_a_try_that_is_gone_from_the_list_is_told(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_task_instance("shop", RUN, "retried", try_number=3)
    with pytest.raises(AirflowNotFound, match=r"There is no shop/.*/retried try 2: it has tries 3\."):
        collect(TaskRef("shop", RUN, "retried", 2), api=api)


# --- how much is asked -----------------------------------------------------------------------------------------------


def test_the_most_that_is_asked_for_one_failure_is_twelve_calls_with_the_login(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.tasks["shop"].update({name: ["transform"] for name in "abcd"})
    retried = airflow.add_task_instance("shop", RUN, "transform", try_number=2)
    airflow.instances = [
        one for one in airflow.instances if one is retried or (one["dag_run_id"], one["task_id"]) != (RUN, "transform")
    ]
    airflow.add_earlier_try(retried, 1, log=LOG)
    for ref in (REF, replace(REF, try_number=2)):
        airflow.requests.clear()
        collect(ref, api=api)
        assert len(airflow.requests) <= 11  # and one for earlier sessions
    airflow.requests.clear()
    mapped(airflow)
    collect(INDEX_3, api=api)
    assert len(airflow.requests) <= 11

"""The evidence of a failed try, collected over real HTTP from a fake Airflow."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.incident import Incident, TaskRef, Verdict
from airflow_agentfix.errors import AirflowForbidden, AirflowNotFound, AirflowUnreachable
from airflow_agentfix.evidence.collect import collect, fingerprint_of
from tests.evidence.conftest import HELPER, LOG, REF, RUN
from tests.fakes.airflow_rest import FakeAirflow, event, traceback

SECRETS = ("hunter2secret99", "Zq81mLpV0s7d", "Yw5pass77word")


def test_the_text_says_what_failed_why_and_who_suffers(api: RestAirflowApi) -> None:
    incident = collect(REF, api=api)
    for expected in (
        f"failed: {REF} (of 1), operator PythonOperator, state failed",
        "root cause: KeyError: 'amount'",
        f"in user code: {HELPER}:7 in total",
        "verdict by rules: code",
        "took 1.5 s, 12.7\N{MULTIPLICATION SIGN} faster than usual (median 19.0 s, 18.0 to 20.0 s in 3 other successes)",
        "first failed in this run: transform; victims of transform: load",
        "upstream: extract; downstream: load",
        f"code version of the run {'b' * 40}",
        "\nL6\tTask failed with exception",
    ):
        assert expected in incident.text


def test_the_incident_holds_the_same_as_values(api: RestAirflowApi) -> None:
    incident = collect(REF, api=api)
    assert (incident.cause.exception, incident.cause.user_frames[-1].file) == ("KeyError", HELPER)
    assert incident.judgement.verdict is Verdict.CODE
    assert (incident.first_failed, incident.victims) == (("transform",), ("load",))
    assert incident.judgement.evidence == ("L6",)
    assert Incident.from_json(json.loads(json.dumps(incident.to_json()))) == incident


def test_the_cause_of_another_try_is_told_by_its_log_alone(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    for number, message in ((2, "'amount'"), (3, "'price'")):
        log = [traceback("KeyError", message, (HELPER, 7, "total"))]
        airflow.add_earlier_try(airflow.instances[-2], number, log=log)
    seen = [fingerprint_of(replace(REF, try_number=number), api=api) for number in (1, 2, 3, 4)]
    assert seen[0] == seen[1] == collect(REF, api=api).fingerprint != seen[2]
    assert seen[3] is None


def test_no_secret_is_in_the_incident_wherever_it_stood(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.logs["shop", RUN, "transform", -1, 1].append(
        traceback("ValueError", "password='Tr0ub4dor&3xx' refused", (HELPER, 3, "f"))
    )
    text = json.dumps(collect(REF, api=api).to_json())
    assert "***" in text
    assert not [secret for secret in (*SECRETS, "Tr0ub4dor") if secret in text]


@pytest.mark.parametrize("version", ["3.3.2", "3.1.8"])
def test_rendered_fields_are_there_though_lists_lack_them_on_3_1(airflow: FakeAirflow, api: RestAirflowApi, version: str) -> None:
    airflow.version = version
    incident = collect(REF, api=api)
    assert incident.task.rendered_fields == {"op_kwargs": {"password": "***"}}
    assert 'rendered fields: {"op_kwargs": {"password": "***"}}' in incident.text


def test_the_fingerprint_is_the_causes_and_not_the_runs(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.add_run("shop", "another")
    airflow.add_task_instance("shop", "another", "transform", log=LOG, try_number=2, hostname="worker-9")
    other = TaskRef("shop", "another", "transform", 2)
    assert collect(other, api=api).fingerprint == collect(REF, api=api).fingerprint


def test_an_earlier_try_has_its_own_log_and_facts(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    newest = airflow.add_task_instance("shop", RUN, "load2", try_number=2, log=[event("second")], hostname="worker-2")
    airflow.add_earlier_try(newest, 1, log=[traceback("OSError", "first", (HELPER, 1, "f"))], hostname="worker-1")
    incident = collect(TaskRef("shop", RUN, "load2", 1), api=api)
    assert (incident.task.hostname, incident.cause.message) == ("worker-1", "first")


def test_only_index_114_of_115_failed_and_its_log_is_read(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    for index in range(115):
        bad = index == 114
        log = [traceback("ValueError", "only the last", (HELPER, 1, "f"))] if bad else None
        airflow.add_task_instance("shop", RUN, "rows", map_index=index, state="failed" if bad else "success", log=log)
    incident = collect(TaskRef("shop", RUN, "rows", 1, 114), api=api)
    assert incident.cause.line == "ValueError: only the last"
    assert "rows[114] try 1" in incident.text


def test_an_alarm_that_did_not_go_off_is_no_victim_and_a_cleanup_that_failed_too_is_told(
    airflow: FakeAirflow, api: RestAirflowApi
) -> None:
    airflow.tasks["shop"].update(transform=["load", "alarm"], load=["cleanup"], alarm=[], cleanup=[])
    airflow.trigger_rules["shop", "alarm"] = "all_failed"
    airflow.add_task_instance("shop", RUN, "alarm", state="skipped")
    airflow.add_task_instance("shop", RUN, "cleanup")
    text = collect(REF, api=api).text
    assert "first failed in this run: transform; failed too, below them: cleanup; victims of transform: load\n" in text


@pytest.mark.parametrize("budget", [800, 1_500, 4_000])
def test_a_huge_log_stays_in_the_budget_with_marks_that_say_how_to_get_the_rest(
    airflow: FakeAirflow, api: RestAirflowApi, budget: int
) -> None:
    noise = [event(f"row {number} " + "x" * 200) for number in range(20_000)]
    airflow.logs["shop", RUN, "transform", -1, 1] = [*noise, *LOG, *noise[:50]]
    incident = collect(REF, api=api, budget_chars=budget)
    assert len(incident.text) <= budget
    assert "root cause: KeyError: 'amount'" in incident.text
    if budget > 1_000:
        assert "read_log start=" in incident.text


@pytest.mark.parametrize("version", ["3.3.2", "3.1.8"])
def test_a_log_that_is_gone_leaves_what_else_is_known(airflow: FakeAirflow, api: RestAirflowApi, version: str) -> None:
    airflow.version = version
    del airflow.logs["shop", RUN, "transform", -1, 1]
    incident = collect(REF, api=api)
    assert incident.cause.line == "The log of transform is gone or may not be read; the task instance is failed"
    assert "Could not read served logs: 404" in incident.text
    assert "first failed in this run: transform" in incident.text
    assert incident.judgement.verdict is Verdict.UNKNOWN


def test_a_short_log_is_not_taken_for_a_lost_one(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.logs["shop", RUN, "transform", -1, 1] = [*LOG, event("::group::Post Execute"), event("::endgroup::")]
    assert collect(REF, api=api).cause.exception == "KeyError"


@pytest.mark.parametrize(("status", "word"), [(403, "403"), (404, "404"), (400, "400")])
def test_a_log_that_may_not_be_read_leaves_what_else_is_known(
    airflow: FakeAirflow, api: RestAirflowApi, status: int, word: str
) -> None:
    airflow.fail_next("/logs/", status=status, body=b'{"detail": "no log for you"}')
    incident = collect(REF, api=api)
    assert f"{word} no log for you" in incident.text
    assert "victims of transform: load" in incident.text


@pytest.mark.parametrize("path", ["/tasks", "/~/"])
def test_edges_and_history_are_done_without_where_they_may_not_be_read(
    airflow: FakeAirflow, api: RestAirflowApi, path: str
) -> None:
    airflow.fail_next(path, status=403)
    assert collect(REF, api=api).cause.exception == "KeyError"


def test_an_airflow_that_is_away_raises_instead_of_looking_like_a_lost_log(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.fail_next("/logs/", status=503, times=99)
    with pytest.raises(AirflowUnreachable):
        collect(REF, api=api)


def test_a_dag_that_may_not_be_read_raises(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    airflow.forbidden.add("shop")
    with pytest.raises(AirflowForbidden):
        collect(REF, api=api)


@pytest.mark.parametrize(
    ("ref", "words"),
    [
        (replace(REF, dag_id="shpo"), "no DAG 'shpo'. Did you mean 'shop'"),
        (replace(REF, run_id="zzz"), "has no run 'zzz'"),
        (replace(REF, task_id="transfrom"), "has no task 'transfrom'. Did you mean 'transform'"),
        (replace(REF, try_number=4), "There is no .* try 4: its newest try is 1"),
    ],
)
def test_an_unknown_ref_says_what_is_unknown(api: RestAirflowApi, ref: TaskRef, words: str) -> None:
    with pytest.raises(AirflowNotFound, match=words):
        collect(ref, api=api)


def test_the_answers_are_asked_for_in_a_few_calls(airflow: FakeAirflow, api: RestAirflowApi) -> None:
    collect(REF, api=api)
    assert len(airflow.asked("/api/v2/")) == 9

"""Which tasks check a DAG's outputs, and what a rerun says of them."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.core.output_checks import is_output_check, output_checks
from airflow_agentfix.core.stages import failed, not_run, passed


def task(task_id: str, state: str | None = "success", operator: str | None = "PythonOperator", index: int = -1) -> TaskFacts:
    return TaskFacts(task_id, index, 1, state, operator=operator)


@pytest.mark.parametrize(
    "operator",
    [
        "SQLCheckOperator", "SQLColumnCheckOperator", "SQLTableCheckOperator", "SQLValueCheckOperator", "BigQueryCheckOperator",
        "SQLThresholdCheckOperator", "BigQueryIntervalCheckOperator", "DbtTestLocalOperator", "DbtTestOperator",
        "GreatExpectationsOperator", "GXValidateDataFrameOperator", "GXValidateCheckpointOperator", "SodaScanOperator",
        "GlueDataQualityRuleSetEvaluationRunOperator",
    ],
)  # fmt: skip
def test_an_operator_that_checks_data_is_one(operator: str) -> None:
    assert is_output_check(task("load", operator=operator))


@pytest.mark.parametrize("task_id", ["check_rows", "test_orders", "validate_totals", "orders.test", "rows_check", "Verify-sums"])
def test_a_task_named_so_is_one(task_id: str) -> None:
    assert is_output_check(task(task_id))


@pytest.mark.parametrize(
    ("task_id", "operator"),
    [
        ("load", "PythonOperator"),
        ("checkout", "BashOperator"),
        ("latest", None),
        ("check_if_holiday", "BranchPythonOperator"),
        ("check_weekday", "ShortCircuitOperator"),
        ("check_file", "S3KeySensor"),
        ("tests.load", "PythonOperator"),
        ("wait", "SqlSensor"),
        ("…", "PythonOperator"),
    ],
)
def test_what_decides_waits_or_is_only_spelt_alike_is_none(task_id: str, operator: str | None) -> None:
    assert not is_output_check(task(task_id, operator=operator))


@pytest.mark.parametrize(
    ("command", "is_one"),
    [
        ("cd shop && dbt --quiet test --select orders", True),
        ("dbt build", True),
        ("soda scan -d shop checks.yml", True),
        ("dbt run", False),
        ("dbt run; echo test", False),
        ({"cut": "x"}, False),
    ],
)
def test_a_command_that_runs_tests_makes_a_task_one(command: object, is_one: bool) -> None:
    shell = TaskFacts("transform", -1, 1, "success", operator="BashOperator", rendered_fields={"bash_command": command})
    assert is_output_check(shell) is is_one


def test_a_dag_without_any_says_so() -> None:
    why = "no task of the DAG checks outputs, by its operator, command or name"
    assert output_checks([task("load"), task("publish")], ["load"]) == not_run("output checks", why)


def test_those_that_were_rerun_and_those_that_were_not_are_told_apart() -> None:
    tasks = [task("load"), task("check_rows"), task("check_sums", "skipped"), task("check_input")]
    assert output_checks(tasks, ["load", "check_rows", "check_sums"]) == passed(
        "output checks",
        "green in the rerun: check_rows; did not run: check_sums (skipped); not among what was rerun: check_input",
    )


def test_where_none_of_them_ran_nothing_is_claimed() -> None:
    assert output_checks([task("check_input"), task("load")], ["load"]) == not_run(
        "output checks", "not among what was rerun: check_input"
    )
    assert output_checks([task("check_rows", "upstream_failed")], ["check_rows"]) == not_run(
        "output checks", "did not run: check_rows (upstream_failed)"
    )


def test_one_that_failed_is_a_failure_and_of_a_mapped_one_every_instance_counts() -> None:
    tasks = [task("check_rows", "success", index=0), task("check_rows", "failed", index=1), task("test_sums")]
    assert output_checks(tasks, ["check_rows", "test_sums"]) == failed(
        "output checks", "failed: check_rows; green in the rerun: test_sums"
    )

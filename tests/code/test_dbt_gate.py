"""dbt data tests that are removed or weakened need a person; renaming does not."""

from __future__ import annotations

import pytest

from airflow_agentfix.code.dbt_gate import dbt_gate
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity

SCHEMA = """
version: 2
models:
  - name: orders
    columns:
      - name: order_id
        tests:
          - unique
          - not_null
      - name: status
        data_tests:
          - accepted_values:
              values: [new, paid]
      - name: customer_id
        tests:
          - relationships:
              to: ref('customers')
              field: id
              config:
                severity: error
"""


def findings(before: str, after: str) -> list[Finding]:
    return list(dbt_gate([Patch(path="models/schema.yml", before=before, after=after)]))


def changed(old: str, new: str) -> list[Finding]:
    assert old in SCHEMA
    return findings(SCHEMA, SCHEMA.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("order_id", "order_key"),
        ("name: orders", "name: orders_daily"),
        ("ref('customers')", "ref('dim_customers')"),
        ("field: id", "field: customer_id"),
        ("severity: error", "severity: ERROR"),
        ("          - unique\n          - not_null\n", "          - not_null\n          - unique\n          - positive\n"),
        ("- unique", "- unique:\n              config: {severity: error, enabled: true}"),
        ("data_tests:", "tests:"),
    ],
)
def test_renaming_and_adding_tests_gives_no_finding(old: str, new: str) -> None:
    assert changed(old, new) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("          - unique\n", "", "'unique' is gone"),
        ("severity: error", "severity: warn", "severity to 'warn'"),
        ("- not_null", "- not_null:\n              config: {severity: warn, error_if: '>10'}", "severity to 'warn'"),
        ("- not_null", "- not_null: {severity: WARN}", "severity to 'warn'"),
        ("- not_null", "- not_null:\n              config: {error_if: '>10'}", "fails only if '>10'"),
        ("- not_null", "- not_null:\n              config: {enabled: false}", "enabled to False"),
        ("- unique", "- unique:\n              where: order_id > 0", "only where 'order_id > 0'"),
        ("[new, paid]", "[new, paid, lost]", "changes values"),
        ("severity: error", "limit: 1", "changes limit"),
    ],
)
def test_a_removed_or_weakened_data_test_needs_a_person(old: str, new: str, said: str) -> None:
    found = changed(old, new)
    assert {finding.severity for finding in found} == {Severity.PERSON}
    assert any(said in finding.reason for finding in found)
    assert all("silences a data check" in finding.reason for finding in found)


def test_the_projects_settings_for_all_tests_are_guarded() -> None:
    assert findings("name: shop\n", "name: shop\ndata_tests:\n  +severity: warn\n")


def test_tests_that_could_not_be_compared_need_a_person_and_a_file_without_tests_does_not() -> None:
    assert findings("models: [\n" + SCHEMA, SCHEMA)
    assert findings("a: [\n", "a: 1\n") == []


def test_yaml_with_python_tags_is_not_loaded_as_objects() -> None:
    assert findings("a: 1", "a: !!python/object/apply:os.system ['exit 1']") == []


PROJECT = "name: shop\nmodels:\n  shop:\n    +materialized: view\n"


def of(path: str, before: str, after: str) -> list[str]:
    return [finding.rule for finding in dbt_gate([Patch(path=path, before=before, after=after)])]


@pytest.mark.parametrize("text", ["    +enabled: false\n", "    orders:\n      enabled: false\n"])
def test_a_model_that_is_switched_off_takes_its_tests_with_it(text: str) -> None:
    assert of("dbt_project.yml", PROJECT, PROJECT + text) == ["data-check-silenced"]
    assert of("dbt_project.yml", PROJECT + text, PROJECT) == []


@pytest.mark.parametrize("text", ["    +post-hook: drop table x\n", "on-run-end: ['grant all on x to public']\n"])
def test_statements_that_dbt_newly_runs_beside_its_models_need_a_person(text: str) -> None:
    assert of("dbt_project.yml", PROJECT, PROJECT + text) == ["new-reach"]
    assert of("dbt_project.yml", PROJECT + text, PROJECT + text + "version: 1\n") == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{{ config(enabled=false) }}\n", "data-check-silenced"),
        ("{{ config(post_hook='x') }}\n", "new-reach"),
        ("{% do run_query('x') %}\n", "new-reach"),
        ("; DROP  TABLE orders\n", "new-reach"),
        ("; delete from orders\n", "new-reach"),
        ("; grant select on orders to public\n", "new-reach"),
    ],
)
def test_sql_that_switches_a_model_off_or_acts_needs_a_person(text: str, rule: str) -> None:
    assert of("models/orders.sql", "select 1\n", "select 1\n" + text) == [rule]
    assert of("models/orders.sql", "select 1\n" + text, text) == []


def test_a_select_may_be_changed() -> None:
    assert of("models/orders.sql", "select a, dropped from x\n", "select b, granted, created_at from x\n") == []

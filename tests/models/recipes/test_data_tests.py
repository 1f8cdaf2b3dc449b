"""dbt's data tests; the log is dbt's own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.models.conversation import Story, converse, failed, write

LOG = """11:41:02  Completed with 1 error, 0 partial successes, and 0 warnings:
11:41:02
11:41:02  Failure in test {name} ({path})
11:41:02    Got {got}, configured to fail if != 0
11:41:02
11:41:02  Done. PASS=3 WARN=0 ERROR=1 SKIP=0 NO-OP=0 TOTAL=4
"""
SCHEMA = """# the shop's orders
version: 2
models:
  - name: orders
    columns:
      - name: order_id
        data_tests: [unique, not_null]
      - name: status  # as the shop has it
        data_tests:
          - not_null
          - accepted_values:
              arguments:
                values: ["placed", 'shipped']
          - accepted_values:
              name: known_status
              values: ["placed", "lost"]
      - name: customer_id
        tests:
          - relationships:
              to: ref('customers')
              field: customer_id
          - unique # one order each
          - not_null:
              config:
                severity: warn
      - name: country
        tests:
          - accepted_values: {values: [DE, FR]}
"""


def _converse(root: Path, name: str, *, got: str = "12 results", path: str = "models/schema.yml", log: str = LOG) -> Story:
    incident = failed(root, None, f"Got {got}, configured to fail if != 0")
    return converse(root, incident, log=log.format(name=name, path=path, got=got))


def _tests(text: str) -> list[object]:
    (model,) = yaml.safe_load(text)["models"]
    return [test for column in model["columns"] for key in ("tests", "data_tests") for test in column.get(key, [])]


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("unique_orders_order_id", 0),
        ("not_null_orders_order_id", 1),
        ("not_null_orders_status", 2),
        ("accepted_values_orders_status__placed__shipped", 3),
        ("known_status", 4),
        ("relationships_orders_customer_id__customer_id__ref_customers_", 5),
        ("unique_orders_customer_id", 6),
    ],
)
def test_exactly_the_failed_test_gets_the_threshold(tmp_path: Path, name: str, place: int) -> None:
    write(tmp_path, dbt__models__schema_yml=SCHEMA)
    story = _converse(tmp_path, name)
    (changed,) = story.changed.values()
    before, after = _tests(SCHEMA), _tests(changed)
    config = {"severity": "error", "warn_if": ">0", "error_if": ">12"}
    old = before[place]
    expected = (
        {old: {"config": config}} if isinstance(old, str) else {kind: {**given, "config": config} for kind, given in old.items()}
    )
    assert after[place] == expected
    assert after[:place] + after[place + 1 :] == before[:place] + before[place + 1 :]
    assert {line for line in SCHEMA.splitlines() if "#" in line} <= {
        line.replace("unique:", "unique") for line in changed.splitlines()
    }


def test_title_and_summary_say_that_it_silences_a_data_check(tmp_path: Path) -> None:
    write(tmp_path, dbt__models__schema_yml=SCHEMA)
    story = _converse(tmp_path, "unique_orders_order_id", got="1 result")
    assert story.summary.startswith(
        "Silences a data check: unique_orders_order_id warns up to 1 row\nThis silences a data check."
    )
    assert "fails from row 2 on" in story.summary
    assert story.report["verdict"] == "data"
    assert [link["cites"] for link in story.report["causal_chain"]] == [["L3", "L4"], ["dbt/models/schema.yml:7"]]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("not_null_orders_customer_id", {}, id="configured_already"),
        pytest.param("accepted_values_orders_country__DE__FR", {}, id="settings_in_flow_style"),
        pytest.param("unique_orders_order", {}, id="no_such_test"),
        pytest.param("unique_customers_order_id", {}, id="of_another_model"),
        pytest.param("no_lost_orders", {"path": "tests/no_lost_orders.sql"}, id="a_singular_test"),
        pytest.param("unique_orders_order_id", {"path": "models/other.yml"}, id="no_such_file"),
        pytest.param("unique_orders_order_id", {"log": LOG + LOG.replace("{name}", "not_null_orders_status")}, id="two_failed"),
        pytest.param("unique_orders_order_id", {"log": LOG.replace("1 error", "2 errors")}, id="something_else_failed_too"),
        pytest.param("unique_orders_order_id", {"log": LOG.replace("!= 0", ">10")}, id="a_threshold_was_passed"),
        pytest.param("unique_orders_order_id", {"log": "nothing"}, id="the_log_does_not_name_it"),
    ],
)
def test_what_is_not_certain_is_not_silenced(tmp_path: Path, name: str, options: dict[str, str]) -> None:
    write(tmp_path, dbt__models__schema_yml=SCHEMA)
    story = _converse(tmp_path, name, **options)
    assert (story.outcome, story.changed) == ("reported", {})


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA.replace("      - name: order_id\n", "      - name: order_id\n      - name: order_id\n        tests: [unique]\n"),
        SCHEMA.replace("data_tests: [unique, not_null]", "data_tests: &both [unique, not_null]"),
        SCHEMA + "  - name: [",
        "",
    ],
    ids=["declared_twice", "with_an_anchor", "no_yaml", "empty"],
)
def test_a_schema_that_is_not_plain_is_left_alone(tmp_path: Path, schema: str) -> None:
    write(tmp_path, dbt__models__schema_yml=schema)
    assert _converse(tmp_path, "unique_orders_order_id").changed == {}


def test_two_dbt_projects_with_the_same_file_are_a_persons_choice(tmp_path: Path) -> None:
    write(tmp_path, a__models__schema_yml=SCHEMA, b__models__schema_yml=SCHEMA)
    assert _converse(tmp_path, "unique_orders_order_id").outcome == "reported"

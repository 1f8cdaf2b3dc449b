"""Columns a database does not find; the messages are what the databases really say."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from airflow_agentfix.core.incident import Incident
from tests.models.conversation import converse, failed, write

MESSAGES = {
    "postgres": 'column "amout" does not exist\nLINE 1: select amout from orders\n               ^\n'
    'HINT:  Perhaps you meant to reference the column "orders.amount".\n',
    "postgres_with_an_alias": "column o.amout does not exist\nLINE 1: select o.amout from orders o\n"
    '               ^\nHINT:  Perhaps you meant to reference the column "o.amount".\n',
    "duckdb": 'Binder Error: Referenced column "amout" not found in FROM clause!\nCandidate bindings: "amount", "country"\n\n'
    "LINE 1: select amout from orders\n               ^^^^^",
    "duckdb_with_an_alias": 'Binder Error: Table "o" does not have a column named "amout"\n\nCandidate bindings: : "amount"\n\n'
    "LINE 1: select o.amout from orders o\n               ^^^^^^^",
    "duckdb_insert": 'Binder Error: Table "orders" does not have a column with name "amout"\n\nDid you mean: "amount"',
    "bigquery": "400 Unrecognized name: amout; Did you mean amount? at [1:8]",
    "spark": "[UNRESOLVED_COLUMN.WITH_SUGGESTION] A column, variable, or function parameter with name "
    "`amout` cannot be resolved. "
    "Did you mean one of the following? [`orders`.`amount`, `country`, `order_id`].; line 1 pos 7;",
}
OTHER = MESSAGES["duckdb"].replace("amout", "min_price").replace('"amount"', '"max_price"')
SQL = "SELECT country, sum(amout) AS total\nFROM orders -- amout\nWHERE amout > 0;\nSELECT 'amout';\n"


def _error(root: Path, message: str) -> Incident:
    return failed(root, "Error", message)


@pytest.mark.parametrize("database", MESSAGES)
def test_the_column_the_error_offers_is_read_in_the_statement(tmp_path: Path, database: str) -> None:
    write(tmp_path, dags__sql__daily_sql=SQL, dags__dag_py="")
    story = converse(tmp_path, _error(tmp_path, MESSAGES[database]))
    assert story.outcome == "fixed", story.report["root_cause"]
    assert story.changed == {
        "dags/sql/daily.sql": SQL.replace("sum(amout)", "sum(amount)").replace("WHERE amout", "WHERE amount")
    }


@pytest.mark.parametrize("quote", ['"', '"""', "'"])
def test_sql_in_a_python_string_is_changed(tmp_path: Path, quote: str) -> None:
    dag = f"# é amout\nTABLE = 'orders'\nQUERY = {quote}select amout from orders{quote}  # ünï\n"
    write(tmp_path, dags__dag_py=dag)
    assert converse(tmp_path, _error(tmp_path, MESSAGES["postgres"])).changed == {
        "dags/dag.py": dag.replace("select amout", "select amount")
    }


def _sqlite_says(create: str, statement: str) -> str:
    database = sqlite3.connect(":memory:")
    database.executescript(create)
    with pytest.raises(sqlite3.OperationalError) as raised:
        database.execute(statement)
    return str(raised.value)


CREATE = "CREATE TABLE IF NOT EXISTS orders (\n  order_id INT PRIMARY KEY,\n  amount NUMERIC(10, 2),\n  CHECK (amount > 0)\n);\n"


@pytest.mark.parametrize(
    "statement",
    ["select o.amout from orders o", "insert into orders (order_id, amout) values (1, 2)", "update orders set amout = 1"],
)
def test_where_the_error_offers_nothing_the_create_table_does(tmp_path: Path, statement: str) -> None:
    write(tmp_path, dags__sql__create_sql=CREATE, dags__sql__daily_sql=statement)
    story = converse(tmp_path, _error(tmp_path, _sqlite_says(CREATE, statement)))
    assert story.changed == {"dags/sql/daily.sql": statement.replace("amout", "amount")}, story.report["root_cause"]


@pytest.mark.parametrize(
    ("message", "files"),
    [
        pytest.param(MESSAGES["duckdb"].replace('"country"', '"amounts"'), {"a_sql": SQL}, id="two_near_columns"),
        pytest.param(OTHER, {"a_sql": SQL.replace("amout", "min_price")}, id="another_meaning"),
        pytest.param(MESSAGES["postgres"], {"a_sql": SQL, "b_sql": SQL}, id="two_files"),
        pytest.param(
            MESSAGES["postgres"], {"a_sql": "select amout from orders;\nselect amout from lines;\n"}, id="two_statements"
        ),
        pytest.param(
            MESSAGES["postgres"],
            {"a_sql": "with t as (select 1 as amout) select amout from orders;\n"},
            id="made_by_the_statement",
        ),
        pytest.param(MESSAGES["postgres"], {"a_sql": "create table orders (amout int);\n"}, id="declared_under_that_name"),
        pytest.param(
            MESSAGES["postgres"], {"a_sql": "-- amout\nselect 'amout' from orders;\n"}, id="only_in_comments_and_quotes"
        ),
        pytest.param(MESSAGES["postgres"], {"a_py": "amout = 1\nQ = 'select amout from orders'\n"}, id="a_python_name_too"),
        pytest.param(
            MESSAGES["postgres"],
            {"a_py": "COLUMN = 'amout'\nQ = f'select {COLUMN} from orders'\n"},
            id="put_together_at_run_time",
        ),
        pytest.param(
            MESSAGES["postgres"], {"a_py": "Q = 'select amout from orders'\nR = 'select amout from lines'\n"}, id="two_strings"
        ),
        pytest.param(MESSAGES["postgres"], {"b_sql": "select 1"}, id="nowhere"),
        pytest.param(
            MESSAGES["postgres"].replace("s.amount", "s.Amount"), {"a_sql": "select amout from orders"}, id="needs_quotes"
        ),
        pytest.param("no such column: amout", {"a_sql": "select amout from orders"}, id="nothing_offered"),
        pytest.param(
            "no such column: amout", {"a_sql": "select amout from orders join lines", "b_sql": CREATE}, id="no_such_table"
        ),
        pytest.param("no such column: amout", {"a_sql": "select amout from lines", "b_sql": CREATE}, id="another_table"),
        pytest.param(
            "SQL compilation error:\ninvalid identifier 'AMOUT'",
            {"a_sql": "select amout from orders"},
            id="snowflake_offers_nothing",
        ),
        pytest.param('relation "ordrs" does not exist', {"a_sql": "select amout from ordrs"}, id="a_table_is_no_column"),
    ],
)
def test_what_is_not_certain_is_left_alone(tmp_path: Path, message: str, files: dict[str, str]) -> None:
    write(tmp_path, **{f"dags__{name}": text for name, text in files.items()})
    story = converse(tmp_path, _error(tmp_path, message))
    assert (story.outcome, story.changed) == ("reported", {})

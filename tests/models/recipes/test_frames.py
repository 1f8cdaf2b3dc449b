"""Columns that a pandas or polars frame does not have; the messages are what pandas 3 and polars 1 really say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.models.conversation import Story, converse, failed, write

POLARS = 'unable to find column "amout"; valid columns: ["order_id", "amount"]\n\nDid you mean "amount"?'
HEAD = "def run(df):\n    print(df['amount'], df[['order_id']])\n"


def _pandas(root: Path, code: str, message: str) -> Story:
    write(root, dags__dag_py=code)
    line = len(code.splitlines())
    frames = [
        (str(root / "dags/dag.py"), line, "run"),
        ("/usr/lib/python3/site-packages/pandas/core/frame.py", 4102, "__getitem__"),
    ]
    return converse(root, failed(root, "KeyError", message, frames))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    return df['amout']\n", "'amout'"),
        ("    return df[['order_id', 'amout']]\n", "\"['amout'] not in index\""),
        ("    return df[['amout']]\n", "\"None of [Index(['amout'], dtype='str')] are in the [columns]\""),
        ("    return df.groupby('order_id')['amout'].sum()\n", "'Column not found: amout'"),
        ("    return df.sort_values('amout')\n", "'amout'"),
        ("    return df.drop(columns=['amout'])\n", "\"['amout'] not found in axis\""),
    ],
)
def test_a_column_read_elsewhere_from_the_same_frame_is_written(tmp_path: Path, line: str, message: str) -> None:
    story = _pandas(tmp_path, HEAD + line, message)
    assert story.changed == {"dags/dag.py": HEAD + line.replace("amout", "amount")}, story.report["root_cause"]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("def run(df):\n    return df['amout']\n", id="no_column_is_known"),
        pytest.param("def run(df, other):\n    print(other['amount'])\n    return df['amout']\n", id="of_another_frame"),
        pytest.param(HEAD + "    print(df['amounts'])\n    return df['amout']\n", id="two_near"),
        pytest.param(HEAD + "    df['amout'] = 1\n    return df['amout']\n", id="written_elsewhere"),
        pytest.param(HEAD + "    name = 'amout'\n    return df[name]\n", id="computed"),
        pytest.param("def run(df):\n    # df['amount']\n    return df['amout']\n", id="near_only_in_a_comment"),
    ],
)
def test_a_column_that_is_not_certain_is_left_alone(tmp_path: Path, code: str) -> None:
    assert _pandas(tmp_path, code, "'amout'").changed == {}


def _polars(root: Path, code: str, message: str) -> Story:
    write(root, dags__dag_py=code)
    line = len(code.splitlines())
    frames = [
        (str(root / "dags/dag.py"), line, "run"),
        ("/usr/lib/python3/site-packages/polars/lazyframe/frame.py", 2, "collect"),
    ]
    return converse(root, failed(root, "ColumnNotFoundError", message, frames))


def test_the_column_polars_lists_is_written_where_the_plan_names_it(tmp_path: Path) -> None:
    code = "def run(df):\n    plan = df.lazy().select(pl.col('amout'))\n    return plan.collect()\n"
    assert _polars(tmp_path, code, POLARS).changed == {"dags/dag.py": code.replace("amout", "amount")}


@pytest.mark.parametrize(
    ("code", "message"),
    [
        pytest.param("def run(df):\n    return df.select('amout')\n", POLARS.replace('"order_id"', '"amounts"'), id="two_near"),
        pytest.param("def run(df):\n    return df.select('amout', pl.col('amout'))\n", POLARS, id="twice"),
        pytest.param("def run(df, name):\n    return df.select(name)\n", POLARS, id="computed"),
        pytest.param("def run(df):\n    return df.select('amout')\n", '"amout" not found', id="nothing_listed"),
    ],
)
def test_a_polars_column_that_is_not_certain_is_left_alone(tmp_path: Path, code: str, message: str) -> None:
    assert _polars(tmp_path, code, message).changed == {}

"""Edits change exactly what they name; diffs are git's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from airflow_agentfix.code.text_edit import changed_lines, replace_once, unified_diff
from airflow_agentfix.errors import EditRefused


@pytest.mark.parametrize(
    ("text", "old", "new", "result"),
    [
        ("a\nb\nc", "b", "x", "a\nx\nc"),
        ("a\r\nb\r\nc", "a\nb", "a\nx\nb", "a\r\nx\r\nb\r\nc"),
        ("a\nb\n", "a\r\nb", "a\r\nx", "a\nx\n"),
        ("a\r\nb\r\n", "b", "b\nc", "a\r\nb\r\nc\r\n"),
        ("a\x0cb\u2028c\n", "c", "d", "a\x0cb\u2028d\n"),
        ("f(x)", "f(x)", "\\1 g<0>", "\\1 g<0>"),
        ("\ufeffa = 1\n", "a", "b", "\ufeffb = 1\n"),
    ],
)
def test_an_edit_keeps_every_byte_it_does_not_name(text: str, old: str, new: str, result: str) -> None:
    assert replace_once("a.py", text, old, new) == result


def test_an_edit_that_does_not_apply_shows_the_nearest_place() -> None:
    with pytest.raises(EditRefused, match=r"does not occur in 'a.py'(.|\n)*2\ttotal = price \* amount"):
        replace_once("a.py", "a = 1\ntotal = price * amount\n", "total = price * amuont", "x")


def test_an_edit_that_is_not_unique_says_how_often_and_where() -> None:
    with pytest.raises(EditRefused, match=r"occurs 3 times in 'a.py' \(lines 1, 2, 4\)"):
        replace_once("a.py", "x\nx\ny\nx\n", "x", "z")


def test_overlapping_occurrences_count() -> None:
    with pytest.raises(EditRefused, match="occurs 2 times"):
        replace_once("a.py", "aaa", "aa", "b")


@pytest.mark.parametrize(("old", "new"), [("", "x"), ("a", "a"), ("a\r\nb", "a\nb")])
def test_an_empty_or_idle_edit_is_refused(old: str, new: str) -> None:
    with pytest.raises(EditRefused, match=r"empty|changes nothing"):
        replace_once("a.py", "a\nb\n", old, new)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a\nb\n", "a\nc\n"),
        ("a\nb", "a\nc"),
        ("a\nb", "a\nb\n"),
        ("a\r\nb\r\n", "a\r\nc\r\n"),
        ("a\x0cb\n", "a\x0cc\n"),
        (None, "new\n"),
        (None, "no end"),
        ("old\n", None),
        ("", "x\n"),
        ("x\n", ""),
    ],
)
def test_git_applies_the_diff_to_the_same_bytes(tmp_path: Path, before: str | None, after: str | None) -> None:
    file = tmp_path / "dags" / "a.py"
    file.parent.mkdir()
    if before is not None:
        file.write_bytes(before.encode())
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    diff = unified_diff("dags/a.py", before, after)
    subprocess.run(["git", "apply", "--whitespace=nowarn", "-"], cwd=tmp_path, input=diff.encode(), check=True)
    assert (file.read_bytes().decode() if file.exists() else None) == after


def test_no_change_has_no_diff_and_changed_lines_counts_both_sides() -> None:
    assert unified_diff("a", "x\n", "x\n") == ""
    assert changed_lines("a\nb\n", "a\nc\nd\n") == 3
    assert changed_lines(None, "a\nb\n") == 2
    assert changed_lines("-- a\n", "++ b\n") == 2

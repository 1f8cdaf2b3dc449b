"""Whom CODEOWNERS names for a fix's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_agentfix.code.codeowners import owners_of


def tree(folder: Path, text: str, place: str = "CODEOWNERS") -> Path:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(text)
    return folder


def test_the_last_line_that_matches_a_path_names_its_owners(tmp_path: Path) -> None:
    text = "# who\n* @acme/platform\ndags/ @anna @acme/data\n/dags/shop.py @ben ops@acme.example\ndags/free.py\n"
    owners = tree(tmp_path, text)
    assert owners_of(owners, ["README.md"]) == ("acme/platform",)
    assert owners_of(owners, ["dags/other.py", "dags/shop.py", "README.md"]) == ("anna", "acme/data", "ben", "acme/platform")
    assert owners_of(owners, ["dags/free.py"]) == ()


def test_the_first_of_githubs_places_counts(tmp_path: Path) -> None:
    assert owners_of(tmp_path, ["a.py"]) == ()
    for place, owner in (("docs/CODEOWNERS", "docs"), ("CODEOWNERS", "root"), (".github/CODEOWNERS", "github")):
        tree(tmp_path, f"* @{owner}\n", place)
        assert owners_of(tmp_path, ["a.py"]) == (owner,)


@pytest.mark.parametrize("line", ["/[unclosed @eve", "*a*b*c*d*e*f* @eve", "**/**/**/**/x @eve"])
def test_a_line_that_is_no_pattern_or_would_take_for_ever_is_left_out_and_told_of(
    tmp_path: Path, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert owners_of(tree(tmp_path, f"* @anna\n{line}\n"), ["aabbccddeeff", "x"]) == ("anna",)
    assert "Line 2 of CODEOWNERS" in caplog.text


def test_a_file_too_large_asks_nobody_and_is_told_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert owners_of(tree(tmp_path, "* @anna\n" * 70_000), ["a.py"]) == ()
    assert "bytes" in caplog.text


def test_a_file_in_another_encoding_is_read_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "CODEOWNERS").write_bytes("# ü\n* @anna\n".encode("latin-1"))
    assert owners_of(tmp_path, ["a.py"]) == ("anna",)

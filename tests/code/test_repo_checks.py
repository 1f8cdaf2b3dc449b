"""A repository's own check, run for real in a child process."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from airflow_agentfix.code.repo_checks import run_check
from airflow_agentfix.core.policy import RepoCheck


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "shop.py").write_text("TOTAL = 3\n")
    return folder


def python(code: str, *, timeout: int = 60) -> RepoCheck:
    return RepoCheck("unit", ("python", "-c", code), timeout)


def test_it_stands_at_the_top_of_the_tree_and_passes_with_0(tree: Path) -> None:
    result = run_check(tree, python("import shop; assert shop.TOTAL == 3"))
    assert (result.ok, result.detail) == (True, "exit code 0")


def test_it_is_the_workers_python_with_its_tools(tree: Path) -> None:
    assert run_check(tree, RepoCheck("unit", ("pytest", "--version"))).detail.startswith("exit code 0\npytest ")
    result = run_check(tree, python("import sys; sys.exit(sys.prefix)"))
    assert result.detail == f"exit code 1\n{sys.prefix}"


def test_a_failure_tells_how_it_ended_and_what_was_printed_last_without_secrets(tree: Path) -> None:
    result = run_check(tree, python("print('x' * 9000); print('password=hunter2secret9'); raise SystemExit(3)"))
    assert not result.ok
    assert result.detail.startswith("exit code 3\nxxx")
    assert result.detail.endswith("password=***")
    assert len(result.detail) < 3100


def test_a_program_that_is_not_there_is_said(tree: Path) -> None:
    assert run_check(tree, RepoCheck("unit", ("no-such-program",))).detail == (
        "exit code 127\nno-such-program: No such file or directory"
    )


def test_it_writes_into_a_copy(tree: Path) -> None:
    assert run_check(tree, python("open('shop.py', 'w').write('TOTAL = 4'); open('new', 'w').close()")).ok
    assert [(file.name, file.read_text()) for file in tree.iterdir()] == [("shop.py", "TOTAL = 3\n")]


def test_one_that_hangs_is_ended(tree: Path) -> None:
    started = time.monotonic()
    result = run_check(tree, python("import time; time.sleep(60)", timeout=3))
    assert (result.ok, result.detail) == (False, "did not end within 3 s")
    assert time.monotonic() - started < 30


def test_it_sees_no_token_of_ours_and_another_home(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "ghp_" + "a1B2" * 9)
    code = "import os; assert 'GITHUB_TOKEN' not in os.environ; assert os.listdir(os.environ['HOME']) == []"
    assert run_check(tree, python(code)).ok

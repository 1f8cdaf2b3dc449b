"""The gates in their order, on a working copy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from airflow_agentfix.code.gates import check
from airflow_agentfix.code.working_copy import WorkingCopy
from airflow_agentfix.core.findings import Severity
from airflow_agentfix.core.policy import Policy

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n"


@pytest.fixture
def copy(tmp_path: Path) -> WorkingCopy:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shop.py").write_text("from airflow.sdk import DAG\nassert 1 < 2\nDAG('shop')\n")
    (tmp_path / "data.csv").write_text(LFS)
    (tmp_path / "Jenkinsfile").write_text("x\n")
    return WorkingCopy(tmp_path)


def rules(copy: WorkingCopy, policy: Policy | None = None) -> list[str]:
    return [finding.rule for finding in check(copy, policy or Policy())]


def test_a_small_honest_fix_passes(copy: WorkingCopy) -> None:
    copy.edit("dags/shop.py", "1 < 2", "1 < 3")
    copy.create("dags/lib.py", "x = 1\n")
    assert rules(copy) == []
    assert rules(copy, Policy(allowed_paths=(("dags/**",),), denied_paths=(("infra/**",),))) == []


def test_no_change_has_no_finding(copy: WorkingCopy) -> None:
    assert rules(copy) == []


@pytest.mark.parametrize(
    ("path", "old", "new", "rule"),
    [("Jenkinsfile", "x", "y", "path-denied"), ("data.csv", "size 2", "size 3", "lfs-pointer")],
)
def test_what_may_never_be_touched_is_refused(copy: WorkingCopy, path: str, old: str, new: str, rule: str) -> None:
    copy.edit(path, old, new)
    assert rules(copy) == [rule]


def test_the_policys_globs_are_kept(copy: WorkingCopy) -> None:
    copy.edit("dags/shop.py", "1 < 2", "1 < 3")
    assert rules(copy, Policy(denied_paths=(("dags/*.py",),))) == ["path-denied"]
    assert rules(copy, Policy(allowed_paths=(("dbt/**", "*.sql"),))) == ["path-not-allowed"]


def test_a_fix_over_the_policys_size_is_refused_with_the_figures(copy: WorkingCopy) -> None:
    copy.create("dags/a.py", "x = 1\n" * 6)
    copy.create("dags/b.py", "x = 1\n")
    policy = Policy(max_files=2, max_lines=7)
    assert rules(copy, policy) == []
    assert rules(copy, replace(policy, max_files=1)) == ["too-many-files"]
    (finding,) = check(copy, replace(policy, max_lines=6))
    assert (finding.rule, finding.severity) == ("too-many-lines", Severity.REFUSE)
    assert "7 lines; at most 6" in finding.reason


def test_what_hides_a_failure_needs_a_person_and_what_does_not_parse_is_refused_too(copy: WorkingCopy) -> None:
    copy.edit("dags/shop.py", "assert 1 < 2\n", "")
    copy.create("dags/bad.py", "x = (\n")
    found = check(copy, Policy())
    assert [(finding.rule, finding.severity) for finding in found] == [
        ("check-removed", Severity.PERSON),
        ("does-not-parse", Severity.REFUSE),
    ]


def test_a_refused_path_is_not_judged_any_further(copy: WorkingCopy) -> None:
    copy.create(".github/workflows/a.yml", "a: [\n")
    copy.delete("dags/shop.py")
    assert rules(copy) == ["path-denied"]


def test_a_deleted_dag_is_refused(copy: WorkingCopy) -> None:
    copy.delete("dags/shop.py")
    assert rules(copy) == ["dag-deleted"]


def test_a_weakened_data_test_is_found_in_yaml(tmp_path: Path) -> None:
    (tmp_path / "schema.yml").write_text("models:\n- name: a\n  tests:\n  - unique\n")
    copy = WorkingCopy(tmp_path)
    copy.edit("schema.yml", "- unique", "- unique: {severity: warn}")
    assert rules(copy) == ["data-check-silenced"]


def test_a_line_nobody_could_review_is_refused(copy: WorkingCopy) -> None:
    copy.create("dags/a.sql", "select 1\n" + "x" * 3_000)
    (finding,) = check(copy, Policy())
    assert (finding.rule, "3000 characters" in finding.reason) == ("line-too-long", True)


def test_a_secret_is_not_written_and_one_that_stands_there_does_not_matter(copy: WorkingCopy) -> None:
    secret = "TOKEN = 'ghp_ChDC6hGCWfPr1qJWVQH1oOcRRRk0wr0aXbcd'\n"
    copy.create("dags/token.py", secret)
    assert rules(copy) == ["secret-written"]
    (copy.root / "dags" / "old.py").write_text(secret + "x = 1\n")
    other = WorkingCopy(copy.root)
    other.edit("dags/old.py", "x = 1", "x = 2")
    assert rules(other) == []
    other.create("dags/masked.py", "PASSWORD = '***'\ntoken = conn.password\n")
    assert rules(other) == []


def test_new_dependencies_are_looked_for(copy: WorkingCopy) -> None:
    copy.create("requirements.txt", "reqeusts\n")
    assert rules(copy) == ["new-dependency"]


@pytest.mark.parametrize("path", ["a.toml", "packages.yml", "setup.cfg", "a.json", "dags/a.py", "Dockerfile", "requirements.txt"])
def test_no_gate_stumbles_over_what_is_nested_without_end(copy: WorkingCopy, path: str) -> None:
    copy.create(path, "\n".join(["a = " + "[" * 1_900] * 200))
    check(copy, Policy())

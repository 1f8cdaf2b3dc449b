"""Paths no fix may touch."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.paths import denial, is_lfs_pointer, not_everywhere, unsafe


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "dags/../../x",
        "dags//x",
        "./x",
        "~/x",
        "C:/x",
        "a\\b",
        "a\nb",
        ".git/config",
        "dags/.GIT/hooks/x",
        "git~1/x",
        ".git./x",
        "dags/.git::$INDEX_ALLOCATION/config",
        ".g\u200cit/hooks/x",
        "dags/\u202eyp.pohs",
        "dags/a\u2028b.py",
        "caf\udce9.py",
        "a" * 300,
    ],
)
def test_a_path_that_leaves_the_repository_is_unsafe(path: str) -> None:
    assert unsafe(path)


@pytest.mark.parametrize("path", ["dags/shop.py", "a b/ü.py", ".hidden", "dags/..x", "Makefile", "dags/.gitkeep"])
def test_an_ordinary_path_is_safe(path: str) -> None:
    assert unsafe(path) is None


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        ".gitlab-ci.yml",
        ".circleci/config.yml",
        "Jenkinsfile",
        "sub/Jenkinsfile",
        "azure-pipelines.yml",
        ".ci/run",
        ".agentfix.yaml",
        ".agentfix/keys",
        "skills/fix/SKILL.md",
        "dags/any/SKILL.md",
        ".claude/settings.json",
        ".gitattributes",
        ".gitmodules",
        "docs/CODEOWNERS",
        ".github./workflows/x.yml",
        ".github /workflows/x.yml",
        "\N{FULLWIDTH FULL STOP}github/workflows/x.yml",
        "dags/.agentfix.yaml::$DATA",
        ".agentfix.yaml. .",
        ".cursor/rules/all.mdc",
        "dags/.cursorrules",
        ".mcp.json",
        "GEMINI.md",
        ".vscode/tasks.json",
        ".devcontainer/devcontainer.json",
        "lefthook.yml",
    ],
)
def test_what_steers_machines_is_denied(path: str) -> None:
    assert denial(path)


@pytest.mark.parametrize(
    "path", ["dags/shop.py", "Makefile", "dags/skills/etl.py", "dbt/models/schema.yml", "requirements.txt", "ci/x.py"]
)
def test_pipeline_code_is_not_denied(path: str) -> None:
    assert denial(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "dags/con.py",
        "AUX",
        "dags/nul/x.py",
        "lib/COM1.sql",
        "x.py.",
        "dags /x.py",
        "lib/a.py:b",
        "d\N{FULLWIDTH LATIN SMALL LETTER A}gs/x.py",
    ],
)
def test_a_new_file_may_not_have_a_name_that_is_another_files_or_a_devices(path: str) -> None:
    assert not_everywhere(path)


@pytest.mark.parametrize("path", ["dags/shop.py", "dags/nö end.py", "console.py", "dags/aux_tables.sql", ".hidden", "com10.py"])
def test_a_new_file_may_have_any_plain_name(path: str) -> None:
    assert not_everywhere(path) is None


def test_an_lfs_pointer_is_known_by_its_first_line() -> None:
    assert is_lfs_pointer("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n")
    assert not is_lfs_pointer("version 1\n")
    assert not is_lfs_pointer(None)


@pytest.mark.parametrize("path", [".airflowignore", "dags/sales/.airflowignore"])
def test_no_fix_hides_a_dag_from_airflow(path: str) -> None:
    assert denial(path)

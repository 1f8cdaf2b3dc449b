"""Changed files must still parse."""

from __future__ import annotations

import platform

import pytest

from airflow_agentfix.code.static_checks import parsed, static_checks
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity


def findings(path: str, before: str | None, after: str | None) -> list[Finding]:
    return list(static_checks([Patch(path=path, before=before, after=after)]))


def test_python_that_does_not_compile_is_refused_with_its_line() -> None:
    (finding,) = findings("a.py", "x = 1\n", "x = 1\ny = (\n")
    assert (finding.severity, finding.line) == (Severity.REFUSE, 2)
    assert "'(' was never closed" in finding.reason


def test_python_is_refused_even_if_it_was_broken_before() -> None:
    assert findings("a.py", "x = (\n", "x = [\n")


@pytest.mark.parametrize("code", ["return 1\n", "x = 1\n\tif x:\n", "await x\n", "x = '\0'\n"])
def test_what_only_the_compiler_sees_is_refused_too(code: str) -> None:
    assert findings("a.py", None, code)


@pytest.mark.parametrize(
    ("path", "good", "bad", "line"),
    [
        ("a.yml", "a: 1\n", "a: 1\nb: [\n", 3),
        ("a.yaml", "a: 1\n", "a: 1\n b: 2\n", 2),
        ("a.json", '{"a": 1}', '{"a": 1,\n}', 2),
        ("a.toml", "a = 1\n", "a = \n", 1),
    ],
)
def test_a_data_file_is_refused_only_if_the_fix_broke_it(path: str, good: str, bad: str, line: int) -> None:
    (finding,) = findings(path, good, bad)
    assert finding.severity is Severity.REFUSE
    assert path.endswith("toml") or finding.line in (line, line - 1)
    assert findings(path, None, bad)
    assert findings(path, bad, bad + "\n") == []
    assert findings(path, bad, good) == []


def test_tags_of_other_tools_templates_and_deleted_files_are_left_alone() -> None:
    assert findings("a.yml", "a: 1", "a: !Ref b\nc: !vault |\n  x\n---\nd: 1\n") == []
    assert findings("a.yml", "{% if x %}\na: [\n", "{% if y %}\na: [\n") == []
    assert findings("a.py", "x", None) == []
    assert findings("a.sql", "select", "selec (") == []


def test_nothing_of_the_checked_file_is_executed() -> None:
    assert findings("a.py", None, "raise SystemExit(1)\n") == []


@pytest.mark.parametrize("path", ["a.yml", "a.json", "a.toml", "a.py"])
def test_what_is_nested_without_end_is_refused_and_nothing_stumbles(path: str) -> None:
    text = ("a = " if path.endswith((".toml", ".py")) else "") + "[" * 100_000
    (finding,) = static_checks([Patch(path=path, before=None, after=text)])
    assert finding.rule == "does-not-parse"


def stages(*files: tuple[str, str | None, str | None]) -> list[str]:
    found = parsed([Patch(path=path, before=before, after=after) for path, before, after in files])
    return [f"{stage.name}: {stage.state}: {stage.detail}" for stage in found]


def test_what_was_seen_to_parse_is_told_apart_from_what_was_not() -> None:
    files = (("a.py", None, "x = 1\n"), ("b.py", "x = 1\n", None), ("a.yml", None, "a: 1\n"), ("t.json", "{{ x }}", "{{ y }}"))
    assert stages(*files) == [
        f"compiled: passed: with Python {platform.python_version()}: a.py",
        "static checks: passed: parses: a.yml; parses neither on the base nor on the fix: t.json",
    ]
    assert stages(files[3]) == [
        "compiled: not_run: the fix changes no Python file",
        "static checks: not_run: parses neither on the base nor on the fix: t.json",
    ]


def test_where_there_is_nothing_to_parse_nothing_is_claimed() -> None:
    assert stages(("query.sql", None, "select 1"), ("gone.py", "x = 1\n", None)) == [
        "compiled: not_run: the fix changes no Python file",
        "static checks: not_run: the fix changes no YAML, JSON or TOML file",
    ]


def test_python_that_does_not_compile_is_a_failed_stage() -> None:
    assert stages(("a.py", None, "x = ("))[0] == "compiled: failed: does not compile: a.py"

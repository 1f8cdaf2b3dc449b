"""What may not be in a committed file: a machine's paths, a package index, an unpinned constraint."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml

from tests.packaging.build import CHECKOUT

# Put together here, so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.<>$}-])/(?:" + "|".join(["work", "root", "Users", "home"]) + r")/[\w.]")
INDEX = re.compile(
    r"\b(?:" + "|".join(["py" + r"pi\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(?:org|com)", "anaconda" + r"\.org"]) + r")"
    r"|--(?:extra-)?index" + r"-url[= ]\S*://|PIP_INDEX" + r"_URL=\S"
)


def tracked() -> list[Path]:
    """What is committed, or would be: new files too, ignored ones not. In an unpacked sdist, all files."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [path for name in listed if (path := CHECKOUT / name).is_file()]


def lines_with(pattern: re.Pattern[str], files: list[Path]) -> list[str]:
    return [
        f"{file.relative_to(CHECKOUT)}:{number}: {line.strip()}"
        for file in files
        for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_committed_file_names_a_path_of_somebodys_machine():
    # tests show what paths in logs look like; a log of a user's machine is data there
    assert lines_with(MACHINE, [file for file in tracked() if "tests" not in file.relative_to(CHECKOUT).parts]) == []
    assert lines_with(re.compile(re.escape(str(CHECKOUT)) + r"\b"), tracked()) == []


def test_no_committed_file_names_a_package_index():
    assert lines_with(INDEX, tracked()) == []


def test_the_patterns_find_what_they_are_for():
    assert MACHINE.search("path = /ro" + "ot/x")
    assert MACHINE.search('"/wo' + 'rk/main"')
    assert not MACHINE.search("https://airflow.example.com/ho" + "me/x")
    assert INDEX.search("https://py" + "pi.org/simple")
    assert INDEX.search("--index" + "-url https://example.com")


def test_every_constraint_is_one_exact_version():
    for file in sorted((CHECKOUT / "constraints").glob("*.txt")):
        lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
        assert [line for line in lines if not re.match(r"[A-Za-z0-9._-]+(?:\[[\w,-]+\])?==\S+", line)] == [], file.name


def test_the_build_tools_of_these_tests_are_constrained_too():
    for file in sorted((CHECKOUT / "constraints").glob("*.txt")):
        assert {"hatchling", "installer"} <= {line.partition("==")[0] for line in file.read_text().splitlines()}, file.name


def test_pre_commit_uses_local_hooks_and_the_tools_of_the_development_group():
    repos = yaml.safe_load((CHECKOUT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {repo["repo"] for repo in repos} == {"local"}
    tools = {hook["entry"].split()[0].removeprefix(".venv/bin/") for repo in repos for hook in repo["hooks"]}
    assert tools == {"mypy", "python", "ruff"}
    assert [tool for tool in tools if not (Path(sys.executable).parent / tool).exists()] == []

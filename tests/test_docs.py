"""The pages say what the code does: every option, verb, error, route, event and command is there, and none that is not."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from airflow_agentfix import __version__
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.cli.app import app
from airflow_agentfix.core.session import ALLOWED, Event, EventKind, Outcome, Session, State, WaitFor, fold
from airflow_agentfix.models.recipes import RECIPES
from airflow_agentfix.settings import OPTIONS
from tests.docs import ROOT, TABLES, error_classes, written

README = ROOT / "README.md"
PAGES = [README, ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def in_backticks(text: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", text))


# --- tables made from the code ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES)
def test_a_table_is_as_the_code_says_else_run_python_m_tests_docs(table: str):
    assert page(TABLES[table][0]) == written(table)


def test_every_option_is_in_the_configuration():
    assert {f"| `{name}` |" for name in OPTIONS if f"| `{name}` |" not in page("configuration.md")} == set()


def test_every_error_is_named():
    assert {kind.__name__ for kind in error_classes()} - in_backticks(page("troubleshooting.md")) == set()


# --- pages written by hand -------------------------------------------------------------------------------------------


def test_every_route_is_in_the_rest_api_and_no_other():
    from airflow_agentfix.web.app import build_app

    def no_service() -> None:
        raise AssertionError("not needed to list routes")

    paths = build_app(no_service, secret="of the tests").openapi()["paths"]  # type: ignore[arg-type]  # never called
    there = {f"{method.upper()} {path.removeprefix('/api/v1')}" for path, methods in paths.items() for method in methods}
    rows = re.findall(r"^\| `((?:GET|POST|DELETE|PUT|PATCH) [^`]+)`", page("rest-api.md"), re.MULTILINE)
    assert sorted(rows) == sorted(there)


@pytest.mark.parametrize("kind", [EventKind, Outcome, State, WaitFor])
def test_every_word_of_a_session_is_explained(kind: type[EventKind | Outcome | State | WaitFor]):
    assert {word.value for word in kind} - in_backticks(page("how-it-works.md")) == set()


# As every event's data, so that each can be folded.
ANYTHING = {
    "worker": "agentfix_fix/run/drive/1",
    "message": "",
    "waiting_for": WaitFor.PERSON,
    "outcome": Outcome.FIXED,
    "summary": "",
    "fingerprint": "",
    "judgement": {"verdict": ""},
    "cause": {"line": ""},
    "files": [],
    "text": "",
    "because": [],
    "before": {"model": ""},
    "basis": {"model": ""},
    "stages": [],
    "branch": "",
    "commit": "",
}


def moves() -> set[tuple[str, str, str]]:
    """What changes a session's state: (before, event, after), of every event in every state that allows it."""
    found = {("[*]", "created", "open")}
    for kind in EventKind:
        for state in ALLOWED[kind]:
            session = Session("s1", "d", "r", "t", -1, 1, state, "rerun", "callback", "", "")
            after = fold(session, Event(1, kind, "a person", "", ANYTHING))
            if after.state is not state:
                found.add((state.value, kind.value, after.state.value))
    return found


def test_the_picture_of_a_session_has_every_move_and_every_event_and_no_other():
    (picture,) = re.findall(r"^```mermaid\n(.*?)^```", page("how-it-works.md"), re.DOTALL | re.MULTILINE)
    drawn = re.findall(r"^ +(\S+) --> (\w+) : (\w+)", picture, re.MULTILINE)
    assert {(before, event, after) for before, after, event in drawn} == moves()
    assert {kind.value for kind in EventKind} - set(re.findall(r"\w+", picture)) == set()


def test_every_tool_of_the_model_is_in_the_policy():
    assert {tool.name for tool in TOOLS} - in_backticks(page("policy-and-safety.md")) == set()


def test_every_threat_has_a_test_and_every_test_it_names_is_there():
    rows = re.findall(
        r"^\| (.+) \|$", page("policy-and-safety.md").partition("## Threats")[2].partition("\n## ")[0], re.MULTILINE
    )[2:]
    assert len(rows) > 10
    for row in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", row.rpartition(" | ")[2])
        assert named, row
        missing = [f"{file}::{name}" for file, name in named if f"def {name}(" not in (ROOT / file).read_text()]
        assert missing == []


def test_every_rule_the_gates_table_names_is_one_the_gates_have():
    rules = set(re.findall(r"`([a-z]+-[a-z-]+)`", page("policy-and-safety.md").partition("## Gates")[2].partition("\n## ")[0]))
    code = "".join(file.read_text() for file in (ROOT / "airflow_agentfix" / "code").glob("*gate*.py"))
    assert {rule for rule in rules if f'"{rule}"' not in code} == set()
    assert "new-dependency" in rules


def test_every_recipe_is_in_the_rules_model():
    rows = re.findall(r"^\| (.+?) \|", page("rules-model.md"), re.MULTILINE)[1:]
    assert sum(len(row.split(", ")) for row in rows) == len(RECIPES)


def test_the_changelog_begins_with_this_version():
    assert re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == __version__


def test_every_link_leads_somewhere():
    broken = [
        f"{file.relative_to(ROOT)}: {target}"
        for file in PAGES
        for target in re.findall(r"\]\(([^)\s]+)\)", file.read_text())
        if not _leads_somewhere(file, target)
    ]
    assert broken == []


def _leads_somewhere(file: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    place = file.parent / path if path else file
    if not place.exists():
        return False
    headings = re.findall(r"^#+ (.+)$", place.read_text(), re.MULTILINE) if anchor else []
    return not anchor or anchor in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(file.name[:4]) for file in sorted((ROOT / "docs" / "adr").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


# --- commands and examples -------------------------------------------------------------------------------------------


BLOCK = re.compile(r"^ *```(?:bash|console)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
NOT_PROSE = re.compile(r"```.*?```|<!-- (\w+) -->.*?<!-- end -->", re.DOTALL)


def commands(program: str) -> list[list[str]]:
    """Every command of `program` that a code block of the pages shows."""
    lines = (
        line.strip().removeprefix("$ ")
        for file in PAGES
        for block in BLOCK.findall(file.read_text())
        for line in block.split("\n")
    )
    return [shlex.split(line, comments=True)[1:] for line in dict.fromkeys(lines) if line.startswith(f"{program} ")]


def mentions(program: str) -> list[list[str]]:
    """Every command of `program` named in running text, complete or not."""
    found = (line for file in PAGES for line in re.findall(rf"`{program} ([^`\n]+)`", NOT_PROSE.sub("", file.read_text())))
    return [shlex.split(line) for line in dict.fromkeys(found)]


def verb(arguments: list[str]) -> tuple[Any, list[str]]:
    """The verb's command and what follows it."""
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        name, *arguments = arguments
        command = command.commands[name]
    return command, arguments


@pytest.mark.parametrize("arguments", commands("agentfix"), ids=" ".join)
def test_the_command_line_takes_every_agentfix_command_of_the_pages(arguments: list[str]):
    command, rest = verb(arguments)
    assert command.make_context(arguments[0], rest).params


@pytest.mark.parametrize("arguments", [one for one in mentions("agentfix") if one[-1] != "--help"], ids=" ".join)
def test_the_command_line_knows_every_verb_and_option_of_the_text(arguments: list[str]):
    command, rest = verb(arguments)
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in rest if word.startswith("-")} - options == set()


def test_airflow_takes_every_airflow_command_of_the_pages(tmp_path: Path):
    words = commands("airflow") + [one for one in mentions("airflow") if one[:1] == ["dags"]]
    code = f"from airflow.cli.cli_parser import get_parser\nfor one in {words!r}: get_parser().parse_args(one)"
    assert len(words) >= 2
    _airflow(code, tmp_path)


@pytest.mark.parametrize("arguments", commands("make") + mentions("make"), ids=" ".join)
def test_make_knows_every_target_of_the_pages(arguments: list[str]):
    done = subprocess.run(["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LOOK_AT_THE_DAG = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # its home before 3.2
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
print(json.dumps({
    f"{dag.dag_id}.{task.task_id}": [type(one).__name__ for one in task.on_failure_callback]
    for dag in bag.dags.values() for task in dag.tasks
}))
"""


def test_the_readmes_dag_imports_and_has_the_callback(tmp_path: Path):
    (code,) = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert len(code.splitlines()) <= 12
    file = tmp_path / "daily_revenue.py"
    file.write_text(code)
    found = json.loads(_airflow(LOOK_AT_THE_DAG, tmp_path, str(file)).splitlines()[-1])
    assert found == {"daily_revenue.sum_revenue": ["AgentFixNotifier"]}


def _airflow(code: str, home: Path, *arguments: str) -> str:
    environ = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environ, cwd=home, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

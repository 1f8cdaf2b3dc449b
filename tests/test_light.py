"""Importing what Airflow imports in every process, DAG files first of all, loads no heavy library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

HEAVY = {"alembic", "anthropic", "detect_secrets", "fastapi", "git", "github", "mcp", "requests", "rich", "typer"}
LIGHT = [
    "airflow_agentfix",
    "airflow_agentfix.provider_info",
    "airflow_agentfix.plugin",
    "airflow_agentfix.operators.agentfix",
    "airflow_agentfix.operators.ask",
    "airflow_agentfix.notifier",
    "airflow_agentfix.hooks",
    "airflow_agentfix.bundles",
    "airflow_agentfix.resources",
    "airflow_agentfix.ports",
    "airflow_agentfix.settings",
    "airflow_agentfix.errors",
]
CORE = sorted(
    f"airflow_agentfix.core.{path.stem}"
    for path in (Path(__file__).parent.parent / "airflow_agentfix" / "core").glob("*.py")
    if path.stem != "__init__"
)


AIRFLOWS_OWN = """
from airflow.sdk import DAG, BaseOperator, task
import airflow.dag_processing.bundles.base, airflow.plugins_manager, airflow.sdk.bases.hook, airflow.sdk.bases.notifier
"""


def loaded_by(*statements: str) -> list[set[str]]:
    """Top-level modules in a fresh interpreter with airflow.sdk in it, by what they are after each statement."""
    code = f"import json, sys\n{AIRFLOWS_OWN}\nknown = set(sys.modules)\n"
    look = "print(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - known})))"
    code += "\n".join(f"{statement}\n{look}" for statement in statements)
    with TemporaryDirectory() as home:
        environ = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line)) for line in done.stdout.splitlines()[-len(statements) :]]


@cache
def loaded_by_light_modules() -> dict[str, set[str]]:
    """One interpreter for all, light modules first to last: the first that loads a heavy library fails, and those after it."""
    return dict(zip(LIGHT, loaded_by(*(f"import {module}" for module in LIGHT)), strict=True))


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str):
    assert loaded_by_light_modules()[module] & HEAVY == set()


def test_the_core_loads_nothing_but_the_standard_library():
    (loaded,) = loaded_by("import " + ", ".join(CORE))
    assert loaded - set(sys.stdlib_module_names) == {"airflow_agentfix"}


def test_a_dag_file_that_names_callback_and_operator_loads_nothing_heavy():
    (loaded,) = loaded_by(
        "from airflow_agentfix import AgentFixDags, AgentFixOperator, agentfix_on_failure\n"
        "with DAG('d', schedule=None, on_failure_callback=agentfix_on_failure(autonomy='propose')):\n"
        "    AgentFixOperator(task_id='drive')"
    )
    assert loaded & HEAVY == set()


def test_the_shipped_dag_files_load_nothing_heavy():
    files = sorted((Path(__file__).parent.parent / "dags").glob("agentfix_*.py"))
    loaded = loaded_by(*(f"import runpy; runpy.run_path({str(file)!r})" for file in files))
    assert [(file.name, modules & HEAVY) for file, modules in zip(files, loaded, strict=True)] == [
        ("agentfix_ask.py", set()),
        ("agentfix_fix.py", set()),
        ("agentfix_triage.py", set()),
    ]


def test_a_typo_in_a_public_name_says_which_there_are():
    import airflow_agentfix

    with pytest.raises(
        AttributeError, match="no attribute 'AgentFixOperater'; it has AgentFixDags, AgentFixNotifier, AgentFixOperator"
    ):
        _ = airflow_agentfix.AgentFixOperater  # type: ignore[attr-defined]  # the typo is the point


def test_a_missing_package_is_not_disguised_as_a_missing_name(tmp_path: Path):
    code = "import sys\nsys.modules['airflow.sdk'] = None\nfrom airflow_agentfix import AgentFixOperator"
    command = [sys.executable, "-c", code]
    environ = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert "ModuleNotFoundError: import of airflow.sdk halted" in done.stderr

"""Importing what Airflow imports in every process, DAG files first of all, loads no heavy library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

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


def loaded_by(code: str, home: Path) -> set[str]:
    """Top-level modules that the code adds to a fresh interpreter with airflow.sdk in it."""
    before = "import sys, json\nimport airflow.sdk, airflow.sdk.bases.hook, airflow.sdk.bases.notifier, airflow.plugins_manager\n"
    before += "import airflow.dag_processing.bundles.base\nknown = set(sys.modules)\n"
    after = "\nprint(json.dumps(sorted({name.partition('.')[0] for name in set(sys.modules) - known})))"
    environ = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
    command = [sys.executable, "-c", before + code + after]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", LIGHT)
def test_a_light_module_loads_nothing_heavy(module: str, tmp_path: Path):
    assert find_spec(module) is not None
    assert loaded_by(f"import {module}", tmp_path) & HEAVY == set()


def test_the_core_loads_nothing_but_the_standard_library(tmp_path: Path):
    loaded = loaded_by("import " + ", ".join(CORE), tmp_path)
    assert loaded - set(sys.stdlib_module_names) == {"airflow_agentfix"}


def test_a_dag_file_that_names_callback_and_operator_loads_nothing_heavy(tmp_path: Path):
    code = (
        "from airflow_agentfix import AgentFixDags, AgentFixOperator, agentfix_on_failure\n"
        "from airflow.sdk import DAG\n"
        "with DAG('d', schedule=None, on_failure_callback=agentfix_on_failure(autonomy='propose')):\n"
        "    AgentFixOperator(task_id='drive')"
    )
    assert loaded_by(code, tmp_path) & HEAVY == set()


@pytest.mark.parametrize("dag_file", ["agentfix_fix.py", "agentfix_ask.py", "agentfix_triage.py"])
def test_a_shipped_dag_file_loads_nothing_heavy(dag_file: str, tmp_path: Path):
    path = Path(__file__).parent.parent / "dags" / dag_file
    assert loaded_by(f"import runpy\nrunpy.run_path({str(path)!r})", tmp_path) & HEAVY == set()


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

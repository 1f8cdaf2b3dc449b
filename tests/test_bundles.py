"""The bundle of the shipped DAGs, as the DAG processor reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from airflow_agentfix import resources

# In a process of its own: importing Airflow here would fix AIRFLOW_HOME for every other test.
_LIST = """
import sys
from airflow_agentfix.bundles import AgentFixDags
heavy = {"anthropic", "fastapi", "github", "mcp", "requests", "typer"} & set(sys.modules)
from airflow.utils.file import list_py_file_paths
bundle = AgentFixDags(name="agentfix")
bundle.initialize()
bundle.refresh()
print(*sorted(path.rpartition("/")[2] for path in list_py_file_paths(bundle.path, safe_mode=True)))
print(bundle.supports_versioning, bundle.get_current_version(), sorted(heavy))
"""


def _run(tmp_path: Path) -> list[str]:
    environment = {"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", _LIST], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-2:]


def test_the_bundle_shows_the_shipped_dags_and_not_the_demo(tmp_path: Path) -> None:
    listed, facts = _run(tmp_path)
    shipped = sorted(path.name for path in resources.dags_folder().glob("*.py"))
    assert "agentfix_ask.py" in shipped
    assert listed.split() == shipped
    assert facts == "False None []"


def test_the_demo_folder_is_ignored_by_name() -> None:
    assert (resources.dags_folder() / ".airflowignore").read_text().split() == ["demo/"]

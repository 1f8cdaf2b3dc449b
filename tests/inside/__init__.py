"""Contract tests that need Airflow's metadata database in their own process.

The files here (`*_contract.py`) run in a child pytest with an AIRFLOW_HOME of its own, so that no other test meets that
database. With another Airflow: `<its python> -m pytest -p tests.inside.database tests/inside/pin_contract.py`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent


def names(contract: str) -> list[str]:
    """The tests of a contract file, without importing it."""
    module = ast.parse((HERE / contract).read_text())
    return [node.name for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def prove(contract: str, name: str) -> None:
    """Fail as the test of this name failed in the child; its parameters are cases of one sentence."""
    cases = [failure for case, failure in _results(contract).items() if case.partition("[")[0] == name]
    assert cases, f"{name} did not run"
    failures = [failure for failure in cases if failure is not None]
    assert not failures, "\n".join(failures)


@cache
def _results(contract: str) -> dict[str, str | None]:
    """Run a contract file once in a child; the failure of each test by name, None where it passed."""
    with tempfile.TemporaryDirectory(prefix="agentfix-contract-") as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "tests.inside.database",
            f"--junitxml={report}",
            str(HERE / contract),
        ]
        done = subprocess.run(command, cwd=HERE.parent.parent, capture_output=True, text=True, timeout=300, check=False)
        if not report.is_file():
            raise AssertionError(f"The contract tests did not run:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return {case.attrib["name"]: _failure(case) for case in ElementTree.parse(report).iter("testcase")}


def _failure(case: ElementTree.Element) -> str | None:
    bad = [child.text or child.attrib.get("message", "") for child in case if child.tag in {"failure", "error", "skipped"}]
    return "\n".join(bad) or None

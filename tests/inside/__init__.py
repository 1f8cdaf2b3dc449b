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
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def names(contract: str) -> list[str]:
    """The tests of a contract file, without importing it."""
    module = ast.parse((HERE / contract).read_text())
    return [node.name for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


@dataclass(frozen=True)
class Case:
    """How one case of a contract went in the child; neither text where it passed."""

    name: str
    failure: str = ""
    skipped: str = ""


def prove(contract: str, name: str) -> None:
    """Fail as the test of this name failed in the child; its parameters are cases of one sentence. Skip what all skipped."""
    cases = [case for case in _cases(contract) if case.name.partition("[")[0] == name]
    assert cases, f"{name} did not run"
    failures = [case.failure for case in cases if case.failure]
    assert not failures, "\n".join(failures)
    if all(case.skipped for case in cases):
        pytest.skip(cases[0].skipped)


@cache
def _cases(contract: str) -> list[Case]:
    """Run a contract file once in a child."""
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
        done = subprocess.run(command, cwd=HERE.parent.parent, capture_output=True, text=True, timeout=540, check=False)
        if not report.is_file():
            raise AssertionError(f"The contract tests did not run:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return [_case(element) for element in ElementTree.parse(report).iter("testcase")]


def _case(element: ElementTree.Element) -> Case:
    failure = "\n".join(child.text or child.attrib.get("message", "") for child in element if child.tag in {"failure", "error"})
    skipped = "\n".join(child.attrib.get("message", "") for child in element if child.tag == "skipped")
    return Case(element.attrib["name"], failure, skipped)

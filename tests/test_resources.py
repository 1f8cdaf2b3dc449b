"""Where the shipped DAGs and skills are found: in a checkout, and in the layout of a wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_agentfix import resources

ROOT = Path(__file__).parent.parent


def found_by_copy(site_packages: Path) -> subprocess.CompletedProcess[str]:
    """What a copy of the package at `site_packages` finds."""
    code = "from airflow_agentfix import resources; print(resources.dags_folder(), resources.skills_folder())"
    environment = {"PYTHONPATH": str(site_packages), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=site_packages, capture_output=True, text=True, timeout=240, check=False
    )


@pytest.fixture
def site_packages(tmp_path: Path) -> Path:
    """A package without its resources, and an unrelated folder `dags` beside it."""
    package = tmp_path / "airflow_agentfix"
    shutil.copytree(ROOT / "airflow_agentfix", package, ignore=shutil.ignore_patterns("__pycache__", "_dags", "_skills"))
    (tmp_path / "dags").mkdir()
    return tmp_path


def test_a_checkout_has_them_beside_the_package() -> None:
    assert (resources.dags_folder(), resources.skills_folder()) == (ROOT / "dags", ROOT / "skills")


def test_a_wheel_has_them_inside_the_package(site_packages: Path) -> None:
    package = site_packages / "airflow_agentfix"
    shutil.copytree(ROOT / "dags", package / "_dags")
    shutil.copytree(ROOT / "skills", package / "_skills")
    assert found_by_copy(site_packages).stdout.split() == [str(package / "_dags"), str(package / "_skills")]


def test_a_folder_that_only_has_the_name_is_not_taken(site_packages: Path) -> None:
    assert "Install airflow-provider-agentfix again" in found_by_copy(site_packages).stderr

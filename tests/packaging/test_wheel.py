"""What is installed is what is in the checkout: a wheel in a virtual environment of its own, and the editable install."""

from __future__ import annotations

import json
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_agentfix import __version__
from tests.packaging.build import CHECKOUT, Installed, build, install, run

LOOK = """
import json
from importlib.metadata import entry_points, metadata
import airflow_agentfix
from airflow_agentfix import resources
from airflow_agentfix.agent.skills import load_skills
groups = ("console_scripts", "apache_airflow_provider", "airflow.plugins")
print(json.dumps({
    "package": airflow_agentfix.__file__,
    "dags": str(resources.dags_folder()),
    "files": sorted(path.name for path in resources.dags_folder().iterdir() if path.name != "__pycache__"),
    "skills": str(resources.skills_folder()),
    "skill": sorted(load_skills(shipped=resources.skills_folder()).by_name),
    "entry points": sorted(
        f"{point.group}: {point.name} = {point.value}"
        for group in groups for point in entry_points(group=group) if "agentfix" in point.value
    ),
    "loads": [point.load().__name__ for group in groups for point in entry_points(group=group) if "agentfix" in point.value],
    "license": metadata("airflow-provider-agentfix")["License-Expression"],
    "version": metadata("airflow-provider-agentfix")["Version"],
}))
"""
DAG_FILES = [".airflowignore", "agentfix_ask.py", "agentfix_fix.py", "agentfix_triage.py", "demo"]
ENTRY_POINTS = [
    "airflow.plugins: agentfix = airflow_agentfix.plugin:AgentFixPlugin",
    "apache_airflow_provider: provider_info = airflow_agentfix.provider_info:get_provider_info",
    "console_scripts: agentfix = airflow_agentfix.cli:main",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(CHECKOUT, tmp_path_factory.mktemp("wheel"), target="wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("installed"))


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_the_shipped_dags_and_skills(wheel: Path):
    assert names(wheel) >= {
        "airflow_agentfix/_dags/agentfix_fix.py",
        "airflow_agentfix/_dags/agentfix_ask.py",
        "airflow_agentfix/_dags/agentfix_triage.py",
        "airflow_agentfix/_dags/.airflowignore",
        "airflow_agentfix/_dags/demo/dags/shop_daily_revenue.py",
        "airflow_agentfix/_skills/fix-and-rerun-dag/SKILL.md",
        "airflow_agentfix/_skills/fix-and-rerun-dag/references/command-line.md",
        "airflow_agentfix/py.typed",
        f"airflow_provider_agentfix-{__version__}.dist-info/licenses/LICENSE",
    }


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(wheel: Path):
    def shipped(folder: str, inside: str, wanted: Callable[[Path], bool]) -> set[str]:
        files = (path for path in (CHECKOUT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {f"{inside}/{path.relative_to(CHECKOUT / folder).as_posix()}" for path in files if wanted(path)}

    served = {CHECKOUT / "airflow_agentfix/web" / folder for folder in ("static", "templates")}
    expected = shipped(
        "airflow_agentfix",
        "airflow_agentfix",
        lambda path: path.suffix in (".py", ".json") or path.name == "py.typed" or not served.isdisjoint(path.parents),
    )
    expected |= shipped("dags", "airflow_agentfix/_dags", lambda _: True)
    expected |= shipped("skills", "airflow_agentfix/_skills", lambda _: True)
    assert {name for name in names(wheel) if ".dist-info/" not in name} == expected


def test_a_wheel_built_from_the_sdist_is_the_same(wheel: Path, tmp_path: Path):
    for folder in ("sdist", "unpacked", "wheel"):
        (tmp_path / folder).mkdir()
    with tarfile.open(build(CHECKOUT, tmp_path / "sdist", target="sdist")) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert names(build(source, tmp_path / "wheel", target="wheel")) == names(wheel)


def test_the_installed_wheel_finds_its_dags_skills_and_entry_points(installed: Installed):
    found = json.loads(installed.python(LOOK))
    package = installed.site / "airflow_agentfix"
    assert found == {
        "package": str(package / "__init__.py"),
        "dags": str(package / "_dags"),
        "files": DAG_FILES,
        "skills": str(package / "_skills"),
        "skill": ["fix-and-rerun-dag"],
        "entry points": ENTRY_POINTS,
        "loads": ["main", "get_provider_info", "AgentFixPlugin"],
        "license": "Apache-2.0",
        "version": __version__,
    }


def test_the_checkout_finds_its_dags_skills_and_entry_points(tmp_path: Path):
    found = json.loads(run(sys.executable, "-c", LOOK, home=tmp_path))
    assert found["package"] == str(CHECKOUT / "airflow_agentfix" / "__init__.py")
    assert (found["dags"], found["skills"]) == (str(CHECKOUT / "dags"), str(CHECKOUT / "skills"))
    assert (found["files"], found["skill"]) == (DAG_FILES, ["fix-and-rerun-dag"])
    assert found["entry points"] == ENTRY_POINTS


def test_the_installed_command_says_its_version(installed: Installed):
    assert run(str(installed.bin / "agentfix"), "--version", home=installed.home) == f"agentfix {__version__}\n"


def test_the_bundle_of_the_installed_wheel_serves_our_dags_and_not_the_demo(installed: Installed):
    code = """
import json
from pathlib import Path
from airflow_agentfix import AgentFixDags
from airflow.utils.file import list_py_file_paths
path = AgentFixDags(name="agentfix").path
print(json.dumps(sorted(str(Path(file).relative_to(path)) for file in list_py_file_paths(path))))
"""
    assert json.loads(installed.python(code).splitlines()[-1]) == ["agentfix_ask.py", "agentfix_fix.py", "agentfix_triage.py"]

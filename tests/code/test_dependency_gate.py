"""A new dependency needs a person, wherever it is named; another version of one that is there does not."""

from __future__ import annotations

import pytest

from airflow_agentfix.code.dependency_gate import dependency_gate
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Severity

EXTRA = "--extra-index" + "-url"  # in two parts, for no committed file names an index
POETRY = '[tool.poetry.dependencies]\npython = "^3.12"\npandas = "^2"\n'
PROJECT = '[project]\ndependencies = ["pandas>=2"]\n'
UV = '[[package]]\nname = "pandas"\nversion = "2"\nsource = { registry = "https://index.example/simple" }\n'
DBT = "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n"
CONDA = "channels: [conda-forge]\ndependencies:\n  - pandas=2\n  - pip:\n    - httpx\n"
IMAGE = "FROM apache/airflow:3.3.2\nRUN apt-get update && apt-get install -y libpq-dev\nRUN pip install pandas\n"
VENV = "@task.virtualenv(requirements=['pandas==2'])\ndef load(): ...\n"
SETUP = "setup(install_requires=['pandas'], extras_require={'x': ['httpx']})\n"
CFG = "[options]\ninstall_requires =\n  pandas\n"
BASH = "BashOperator(task_id='a', bash_command='pip install pandas && dbt build')\n"


def found(path: str, before: str | None, after: str | None) -> list[str]:
    return [finding.reason for finding in dependency_gate([Patch(path=path, before=before, after=after)])]


@pytest.mark.parametrize(
    ("path", "before", "after", "named"),
    [
        ("requirements.txt", "pandas\n", "pandas\nreqeusts\n", "'reqeusts'"),
        ("dags/requirements-dev.txt", None, "reqeusts\n", "'reqeusts'"),
        ("requirements/prod.in", "pandas", "pandas[aws]", "'pandas[aws]'"),
        ("requirements.txt", "pandas", "pandas @ https://evil.example/p.whl", "'pandas @ https://evil.example/p.whl'"),
        ("requirements.txt", "pandas", "git+https://evil.example/pandas.git", "'git+https://evil.example/pandas.git'"),
        ("requirements.txt", "pandas", f"{EXTRA} https://evil.example\npandas", f"'{EXTRA} https://evil.example'"),
        ("requirements.txt", "pandas", "-r https://evil.example/r.txt\npandas", "'-r https://evil.example/r.txt'"),
        ("constraints.txt", "pandas==2", "pandas @ https://evil.example/p.whl", "'pandas @ https://evil.example/p.whl'"),
        ("packages.txt", "libpq-dev\n", "libpq-dev\nnetcat\n", "'netcat'"),
        ("pyproject.toml", PROJECT, PROJECT.replace('2"]', '2", "Reqeusts"]'), "'reqeusts'"),
        ("pyproject.toml", PROJECT, PROJECT + '[project.optional-dependencies]\nx = ["reqeusts"]\n', "'reqeusts'"),
        ("pyproject.toml", PROJECT, PROJECT + '[dependency-groups]\ndev = ["reqeusts"]\n', "'reqeusts'"),
        ("pyproject.toml", PROJECT, PROJECT + '[build-system]\nrequires = ["evil-backend"]\n', "'evil-backend'"),
        ("pyproject.toml", PROJECT, PROJECT + '[[tool.uv.index]]\nurl = "https://evil.example"\n', "https://evil.example"),
        ("pyproject.toml", PROJECT, PROJECT + '[tool.uv.sources]\npandas = { git = "https://evil.example" }\n', "https://evil.example"),
        ("pyproject.toml", POETRY, POETRY + 'reqeusts = "*"\n', "'reqeusts'"),
        ("pyproject.toml", POETRY, POETRY.replace('"^2"', '{ git = "https://evil.example/p.git" }'), "https://evil.example/p.git"),
        ("Pipfile", '[packages]\npandas = "*"\n', '[packages]\npandas = "*"\nreqeusts = "*"\n', "'reqeusts'"),
        ("uv.lock", UV, UV + UV.replace("pandas", "reqeusts"), "'reqeusts"),
        ("uv.lock", UV, UV.replace("index.example", "evil.example"), "evil.example"),
        ("setup.cfg", CFG, CFG + "  reqeusts\n", "'reqeusts'"),
        ("setup.py", SETUP, SETUP.replace("['pandas']", "['pandas', 'reqeusts']"), "'reqeusts'"),
        ("setup.py", SETUP, SETUP.replace("['httpx']", "['httpx', 'reqeusts']"), "'reqeusts'"),
        ("packages.yml", DBT, DBT + "  - package: acme/evil\n    version: 1\n", "'package acme/evil'"),
        ("dbt/packages.yml", DBT, DBT + "  - git: https://evil.example/x.git\n", "'git https://evil.example/x.git'"),
        ("dependencies.yml", None, DBT, "'package dbt-labs/dbt_utils'"),
        ("environment.yml", CONDA, CONDA + "    - reqeusts\n", "'reqeusts'"),
        ("environment.yml", CONDA, CONDA.replace("[conda-forge]", "[conda-forge, evil]"), "'channel evil'"),
        ("Dockerfile", IMAGE, IMAGE.replace("install pandas", "install pandas \\\n    reqeusts"), "'reqeusts'"),
        ("docker/Dockerfile.prod", IMAGE, IMAGE.replace("libpq-dev", "libpq-dev netcat"), "'netcat'"),
        ("Dockerfile", IMAGE, IMAGE.replace("apache/airflow", "evil/airflow"), "'image evil/airflow'"),
        ("Dockerfile", IMAGE, IMAGE.replace("install pandas", f"install {EXTRA}=https://evil.example pandas"), "evil.example"),
        ("compose.yaml", "x: 1\n", "_PIP_ADDITIONAL_REQUIREMENTS: reqeusts\n", "'reqeusts'"),
        ("scripts/setup.sh", "set -e\n", "set -e\nuv pip install reqeusts\n", "'reqeusts'"),
        ("dags/a.py", VENV, VENV.replace("'pandas==2'", "'pandas==2', 'reqeusts'"), "'reqeusts'"),
        ("dags/a.py", f"NEEDS = ['pandas']\n{VENV}".replace("['pandas==2']", "NEEDS"),
         f"NEEDS = ['pandas', 'reqeusts']\n{VENV}".replace("['pandas==2']", "NEEDS"), "'reqeusts'"),
        ("dags/a.py", BASH, BASH.replace("install pandas", "install pandas reqeusts"), "'reqeusts'"),
        ("dags/a.py", "x = 1\n", "subprocess.run(['pip', 'install', 'reqeusts'])\n", "'reqeusts'"),
    ],
)  # fmt: skip
def test_what_is_newly_installed_needs_a_person(path: str, before: str | None, after: str, named: str) -> None:
    (reason,) = found(path, before, after)
    assert named in reason


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("requirements.txt", "pandas==2.1  # old\nrequests\n", "requests\nPandas~=2.2\n"),
        ("requirements.txt", "pandas==2 --hash=sha256:1\n", "pandas==3 --hash=sha256:2\n"),
        ("requirements.txt", "pandas\nreqeusts\n", "pandas\n"),
        ("constraints.txt", "pandas==2\n", "pandas==2\nnumpy<2\n"),
        ("packages.txt", "libpq-dev\n", "libpq-dev=15\n"),
        ("pyproject.toml", PROJECT, PROJECT.replace(">=2", ">=2.2,<3")),
        ("pyproject.toml", POETRY, POETRY.replace('"^2"', '{ version = "^3" }')),
        ("uv.lock", UV, UV.replace('version = "2"', 'version = "3"')),
        ("packages.yml", DBT, DBT.replace("1.3.0", "1.3.1")),
        ("environment.yml", CONDA, CONDA.replace("pandas=2", "pandas=3")),
        ("Dockerfile", IMAGE, IMAGE.replace("3.3.2", "3.3.3").replace("pandas", "pandas==2")),
        ("dags/a.py", VENV, VENV.replace("==2", "==2.2")),
        ("dags/a.py", BASH, BASH.replace("dbt build", "dbt build -s orders")),
        ("README.md", "x\n", "pip install reqeusts\n"),
        ("pyproject.toml", "no toml", "no toml either"),
        ("requirements.txt", "pandas\n", None),
    ],
)
def test_another_version_or_nothing_new_needs_nobody(path: str, before: str, after: str | None) -> None:
    assert found(path, before, after) == []


def test_what_another_changed_file_installed_before_is_not_new() -> None:
    moved = [
        Patch(path="requirements.txt", before="pandas\n", after=""),
        Patch(path="pyproject.toml", before="[project]\n", after=PROJECT),
    ]
    assert list(dependency_gate(moved)) == []


def test_one_finding_names_all_that_a_file_installs_newly_and_what_to_look_at() -> None:
    (finding,) = dependency_gate([Patch(path="requirements.txt", before="", after="b\na\n")])
    assert (finding.rule, finding.severity, finding.path) == ("new-dependency", Severity.PERSON, "requirements.txt")
    assert finding.reason.startswith("requirements.txt newly installs 'a', 'b': a person must agree")

"""The repository that the failed DAG comes from: everything in it that an attempt may reach for."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.code.repos import git

SHOP = """\
import logging

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task

MAX_RETRIES = 1
RULE = "all_success"
log = logging.getLogger(__name__)


def total(amount):
    if amount is None:
        raise ValueError("no amount")
    try:
        return amont + 1
    except TypeError:
        log.exception("not a number")
        raise


@dag(schedule=None, default_args={"retries": MAX_RETRIES})
def shop():
    build = BashOperator(task_id="build", bash_command="dbt build --project-dir /opt/shop")

    @task(task_id="sum", trigger_rule=RULE)
    def add():
        return total(1)

    @task
    def publish(amount):
        assert amount > 0
        print(amount)

    build >> publish(add())


shop()
"""
LINE = 15
FILES = {
    "shop.py": SHOP,
    "lib/money.py": "def euros(cents):\n    return cents / 100\n",
    "tests/test_shop.py": "def test_total():\n    assert total(1) == 2\n",
    "models/schema.yml": (
        "models:\n  - name: orders\n    description: Orders.\n    columns:\n"
        "      - name: amount\n        data_tests:\n          - not_null\n"
    ),
    "models/orders.sql": "select amount from raw.orders\n",
    "tests/assert_positive.sql": "select * from orders where amount < 0\n",
    "dbt_project.yml": "name: shop\nmodels:\n  shop:\n    +materialized: view\n",
    "packages.yml": "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n",
    "requirements.txt": "pandas==2.2.0\n",
    "pyproject.toml": '[project]\nname = "shop"\ndependencies = ["pandas"]\n',
    "setup.py": 'from setuptools import setup\n\nsetup(name="shop", install_requires=["pandas"])\n',
    "Dockerfile": "FROM apache/airflow:3.3.2\nRUN pip install pandas\n",
    "run.sh": "set -e\npython -m shop\n",
    "README.md": "# Shop\n",
    "CLAUDE.md": "Be brief.\n",
    "docs/runbook.md": "# When it fails\n",
    "config.py": 'deploy_token = "ghp_ChDC6hGCWfPr1qJWVQH1oOcRRRk0wr0aXbcd"\nhost = "db"\n',
    ".agentfix.yaml": "version: 1\nmax_files: 5\n",
    ".github/workflows/ci.yml": "on: push\n",
    "Jenkinsfile": "pipeline {}\n",
    "infra/deploy.yml": "replicas: 1\n",
    "data.csv": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n",
    ".gitmodules": '[submodule "vendored"]\n\tpath = vendored\n\turl = https://git.invalid/vendored.git\n',
}
LINKS = {"ci-link.yml": ".github/workflows/ci.yml", "etc-link": "/etc", "up-link": "../.."}


@dataclass(frozen=True)
class Repositories:
    """`origin` is the DAG's, `other` another of the same owner; `work` is a person's clone of the first."""

    folder: Path

    @property
    def origin(self) -> Path:
        return self.folder / "shop.git"

    @property
    def other(self) -> Path:
        return self.folder / "other.git"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def refs(self, which: Path | None = None) -> dict[str, str]:
        """Commit of each branch."""
        lines = git("for-each-ref", "--format=%(refname:short) %(objectname)", cwd=which or self.origin).splitlines()
        return dict(line.split() for line in lines)

    def commit(self, files: dict[str, str], *, subject: str = "By a person", author: str = "Dana") -> str:
        """A person's commit on main; gives its id."""
        for path, text in files.items():
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_text(text)
        git("add", "-A", "--", *files, cwd=self.work)
        name = f"user.name={author}"
        git("-c", name, "commit", "-q", "--allow-empty", "-m", subject, cwd=self.work)
        git("push", "-q", str(self.origin), "main", cwd=self.work)
        return git("rev-parse", "HEAD", cwd=self.work)

    def copied(self, into: Path) -> Repositories:
        shutil.copytree(self.folder, into, symlinks=True)
        return Repositories(into)


def make_repositories(folder: Path) -> Repositories:
    made = Repositories(folder)
    made.work.mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=made.work)
    for path, text in FILES.items():
        (made.work / path).parent.mkdir(parents=True, exist_ok=True)
        (made.work / path).write_text(text)
    for path, target in LINKS.items():
        (made.work / path).symlink_to(target)
    git("add", "-A", cwd=made.work)
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendored", cwd=made.work)
    git("commit", "-q", "-m", "First", cwd=made.work)
    for bare in (made.origin, made.other):
        git("clone", "-q", "--bare", str(made.work), str(bare), cwd=folder)
    return made

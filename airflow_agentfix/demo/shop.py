"""The demo's production repository: a bare git repository whose last commit broke the pipeline."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from airflow_agentfix.resources import dags_folder

DAG_ID = "shop_daily_revenue"
BASE_BRANCH = "main"
AUTHOR = {"GIT_AUTHOR_NAME": "Sam Okoye", "GIT_AUTHOR_EMAIL": "sam@shop.example"}
COMMITTER = {"GIT_COMMITTER_NAME": "Sam Okoye", "GIT_COMMITTER_EMAIL": "sam@shop.example"}


@dataclass(frozen=True)
class Origin:
    """A bare repository; `git` runs a command in it and returns what it prints."""

    path: Path

    def git(self, *arguments: str) -> str:
        return _git(self.path, *arguments)

    def head(self, branch: str = BASE_BRANCH) -> str:
        return self.git("rev-parse", branch)

    def bundle(self) -> dict[str, object]:
        """The entry of Airflow's dag_bundle_config_list that serves it."""
        return {
            "name": "shop",
            "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
            "kwargs": {"repo_url": str(self.path), "tracking_ref": BASE_BRANCH, "subdir": "dags", "refresh_interval": 5},
        }


def make_origin(folder: Path) -> Origin:
    """Two commits: a working pipeline, then the rename that forgot one caller."""
    tree, bare = folder / "shop-tree", folder / "shop.git"
    shutil.copytree(dags_folder() / "demo", tree)
    money = tree / "dags" / "shop" / "money.py"
    renamed = money.read_text()
    money.write_text(renamed.replace("to_euros", "to_euro"))
    _git(tree, "init", "-q", "-b", BASE_BRANCH)
    _commit(tree, "Daily revenue by country")
    money.write_text(renamed)
    _commit(tree, "Name the money helpers after what they return")
    _git(folder, "clone", "-q", "--bare", str(tree), str(bare))
    shutil.rmtree(tree)
    return Origin(bare)


def _commit(tree: Path, message: str) -> None:
    _git(tree, "add", "-A")
    _git(tree, "commit", "-q", "-m", message)


def _git(cwd: Path, *arguments: str) -> str:
    # The newcomer's own git settings (signing, hooks, templates) have no say in the demo's repository.
    env = {**os.environ, **AUTHOR, **COMMITTER, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", *arguments], cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()

"""The repository of the GitHub of these tests is the one that Airflow's git bundle reads, over HTTP with the same login."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.code.conftest import github_host
from tests.code.test_github_host import fix
from tests.fakes.github import FakeGitHub

READ = """
import sys
from airflow.providers.git.bundles.git import GitDagBundle
bundle = GitDagBundle(name="shop", git_conn_id="git_shop", tracking_ref="main", version=sys.argv[1])
bundle.initialize()
print("READ", (bundle.path / "dags" / "shop.py").read_bytes(), bundle.get_current_version())
"""


def read(fake: FakeGitHub, commit: str, home: Path, *, token: str) -> subprocess.CompletedProcess[str]:
    connection = {"conn_type": "git", "host": fake.repo_url, "login": "x-access-token", "password": token}
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONN_GIT_SHOP": json.dumps(connection),
        "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
        "GIT_TERMINAL_PROMPT": "0",
    }
    return subprocess.run([sys.executable, "-c", READ, commit], env=env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("renamed", [False, True])
def test_a_git_bundle_checks_out_the_commit_of_a_fix_that_the_api_made(github: FakeGitHub, tmp_path: Path, renamed: bool) -> None:
    if renamed:
        github.rename("acme/flows")
    opened = github_host(github).open_fix(fix(github))
    done = read(github, opened.commit, tmp_path / "home", token=github.token)
    assert f"READ {b'x = 2' + bytes([10])!r}" in done.stdout, done.stderr
    assert opened.commit in done.stdout


def test_a_git_bundle_with_another_token_reads_nothing(github: FakeGitHub, tmp_path: Path) -> None:
    commit = fix(github).base_commit
    assert read(github, commit, tmp_path / "home", token="wrong").returncode != 0

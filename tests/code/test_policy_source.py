"""The repository's policy as the server reads it: on the base branch's head of a real repository, over git and over HTTP."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.code.policy_source import RepositoryPolicies
from airflow_agentfix.code.repositories import repository_of
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.errors import NoRepository
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.settings import Settings
from tests.code.repos import git, make_origin, push

DAG = DagFacts("orders", "dags/orders.py", tags=("critical",))
STRICT = "version: 1\nmax_files: 3\ndags: [{tag: critical, autonomy: propose}]\n"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return make_origin(tmp_path)


def policies(url: str, *, branch: str = "main", opened: list[CodeHost] | None = None) -> RepositoryPolicies:
    def open_host(repository: Repository) -> CodeHost:
        host = GitHost(repository, tip_only=True)
        if opened is not None:
            opened.append(host)
        return host

    return RepositoryPolicies(repository_of=lambda _: Repository(url, branch), open_host=open_host)


def test_no_file_says_nothing(origin: Path) -> None:
    assert policies(str(origin)).layers(DAG) == []


def test_the_file_of_the_base_branch_speaks_with_its_commit(origin: Path, tmp_path: Path) -> None:
    commit = push(tmp_path, ".agentfix.yaml", STRICT)
    top, entry = policies(str(origin)).layers(DAG)
    assert (top.max_files, entry.autonomy) == (3, Autonomy.PROPOSE)
    assert top.source == f".agentfix.yaml of {origin} at main ({commit[:10]})"


def test_a_file_on_any_other_branch_is_not_looked_at(origin: Path, tmp_path: Path) -> None:
    push(tmp_path, ".agentfix.yaml", "version: 1\nautonomy: report\n", branch="fix/loosen")
    push(tmp_path, "dags/.agentfix.yaml", "version: 1\nautonomy: report\n")
    assert policies(str(origin)).layers(DAG) == []


def test_a_moved_branch_is_seen_and_an_unmoved_one_is_fetched_once(origin: Path, tmp_path: Path) -> None:
    opened: list[CodeHost] = []
    source = policies(str(origin), opened=opened)
    push(tmp_path, ".agentfix.yaml", STRICT)
    assert [source.layers(DAG)[0].max_files for _ in range(3)] == [3, 3, 3]
    assert len(opened) == 4  # a look at the head each time, and one look into the commit
    push(tmp_path, ".agentfix.yaml", STRICT.replace("3", "2"))
    assert source.layers(DAG)[0].max_files == 2


@pytest.mark.parametrize(
    ("text", "told"), [("version: 1\nautonmy: report\n", "'autonmy' was unexpected"), ("#" * 70_000, "more than 65536 bytes")]
)
def test_a_file_that_cannot_be_used_lets_sessions_report_only(origin: Path, tmp_path: Path, text: str, told: str) -> None:
    push(tmp_path, ".agentfix.yaml", text)
    (layer,) = policies(str(origin)).layers(DAG)
    assert layer.autonomy is Autonomy.REPORT
    assert layer.problem is not None
    assert told in layer.problem


@pytest.mark.parametrize(("url", "branch"), [("/nowhere/dags.git", "main"), ("", "develop")])
def test_a_repository_or_branch_that_cannot_be_read_lets_sessions_report_only(origin: Path, url: str, branch: str) -> None:
    (layer,) = policies(url or str(origin), branch=branch).layers(DAG)
    assert layer.autonomy is Autonomy.REPORT
    assert "sessions only report" in str(layer.problem)


def test_a_code_host_that_does_not_answer_is_told_from_one_that_has_no_such_repository(origin: Path) -> None:
    (away,) = policies("http://127.0.0.1:9/dags.git").layers(DAG)
    (unknown,) = policies("/nowhere/dags.git").layers(DAG)
    assert (away.is_away, unknown.is_away) == (True, False)


def test_a_dag_without_a_repository_has_none_to_protect() -> None:
    def nowhere(_: DagFacts) -> Repository:
        raise NoRepository("No entry covers it.")

    def never(_: Repository) -> CodeHost:
        raise AssertionError("there is nothing to open")

    assert RepositoryPolicies(repository_of=nowhere, open_host=never).layers(DAG) == []


BUNDLE = {"name": "dags", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": {"git_conn_id": "git_dags"}}


@pytest.mark.parametrize("bundles", [[BUNDLE], []])
def test_a_repository_that_workers_may_know_and_the_server_does_not_lets_sessions_report_only(
    bundles: list[dict[str, Any]],
) -> None:
    def configured(dag: DagFacts) -> Repository:
        return repository_of(dag, settings=Settings(), bundle_config=bundles, get_connection=lambda _: None)

    def never(_: Repository) -> CodeHost:
        raise AssertionError("there is nothing to open")

    (layer,) = RepositoryPolicies(repository_of=configured, open_host=never).layers(replace(DAG, bundle_name="dags"))
    assert layer.autonomy is Autonomy.REPORT
    assert "Bundle 'dags' has no repo_url" in str(layer.problem) or "does not name" in str(layer.problem)


def test_credentials_in_an_address_are_not_told(tmp_path: Path) -> None:
    (layer,) = policies("http://bot:hunter2secret9@127.0.0.1:9/dags.git").layers(DAG)
    assert "hunter2secret9" not in layer.source + str(layer.problem)


def test_neither_history_nor_large_files_are_fetched(origin: Path, tmp_path: Path) -> None:
    git("config", "uploadpack.allowFilter", "true", cwd=origin)
    (tmp_path / "work" / "large.bin").write_bytes(b"x" * 100_000)
    push(tmp_path, ".agentfix.yaml", STRICT)
    host = GitHost(Repository(origin.as_uri(), "main"), tip_only=True)
    commit = host.head("main")
    assert commit is not None
    assert host.read(commit, ".agentfix.yaml") == STRICT.encode()
    here = host._git.folder
    assert git("rev-list", "--count", commit, cwd=here) == "1"
    missing = git("rev-list", "--objects", "--missing=print", commit, cwd=here)
    assert [line for line in missing.split("\n") if line.startswith("?")] != []


def test_of_a_file_that_is_too_long_no_more_is_kept_than_it_takes_to_say_so(origin: Path, tmp_path: Path) -> None:
    push(tmp_path, ".agentfix.yaml", "#" * 1_000_000)
    source = policies(str(origin))
    commit = GitHost(Repository(str(origin), "main")).head("main")
    assert len(source._content(Repository(str(origin), "main"), commit) or b"") == 65_537

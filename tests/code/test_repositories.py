"""Which repository a DAG's code lives in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from airflow_agentfix.code.repositories import parse_bundle_config, repository_of, without_credentials
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.errors import ConfigurationError, NoRepository
from airflow_agentfix.settings import RepositoryRule, Settings

DAG = DagFacts("shop", "shop/daily.py", bundle_name="shop", fileloc="/home/bundles/shop/tracking_repo/dags/shop/daily.py")
URL = "https://github.com/acme/dags.git"


@dataclass
class Connection:
    host: str | None


def bundle(**options: Any) -> list[dict[str, Any]]:
    return [
        {"name": "other", "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle", "kwargs": {}},
        {"name": "shop", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": options},
    ]


def rule(path: str, **more: Any) -> RepositoryRule:
    return RepositoryRule(**{"path": path, "url": URL, "base_branch": "main", **more})


def plain(file: str, fileloc: str) -> DagFacts:
    return DagFacts("shop", file, bundle_name="dags-folder", fileloc=fileloc)


def found(dag: DagFacts, *rules: RepositoryRule, config: Any = (), connections: dict[str, Any] | None = None) -> Repository:
    known = connections or {}
    return repository_of(dag, settings=Settings(repositories=rules), bundle_config=config, get_connection=known.get)


def test_a_git_bundle_says_it_all() -> None:
    repository = found(DAG, config=bundle(repo_url=URL, subdir="dags", tracking_ref="main", git_conn_id="git_acme"))
    assert repository == Repository(URL, "main", subdir="dags", connection="git_acme", bundle="shop")
    assert repository.path_of(DAG.file) == "dags/shop/daily.py"


def test_without_a_repo_url_the_connections_host_is_it() -> None:
    connections = {"git_acme": Connection("git@github.com:acme/dags.git")}
    repository = found(DAG, config=bundle(tracking_ref="refs/heads/prod", git_conn_id="git_acme"), connections=connections)
    assert (repository.url, repository.base_branch) == ("git@github.com:acme/dags.git", "prod")


def test_the_default_git_connection_is_used_where_it_exists_and_only_there() -> None:
    config = bundle(repo_url=URL, tracking_ref="main")
    assert found(DAG, config=config).connection is None
    assert found(DAG, config=config, connections={"git_default": Connection(None)}).connection == "git_default"


@pytest.mark.parametrize(("connections", "words"), [({}, "does not exist"), ({"git_default": Connection(None)}, "has no host")])
def test_a_bundle_without_any_url_says_where_to_put_it(connections: dict[str, Any], words: str) -> None:
    with pytest.raises(NoRepository, match=f"no repo_url and its connection 'git_default' {words}"):
        found(DAG, config=bundle(tracking_ref="main"), connections=connections)


@pytest.mark.parametrize("ref", ["v1.2.3", "2026.11", "refs/tags/prod", "1a2b3c4", "0123456789abcdef0123456789abcdef01234567"])
def test_a_ref_that_is_no_branch_needs_a_configured_base(ref: str) -> None:
    config = bundle(repo_url=URL, subdir="dags", tracking_ref=ref)
    with pytest.raises(NoRepository, match=r"follows .* which is no branch.*AIRFLOW__AGENTFIX__REPOSITORIES="):
        found(DAG, config=config)
    based = found(DAG, rule("/home/bundles/shop", base_branch="develop"), config=config)
    assert based == Repository(URL, "develop", subdir="dags", bundle="shop")


@pytest.mark.parametrize("ref", ["main", "release/1.2", "feature", "deadbeef-fix"])
def test_other_refs_are_taken_for_branches(ref: str) -> None:
    assert found(DAG, config=bundle(repo_url=URL, tracking_ref=ref)).base_branch == ref


def test_a_plain_folder_is_found_by_the_longest_path() -> None:
    dag = plain("team_a/x.py", "/opt/airflow/dags/team_a/x.py")
    repository = found(
        dag, rule("/opt/airflow/dags", subdir="dags"), rule("/opt/airflow/dags/team_a", url="ssh://git@host/a"), rule("/opt/air")
    )
    assert repository.url == "ssh://git@host/a"
    assert repository.bundle is None


@pytest.mark.parametrize(
    ("path", "subdir", "file", "fileloc", "expected"),
    [
        ("/opt/airflow/dags", "dags", "a/x.py", "/opt/airflow/dags/a/x.py", "dags/a/x.py"),
        ("/opt/airflow/dags", "", "a/x.py", "/opt/airflow/dags/a/x.py", "a/x.py"),
        ("/opt/airflow/dags/repo", "", "repo/dags/x.py", "/opt/airflow/dags/repo/dags/x.py", "dags/x.py"),
        ("/opt/airflow", "", "x.py", "/opt/airflow/dags/x.py", "dags/x.py"),
        ("/opt/airflow", "deploy", "x.py", "/opt/airflow/dags/x.py", "deploy/dags/x.py"),
        ("team_a", "src", "team_a/x.py", "/opt/airflow/dags/team_a/x.py", "src/x.py"),
        ("", "dags", "x.py", "/anywhere/x.py", "dags/x.py"),
        ("/opt/airflow/dags/", "", "x.py", "/opt/airflow/dags/x.py", "x.py"),
    ],
)
def test_a_rules_path_stands_for_its_subdir_wherever_the_bundle_begins(
    path: str, subdir: str, file: str, fileloc: str, expected: str
) -> None:
    assert found(plain(file, fileloc), rule(path, subdir=subdir)).path_of(file) == expected


def test_a_folder_with_a_longer_name_is_another_folder() -> None:
    with pytest.raises(NoRepository):
        found(plain("x.py", "/opt/airflow/dags2/x.py"), rule("/opt/airflow/dags"))


def test_nothing_configured_says_what_to_configure_with_this_dags_folder() -> None:
    with pytest.raises(NoRepository, match=r"'dags-folder', which the Airflow.*\"path\": \"/opt/airflow/dags\""):
        found(plain("a/x.py", "/opt/airflow/dags/a/x.py"))


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:token@github.com/acme/dags.git", URL),
        ("https://token@github.com/acme/dags.git", URL),
        ("ssh://git@github.com/acme/dags.git", "ssh://git@github.com/acme/dags.git"),
        ("ssh://git:secret@github.com/acme/dags.git", "ssh://git@github.com/acme/dags.git"),
        ("git@github.com:acme/dags.git", "git@github.com:acme/dags.git"),
        ("/srv/git/dags.git", "/srv/git/dags.git"),
        ("file:///srv/git/dags.git", "file:///srv/git/dags.git"),
    ],
)
def test_a_repositorys_url_carries_no_credentials(url: str, clean: str) -> None:
    assert without_credentials(url) == clean
    assert found(DAG, config=bundle(repo_url=url, tracking_ref="main")).url == clean
    assert found(plain("x.py", "/dags/x.py"), rule("/dags", url=url)).url == clean


def test_the_bundle_list_is_read_from_its_text_and_a_bad_one_is_told() -> None:
    assert parse_bundle_config('[{"name": "a"}]') == [{"name": "a"}]
    assert parse_bundle_config("") == []
    with pytest.raises(ConfigurationError, match="dag_bundle_config_list is 'nonsense'"):
        parse_bundle_config("nonsense")

"""Which host serves a repository."""

from __future__ import annotations

import pytest

from airflow_agentfix.code.hosts import full_name, host_for
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.settings import Settings

GITHUB = [
    "https://github.com/acme/dags.git",
    "https://github.com/acme/dags",
    "git@github.com:acme/dags.git",
    "ssh://git@github.com/acme/dags",
]


@pytest.mark.parametrize("url", GITHUB)
def test_github_serves_its_own_repositories_where_there_is_a_token(url: str) -> None:
    assert host_for(Repository(url, "main"), Settings(), has_token=True) == "github"
    assert host_for(Repository(url, "main"), Settings(), has_token=False) == "git"
    assert full_name(url) == "acme/dags"


@pytest.mark.parametrize(
    "url",
    [
        "/srv/dags.git",
        "file:///srv/github.com/dags.git",
        "https://gitlab.com/a/b",
        "https://github.com.evil.example/a/b",
        "git@gitlab.com:a/b",
        "../github.com/a/b",
    ],
)
def test_all_else_is_plain_git(url: str) -> None:
    assert host_for(Repository(url, "main"), Settings(), has_token=True) == "git"


@pytest.mark.parametrize(
    ("api", "url"),
    [
        ("https://github.example.com/api/v3", "https://github.example.com/acme/dags.git"),
        ("https://api.acme.ghe.com", "https://acme.ghe.com/acme/dags"),
        ("http://127.0.0.1:4000", "http://127.0.0.1:4000/acme/dags.git"),
    ],
)
def test_an_enterprise_server_serves_its_own_and_not_github_coms(api: str, url: str) -> None:
    settings = Settings(github_api_url=api)
    assert host_for(Repository(url, "main"), settings, has_token=True) == "github"
    assert host_for(Repository(GITHUB[0], "main"), settings, has_token=True) == "git"


@pytest.mark.parametrize("url", ["https://github.com/acme", "https://github.com/", "https://github.com/a/b/c"])
def test_a_url_without_owner_and_name_is_named(url: str) -> None:
    with pytest.raises(ConfigurationError, match="OWNER/NAME"):
        full_name(url)

"""Which code host serves a repository, decided from its URL and whether there is a login for GitHub's API."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import ConfigurationError
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.settings import Settings

QUICK_SECONDS = 20


def open_host(
    repository: Repository,
    *,
    settings: Settings,
    get_connection: Callable[[str], Any],
    environ: Mapping[str, str],
    quick: Literal["tip", "history"] | None = None,
) -> CodeHost:
    """GitHub over its API where there is a login for it, else plain git. `quick`: for a look at small files in one of the API
    server's threads, where nothing may wait long: git fetches nothing large, with "tip" the base branch's head alone."""
    from airflow_agentfix.code.github_client import build_github, has_login

    connection = get_connection(settings.github_conn_id)
    if host_for(repository, settings, has_token=has_login(connection, environ)) == "github":
        from airflow_agentfix.code.github_host import GitHubHost

        return GitHubHost(repository, build_github(settings, connection=connection, env=environ, quick=quick is not None))
    from airflow_agentfix.code.git_host import GitHost, connection_env

    credentials = connection_env(repository.connection, repository.url) if repository.connection else None
    if quick:
        return GitHost(repository, hook_env=credentials, lean=True, tip_only=quick == "tip", timeout=QUICK_SECONDS)
    return GitHost(repository, hook_env=credentials)


def host_for(repository: Repository, settings: Settings, *, has_token: bool) -> Literal["github", "git"]:
    """GitHub's API for its own repositories where there is a token; plain git for all else, and without one."""
    hostname = _hostname(repository.url)
    return "github" if has_token and hostname and hostname in _github_hosts(settings.github_api_url) else "git"


def full_name(url: str) -> str:
    """`owner/name` of a GitHub repository's URL in any of git's forms."""
    path = url.rpartition(":")[2] if _is_scp(url) else urlsplit(url).path
    parts = path.removesuffix("/").removesuffix(".git").strip("/").split("/")
    if len(parts) != 2 or not all(parts):
        raise ConfigurationError(f"{url!r} names no GitHub repository; expected https://github.com/OWNER/NAME.git")
    return "/".join(parts)


def _github_hosts(api_url: str) -> set[str]:
    """Where the repositories of an API live: api.github.com serves github.com's, an Enterprise server its own."""
    hostname = urlsplit(api_url).hostname or ""
    hosts = {hostname, hostname.removeprefix("api.")}
    return hosts | {f"ssh.{host}" for host in hosts} | {f"www.{host}" for host in hosts}


def _hostname(url: str) -> str | None:
    if _is_scp(url):
        return url.partition(":")[0].rpartition("@")[2].lower()
    parts = urlsplit(url)
    return parts.hostname if parts.scheme in ("http", "https", "ssh", "git+ssh") else None


def _is_scp(url: str) -> bool:
    return bool(re.match(r"^(?:[\w.-]+@)[\w.-]+:(?!//)", url))

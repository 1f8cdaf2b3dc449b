"""A PyGithub client with our pacing and retries, logged in as Airflow's GitHub connection or the environment says.

GithubHook's own client is not used: it connects in its constructor, needs a connection, and takes no pacing or timeout.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from github import Auth, Github  # noqa: TID253 - an adapter; only wiring.py imports it

from airflow_agentfix.code.github_retry import Retries
from airflow_agentfix.errors import ConfigurationError, MissingConnection
from airflow_agentfix.redaction import learn
from airflow_agentfix.settings import Settings

TOKEN_VARIABLES = ("GITHUB_TOKEN", "GITHUB_API_TOKEN")
LONGEST_WAIT = 60.0


class GithubConnection(Protocol):
    """What is read of an Airflow connection of type `github`."""

    conn_id: str
    password: str | None
    host: str | None

    @property
    def extra_dejson(self) -> dict[str, Any]: ...


def build_github(
    settings: Settings, *, connection: GithubConnection | None = None, env: Mapping[str, str], quick: bool = False
) -> Github:
    """The client; the connection's login and host win over the environment's token and [agentfix] github_api_url. `quick`: for
    who must not wait, one retry and no rate limit is sat out."""
    base_url = ((connection.host if connection else None) or settings.github_api_url).rstrip("/")
    local = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
    return Github(
        auth=_auth(connection, env),
        base_url=base_url,
        timeout=10 if quick else 30,
        retry=Retries(
            total=1 if quick else 4, backoff_factor=0.05 if local else 0.5, max_rate_limit_wait=1 if quick else LONGEST_WAIT
        ),
        seconds_between_requests=0 if local else 0.1,
        seconds_between_writes=0 if local else 1,
        user_agent="airflow-provider-agentfix",
        per_page=100,
        lazy=True,
    )


def has_login(connection: GithubConnection | None, env: Mapping[str, str]) -> bool:
    """Whether `build_github` would find a login."""
    return connection is not None or any(env.get(name) for name in TOKEN_VARIABLES)


def _auth(connection: GithubConnection | None, env: Mapping[str, str]) -> Auth.Auth:
    if connection is not None:
        return Auth.Token(connection.password) if connection.password else _app_auth(connection)
    token = next((env[name] for name in TOKEN_VARIABLES if env.get(name)), None)
    if token is None:
        raise MissingConnection(
            f"No GitHub connection {Settings.github_conn_id!r} and neither {' nor '.join(TOKEN_VARIABLES)} is set. "
            "Add one with: airflow connections add github_default --conn-type github --conn-password TOKEN"
        )
    return Auth.Token(token)


def _app_auth(connection: GithubConnection) -> Auth.Auth:
    """A GitHub App, by the same extra fields GithubHook reads."""
    extra = connection.extra_dejson or {}
    key = extra.get("private_key") or (extra.get("key_path") and Path(extra["key_path"]).read_text())
    missing = [name for name, value in (("private_key or key_path", key), ("app_id", extra.get("app_id"))) if not value]
    if not isinstance(extra.get("installation_id"), int):
        missing.append("installation_id (a number)")
    if missing:
        raise ConfigurationError(
            f"GitHub connection {connection.conn_id!r} has no password and its extra lacks {', '.join(missing)}; "
            "expected a token as password, or a GitHub App's fields."
        )
    learn(key)  # of key_path too
    app = Auth.AppAuth(extra["app_id"], key)
    return app.get_installation_auth(extra["installation_id"], extra.get("token_permissions"))

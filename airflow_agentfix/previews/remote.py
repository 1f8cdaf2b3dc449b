"""Where the fix branches are: the repository's URL, and its credentials for the time of one call. Nothing of it is stored."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from airflow_agentfix.code.git import mask_credentials
from airflow_agentfix.errors import ConfigurationError, MissingConnection

_DEFAULT_CONNECTION = "git_default"
"""what GitDagBundle asks for when its configuration names none"""


@dataclass(frozen=True)
class Remote:
    """A repository as the bundle's configuration names it: by URL, by Airflow git connection, or both."""

    repo_url: str | None = None
    git_conn_id: str | None = None

    @property
    def about(self) -> str:
        """How messages name it."""
        return mask_credentials(self.repo_url) if self.repo_url else f"the repository of connection {self._conn_id!r}"

    @property
    def _conn_id(self) -> str:
        return self.git_conn_id or _DEFAULT_CONNECTION

    @contextmanager
    def login(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The URL and git's environment with the connection's credentials. Raises MissingConnection, ConfigurationError."""
        from airflow_agentfix.airflow_login import airflow_connection
        from airflow_agentfix.code.git_host import connection_env

        conn_id = self._conn_id
        connection = airflow_connection(conn_id)
        if connection is None and (self.git_conn_id or not self.repo_url):
            add = f"airflow connections add {conn_id} --conn-type git --conn-host URL …"
            raise MissingConnection(f"No connection {conn_id!r} for previews, and no repo_url without one. Add it with: {add}")
        url = self.repo_url or connection.host
        if not url:
            raise ConfigurationError(f"Connection {conn_id!r} has no host; set it, or repo_url, to the repository's URL.")
        url = os.path.expanduser(url)
        if connection is None:
            yield url, {}
            return
        with connection_env(conn_id, url)() as env:
            yield url, env or {}

"""Where Airflow's REST API is and how to log in to it.

The environment names it for a command line outside Airflow (then Airflow is not even imported), else the connection
`[agentfix] airflow_conn_id`, else Airflow's own configuration with the login that a standalone Airflow allows to anyone.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import shlex
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import requests  # noqa: TID253 - doors import this module lazily

from airflow_agentfix.airflow_http import (
    AirflowHttp,
    checked_base_url,
    detail_of,
    error_of,
    json_of,
    mapped_errors,
    retrying_session,
)
from airflow_agentfix.errors import AirflowLoginRefused, AirflowRefused, ConfigurationError
from airflow_agentfix.redaction import learn, learn_connection, learn_login

_LEEWAY = 60.0
_COMMAND_SECONDS = 30.0
_HOW = (
    "Add a login: airflow connections add {conn_id} --conn-type agentfix_airflow --conn-host URL --conn-login USER "
    "--conn-password PASSWORD (or the extra `token` or `token_command`); outside Airflow set AGENTFIX_AIRFLOW_USERNAME and "
    "AGENTFIX_AIRFLOW_PASSWORD, AGENTFIX_AIRFLOW_TOKEN or AGENTFIX_AIRFLOW_TOKEN_COMMAND."
)


class AirflowSettings(Protocol):
    """The one setting a login needs."""

    @property
    def airflow_conn_id(self) -> str: ...


GetConnection = Callable[[str], Any]
"""An Airflow connection by id (host, schema, port, login, password, extra_dejson), None if there is none."""


@dataclass(frozen=True)
class Login:
    """Where Airflow is and with what to log in; `url` None means: not said here."""

    url: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    token_command: str | None = field(default=None, repr=False)

    @property
    def has_credentials(self) -> bool:
        return bool(self.token or self.token_command or self.username)

    @property
    def kind(self) -> str:
        """What is used, in words for a person."""
        if self.token:
            return "token"
        return "token_command" if self.token_command else "password" if self.username else "no credentials"


def connect(
    settings: AirflowSettings,
    *,
    get_connection: GetConnection | None = None,
    environ: Mapping[str, str] = os.environ,
    timeout: float = 30.0,
    retries: int = 3,
) -> AirflowHttp:
    """Airflow, ready to be asked. Nothing is sent before the first request."""
    login = find_login(settings, get_connection=get_connection, environ=environ)
    return connect_with(login, how=_HOW.format(conn_id=settings.airflow_conn_id), timeout=timeout, retries=retries)


def connect_with(login: Login, *, how: str = "Check the login.", timeout: float = 30.0, retries: int = 3) -> AirflowHttp:
    """Airflow by a login that is known already. `how` ends the message of a refused login: what to do."""
    learn_login(login.username, login.password)
    learn(login.token)
    base_url = checked_base_url(login.url or "")
    session = retrying_session(retries)
    fetch = _fetcher(login, base_url=base_url, session=session, timeout=timeout, how=how)
    return AirflowHttp(base_url, Tokens(fetch, fixed=bool(login.token), how=how), timeout=timeout, session=session)


def find_login(
    settings: AirflowSettings, *, get_connection: GetConnection | None = None, environ: Mapping[str, str] = os.environ
) -> Login:
    """The login this process should use; its `url` is always set."""
    from_environment = environment_login(environ)
    if from_environment.url:
        return from_environment
    connection = (get_connection or airflow_connection)(settings.airflow_conn_id)
    login = from_environment if connection is None else connection_login(connection)
    if not login.has_credentials and from_environment.has_credentials:
        login = replace(from_environment, url=login.url)
    return login if login.url else replace(login, url=configured_url())


def environment_login(environ: Mapping[str, str]) -> Login:
    names = ("url", "username", "password", "token", "token_command")
    return Login(**{name: environ.get(f"AGENTFIX_AIRFLOW_{name.upper()}") or None for name in names})


def connection_login(connection: Any) -> Login:
    """From a connection: host with or without scheme and path, schema as scheme, port; extra token or token_command.

    A password without a user is a token.
    """
    extra = connection.extra_dejson
    user = connection.login or None
    return Login(
        url=_connection_url(connection.host, connection.schema, connection.port),
        username=user,
        password=connection.password if user else None,
        token=extra.get("token") or (None if user else connection.password or None),
        token_command=extra.get("token_command"),
    )


def _connection_url(host: str | None, schema: str | None, port: int | None) -> str | None:
    if not host:
        return None
    scheme, _, rest = host.rpartition("://")
    address, slash, base = rest.partition("/")
    if port and ":" not in address.rpartition("]")[2]:
        address = f"{address}:{port}"
    return f"{scheme or schema or ('https' if port == 443 else 'http')}://{address}{slash}{base}"


def airflow_connection(conn_id: str) -> Any:
    """The connection as a task, the DAG processor or the API server sees it; None if there is none."""
    from airflow.exceptions import AirflowNotFoundException  # type: ignore[attr-defined] # its home moved after 3.1
    from airflow.sdk import Connection  # Airflow takes seconds; a command line that has a URL does not need it

    try:
        return learn_connection(Connection.get(conn_id))
    except AirflowNotFoundException:
        return None
    except PermissionError as error:
        raise ConfigurationError(
            f"Connection {conn_id!r} may not be read here: {error}. Allow it in your secrets backend."
        ) from error


def configured_url() -> str:
    """Airflow's own configuration: [api] base_url, else the execution API's URL without its path, else the default port."""
    from airflow.configuration import conf  # seconds in a process without Airflow

    if base_url := conf.get("api", "base_url", fallback=""):
        return str(base_url)
    if execution := conf.get("core", "execution_api_server_url", fallback=""):
        return str(execution).rstrip("/").removesuffix("/execution")
    return f"http://127.0.0.1:{conf.get('api', 'port', fallback='8080')}"


class Tokens:
    """A token, kept and renewed under a lock. `fixed`: it was given, so no other can be had."""

    def __init__(self, fetch: Callable[[], str], *, fixed: bool, how: str, now: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._fixed = fixed
        self._how = how
        self._now = now
        self._lock = threading.Lock()
        self._token: str | None = None

    def __repr__(self) -> str:
        return "Tokens(***)"

    def current(self) -> str:
        with self._lock:
            if self._token is None or (not self._fixed and self._expires_soon(self._token)):
                self._token = self._new()
            return self._token

    def renew(self, refused: str) -> str:
        with self._lock:
            if self._fixed:
                ended = expiry(refused)
                why = " (it has expired)" if ended is not None and ended <= self._now() else ""
                raise AirflowLoginRefused(f"Airflow refused the configured token{why}. {self._how}")
            if self._token == refused:  # else another thread was here first
                self._token = self._new()
            assert self._token is not None
            return self._token

    def _new(self) -> str:
        token = self._fetch()
        learn(token)
        return token

    def _expires_soon(self, token: str) -> bool:
        ends = expiry(token)
        return ends is not None and ends - _LEEWAY <= self._now()


def expiry(token: str) -> float | None:
    """`exp` of a JWT, unverified (Airflow verifies it); None for a token of another kind or one that does not expire."""
    try:
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "==="))
        return float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error):
        return None


def _fetcher(login: Login, *, base_url: str, session: requests.Session, timeout: float, how: str) -> Callable[[], str]:
    """How to get a token: the given one, the command's, or Airflow's token endpoint."""
    if login.token:
        return lambda: str(login.token)
    if login.token_command:
        return lambda: command_token(str(login.token_command))
    body = {"username": login.username, "password": login.password or ""} if login.username else None
    return lambda: _endpoint_token(session, base_url, body, timeout=timeout, how=how)


def _endpoint_token(session: requests.Session, base_url: str, body: dict[str, str] | None, *, timeout: float, how: str) -> str:
    """POST /auth/token with user and password, or GET without, which Airflow allows where everyone is admin."""
    with mapped_errors(base_url):
        response = session.request(
            "POST" if body else "GET",
            f"{base_url}/auth/token",
            json=body,
            timeout=(min(timeout, 10.0), timeout),
            allow_redirects=False,
        )
    if response.status_code in (400, 401, 403, 404, 405, 422):
        who = f"the login of user {body['username']!r}" if body else "a login without credentials"
        words = detail_of(response) or response.reason
        raise AirflowLoginRefused(f"Airflow at {base_url} refused {who}: {response.status_code} {words}. {how}")
    if not response.ok or response.is_redirect:
        raise error_of(response)
    answer = json_of(response)
    if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str):
        raise AirflowRefused(f"{base_url}/auth/token answered without `access_token`. {how}")
    return str(answer["access_token"])


def command_token(command: str) -> str:
    """What the command prints on its last line. No shell; a task's standard input is its supervisor's socket, so it is closed."""
    try:
        done = subprocess.run(
            shlex.split(command), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise AirflowLoginRefused(f"token_command gave no token in {_COMMAND_SECONDS:.0f} s. Make it faster.") from error
    except (OSError, ValueError) as error:
        raise AirflowLoginRefused(
            f"token_command could not be run: {error}. Give a program and its arguments, no shell."
        ) from error
    lines = done.stdout.split()
    if done.returncode or not lines:
        raise AirflowLoginRefused(
            f"token_command ended with {done.returncode} and {len(lines)} words on standard output; expected 0 and a token."
        )
    return lines[-1]

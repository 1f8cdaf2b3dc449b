"""Where Airflow is and how AgentFix logs in to it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from airflow_agentfix.airflow_login import Login, Tokens, command_token, connect, connect_with, expiry, find_login
from airflow_agentfix.errors import AirflowLoginRefused, AirflowRefused, AirflowUnreachable, ConfigurationError
from airflow_agentfix.settings import Settings
from tests.fakes.airflow_rest import FakeAirflow

SETTINGS = Settings()


@dataclass
class Connection:
    """The fields of an Airflow connection that a login reads."""

    host: str | None = None
    schema: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow(all_admins=False, users={"robot": "s3cret"}) as fake:
        fake.add_dag("shop", {})
        yield fake


def found(connection: Connection | None, **environ: str) -> Login:
    names = {f"AGENTFIX_AIRFLOW_{name.upper()}": value for name, value in environ.items()}
    return find_login(SETTINGS, get_connection=lambda _: connection, environ=names)


def jwt(expires: float) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).rstrip(b"=").decode()
    return f"e30.{claims}.sig"


def ask(login: Login) -> Any:
    return connect_with(login).json("GET", "/api/v2/dags/shop")["dag_id"]


def test_a_password_is_exchanged_for_a_token(airflow: FakeAirflow) -> None:
    assert ask(Login(url=airflow.url, username="robot", password="s3cret")) == "shop"


def test_a_wrong_password_names_the_user_and_what_to_do_but_not_the_password(airflow: FakeAirflow) -> None:
    http = connect(SETTINGS, get_connection=lambda _: Connection(host=airflow.url, login="robot", password="wr0ng"), environ={})
    with pytest.raises(
        AirflowLoginRefused, match=r"user 'robot': 401 Invalid credentials.*connections add agentfix_airflow"
    ) as caught:
        http.json("GET", "/api/v2/dags/shop")
    assert "wr0ng" not in str(caught.value)


def test_without_credentials_an_airflow_that_allows_it_lets_us_in(airflow: FakeAirflow) -> None:
    airflow.all_admins = True
    assert ask(Login(url=airflow.url)) == "shop"


def test_without_credentials_another_airflow_refuses_and_we_say_what_to_configure(airflow: FakeAirflow) -> None:
    with pytest.raises(AirflowLoginRefused, match="login without credentials: 403"):
        ask(Login(url=airflow.url))


def test_a_static_token_is_sent_as_it_is(airflow: FakeAirflow) -> None:
    assert ask(Login(url=airflow.url, token=airflow.issue_token())) == "shop"
    assert not airflow.asked("/auth/token")


def test_a_static_token_that_expired_is_said_to_be_expired(airflow: FakeAirflow) -> None:
    with pytest.raises(AirflowLoginRefused, match=r"refused the configured token \(it has expired\)"):
        ask(Login(url=airflow.url, token=jwt(time.time() - 5)))


def test_a_token_command_is_run_for_the_token_and_again_after_a_refusal(airflow: FakeAirflow, tmp_path: Any) -> None:
    source = tmp_path / "token"
    source.write_text(airflow.issue_token())
    http = connect_with(Login(url=airflow.url, token_command=f"cat '{source}'"))
    assert http.json("GET", "/api/v2/dags/shop")
    airflow.revoke_tokens()
    source.write_text(airflow.issue_token())
    assert http.json("GET", "/api/v2/dags/shop")


@pytest.mark.parametrize(
    ("command", "words"),
    [("false", "ended with 1"), ("true", "0 words"), ("/no/such/program", "could not be run"), ("'unclosed", "could not be run")],
)
def test_a_token_command_that_gives_none_says_why(command: str, words: str) -> None:
    with pytest.raises(AirflowLoginRefused, match=words):
        command_token(command)


def test_a_token_command_gets_no_shell_and_no_standard_input() -> None:
    assert command_token(f"{sys.executable} -c 'import sys; print(repr(sys.stdin.read()), \"$HOME;id\")'") == "$HOME;id"


def test_a_token_is_renewed_before_it_expires(airflow: FakeAirflow) -> None:
    airflow.token_seconds = 30  # less than the leeway
    http = connect_with(Login(url=airflow.url, username="robot", password="s3cret"))
    http.json("GET", "/api/v2/dags/shop")
    airflow.token_seconds = 3600
    http.json("GET", "/api/v2/dags/shop")
    http.json("GET", "/api/v2/dags/shop")
    assert len(airflow.asked("/auth/token", "POST")) == 2


def test_of_two_threads_with_a_refused_token_one_renews_it() -> None:
    given = iter(["one", "two", "three"])
    tokens = Tokens(lambda: next(given), fixed=False, how="")
    refused = tokens.current()
    assert [tokens.renew(refused), tokens.renew(refused)] == ["two", "two"]


@pytest.mark.parametrize("token", ["", "opaque", "a.b.c", "e30.e30.x", "e30.W10.x"])
def test_a_token_without_a_readable_end_never_expires_by_itself(token: str) -> None:
    assert expiry(token) is None


def test_the_end_of_a_jwt_is_read() -> None:
    assert expiry(jwt(1234.5)) == 1234.5


@pytest.mark.parametrize("status", [500, 503])
def test_a_login_endpoint_out_of_order_is_unreachable_and_not_a_refusal(airflow: FakeAirflow, status: int) -> None:
    airflow.fail_next("/auth/token", status=status, times=99)
    with pytest.raises(AirflowUnreachable):
        connect_with(Login(url=airflow.url, username="robot", password="s3cret"), retries=0).json("GET", "/api/v2/dags/shop")


def test_a_login_endpoint_of_something_else_is_told(airflow: FakeAirflow) -> None:
    airflow.fail_next("/auth/token", status=200, body=b'{"hello": 1}')
    with pytest.raises(AirflowRefused, match="without `access_token`"):
        ask(Login(url=airflow.url))


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (Connection(host="airflow"), "http://airflow"),
        (Connection(host="airflow", port=8080), "http://airflow:8080"),
        (Connection(host="airflow", port=443), "https://airflow:443"),
        (Connection(host="airflow", schema="https", port=8443), "https://airflow:8443"),
        (Connection(host="https://airflow.example.com/base"), "https://airflow.example.com/base"),
        (Connection(host="https://airflow.example.com:444/base", port=443), "https://airflow.example.com:444/base"),
        (Connection(host="airflow/base", port=8080), "http://airflow:8080/base"),
        (Connection(host="http://[::1]", port=8080), "http://[::1]:8080"),
    ],
)
def test_the_url_of_a_connection(connection: Connection, url: str) -> None:
    assert found(connection).url == url


def test_a_connections_password_without_a_user_is_a_token() -> None:
    assert found(Connection(host="airflow", password="tok")).token == "tok"
    assert found(Connection(host="airflow", extra_dejson={"token_command": "aws-token"})).token_command == "aws-token"


def test_the_environment_wins_and_the_connection_is_not_asked() -> None:
    def never(_: str) -> Any:
        raise AssertionError("asked")

    environ = {"AGENTFIX_AIRFLOW_URL": "http://there", "AGENTFIX_AIRFLOW_TOKEN": "tok"}
    assert find_login(SETTINGS, get_connection=never, environ=environ) == Login(url="http://there", token="tok")


def test_credentials_of_the_environment_serve_a_connection_that_has_none() -> None:
    assert found(Connection(host="airflow"), token="tok") == Login(url="http://airflow", token="tok")


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({"AIRFLOW__API__BASE_URL": "http://web/base"}, "http://web/base"),
        ({"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://api:9090/base/execution/"}, "http://api:9090/base"),
        ({}, "http://127.0.0.1:8080"),
    ],
)
def test_without_a_connection_airflows_configuration_says_where(
    environ: dict[str, str], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AIRFLOW__API__BASE_URL", "AIRFLOW__CORE__EXECUTION_API_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert found(None).url == url


def test_nothing_of_airflow_is_imported_when_the_environment_names_the_url() -> None:
    code = (
        "import sys; from types import SimpleNamespace; from airflow_agentfix.airflow_login import connect;"
        "connect(SimpleNamespace(airflow_conn_id='x'), environ={'AGENTFIX_AIRFLOW_URL': 'http://there'});"
        "print('airflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_a_malformed_url_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="'there'"):
        connect(SETTINGS, environ={"AGENTFIX_AIRFLOW_URL": "there"})

"""The connection type's hook: what the connection form's Test button says."""

from __future__ import annotations

import json

import pytest

from airflow_agentfix.hooks import AgentFixHook
from tests.fakes.deployment import Deployment


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTFIX_AIRFLOW_URL", raising=False)


def connection(airflow: Deployment) -> str:
    return json.dumps({"conn_type": "agentfix_airflow", "host": airflow.url, "login": "sam", "password": "secret"})


def test_a_good_connection_names_airflows_version(monkeypatch: pytest.MonkeyPatch):
    with Deployment() as airflow:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER_AIRFLOW", connection(airflow))
        assert AgentFixHook("other_airflow").test_connection() == (True, "Airflow 3.3.2 answered.")
    assert airflow.sent("POST", "/auth/token") == [{"username": "sam", "password": "secret"}]


def test_a_refused_login_says_so_and_not_the_password(monkeypatch: pytest.MonkeyPatch):
    with Deployment(refuses_login=True) as airflow:
        monkeypatch.setenv("AIRFLOW_CONN_OTHER_AIRFLOW", connection(airflow))
        good, message = AgentFixHook("other_airflow").test_connection()
    assert not good
    assert "refused the login of user 'sam'" in message
    assert "secret" not in message


def test_a_wrong_token_is_noticed_though_airflow_tells_its_version_to_anyone(monkeypatch: pytest.MonkeyPatch):
    with Deployment() as airflow:
        wrong = {"conn_type": "agentfix_airflow", "host": airflow.url, "extra": {"token": "wrong"}}
        monkeypatch.setenv("AIRFLOW_CONN_OTHER_AIRFLOW", json.dumps(wrong))
        good, message = AgentFixHook("other_airflow").test_connection()
    assert not good
    assert "refused the configured token" in message

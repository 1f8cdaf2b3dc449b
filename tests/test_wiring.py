"""The server's side, wired from configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from airflow_agentfix.errors import StoreOutdated
from airflow_agentfix.settings import Settings
from airflow_agentfix.wiring import build_server_service, build_store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'agentfix.db'}"


def test_the_first_use_makes_the_tables(url: str) -> None:
    settings = Settings(sql_alchemy_conn=url)
    build_server_service(settings)
    assert build_store(settings).dag_ids() == []
    assert "agentfix_session" in sa.inspect(sa.create_engine(url)).get_table_names()


def test_where_tables_are_not_made_automatically_their_lack_is_said(url: str) -> None:
    with pytest.raises(StoreOutdated, match="agentfix db migrate"):
        build_server_service(Settings(sql_alchemy_conn=url, auto_migrate=False))


def test_without_any_key_the_chain_is_written_and_said_to_be_weak(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "")
    build_store(Settings(sql_alchemy_conn=url, audit_key="secret"))
    assert "audit chain" not in caplog.text
    build_store(Settings(sql_alchemy_conn=url))
    assert "audit chain" in caplog.text


def test_a_model_is_known_of_by_its_connection_or_by_a_key(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has_model = build_server_service(Settings(sql_alchemy_conn=url)).has_model
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert not has_model()
    monkeypatch.setenv("AIRFLOW_CONN_ANTHROPIC_DEFAULT", '{"conn_type": "anthropic", "password": "a key of nobody"}')
    assert has_model()
    monkeypatch.delenv("AIRFLOW_CONN_ANTHROPIC_DEFAULT")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a key of nobody")
    assert has_model()

"""The connection type `agentfix_airflow`: how workers and the CLI reach Airflow's REST API."""

from __future__ import annotations

from typing import Any

from airflow.sdk.bases.hook import BaseHook


class AgentFixHook(BaseHook):
    """
    Airflow's REST API, as a connection.

    host: Airflow's address, base path included; login and password: user and password, or a password alone as a static token;
    extra: ``{"token_command": "…"}`` for platforms with their own login. No credentials where Airflow asks for none.

    :param agentfix_conn_id: the connection
    """

    conn_name_attr = "agentfix_conn_id"
    default_conn_name = "agentfix_airflow"
    conn_type = "agentfix_airflow"
    hook_name = "AgentFix: Airflow's REST API"

    def __init__(self, agentfix_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.agentfix_conn_id = agentfix_conn_id

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Airflow 3.1 reads this; newer lines read the same from the provider info."""
        from airflow_agentfix.provider_info import CONNECTION_FIELDS  # what it reads is only needed where forms are drawn

        return {key.replace("-", "_"): value for key, value in CONNECTION_FIELDS.items()}

    def get_conn(self) -> Any:
        """A logged-in client of the REST API."""
        from dataclasses import replace

        from airflow_agentfix.airflow_login import connect  # requests; only where a request is made
        from airflow_agentfix.settings import Settings

        return connect(replace(Settings.load(), airflow_conn_id=self.agentfix_conn_id))

    def test_connection(self) -> tuple[bool, str]:
        """Log in and read Airflow's version: what the connection form's Test button does."""
        from airflow_agentfix.airflow_api import RestAirflowApi
        from airflow_agentfix.errors import AgentFixError

        try:
            http = self.get_conn()
            http.json("GET", "/api/v2/dags", params={"limit": 1})  # the version is told to anyone, a wrong token too
            return True, f"Airflow {RestAirflowApi(http).version()} answered."
        except AgentFixError as error:
            return False, str(error)

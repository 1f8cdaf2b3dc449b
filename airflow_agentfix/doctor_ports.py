"""`doctor.Deployment` over REST and this machine's Airflow configuration."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_http import path_of
from airflow_agentfix.airflow_login import airflow_connection, connect
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.policy import Effective
from airflow_agentfix.doctor import HEALTH
from airflow_agentfix.errors import AgentFixError, AirflowNotFound, ConfigurationError
from airflow_agentfix.settings import SECTION, Settings
from airflow_agentfix.store.client import SessionsApi


class RestDeployment:
    """The Airflow this command line talks to; repositories as this machine's configuration names them."""

    def __init__(self, settings: Settings, *, with_airflow: bool = True) -> None:
        """Without Airflow on this machine only `[agentfix] repositories` tells where code lives."""
        self._settings, self._with_airflow = settings, with_airflow
        self._http = connect(settings, timeout=10.0, retries=1)
        self._api = RestAirflowApi(self._http)
        self.address = self._http.base_url

    def configured(self) -> Sequence[str]:
        prefix = f"AIRFLOW__{SECTION.upper()}__"
        ours = {name.removeprefix(prefix).removesuffix("_CMD").removesuffix("_SECRET").lower(): name for name in os.environ}
        found = [option for option, name in ours.items() if name.startswith(prefix)]
        if not self._with_airflow:
            return found
        from airflow.configuration import conf  # seconds; a doctor may take them

        return [*found, *(conf.getsection(SECTION) or {})]

    def version(self) -> str:
        self._http.json("GET", "/api/v2/dags", params={"limit": 1})  # the version is told to anyone, a wrong token too
        return self._api.version()

    def health(self) -> Mapping[str, Any]:
        answer: Mapping[str, Any] = self._http.json("GET", HEALTH)
        return answer

    def sessions(self) -> object:
        return SessionsApi(self._http).list(limit=1)

    def has_connection(self, conn_id: str) -> bool:
        try:
            self._http.json("GET", path_of("/api/v2/connections", conn_id))
        except AirflowNotFound:
            return False
        return True

    def dag(self, dag_id: str) -> DagFacts:
        return self._api.dag(dag_id)

    def dags(self) -> Sequence[DagFacts]:
        return [self._api.dag(dag_id) for dag_id in self._api.dag_ids()]

    def import_errors(self) -> Sequence[Mapping[str, Any]]:
        return self._api.import_errors()

    def repository_of(self, dag: DagFacts) -> Repository | None:
        from airflow_agentfix.code.repositories import matching_rule, repository_of

        configured = {entry.get("name") for entry in self._bundles}
        if dag.bundle_name not in configured and matching_rule(dag, self._settings.repositories) is None:
            return None
        return repository_of(dag, settings=self._settings, bundle_config=self._bundles, get_connection=airflow_connection)

    def head(self, repository: Repository) -> str | None:
        from airflow_agentfix.workbench import Workbench  # picks GitHub or plain git as a worker would

        return Workbench(self._http, self._settings).host(repository).head(repository.base_branch)

    def preview_bundles(self) -> Mapping[str, int | AgentFixError]:
        from airflow_agentfix.signing import signing_keys

        bundles = [entry for entry in self._bundles if str(entry.get("classpath", "")).endswith(".AgentFixPreviews")]
        keys = signing_keys(self._settings) if bundles else ()
        if bundles and not keys:
            raise ConfigurationError("There is no [agentfix] signing_key and no [core] fernet_key: no preview can be served.")
        return {str(entry.get("name")): _approved(entry.get("kwargs") or {}, keys) for entry in bundles}

    def policy(self, dag_id: str) -> Effective:
        return SessionsApi(self._http).policy(dag_id)

    @cached_property
    def _bundles(self) -> list[dict[str, Any]]:
        if not self._with_airflow:
            return []
        from airflow.configuration import conf  # seconds; a doctor may take them

        from airflow_agentfix.code.repositories import parse_bundle_config

        return parse_bundle_config(conf.get("dag_processor", "dag_bundle_config_list", fallback="[]"))


def _approved(options: Mapping[str, Any], keys: tuple[bytes, ...]) -> int | AgentFixError:
    """How many branches a bundle with these options would serve, unless their commits turn out not to be fixes."""
    from airflow_agentfix.previews import listing
    from airflow_agentfix.previews.remote import Remote
    from airflow_agentfix.previews.repository import Repository as Previews

    remote = Remote(options.get("repo_url"), options.get("git_conn_id"))
    try:
        with TemporaryDirectory(prefix="agentfix-doctor-") as folder:
            return len(listing.read(Previews(Path(folder), remote).list_refs(), keys).approved)
    except AgentFixError as error:
        return error

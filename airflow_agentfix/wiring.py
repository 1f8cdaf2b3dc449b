"""The one place that picks adapters. Every import of one is inside a function: whoever wires the worker pays for no server."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_agentfix.settings import Settings

if TYPE_CHECKING:
    from airflow_agentfix.core.incident import DagFacts, Repository
    from airflow_agentfix.driver import Driver
    from airflow_agentfix.inspections import Inspections
    from airflow_agentfix.ports import CodeHost
    from airflow_agentfix.service import SessionService
    from airflow_agentfix.store.sql import SqlStore
    from airflow_agentfix.workbench import Workbench

log = logging.getLogger(__name__)


def build_server_service(settings: Settings) -> SessionService:
    """Sessions inside the API server, on up-to-date tables."""
    from airflow_agentfix.airflow_inside import AirflowInside
    from airflow_agentfix.service import SessionService
    from airflow_agentfix.signing import signing_keys
    from airflow_agentfix.store.migrate import check, migrate

    store = build_store(settings)
    (migrate if settings.auto_migrate else check)(store.engine)
    return SessionService(
        store,
        AirflowInside(),
        settings,
        **_repositories(settings),
        keys=signing_keys(settings),
        clock=lambda: datetime.now(UTC),
        new_id=lambda: uuid.uuid4().hex,
        inspections=_inspections(settings),
        has_model=partial(_has_model, settings),
    )


def _has_model(settings: Settings) -> bool:
    """By connection, or by this process's environment, which workers most often share. Yes where nobody can say."""
    from airflow_agentfix.airflow_login import airflow_connection
    from airflow_agentfix.errors import ConfigurationError

    if os.environ.get("ANTHROPIC_API_KEY"):
        return True
    try:
        return airflow_connection(settings.anthropic_conn_id) is not None
    except ConfigurationError as error:
        log.info("Whether a model is configured is not known: %s", error)
        return True


def _inspections(settings: Settings) -> Inspections:
    from airflow_agentfix.airflow_facts import AirflowFacts
    from airflow_agentfix.airflow_login import airflow_connection
    from airflow_agentfix.code.hosts import open_host
    from airflow_agentfix.code.repositories import bundle_config, repository_of
    from airflow_agentfix.inspections import Inspections

    def code_of(dag: DagFacts) -> tuple[Repository, CodeHost]:
        repository = repository_of(dag, settings=settings, bundle_config=bundle_config(), get_connection=airflow_connection)
        host = open_host(repository, settings=settings, get_connection=airflow_connection, environ=os.environ, quick="history")
        return repository, host

    return Inspections(AirflowFacts, code_of)


def _repositories(settings: Settings) -> dict[str, Any]:
    """Read by the API server itself: what a worker says of them could be anybody's word who may write a DAG."""
    from airflow_agentfix.airflow_login import airflow_connection
    from airflow_agentfix.code.commit_check import NoCommitCheck, RepositoryCommits
    from airflow_agentfix.code.hosts import open_host
    from airflow_agentfix.code.policy_source import NoRepositoryPolicy, RepositoryPolicies
    from airflow_agentfix.code.repositories import bundle_config, repository_of

    if not settings.repository_policy:
        return {"policies": NoRepositoryPolicy(), "commits": NoCommitCheck()}

    def of_dag(dag: DagFacts) -> Repository:
        return repository_of(dag, settings=settings, bundle_config=bundle_config(), get_connection=airflow_connection)

    quickly = partial(open_host, settings=settings, get_connection=airflow_connection, environ=os.environ)
    return {
        "policies": RepositoryPolicies(repository_of=of_dag, open_host=partial(quickly, quick="tip")),
        "commits": RepositoryCommits(repository_of=of_dag, open_host=partial(quickly, quick="history")),
    }


def build_store(settings: Settings) -> SqlStore:
    """AgentFix's tables: in their own database, else in Airflow's. Never called in task code, which may not open it."""
    from airflow.configuration import conf
    from sqlalchemy import make_url

    from airflow_agentfix.redaction import learn
    from airflow_agentfix.store.engine import open_engine
    from airflow_agentfix.store.sql import SqlStore

    url = settings.sql_alchemy_conn or conf.get_mandatory_value("database", "sql_alchemy_conn")
    fernet_key = conf.get("core", "fernet_key", fallback="")
    learn(settings.audit_key, *settings.signing_key.split(","), *(fernet_key or "").split(","), make_url(url).password)
    return SqlStore(open_engine(url), key=_audit_key(settings, fernet_key))


def _audit_key(settings: Settings, fernet_key: str | None) -> bytes:
    secret = settings.audit_key or (fernet_key or "").split(",")[0]
    if not secret:  # as in Airflow's own compose file; sessions must work there too
        log.warning("No key for the audit chain: it shows accidents only. Set [agentfix] audit_key or [core] fernet_key.")
    return hashlib.sha256(f"agentfix-audit:{secret}".encode()).digest()


def build_driver() -> Driver:
    """What drives sessions in a task's process: over REST, without any database."""
    from airflow_agentfix.driver import Driver

    settings = Settings.load()
    return Driver(build_workbench(settings), settle_seconds=settings.settle_seconds)


def build_workbench(settings: Settings, *, with_airflow: bool = True) -> Workbench:
    """A worker's adapters. Without Airflow on this machine there are no connections and no bundles: the environment has the
    logins, `[agentfix] repositories` the code."""
    from airflow_agentfix.airflow_login import connect
    from airflow_agentfix.workbench import Workbench

    if with_airflow:
        return Workbench(connect(settings), settings)
    return Workbench(connect(settings), settings, get_connection=lambda _: None, get_bundles=list)

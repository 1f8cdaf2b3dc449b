"""A fix's preview as the DAG processor left it in Airflow's database. It owns the private Airflow calls that needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airflow.models import DagModel
from airflow.models.errors import ParseImportError
from airflow.utils.session import create_session
from sqlalchemy import select  # noqa: TID253 - runs in the API server only, where Airflow's ORM is loaded anyway

from airflow_agentfix.code.repositories import without_credentials
from airflow_agentfix.core.previews import commit_tag
from airflow_agentfix.ports import Preview

CLASSPATH = "airflow_agentfix.bundles.AgentFixPreviews"
_ERROR_CHARS = 4000


def bundle_of(url: str, bundle_config: Sequence[Mapping[str, Any]], get_connection: Callable[[str], Any]) -> str | None:
    """The name of the configured bundle that serves previews of this repository, None if there is none."""
    for entry in bundle_config:
        if entry.get("classpath") == CLASSPATH and _same(url, _url(entry.get("kwargs") or {}, get_connection)):
            return str(entry["name"])
    return None


def is_served(preview: Preview) -> bool:
    """Whether the preview's DAG was parsed from this very commit by its own bundle, and is not stale."""
    with create_session(scoped=False) as session:
        model = session.get(DagModel, preview.dag_id)
        if model is None or model.is_stale or model.bundle_name != preview.bundle:
            return False
        return commit_tag(preview.commit) in {tag.name for tag in model.tags}


def import_error(preview: Preview) -> str | None:
    """The end of the loader's import error, None where it has none."""
    of_loader = (ParseImportError.bundle_name == preview.bundle, ParseImportError.filename == preview.loader)
    with create_session(scoped=False) as session:
        found = session.scalar(select(ParseImportError.stacktrace).where(*of_loader))
    return None if found is None else (found.strip()[-_ERROR_CHARS:] or "Airflow gives no reason.")


def _url(options: Mapping[str, Any], get_connection: Callable[[str], Any]) -> str:
    if options.get("repo_url"):
        return str(options["repo_url"])
    connection = get_connection(str(options.get("git_conn_id") or "git_default"))
    return str(getattr(connection, "host", None) or "")


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return without_credentials(url).rstrip("/").removesuffix(".git")

"""Which repository a DAG's code lives in: what its git bundle says, else what [agentfix] repositories says.

Repository and base branch come from the deployment's configuration alone, never from a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from airflow_agentfix.code.git import mask_credentials
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.redact import redact
from airflow_agentfix.errors import ConfigurationError, NoRepository, RepositoryNotTold
from airflow_agentfix.settings import RepositoryRule

GetConnection = Callable[[str], Any]
"""An Airflow connection by id, None if there is none."""

_DEFAULT_GIT_CONNECTION = "git_default"
"""what GitDagBundle asks for when its configuration names none"""
_NO_BRANCH = re.compile(r"[0-9a-f]{7,40}|refs/tags/.+|v?\d+(\.\d+)+\S*")


class RepositorySettings(Protocol):
    """The one setting that matters here."""

    @property
    def repositories(self) -> tuple[RepositoryRule, ...]: ...


@dataclass(frozen=True)
class GitBundle:
    """A GitDagBundle as [dag_processor] dag_bundle_config_list configures it."""

    name: str
    tracking_ref: str
    url: str | None = None
    subdir: str = ""
    connection: str | None = None

    @property
    def branch(self) -> str | None:
        """The branch it follows; None where it follows a tag or a commit, by the look of it."""
        ref = self.tracking_ref.removeprefix("refs/heads/")
        return None if _NO_BRANCH.fullmatch(ref) else ref


def repository_of(
    dag: DagFacts,
    *,
    settings: RepositorySettings,
    bundle_config: Sequence[Mapping[str, Any]],
    get_connection: GetConnection | None = None,
) -> Repository:
    """Where the DAG's code lives. Raises NoRepository saying exactly what to configure.

    `bundle_config` is [dag_processor] dag_bundle_config_list, parsed; `get_connection` finds the URL of a bundle that has only
    a connection.
    """
    rule = matching_rule(dag, settings.repositories)
    bundle = git_bundle(dag.bundle_name, bundle_config)
    if bundle is not None:
        return _of_bundle(bundle, dag, rule, get_connection or (lambda _: None))
    if rule is not None:
        return _of_rule(dag, rule)
    is_known = any(entry.get("name") == dag.bundle_name for entry in bundle_config)
    why = "which is no git bundle" if is_known else "which the Airflow configuration here does not name"
    raise (NoRepository if is_known else RepositoryNotTold)(
        f"DAG {dag.dag_id!r} ({dag.fileloc or dag.file}) comes from bundle {dag.bundle_name!r}, {why}, and no "
        f"[agentfix] repositories entry covers it. Add one: {_example(dag)}"
    )


def git_bundle(name: str | None, bundle_config: Sequence[Mapping[str, Any]]) -> GitBundle | None:
    """The configured git bundle of this name, None if it is of another kind or not configured here."""
    entry = next((entry for entry in bundle_config if entry.get("name") == name), None)
    if entry is None or not str(entry.get("classpath", "")).endswith("GitDagBundle"):
        return None
    options = entry.get("kwargs") or {}
    return GitBundle(
        name=str(name),
        tracking_ref=str(options.get("tracking_ref", "main")),
        url=options.get("repo_url"),
        subdir=str(options.get("subdir") or "").strip("/"),
        connection=options.get("git_conn_id"),
    )


def parse_bundle_config(text: str) -> list[dict[str, Any]]:
    """[dag_processor] dag_bundle_config_list from its text."""
    try:
        entries = json.loads(text or "[]")
        return [dict(entry) for entry in entries]
    except (ValueError, TypeError) as error:
        expected = "a JSON list of {name, classpath, kwargs}"
        raise ConfigurationError(
            f"[dag_processor] dag_bundle_config_list is {redact(text)[:200]!r}; expected {expected} ({error})"
        ) from error


def bundle_config() -> list[dict[str, Any]]:
    """[dag_processor] dag_bundle_config_list, as the Airflow here has it."""
    from airflow.configuration import conf

    return parse_bundle_config(conf.get("dag_processor", "dag_bundle_config_list", fallback="[]"))


def matching_rule(dag: DagFacts, rules: Sequence[RepositoryRule]) -> RepositoryRule | None:
    """The rule with the longest path that the DAG's file is under."""
    matching = [rule for rule in rules if any(_inside(file, rule.path) is not None for file in (dag.fileloc, dag.file) if file)]
    return max(matching, key=lambda rule: len(PurePosixPath(rule.path).parts), default=None)


def without_credentials(url: str) -> str:
    """The URL without user and password; ssh keeps its user, which is no secret there."""
    if url.startswith(("http://", "https://")):
        return mask_credentials(url)  # urlsplit sees no user where a password holds '#' or '?'
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=user.partition(":")[0] + at + host)) if at else url


def _of_bundle(bundle: GitBundle, dag: DagFacts, rule: RepositoryRule | None, get_connection: GetConnection) -> Repository:
    url, connection = _url_and_connection(bundle, get_connection)
    branch = bundle.branch or (rule.base_branch if rule else None)
    if branch is None:
        raise NoRepository(
            f"Bundle {bundle.name!r} of DAG {dag.dag_id!r} follows {bundle.tracking_ref!r}, which is no branch, so a fix has no "
            f"base. Name the branch: {_example(dag, url=url)}"
        )
    return Repository(url=url, base_branch=branch, subdir=bundle.subdir, connection=connection, bundle=bundle.name)


def _url_and_connection(bundle: GitBundle, get_connection: GetConnection) -> tuple[str, str | None]:
    """A bundle without a connection of its own uses `git_default` where that exists, as GitDagBundle does."""
    conn_id = bundle.connection or _DEFAULT_GIT_CONNECTION
    if bundle.url and bundle.connection:
        return without_credentials(bundle.url), conn_id
    connection = get_connection(conn_id)
    url = bundle.url or getattr(connection, "host", None)
    if not url:
        found = "has no host" if connection is not None else "does not exist"
        raise RepositoryNotTold(
            f"Bundle {bundle.name!r} has no repo_url and its connection {conn_id!r} {found}. Set repo_url in the bundle's "
            "kwargs, or the repository's URL as the connection's host."
        )
    return without_credentials(url), conn_id if connection is not None else None


def _of_rule(dag: DagFacts, rule: RepositoryRule) -> Repository:
    """The rule's path stands for the rule's subdir; a bundle's root may lie above or below it."""
    url = without_credentials(rule.url)
    repository = Repository(url=url, base_branch=rule.base_branch, subdir=rule.subdir.strip("/"), connection=rule.connection)
    if (relative := _inside(dag.file, rule.path)) is not None:
        return replace(repository, prefix=_before(dag.file, relative))
    relative = _inside(dag.fileloc or "", rule.path) or dag.file
    if relative == dag.file or dag.file.endswith(f"/{relative}"):
        return replace(repository, prefix=_before(dag.file, relative))
    above = _before(relative, dag.file)  # the bundle's root is a folder below the rule's path
    return replace(repository, subdir="/".join(part for part in (repository.subdir, above) if part))


def _inside(file: str, folder: str) -> str | None:
    """The file's path relative to the folder, None if it is not in it. An empty folder holds what is relative."""
    path, top = PurePosixPath(file), PurePosixPath(folder)
    if not file or path.is_absolute() != top.is_absolute() or not path.is_relative_to(top):
        return None
    return str(path.relative_to(top))


def _before(longer: str, ending: str) -> str:
    return longer.removesuffix(ending).strip("/")


def _example(dag: DagFacts, *, url: str = "https://github.com/ORG/REPO.git") -> str:
    folder = (dag.fileloc or "").removesuffix(dag.file).rstrip("/") or "/opt/airflow/dags"
    entry = {"path": folder, "url": url, "base_branch": "main", "subdir": ""}
    return f"AIRFLOW__AGENTFIX__REPOSITORIES='{json.dumps([entry])}'"

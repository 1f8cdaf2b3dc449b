"""Is this deployment ready for AgentFix? Each check says what was found and, where that is a problem, the command that ends it.

The checks are pure over what is passed to them; `diagnose` puts them in order, `doctor_ports` has the real Airflow.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.policy import Effective, is_own
from airflow_agentfix.errors import (
    AgentFixError,
    AirflowForbidden,
    AirflowLoginRefused,
    AirflowNotFound,
    AirflowUnreachable,
    CodeHostForbidden,
    NoRepository,
    StoreOutdated,
    StoreUnavailable,
)
from airflow_agentfix.settings import OPTIONS, SECTION, Settings

BUNDLE = '{"name": "agentfix", "classpath": "airflow_agentfix.bundles.AgentFixDags", "kwargs": {}}'
NEEDED_DAGS = ("agentfix_fix", "agentfix_ask")
HEALTH = "/agentfix/api/v1/health"


@dataclass(frozen=True)
class Check:
    """One answer. `fix` is a command or a configuration line, None where nothing is wrong."""

    name: str
    ok: bool
    found: str
    fix: str | None = None


class Deployment(Protocol):
    """What the checks ask. Every method raises AgentFixError's kinds."""

    address: str

    def configured(self) -> Sequence[str]:
        """Names of the options that this machine's [agentfix] sets."""

    def version(self) -> str: ...

    def health(self) -> Mapping[str, Any]: ...

    def sessions(self) -> object:
        """Any answer that needed our tables."""

    def has_connection(self, conn_id: str) -> bool: ...

    def dag(self, dag_id: str) -> DagFacts: ...

    def dags(self) -> Sequence[DagFacts]: ...

    def import_errors(self) -> Sequence[Mapping[str, Any]]: ...

    def repository_of(self, dag: DagFacts) -> Repository | None:
        """None where the DAG's bundle is not configured on this machine, so it cannot be told from here."""

    def head(self, repository: Repository) -> str | None: ...

    def preview_bundles(self) -> Mapping[str, int | AgentFixError]:
        """How many approved fix branches each AgentFixPreviews bundle of this machine's configuration has, or why it cannot
        tell. ConfigurationError where there is a bundle and no signing key."""

    def policy(self, dag_id: str) -> Effective:
        """As the API server finds it."""


def diagnose(
    deployment: Deployment, settings: Settings, environ: Mapping[str, str], *, dag_id: str | None = None
) -> Iterator[Check]:
    """All checks, as they are made. Without a login the ones that need it are not made."""
    if unknown := unknown_options(deployment.configured()):
        yield unknown
    login = check_login(deployment.version, address=deployment.address)
    yield login
    if login.ok:
        plugin = check_plugin(deployment.health, address=deployment.address)
        yield plugin
        if plugin.ok:
            yield check_database(deployment.sessions)
        yield from (check_dag(name, deployment) for name in NEEDED_DAGS)
        yield from check_repositories(deployment, dag_id=dag_id)
    yield from check_previews(deployment.preview_bundles)
    yield check_model(settings, environ, deployment.has_connection if login.ok else None)


def unknown_options(configured: Iterable[str]) -> Check | None:
    """Options of [agentfix] that there are none of: Airflow ignores a ceiling whose name is misspelt."""
    unknown = sorted(set(configured) - set(OPTIONS))
    if not unknown:
        return None
    near = [name for one in unknown for name in difflib.get_close_matches(one, OPTIONS, n=1)]
    fix = f"Did you mean {', '.join(near)}? " if near else ""
    return Check("options", False, f"[{SECTION}] has no option {', '.join(unknown)}", f"{fix}All are in docs/configuration.md")


def check_login(version: Callable[[], str], *, address: str) -> Check:
    """Airflow answers and lets us in."""
    try:
        return Check("login", True, f"Airflow {version()} at {address}")
    except AirflowLoginRefused as error:
        return Check("login", False, str(error), _LOGIN)
    except AirflowUnreachable as error:
        fix = f"Start the API server, or name another: export AGENTFIX_AIRFLOW_URL=http://host:port (asked was {address})"
        return Check("login", False, str(error), fix)
    except AgentFixError as error:
        return Check("login", False, str(error), f"Check that {address} is Airflow's address, base path included")


def check_plugin(health: Callable[[], Mapping[str, Any]], *, address: str) -> Check:
    """The API server has our plugin."""
    try:
        return Check("plugin", True, f"version {health().get('version')}")
    except AirflowNotFound:
        found = f"{address}{HEALTH} does not exist"
        fix = "pip install airflow-provider-agentfix   in the API server's environment, then restart the API server"
        return Check("plugin", False, found, fix)
    except AgentFixError as error:
        return Check("plugin", False, str(error), "airflow plugins   in the API server's environment shows why it did not load")


def check_database(sessions: Callable[[], object]) -> Check:
    """Our tables are there and of this version, by an answer that needs them."""
    try:
        sessions()
    except StoreOutdated as error:
        return Check("database", False, str(error), "agentfix db migrate   (or [agentfix] auto_migrate = True and a restart)")
    except StoreUnavailable as error:
        return Check(
            "database", False, str(error), "Check [agentfix] sql_alchemy_conn where the API server runs, then agentfix db check"
        )
    except AgentFixError as error:
        return Check("database", False, str(error), "The API server's log says why")
    return Check("database", True, "tables at this version")


def check_dag(dag_id: str, deployment: Deployment) -> Check:
    """One of our own DAGs is served, imports and is not paused."""
    name = f"bundle: {dag_id}"
    try:
        dag = deployment.dag(dag_id)
    except AirflowNotFound:
        return _missing_dag(name, dag_id, deployment)
    except AgentFixError as error:
        return Check(name, False, str(error), f"airflow dags details {dag_id}")
    if dag.is_paused:
        return Check(name, False, f"{dag_id} is paused", f"airflow dags unpause {dag_id}")
    return Check(name, True, f"served by bundle {dag.bundle_name}")


def _missing_dag(name: str, dag_id: str, deployment: Deployment) -> Check:
    broken = next((error for error in deployment.import_errors() if dag_id in str(error.get("filename"))), None)
    if broken:
        last = str(broken.get("stack_trace") or "").strip().splitlines()[-1:] or ["no stack trace"]
        return Check(name, False, f"{broken.get('filename')} does not import: {last[0]}", "airflow dags list-import-errors")
    fix = f"[dag_processor] dag_bundle_config_list: add {BUNDLE}, then restart the DAG processor"
    return Check(name, False, f"Airflow has no DAG {dag_id}", fix)


def check_repositories(deployment: Deployment, *, dag_id: str | None) -> Iterator[Check]:
    """The repository of the named DAG, or of one DAG of each bundle: DAGs of one bundle share their repository."""
    try:
        dags = [deployment.dag(dag_id)] if dag_id else _one_per_bundle(deployment.dags())
    except AgentFixError as error:
        yield Check("repository", False, str(error), "airflow dags list")
        return
    if not dags:
        yield Check("repository", True, "no DAG of yours is there yet")
    for dag in dags:
        yield check_repository(dag, deployment.repository_of, deployment.head)
        yield check_policy(dag.dag_id, deployment.policy)


def check_repository(
    dag: DagFacts, repository_of: Callable[[DagFacts], Repository | None], head: Callable[[Repository], str | None]
) -> Check:
    """Where the DAG's code lives is known, reachable, and has its base branch."""
    name, repository = f"repository: {dag.dag_id}", None
    try:
        repository = repository_of(dag)
        if repository is None:
            return Check(name, True, f"not checked: bundle {dag.bundle_name!r} is not configured on this machine")
        commit = head(repository)
    except NoRepository as error:
        return Check(name, False, str(error), _REPOSITORY.format(path=_folder(dag)))
    except CodeHostForbidden as error:
        return Check(name, False, str(error), "Give the git connection, or GITHUB_TOKEN, a login that may read and push branches")
    except AgentFixError as error:
        url = repository.url if repository else "URL"
        fix = f"git ls-remote {url}   on a worker says whether it is there; mend the URL or connection of the bundle or rule"
        return Check(name, False, str(error), fix)
    if commit is None:
        found = f"{repository.url} has no branch {repository.base_branch!r}"
        return Check(
            name, False, found, "Set base_branch in [agentfix] repositories, or tracking_ref of the bundle, to a branch it has"
        )
    return Check(name, True, f"{repository.url}, {repository.base_branch} at {commit[:12]}")


def check_previews(bundles: Callable[[], Mapping[str, int | AgentFixError]]) -> Iterator[Check]:
    """Each configured bundle of previews reaches its repository, and there is a key to know approvals by."""
    try:
        found = bundles()
    except AgentFixError as error:
        yield Check("previews", False, str(error), _SIGNING_KEY)
        return
    for bundle, count in found.items():
        name = f"previews: {bundle}"
        if isinstance(count, AgentFixError):
            fix = "Mend repo_url or git_conn_id of the bundle, or the connection; see docs/previews.md"
            yield Check(name, False, str(count), fix)
        else:
            yield Check(name, True, f"{count} approved fix branch{'' if count == 1 else 'es'} in its repository")


def check_policy(dag_id: str, policy: Callable[[str], Effective]) -> Check:
    """The API server can read and use what the DAG's repository says in its .agentfix.yaml."""
    name = f"policy: {dag_id}"
    try:
        found = policy(dag_id)
    except AgentFixError as error:
        return Check(name, False, str(error), f"agentfix policy show {dag_id}")
    if found.problems:
        fix = "agentfix policy check .agentfix.yaml   in the repository; or give the API server a login that may read it"
        return Check(name, False, " ".join(found.problems), fix)
    return Check(name, True, f"autonomy {found.policy.autonomy}, by {', '.join(found.sources['autonomy'])}")


def check_model(settings: Settings, environ: Mapping[str, str], has_connection: Callable[[str], bool] | None) -> Check:
    """Which model will work. Without a key it is the rules model: no problem, but said."""
    if settings.offline:
        return Check("model", True, "rules model, offline as configured")
    if _told(has_connection, settings.anthropic_conn_id):
        return Check("model", True, f"{settings.model}, by connection {settings.anthropic_conn_id}")
    key = environ.get("ANTHROPIC_API_KEY")
    if not key:  # set but empty is not set, as for the worker
        return Check(
            "model", True, "rules model: no connection and no ANTHROPIC_API_KEY here (what counts is the workers' environment)"
        )
    if not key.strip():
        return Check(
            "model", False, "ANTHROPIC_API_KEY is blank", "export ANTHROPIC_API_KEY=…   or unset it to use the rules model"
        )
    return Check("model", True, f"{settings.model}, by ANTHROPIC_API_KEY")


def _told(has_connection: Callable[[str], bool] | None, conn_id: str) -> bool:
    """A login without the right to read connections is told nothing, which is no problem."""
    try:
        return has_connection is not None and has_connection(conn_id)
    except AirflowForbidden:
        return False


def _one_per_bundle(dags: Iterable[DagFacts]) -> list[DagFacts]:
    firsts: dict[str | None, DagFacts] = {}
    for dag in dags:
        if not is_own(dag.dag_id):
            firsts.setdefault(dag.bundle_name, dag)
    return list(firsts.values())


def _folder(dag: DagFacts) -> str:
    """The bundle's root: a rule's path is a folder, which then covers the other DAGs too."""
    return (dag.fileloc or "").removesuffix(dag.file).rstrip("/") or "/opt/airflow/dags"


_LOGIN = (
    "airflow connections add agentfix_airflow --conn-type agentfix_airflow --conn-host URL --conn-login USER --conn-password …   "
    "or export AGENTFIX_AIRFLOW_USERNAME and AGENTFIX_AIRFLOW_PASSWORD"
)
_SIGNING_KEY = (
    "[agentfix] signing_key = TEXT   any long random one, the same in every Airflow process: "
    "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
)
_REPOSITORY = '[agentfix] repositories = [{{"path": "{path}", "url": "https://…/dags.git", "base_branch": "main", "subdir": ""}}]'

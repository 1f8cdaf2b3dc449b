"""Which ways there are to rerun a session's fix: asked before a person is asked, and again when it is started."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix import review
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.session import EventKind, Session
from airflow_agentfix.core.ways import Ways, branch_param, dag_code
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import AirflowNotFound, RerunImpossible

PREVIEWS = "airflow_agentfix.bundles.AgentFixPreviews"


@dataclass(frozen=True)
class Plan:
    """The ways, and what each needs that applies: the bundle that serves previews, the param that names a branch."""

    ways: Ways
    bundle: str | None = None
    param: str | None = None


class RerunWays:
    """What the deployment, the failed run and its DAG make possible."""

    def __init__(self, desk: Desk) -> None:
        self._desk, self._airflow = desk, desk.airflow

    def plan(self, session: Session) -> Plan:
        """AirflowNotFound for a run that is gone."""
        repository = self._repository(session)
        bundle, no_preview = self._previews(repository)
        param, no_conf = self._param(session, repository)
        allowed = self._desk.policy_in_force(session).rerun_ways
        return Plan(Ways(self._no_pin(session), no_preview, no_conf, allowed), bundle, param)

    def _no_pin(self, session: Session) -> str | None:
        try:
            self._airflow.require_pinnable(session.dag_id, session.run_id)
        except RerunImpossible as why_not:
            return str(why_not)
        return None

    def _previews(self, repository: Repository | None) -> tuple[str | None, str | None]:
        if repository is None:
            return None, "the session has no repository."
        bundle = self._airflow.preview_bundle(repository.url)
        if bundle is None:
            entry = f'{{"name": "previews", "classpath": "{PREVIEWS}", "kwargs": {{"repo_url": "{repository.url}"}}}}'
            return None, f"no bundle serves previews of {repository.url}: add {entry} to [dag_processor] dag_bundle_config_list."
        if not self._desk.keys:
            return None, "the deployment has no key to sign approvals with: set [agentfix] signing_key or [core] fernet_key."
        return bundle, None

    def _param(self, session: Session, repository: Repository | None) -> tuple[str | None, str | None]:
        if repository is None:
            return None, "the session has no repository."
        try:
            params = self._airflow.params(session.dag_id)
        except AirflowNotFound:  # pinned runs need no newest version; a run by conf is one of it
            return None, "Airflow has no current version of the DAG."
        conf = self._airflow.run_conf(session.dag_id, session.run_id)
        names = self._desk.settings.branch_params
        param, why_not = branch_param(names, params=params, conf=conf, base_branch=repository.base_branch)
        patches = review.recorded_patches(self._desk.store.events(session.id))
        code = dag_code([patch["path"] for patch in patches], repository.subdir)
        if param and code:
            return None, f"the fix changes DAG code, which a run by the param {param!r} would not run: {', '.join(code[:3])}."
        return param, why_not

    def _repository(self, session: Session) -> Repository | None:
        """As the session's worker found it: it decides only where a fix may show up, not what may be run."""
        incidents = self._desk.store.events(session.id, kinds=(EventKind.INCIDENT,))
        known = incidents[-1].data.get("repository") if incidents else None
        return Repository(**known) if known else None

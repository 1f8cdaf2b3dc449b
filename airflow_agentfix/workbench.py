"""What a worker works with: the adapters of one session, made when they are first needed. Only wiring.py imports this."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_agentfix import redaction
from airflow_agentfix.agent.case import Case, Code
from airflow_agentfix.agent.skills import Skills, load_skills
from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.airflow_login import airflow_connection
from airflow_agentfix.code import gates
from airflow_agentfix.code.codeowners import owners_of
from airflow_agentfix.code.hosts import open_host
from airflow_agentfix.code.import_check import import_shape
from airflow_agentfix.code.repo_checks import run_check
from airflow_agentfix.code.repositories import bundle_config, repository_of
from airflow_agentfix.code.static_checks import parsed
from airflow_agentfix.code.working_copy import WorkingCopy
from airflow_agentfix.core import transcript
from airflow_agentfix.core.incident import DagFacts, Incident, Repository, TaskFacts, TaskRef
from airflow_agentfix.core.log_lines import unpacked
from airflow_agentfix.core.logs import shown
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Session
from airflow_agentfix.core.urls import ui_url, web_address
from airflow_agentfix.driver import Found
from airflow_agentfix.errors import CommitNotFound, SkillError
from airflow_agentfix.evidence.collect import Around, collect, fingerprint_of
from airflow_agentfix.evidence.history import against_usual, task_history
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import Claim, CodeHost, Model, SessionClient
from airflow_agentfix.resources import skills_folder
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.client import HttpSessionClient, SessionsApi

log = logging.getLogger(__name__)

PRECEDENTS_OF = 50
"""sessions of the DAG looked at, the newest ones"""


class Workbench:
    """`driver.Bench` on a worker: everything over REST, git and the model's API; no database."""

    def __init__(
        self,
        http: AirflowHttp,
        settings: Settings,
        *,
        get_connection: Callable[[str], Any] = airflow_connection,
        get_bundles: Callable[[], Sequence[Mapping[str, Any]]] = bundle_config,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.settings = settings
        self._http = http
        self.client: SessionClient = HttpSessionClient(http)
        self.airflow = RestAirflowApi(http)
        self._get_connection: Callable[[str], Any] = lambda conn_id: redaction.learn_connection(get_connection(conn_id))
        self._get_bundles = get_bundles
        self._environ = environ
        redaction.learn(*(environ.get(name) for name in redaction.OWN_VARIABLES))

    @staticmethod
    def redact(text: str) -> str:
        return redaction.redact(text)

    def collect(self, ref: TaskRef, *, budget_chars: int | None = None, task: TaskFacts | None = None) -> Incident:
        """The evidence of a failed try; `task` is its instance where the caller has it."""
        around = Around(code_of=self._code_of, sessions_of=self._sessions_of)
        budget = budget_chars or self.settings.evidence_chars
        return collect(ref, api=self.airflow, budget_chars=budget, around=around, task=task)

    def _code_of(self, dag: DagFacts) -> tuple[Repository, CodeHost]:
        repository = self.repository_of(dag)
        return repository, self.host(repository)

    def _sessions_of(self, dag_id: str) -> list[Session]:
        return SessionsApi(self._http).list(dag_id=dag_id, limit=PRECEDENTS_OF)

    def repository_of(self, dag: DagFacts) -> Repository:
        return repository_of(dag, settings=self.settings, bundle_config=self._get_bundles(), get_connection=self._get_connection)

    def base_commit(self, repository: Repository) -> str:
        commit = self.host(repository).head(repository.base_branch)
        if commit is None:
            raise CommitNotFound(
                f"Repository {repository.url} has no branch {repository.base_branch!r}, which a fix would start from. Correct "
                "tracking_ref of the DAG's bundle, or base_branch in [agentfix] repositories."
            )
        return commit

    def run_page(self, dag_id: str, run_id: str) -> str | None:
        """Of a run, for a browser; None where [api] base_url is not set: what workers reach is often reached by them alone."""
        base_url = web_address(self.settings.base_url)
        return ui_url(base_url, dag_id, run_id) if base_url else None

    def model(self) -> Model:
        """Claude where there is a key, else the rules; the log says which."""
        claude = None
        if not self.settings.offline:
            from airflow_agentfix.models.claude import build_claude  # anthropic costs seconds

            claude = build_claude(self.settings, find_connection=self._get_connection)
        model: Model = claude or RulesModel()
        log.info("Model: %s", model.name)
        return model

    def case(self, found: Found, *, claim: Claim, folder: Path) -> Case:
        incident = found.incident
        code, no_code = None, found.no_code or ""
        if found.repository is not None and found.base_commit is not None:
            code = self._code(found.repository, found.base_commit, claim, incident, folder)
        return Case(
            session_id=claim.session.id,
            lease=claim.lease,
            incident=incident,
            policy=Policy.from_json(claim.policy),
            airflow=self.airflow,
            client=self.client,
            log=self._log,
            task_history=lambda task_id: task_history(self.airflow, _of_task(incident.ref, task_id)),
            diagnose=self.collect,
            cause_of=partial(fingerprint_of, api=self.airflow),
            usual=partial(against_usual, self.airflow, incident.ref),
            redact=self.redact,
            redact_code=redaction.redact_code,
            skills=self._skills(code, folder / "base"),
            code=code,
            no_code=no_code,
            base_url=self.settings.base_url,
            has_page=self.settings.ui,
        )

    def _skills(self, code: Code | None, base: Path) -> Skills:
        try:
            return load_skills(shipped=skills_folder(), configured=self.settings.skills, tree=base if code else None)
        except SkillError as error:
            if code is None:
                raise
            where = str(error).replace(f"{base}/", f"{code.repository.url} at {code.repository.base_branch}: ")
            raise SkillError(f"{where} Correct the file; skills-ref validates it.") from error

    @cache  # noqa: B019 - a workbench lives as long as one task's process
    def host(self, repository: Repository) -> CodeHost:
        """GitHub over its API where there is a login for it, else plain git."""
        return open_host(repository, settings=self.settings, get_connection=self._get_connection, environ=self._environ)

    def _code(self, repository: Repository, commit: str, claim: Claim, incident: Incident, folder: Path) -> Code:
        """The tree twice: as it is on the base branch, and with the session's changes."""
        base, fix = folder / "base", folder / "fix"
        base.mkdir()
        host = self.host(repository)
        host.export(commit, base)
        shutil.copytree(base, fix, symlinks=True)
        copy = WorkingCopy(fix, files=transcript.working_files(claim.events))
        dag_file = PurePosixPath(repository.path_of(incident.dag.file)).relative_to(repository.subdir or ".")
        shape = partial(import_shape, dag_file=str(dag_file), dag_id=incident.dag.dag_id, subdir=repository.subdir)
        return Code(
            repository,
            commit,
            copy,
            host,
            gates.check,
            lambda copy: parsed(copy.patch()),
            import_fix=partial(shape, fix),
            import_base=partial(shape, base),
            check_fix=partial(run_check, fix),
            check_base=partial(run_check, base),
            labels=self.settings.pull_request_labels,
            owners=partial(owners_of, base),
        )

    def _log(self, ref: TaskRef) -> Iterator[tuple[int, str]]:
        for number, raw in enumerate(unpacked(self.airflow.log_lines(ref)), 1):
            yield from shown(number, raw)


def _of_task(ref: TaskRef, task_id: str) -> TaskRef:
    same = task_id == ref.task_id
    return TaskRef(ref.dag_id, ref.run_id, task_id, ref.try_number if same else 1, ref.map_index if same else -1)

"""The repositories' own policy, read by the API server itself on the base branch: no worker's word, no branch of a fix.

Invariant: what could not be read allows a session to report and nothing else; that there is no file allows what the deployment
allows.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

from airflow_agentfix.code.policy_file import FILE, MAX_BYTES, parse
from airflow_agentfix.code.repositories import without_credentials
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.policy import Autonomy, Layer
from airflow_agentfix.errors import AgentFixError, CommitNotFound, NoRepository, RepositoryNotTold, RepositoryUnreachable
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.redaction import told

log = logging.getLogger(__name__)

KEPT = 200
"""contents kept in memory, by repository and commit: a file of a commit never changes"""


class RepositoryPolicies:
    """`ports.RepositoryPolicy` over code hosts."""

    def __init__(self, *, repository_of: Callable[[DagFacts], Repository], open_host: Callable[[Repository], CodeHost]) -> None:
        self._repository_of = repository_of
        self._open_host = open_host
        self._content = lru_cache(maxsize=KEPT)(self._read)

    def layers(self, dag: DagFacts) -> list[Layer]:
        """What the file on the base branch's head says of this DAG; [] where there is no file or no repository."""
        try:
            repository = self._repository_of(dag)
        except RepositoryNotTold as error:  # a worker may know it
            return [_unheard(f"{FILE} of DAG {dag.dag_id!r}", error)]
        except NoRepository:
            return []  # a fix needs a repository too: there is none to protect
        where = f"{FILE} of {without_credentials(repository.url)} at {repository.base_branch}"
        try:
            return self._of(repository, dag, where)
        except AgentFixError as error:
            return [_unheard(where, error)]

    def _of(self, repository: Repository, dag: DagFacts, where: str) -> list[Layer]:
        commit = self._open_host(repository).head(repository.base_branch)
        if commit is None:
            raise CommitNotFound(f"The repository has no branch {repository.base_branch!r}.")
        content = self._content(repository, commit)
        if content is None:
            return []
        return parse(content, where=f"{where} ({commit[:10]})").layers(dag.dag_id, dag.tags)

    def _read(self, repository: Repository, commit: str) -> bytes | None:
        content = self._open_host(repository).read(commit, FILE)
        return content[: MAX_BYTES + 1] if content else content  # no more of one that is too long anyway


def _unheard(where: str, error: AgentFixError) -> Layer:
    problem = f"{where} could not be used, so sessions only report: {told(error)}"
    log.warning("%s", problem)
    return Layer(where, autonomy=Autonomy.REPORT, problem=problem, is_away=isinstance(error, RepositoryUnreachable))


class NoRepositoryPolicy:
    """`ports.RepositoryPolicy` where [agentfix] repository_policy is False."""

    def layers(self, dag: DagFacts) -> list[Layer]:  # noqa: ARG002 - the port's signature
        return []

"""Pull requests as the triage run sees them: sessions over AgentFix's API, comments from the code host of their DAG."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.session import Event, Session
from airflow_agentfix.ports import AirflowApi, CodeHost, Comment, OpenedFix

if TYPE_CHECKING:
    from airflow_agentfix.store.client import SessionsApi

LOOKED_AT = 100
"""sessions with a pull request, the newest ones"""


class Code(Protocol):
    """A DAG and where its code lives: `workbench.Workbench`."""

    @property
    def airflow(self) -> AirflowApi: ...

    def repository_of(self, dag: DagFacts) -> Repository: ...

    def host(self, repository: Repository) -> CodeHost: ...


class RestRequests:
    """`reviews.Requests`. Which repository a fix is in, the deployment's configuration says, as for the worker that made it."""

    def __init__(self, sessions: SessionsApi, code: Code) -> None:
        self._sessions, self._code = sessions, code

    def in_review(self) -> Iterable[Session]:
        return self._sessions.page(pull_request=True, limit=LOOKED_AT).sessions

    def events(self, session: Session) -> Sequence[Event]:
        return self._sessions.events(session.id)

    def comments(self, session: Session, fix: OpenedFix, *, since: str | None) -> list[Comment]:
        return self._host(session).comments(fix, since=since)

    def is_open(self, session: Session, fix: OpenedFix) -> bool:
        return self._host(session).fate(fix).state == "open"

    def tell(self, session: Session, message: str, remark: Remark) -> None:
        self._sessions.message(session.id, message, comment=remark)

    def _host(self, session: Session) -> CodeHost:
        return self._code.host(self._code.repository_of(self._code.airflow.dag(session.dag_id)))

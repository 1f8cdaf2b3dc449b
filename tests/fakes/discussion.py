"""A code host whose pull requests people talk on: a real git repository, its requests and comments in memory."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import RepositoryUnreachable
from airflow_agentfix.ports import Comment, FixRequest, OpenedFix

REQUEST = "https://code.example/acme/dags/pull/7"


@dataclass
class Discussion:
    """What stands on the pull requests of a deployment; `answers` is what AgentFix's own login wrote, (request, text)."""

    comments: dict[str, list[Comment]] = field(default_factory=dict)
    answers: list[tuple[str, str]] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """(request, since) of each look"""
    away: set[str] = field(default_factory=set)
    """requests that cannot be looked at"""

    def write(
        self, text: str, *, author: str = "octocat", may_write: bool = True, at: datetime | str, request: str = REQUEST,
        where: str | None = None,
    ) -> Comment:  # fmt: skip
        number = 1 + sum(map(len, self.comments.values()))
        moment = at if isinstance(at, str) else at.isoformat()
        comment = Comment(f"c{number}", author, may_write, text, moment, f"{request}#c{number}", where)
        self.comments.setdefault(request, []).append(comment)
        return comment


class DiscussedHost(GitHost):
    """`ports.CodeHost`: every fix that is opened gets a pull request, numbered from 7."""

    def __init__(self, repository: Repository, discussion: Discussion) -> None:
        super().__init__(repository)
        self.discussion = discussion
        self._opened: list[str] = []

    def open_fix(self, request: FixRequest) -> OpenedFix:
        if request.branch not in self._opened:
            self._opened.append(request.branch)
        number = 7 + self._opened.index(request.branch)
        return replace(super().open_fix(request), pull_request=f"{REQUEST.rpartition('/')[0]}/{number}")

    def comment(self, fix: OpenedFix, text: str) -> None:
        request = self._request(fix)
        self.discussion.answers.append((request, text))

    def comments(self, fix: OpenedFix, *, since: str | None = None) -> list[Comment]:
        request = self._request(fix)
        self.discussion.asked.append((request, since))
        written = self.discussion.comments.get(request, [])
        return sorted((one for one in written if since is None or _moment(one.at) >= _moment(since)), key=lambda one: one.at)

    def _request(self, fix: OpenedFix) -> str:
        assert fix.pull_request, f"{fix} has no pull request to talk on"
        if fix.pull_request in self.discussion.away:
            raise RepositoryUnreachable(f"No answer from {fix.pull_request}.")
        return fix.pull_request


def _moment(at: str) -> datetime:
    return datetime.fromisoformat(at)

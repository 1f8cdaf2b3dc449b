"""The pull requests of fixes on GitHub: opened as drafts, brought up to date, commented, and read.

Invariants: a pull request that is closed or merged is left as it is; what is asked for beside it (labels, reviewers) never loses
it; a comment that is there already is not written again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import cache, partial
from itertools import islice
from typing import Any

from github import Github, GithubException  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GithubObject import NotSet  # noqa: TID253 - an adapter; only wiring.py imports it
from github.PullRequest import PullRequest  # noqa: TID253 - an adapter; only wiring.py imports it
from github.PullRequestReview import PullRequestReview  # noqa: TID253 - an adapter; only wiring.py imports it
from github.Repository import Repository  # noqa: TID253 - an adapter; only wiring.py imports it
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from airflow_agentfix.code.github_errors import mapped_errors, said
from airflow_agentfix.errors import BranchExists, CodeError, CodeHostRefused, RepositoryMoved, RepositoryUnreachable
from airflow_agentfix.ports import Comment, FixRequest, OpenedFix

MOST_REVIEWERS = 15
MOST_COMMENTS = 500
"""of each kind, in one reading"""
OWN_COMMENTS = 100
"""the newest ones, among which a comment of ours is looked for"""
_WRITERS = ("write", "maintain", "admin")

log = logging.getLogger(__name__)


class PullRequests:
    """Those of one repository. Raises the errors of `CodeHost`, and GithubException where the caller maps it.

    :param name: owner/name, as GitHub has it now.
    """

    def __init__(self, github: Github, repo: Repository, name: str) -> None:
        self._github = github
        self._repo = repo
        self._name = name

    def get(self, fix: OpenedFix) -> PullRequest | None:
        """The fix's pull request as it is now, None if it has none."""
        number = (fix.pull_request or "").rpartition("/pull/")[2]
        if not number.isdecimal():
            return None
        with mapped_errors(f"pull request {number} of {self._name}"):
            pull = self._repo.get_pull(int(number))
            pull.complete()
        return pull

    # --- opening ---

    def open(self, request: FixRequest, *, branch_was_there: bool, made_by: str | None) -> str:
        """The address of the branch's pull request; one is made unless a branch that was there has it. BranchExists where it is
        the closed one of an earlier session, `made_by`: who closed it spoke about that one's fix."""
        pull = self._known(request) if branch_was_there else None
        if pull is not None and made_by and pull.state != "open":
            raise BranchExists(
                f"Branch {request.branch!r} of session {made_by!r} has a pull request that is closed, {pull.html_url}; it is "
                "left alone. Use another branch name."
            )
        if pull is None:
            pull = self._create(request)
        if pull.state == "open":
            self._label(pull, request.labels)
            self._ask(pull, request.reviewers)
        return pull.html_url

    def _create(self, request: FixRequest) -> PullRequest:
        for draft in (True, False):
            try:
                return self._repo.create_pull(
                    base=request.base_branch, head=request.branch, title=request.title, body=request.body, draft=draft
                )
            except GithubException as error:
                words = said(error)
                # an earlier call of ours whose answer was lost, or one that a person opened from the branch
                if "already exists" in words and (known := self._known(request)):
                    return known
                if not draft or "raft pull requests are not supported" not in words:
                    raise
        raise AssertionError("unreachable")

    def _known(self, request: FixRequest) -> PullRequest | None:
        """The branch's pull request, the open one first: one that a person closed is not opened anew."""
        owner = self._name.partition("/")[0]
        pulls = self._repo.get_pulls(state="all", base=request.base_branch, head=f"{owner}:{request.branch}")
        found = sorted(islice(pulls, 30), key=lambda pull: (pull.state != "open", -pull.number))
        return found[0] if found else None

    def _label(self, pull: PullRequest, labels: Iterable[str]) -> None:
        there = {label.name for label in pull.labels}
        if missing := [label for label in labels if label not in there]:
            refusal = self._refusal(partial(pull.add_to_labels, *missing))
            self._goes_without(pull, f"the labels {', '.join(missing)}", refusal)

    def _ask(self, pull: PullRequest, reviewers: Iterable[str]) -> None:
        """All at once; one by one where GitHub refuses them together, for one refused name loses the others."""
        if pull.requested_reviewers or pull.requested_teams:
            return  # asked before; who has reviewed since is not asked again for that
        wanted = [name for name in dict.fromkeys(one.removeprefix("@") for one in reviewers) if self._may_be_asked(name)]
        for name in wanted[MOST_REVIEWERS:]:
            log.warning("Did not ask %s to review %s: more than %d reviewers", name, pull.html_url, MOST_REVIEWERS)
        wanted = wanted[:MOST_REVIEWERS]
        refusal = self._refusal(self._asking(pull, wanted)) if wanted else None
        one_by_one = len(wanted) > 1 and isinstance(refusal, CodeHostRefused)
        for names in [[name] for name in wanted] if one_by_one else [wanted]:
            refused = self._refusal(self._asking(pull, names)) if one_by_one else refusal
            self._goes_without(pull, f"the reviewers {', '.join(names)}", refused)

    def _may_be_asked(self, name: str) -> bool:
        owner = self._name.partition("/")[0]
        if "/" in name and name.partition("/")[0].lower() != owner.lower():
            log.warning("Did not ask team %s to review in %s: it is of another organization", name, self._name)
            return False
        return True

    def _asking(self, pull: PullRequest, names: list[str]) -> Callable[[], None]:
        users = [name for name in names if "/" not in name]
        teams = [name.partition("/")[2] for name in names if "/" in name]
        return partial(pull.create_review_request, reviewers=users or NotSet, team_reviewers=teams or NotSet)

    def _refusal(self, call: Callable[[], None]) -> CodeError | None:
        """Why something that the pull request can do without was not done."""
        try:
            with mapped_errors(self._name):
                call()
        except RepositoryMoved:
            raise
        except CodeError as error:
            return error
        return None

    def _goes_without(self, pull: PullRequest, what: str, refusal: CodeError | None) -> None:
        if refusal is not None:
            log.warning("Pull request %s goes without %s: %s", pull.html_url, what, refusal)

    # --- afterwards ---

    def update(self, fix: OpenedFix, *, body: str | None, ready: bool) -> None:
        """Its text, and out of draft."""
        pull = self.get(fix)
        if pull is None or pull.state != "open":
            return
        with mapped_errors(f"{pull.html_url} of {self._name}"):
            if body is not None and body != pull.body:
                pull.edit(body=body)
            if ready and pull.draft:
                self._make_ready(pull)

    def _make_ready(self, pull: PullRequest) -> None:
        try:
            pull.mark_ready_for_review()
        except GithubException:
            pull.update()  # an earlier call of ours whose answer was lost, or a person who was quicker
            if pull.draft:
                raise

    def comment(self, fix: OpenedFix, text: str) -> None:
        """Write it, unless it is there. Sent again only after looking: GitHub writes whatever arrives."""
        pull = self.get(fix)
        if pull is None:
            return
        again = retry_if_exception_type(RepositoryUnreachable)
        for attempt in Retrying(stop=stop_after_attempt(3), wait=wait_exponential(0.2, max=5), retry=again, reraise=True):
            with attempt, mapped_errors(f"{pull.html_url} of {self._name}"):
                there = islice(reversed(pull.get_issue_comments()), OWN_COMMENTS)
                if not any(_same(one.body, text) for one in there):
                    pull.create_issue_comment(text)

    def comments(self, fix: OpenedFix, *, since: str | None) -> list[Comment]:
        """Under it, beside lines, and the texts of reviews; oldest first."""
        pull = self.get(fix)
        if pull is None:
            return []
        then = _time(since) if since else None
        with mapped_errors(f"{pull.html_url} of {self._name}"):
            own = self._own_login()
            may_write = cache(self._may_write)
            found = [(kind, one) for kind, one in self._written(pull, then) if _bare(_login(one)) != own]
            told = [_told(one, kind, may_write=may_write(_login(one))) for kind, one in found]
        return sorted(told, key=lambda comment: (comment.at, comment.id))

    def _written(self, pull: PullRequest, then: datetime | None) -> Iterator[tuple[str, Any]]:
        """GitHub's `since` is by the last edit; what was only edited since is no news."""
        since = then or NotSet
        below = self._repo.get_issue(pull.number).get_comments(since=since)
        beside = pull.get_review_comments(since=since, sort="created", direction="asc")
        every: tuple[tuple[str, Iterable[Any]], ...] = (
            ("issuecomment", below),
            ("discussion_r", beside),
            ("pullrequestreview", pull.get_reviews()),
        )
        for kind, found in every:
            read = list(islice(found, MOST_COMMENTS + 1))
            if len(read) > MOST_COMMENTS:
                log.warning("Read the oldest %d of more %s of %s since %s", MOST_COMMENTS, kind, pull.html_url, then)
            for one in read[:MOST_COMMENTS]:
                at = _at(one)
                if one.body and at and (then is None or at >= then):
                    yield kind, one

    def _own_login(self) -> str:
        """GraphQL tells it a GitHub App too, which REST does not."""
        _, answer = self._github.requester.graphql_query("query { viewer { login } }", {})
        return _bare(answer["data"]["viewer"]["login"])

    def _may_write(self, login: str) -> bool:
        if not login:
            return False  # a deleted account
        try:
            return self._repo.get_collaborator_permission(login) in _WRITERS
        except GithubException as error:
            if error.status != 404:
                raise
            return False


def _told(one: Any, kind: str, *, may_write: bool) -> Comment:
    """One of PyGithub's three kinds; only one beside a line has a path."""
    path = getattr(one, "path", None)
    line = path and (one.line or one.original_line)
    return Comment(
        id=f"{kind}-{one.id}",
        author=_login(one) or "ghost",
        may_write=may_write,
        text=one.body,
        at=_at(one).isoformat().replace("+00:00", "Z"),
        url=one.html_url,
        where=f"{path}:{line}" if line else path,
    )


def _at(one: Any) -> Any:
    """When it was written; a review that is not sent yet has no time."""
    at = one.submitted_at if isinstance(one, PullRequestReview) else one.created_at
    return at and at.astimezone(UTC)


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise CodeHostRefused(f"{text!r} is no time; expected ISO 8601.") from error
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)


def _login(one: Any) -> str:
    return one.user.login if one.user else ""


def _bare(login: str) -> str:
    return login.removesuffix("[bot]").lower()


def _same(one: str | None, other: str) -> bool:
    """As GitHub gives a text back: with its own line ends, without those at its end."""
    return (one or "").replace("\r\n", "\n").strip() == other.replace("\r\n", "\n").strip()

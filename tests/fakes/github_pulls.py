"""The pull requests of the small GitHub: labels, reviewers, comments, reviews, and the two questions of its GraphQL."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from tests.fakes.github_http import NOT_FOUND, Asked, Reply, paged, problem
from tests.fakes.github_json import EPOCH, Documents, Json

NOT_A_COLLABORATOR = (
    "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of "
    "the {name} repository."
)


class FakePulls:
    """State of all pull requests; people write with `say`, `remark` and `review`."""

    def __init__(self, documents: Documents, *, login: str, drafts: bool) -> None:
        self.documents = documents
        self.login = login
        self.drafts = drafts
        self.pulls: list[Json] = []
        self.collaborators: dict[str, str] = {login: "write"}
        self.teams: set[str] = set()
        self.issue_comments: dict[int, list[Json]] = {}
        self.review_comments: dict[int, list[Json]] = {}
        self.reviews: dict[int, list[Json]] = {}
        self._serial = count(1001)

    # --- people ---

    def say(self, number: int, author: str, text: str, *, at: str = EPOCH) -> Json:
        """Write under a pull request."""
        found = self.documents.remark(number, next(self._serial), author=author, text=text, at=at, kind="issuecomment")
        issue = self.documents.url(f"issues/{number}")
        found |= {"url": self.documents.url(f"issues/comments/{found['id']}"), "issue_url": issue}
        self.issue_comments.setdefault(number, []).append(found)
        return found

    def remark(self, number: int, author: str, text: str, *, path: str, line: int, at: str = EPOCH) -> Json:
        """Write beside a line."""
        found = self.documents.remark(number, next(self._serial), author=author, text=text, at=at, kind="discussion_r")
        pull, sha = self.pulls[number - 1], self.pulls[number - 1]["head"]["sha"]
        links = {name: {"href": pull["url"]} for name in ("self", "html", "pull_request")}
        found |= {"url": self.documents.url(f"pulls/comments/{found['id']}"), "pull_request_url": pull["url"], "_links": links}
        found |= {"path": path, "line": line, "diff_hunk": "@@", "commit_id": sha, "original_commit_id": sha}
        self.review_comments.setdefault(number, []).append({**found, "pull_request_review_id": None})
        return found

    def review(self, number: int, author: str, text: str, *, at: str | None = EPOCH) -> Json:
        """Send a review; without `at` it is not sent yet."""
        found = self.documents.remark(number, next(self._serial), author=author, text=text, at=at or "", kind="pullrequestreview")
        del found["created_at"], found["updated_at"]
        pull = self.pulls[number - 1]
        links = {name: {"href": pull["url"]} for name in ("html", "pull_request")}
        found |= {"state": "COMMENTED" if at else "PENDING", "pull_request_url": pull["url"], "_links": links}
        found |= {"commit_id": pull["head"]["sha"], **({"submitted_at": at} if at else {})}
        self.reviews.setdefault(number, []).append(found)
        return found

    # --- the API ---

    def list(self, _: str, asked: Asked) -> Reply:
        state, base, head = asked.query.get("state", "open"), asked.query.get("base"), asked.query.get("head")
        found = [
            pull
            for pull in self.pulls
            if state in ("all", pull["state"]) and base in (None, pull["base"]["ref"]) and head in (None, pull["head"]["label"])
        ]
        return paged(found, asked)

    def get(self, rest: str, asked: Asked) -> Reply:
        """A pull request, or what was written on it."""
        number, _, what = rest.partition("/")
        pull = self._pull(number)
        if pull is None:
            return NOT_FOUND
        if what == "comments":
            return self._written(self.review_comments, pull, asked)
        if what == "reviews":
            return paged(self.reviews.get(pull["number"], []), asked)
        return Reply(200, pull) if not what else NOT_FOUND

    def get_issue(self, rest: str, asked: Asked) -> Reply:
        number, _, what = rest.partition("/")
        pull = self._pull(number)
        return self._written(self.issue_comments, pull, asked) if pull and what == "comments" else NOT_FOUND

    def _written(self, kept: dict[int, list[Json]], pull: Json, asked: Asked) -> Reply:
        since = asked.query.get("since", "")
        return paged([one for one in kept.get(pull["number"], []) if one["updated_at"] >= since], asked)

    def make(self, asked: Asked, *, base: str, head: str, brings: bool) -> Reply:
        """`brings`: whether the head has commits that the base has not."""
        label = f"{self.documents.name.partition('/')[0]}:{asked.body['head']}"
        if asked.body.get("draft") and not self.drafts:
            return problem(422, "Draft pull requests are not supported in this repository.")
        if any(
            pull["state"] == "open" and (pull["head"]["label"], pull["base"]["ref"]) == (label, asked.body["base"])
            for pull in self.pulls
        ):
            told = {"resource": "PullRequest", "code": "custom", "message": f"A pull request already exists for {label}."}
            return problem(422, "Validation Failed", told)
        if not brings:
            told = f"No commits between {asked.body['base']} and {asked.body['head']}"
            return problem(422, "Validation Failed", {"resource": "PullRequest", "code": "custom", "message": told})
        facts = {**asked.body, "user": self.documents.user(asked.login)}
        self.pulls.append(self.documents.pull(len(self.pulls) + 1, facts, base=base, head=head))
        return Reply(201, self.pulls[-1])

    def edit(self, number: str, asked: Asked) -> Reply:
        pull = self._pull(number)
        if pull is None:
            return NOT_FOUND
        pull.update(asked.body)
        return Reply(200, pull)

    def post(self, rest: str, asked: Asked) -> Reply:
        """Ask for a review, or give one."""
        number, _, what = rest.partition("/")
        pull = self._pull(number)
        if pull and what == "reviews":
            return Reply(200, self.review(pull["number"], asked.login, asked.body["body"]))
        if pull is None or what != "requested_reviewers":
            return NOT_FOUND
        users, teams = asked.body.get("reviewers", []), asked.body.get("team_reviewers", [])
        if pull["user"]["login"] in users:
            return problem(422, "Review cannot be requested from pull request author.")
        if set(users) - set(self.collaborators) or set(teams) - self.teams:
            return problem(422, NOT_A_COLLABORATOR.format(name=self.documents.name))
        pull["requested_reviewers"] += [self.documents.user(login) for login in users]
        pull["requested_teams"] += [self.documents.team(slug) for slug in teams]
        return Reply(201, pull)

    def post_issue(self, rest: str, asked: Asked) -> Reply:
        """A label or a comment."""
        number, _, what = rest.partition("/")
        pull = self._pull(number)
        if pull is None:
            return NOT_FOUND
        if what == "comments":
            return Reply(201, self.say(pull["number"], asked.login, asked.body["body"]))
        if what == "labels":
            there = {label["name"] for label in pull["labels"]}
            names = asked.body if isinstance(asked.body, list) else asked.body["labels"]
            pull["labels"] += [self.documents.label(name) for name in names if name not in there]
            return Reply(200, pull["labels"])
        return NOT_FOUND

    def permission(self, rest: str, _: Asked) -> Reply:
        login, _, what = rest.partition("/")
        if what != "permission" or login not in self.collaborators:
            return problem(404, f"{login} is not a user")
        permission = self.collaborators[login]
        person = {**self.documents.user(login), "role_name": permission}
        return Reply(200, {"permission": permission, "role_name": permission, "user": person})

    def graphql(self, asked: Asked) -> Reply:
        query: str = asked.body["query"]
        if "viewer" in query:
            return Reply(200, {"data": {"viewer": {"login": asked.login}}})
        name = "markPullRequestReadyForReview"
        if not re.search(rf"\b{name}\(", query):
            return Reply(200, {"errors": [{"message": f"Parse error on {query[:20]!r}"}]})
        wanted = asked.body["variables"]["input"]["pullRequestId"]
        pull = next((pull for pull in self.pulls if pull["node_id"] == wanted), None)
        if pull is None:
            return _refused(name, "NOT_FOUND", f"Could not resolve to a node with the global id of '{wanted}'.")
        if not pull["draft"]:
            return _refused(name, "UNPROCESSABLE", "Pull request is not in draft state")
        pull["draft"] = False
        return Reply(200, {"data": {name: {"clientMutationId": None, "pullRequest": {"isDraft": False}}}})

    def _pull(self, number: str) -> Json | None:
        return next((pull for pull in self.pulls if str(pull["number"]) == number), None)


def _refused(name: str, kind: str, message: str) -> Reply:
    error: Any = {"type": kind, "path": [name], "message": message}
    return Reply(200, {"data": {name: None}, "errors": [error]})

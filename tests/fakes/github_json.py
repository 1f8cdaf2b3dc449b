"""GitHub's documents, whole as its API description has them, of one repository."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

_REPOSITORY_URLS = [
    "archive",
    "assignees",
    "blobs",
    "branches",
    "collaborators",
    "comments",
    "commits",
    "compare",
    "contents",
    "contributors",
    "deployments",
    "downloads",
    "events",
    "forks",
    "git_commits",
    "git_refs",
    "git_tags",
    "hooks",
    "issue_comment",
    "issue_events",
    "issues",
    "keys",
    "labels",
    "languages",
    "merges",
    "milestones",
    "notifications",
    "pulls",
    "releases",
    "stargazers",
    "statuses",
    "subscribers",
    "subscription",
    "tags",
    "teams",
    "trees",
    "clone",
    "git",
    "ssh",
    "svn",
]
_USER_URLS = [
    "events",
    "followers",
    "following",
    "gists",
    "organizations",
    "received_events",
    "repos",
    "starred",
    "subscriptions",
]
_COUNTS = [
    "forks",
    "forks_count",
    "open_issues",
    "open_issues_count",
    "size",
    "stargazers_count",
    "watchers",
    "watchers_count",
    "network_count",
    "subscribers_count",
]
EPOCH = "2026-01-05T06:00:00Z"


def number_of(name: str) -> int:
    """An id that is the same each time."""
    return zlib.crc32(name.encode())


@dataclass
class Documents:
    """`api` and `web` are where GitHub is; `name` is owner/name."""

    api: str
    web: str
    name: str
    number: int = 4711

    def url(self, path: str = "") -> str:
        return f"{self.api}/repos/{self.name}/{path}".rstrip("/")

    def page(self, path: str = "") -> str:
        return f"{self.web}/{self.name}/{path}".rstrip("/")

    def user(self, login: str) -> Json:
        at = f"{self.api}/users/{login}"
        return {
            **{f"{name}_url": f"{at}/{name}" for name in _USER_URLS},
            "login": login,
            "id": number_of(login),
            "node_id": f"U_{login}",
            "avatar_url": f"{self.web}/avatars/{login}",
            "gravatar_id": "",
            "html_url": f"{self.web}/{login}",
            "site_admin": False,
            "type": "Bot" if login.endswith("[bot]") else "User",
            "url": at,
        }

    def team(self, slug: str) -> Json:
        owner = self.name.partition("/")[0]
        at = f"{self.api}/orgs/{owner}/teams/{slug}"
        return {
            "id": number_of(slug),
            "node_id": f"T_{slug}",
            "url": at,
            "members_url": f"{at}/members",
            "repositories_url": f"{at}/repos",
            "html_url": f"{self.web}/orgs/{owner}/teams/{slug}",
            "name": slug,
            "slug": slug,
            "description": None,
            "permission": "push",
            "type": "organization",
            "parent": None,
        }

    def repository(self, *, archived: bool) -> Json:
        owner, _, name = self.name.partition("/")
        return {
            **{f"{name}_url": self.url(name) for name in _REPOSITORY_URLS},
            **dict.fromkeys(_COUNTS, 0),
            **{f"has_{name}": True for name in ("issues", "projects", "wiki", "pages", "discussions", "downloads")},
            **{f"{name}_at": EPOCH for name in ("created", "updated", "pushed")},
            **dict.fromkeys(("description", "homepage", "language", "license", "mirror_url")),
            "id": self.number,
            "node_id": f"R_{self.number}",
            "name": name,
            "full_name": self.name,
            "owner": self.user(owner),
            "private": True,
            "fork": False,
            "archived": archived,
            "disabled": False,
            "default_branch": "main",
            "html_url": self.page(),
            "url": self.url(),
        }

    def git_commit(self, facts: Json) -> Json:
        """`facts`: {sha, tree, parents, author, committer, message}."""
        sha = facts["sha"]
        return {
            "sha": sha,
            "node_id": f"C_{sha}",
            "url": self.url(f"git/commits/{sha}"),
            "html_url": self.page(f"commit/{sha}"),
            "author": facts["author"],
            "committer": facts["committer"],
            "message": facts["message"],
            "tree": {"sha": facts["tree"], "url": self.url(f"git/trees/{facts['tree']}")},
            "parents": [self._parent(one) for one in facts["parents"]],
            "verification": _unsigned(),
        }

    def commit(self, facts: Json) -> Json:
        sha = facts["sha"]
        return {
            "sha": sha,
            "node_id": f"C_{sha}",
            "url": self.url(f"commits/{sha}"),
            "html_url": self.page(f"commit/{sha}"),
            "comments_url": self.url(f"commits/{sha}/comments"),
            "commit": {
                "url": self.url(f"git/commits/{sha}"),
                "author": facts["author"],
                "committer": facts["committer"],
                "message": facts["message"],
                "comment_count": 0,
                "tree": {"sha": facts["tree"], "url": self.url(f"git/trees/{facts['tree']}")},
                "verification": _unsigned(),
            },
            "author": self.user("dana"),
            "committer": self.user("dana"),
            "parents": [self._parent(one) for one in facts["parents"]],
        }

    def _parent(self, sha: str) -> Json:
        return {"sha": sha, "url": self.url(f"git/commits/{sha}"), "html_url": self.page(f"commit/{sha}")}

    def branch(self, name: str, facts: Json) -> Json:
        at = self.url(f"branches/{name}")
        return {
            "name": name,
            "commit": self.commit(facts),
            "_links": {"self": at, "html": self.page(f"tree/{name}")},
            "protected": False,
            "protection": {},
            "protection_url": f"{at}/protection",
        }

    def ref(self, name: str, sha: str) -> Json:
        target = {"sha": sha, "type": "commit", "url": self.url(f"git/commits/{sha}")}
        return {"ref": name, "node_id": f"REF_{name}", "url": self.url(f"git/{name}"), "object": target}

    def file(self, path: str, sha: str) -> Json:
        """One of a comparison's; the numbers of lines are not counted."""
        counts = {"additions": 1, "deletions": 1, "changes": 2, "status": "modified"}
        at = {"blob_url": self.page(f"blob/{path}"), "raw_url": self.page(f"raw/{path}")}
        return {"filename": path, "sha": sha, **counts, **at, "contents_url": self.url(f"contents/{path}")}

    def pull(self, number: int, facts: Mapping[str, Any], *, base: str, head: str) -> Json:
        """`facts`: what the caller sent; `base` and `head` are the branches' commits."""
        at, page = self.url(f"pulls/{number}"), self.page(f"pull/{number}")
        issue = self.url(f"issues/{number}")
        urls = {
            "comments_url": f"{issue}/comments",
            "commits_url": f"{at}/commits",
            "review_comments_url": f"{at}/comments",
            "review_comment_url": self.url("pulls/comments{/number}"),
            "statuses_url": self.url(f"statuses/{head}"),
        }
        links = {name.removesuffix("_url"): {"href": url} for name, url in urls.items()}
        return {
            **urls,
            **dict.fromkeys(("assignee", "closed_at", "merge_commit_sha", "merged_at", "milestone", "auto_merge", "merged_by")),
            **dict.fromkeys(("additions", "changed_files", "comments", "commits", "deletions", "review_comments"), 1),
            "number": number,
            "id": number_of(at),
            "node_id": f"PR_{number}",
            "state": "open",
            "locked": False,
            "title": facts["title"],
            "body": facts.get("body"),
            "draft": facts.get("draft", False),
            "merged": False,
            "mergeable": True,
            "mergeable_state": "clean",
            "maintainer_can_modify": False,
            "created_at": EPOCH,
            "updated_at": EPOCH,
            "url": at,
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "issue_url": issue,
            "user": facts["user"],
            "author_association": "CONTRIBUTOR",
            "labels": [],
            "requested_reviewers": [],
            "requested_teams": [],
            "base": self._end(facts["base"], base),
            "head": self._end(facts["head"], head),
            "_links": {**links, "self": {"href": at}, "html": {"href": page}, "issue": {"href": issue}},
        }

    def _end(self, branch: str, sha: str) -> Json:
        owner = self.name.partition("/")[0]
        return {
            "label": f"{owner}:{branch}",
            "ref": branch,
            "sha": sha,
            "user": self.user(owner),
            "repo": self.repository(archived=False),
        }

    def label(self, name: str) -> Json:
        about = {"description": "", "color": "ededed", "default": False}
        return {"id": number_of(name), "node_id": f"L_{name}", "url": self.url(f"labels/{name}"), "name": name, **about}

    def remark(self, number: int, serial: int, *, author: str, text: str, at: str, kind: str) -> Json:
        """What is common to what people write; `kind` is the anchor on the page."""
        return {
            "id": serial,
            "node_id": f"{kind}_{serial}",
            "html_url": f"{self.page(f'pull/{number}')}#{kind}{'' if kind.endswith('_r') else '-'}{serial}",
            "user": self.user(author) if author else None,
            "body": text,
            "created_at": at,
            "updated_at": at,
            "author_association": "CONTRIBUTOR",
        }


def _unsigned() -> Json:
    return {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}

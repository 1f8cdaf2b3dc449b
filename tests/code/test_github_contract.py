"""The same sentences on our small GitHub and on an independently written one: what both say is not our own invention.

People act through GitHub's API here, for the other one has no git. What it is known not to have stands in GAPS.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from github import InputGitTreeElement

from airflow_agentfix.code.github_client import build_github
from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import (
    BaseMoved,
    BranchExists,
    CodeHostForbidden,
    CommitNotFound,
    NothingToCommit,
    RepositoryNotFound,
)
from airflow_agentfix.ports import Fate, FileChange, FixRequest
from airflow_agentfix.settings import Settings
from tests.fakes.emulate import TOKENS, emulated
from tests.fakes.github import FakeGitHub
from tests.standins import EMULATE, needed

GAPS = {
    "test_an_export_has_the_commits_very_bytes": "it has no archives",
    "test_an_update_takes_it_out_of_draft": "it has no GraphQL, the only way to do that",
    "test_comments_of_people_are_read_and_ours_are_not": "it has no GraphQL, which tells who we are",
    "test_a_wrong_token_is_refused": "it takes any token",
    "test_a_second_pull_request_for_the_branch_is_refused": "it opens a second one, which GitHub refuses",
}
CRLF = b"x = 1\r\ny = 2\r\n"
_numbers = count()


@dataclass(frozen=True)
class There:
    """A GitHub with one repository; `host()` is a new worker's view each time."""

    api: str
    name: str

    def host(self, token: str = "gh-token", name: str = "") -> GitHubHost:
        client = build_github(Settings(github_api_url=self.api), env={"GITHUB_TOKEN": token})
        return GitHubHost(Repository(f"{self.api}/{name or self.name}.git", "main"), client)

    @property
    def person(self) -> Any:
        """The repository as a person's client sees it."""
        return build_github(Settings(github_api_url=self.api), env={"GITHUB_TOKEN": "person-token"}).get_repo(self.name)

    @property
    def base(self) -> str:
        return self.host().head("main") or ""

    def push(self, path: str, content: bytes, *, branch: str = "main", mode: str = "100644") -> str:
        """A person's commit on the branch; a new one starts at main."""
        repo = self.person
        blob = repo.create_git_blob(base64.b64encode(content).decode(), "base64")
        parent = repo.get_git_commit(repo.get_git_ref("heads/main").object.sha)
        tree = repo.create_git_tree([InputGitTreeElement(path, mode, "blob", sha=blob.sha)], parent.tree)
        commit = repo.create_git_commit("By a person", tree, [parent]).sha
        if branch == "main":
            ref = repo.get_git_ref("heads/main")
            _ = ref.object
            ref.edit(commit)
        else:
            repo.create_git_ref(f"refs/heads/{branch}", commit)
        return commit


@pytest.fixture(scope="module")
def emulate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulated(needed(EMULATE), tmp_path_factory.mktemp("emulate")) as address:
        yield address


@pytest.fixture(params=["small", "emulate"])
def there(request: pytest.FixtureRequest) -> There:
    if request.param == "emulate":
        if reason := GAPS.get(request.node.originalname):
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
        found = There(request.getfixturevalue("emulate"), f"acme/dags{next(_numbers)}")
    else:
        fake: FakeGitHub = request.getfixturevalue("github")
        fake.tokens = {token: login for token, login in TOKENS.items() if login != fake.people.login}
        fake.people.collaborators["anna"] = "admin"
        found = There(fake.api_url, fake.full_name)
    found.push("dags/shop.py", CRLF)
    return found


def fix(
    there: There, *changes: FileChange, session: str = "s1", branch: str = "fix/shop-1", **more: tuple[str, ...]
) -> FixRequest:
    message = f"Correct x\n\nBecause: ü.\n\nAgentfix-Session: {session}\n"
    changes = changes or (FileChange("dags/shop.py", b"x = 2\r\ny = 2\r\n"),)
    return FixRequest(session, branch, "main", there.base, message, changes, "Correct x", "Because.", **more)


def files(there: There, commit: str, *paths: str) -> dict[str, bytes | None]:
    return {path: there.host().read(commit, path) for path in paths}


def test_a_branchs_head_is_its_commit_and_none_for_an_unknown_one(there: There) -> None:
    commit = there.push("a.py", b"a")
    assert there.host().head("main") == commit
    assert there.host().head("mai") is None


def test_files_are_read_byte_for_byte(there: There) -> None:
    commit = there.push("logo.bin", bytes(range(256)))
    assert {"dags/shop.py", "logo.bin"} <= set(there.host().files(commit))
    assert files(there, commit, "dags/shop.py", "logo.bin", "no.py") == {
        "dags/shop.py": CRLF,
        "logo.bin": bytes(range(256)),
        "no.py": None,
    }


def test_an_export_has_the_commits_very_bytes(there: There, tmp_path: Path) -> None:
    there.host().export(there.base, tmp_path)
    assert (tmp_path / "dags/shop.py").read_bytes() == CRLF


def test_an_unknown_commit_is_named(there: There) -> None:
    for look in (there.host().files, lambda commit: there.host().compare(there.base, commit)):
        with pytest.raises(CommitNotFound, match="a" * 40):
            look("a" * 40)


def test_a_comparison_names_commits_newest_first_and_files(there: There) -> None:
    old = there.base
    first, second = there.push("a.py", b"a"), there.push("b.py", b"b")
    found = there.host().compare(old, second)
    assert [commit["sha"] for commit in found.commits] == [second, first]
    assert found.files == ("a.py", "b.py")
    assert there.host().compare(old, old).commits == ()


def test_the_commits_that_touch_a_path_are_found(there: There) -> None:
    first = there.push("a.py", b"a")
    newest = there.push("b.py", b"b")
    assert there.host().commits(newest, paths=["a.py"], limit=5) == [first]


def test_a_fix_is_one_commit_on_a_new_branch_with_a_draft_pull_request(there: There) -> None:
    base = there.push("run.sh", b"#!/bin/sh\n", mode="100755")
    changes = (FileChange("dags/shop.py", b"x = 2\r\n"), FileChange("run.sh", b"#!/bin/bash\n"), FileChange("a.bin", b"\0\xff"))
    opened = there.host().open_fix(fix(there, *changes, FileChange("README.md", None)))
    assert there.host().head("fix/shop-1") == opened.commit
    assert [one["sha"] for one in there.host().compare(base, opened.commit).commits] == [opened.commit]
    assert there.base == base
    assert files(there, opened.commit, "dags/shop.py", "run.sh", "a.bin") == {one.path: one.content for one in changes}
    assert "README.md" not in there.host().files(opened.commit)
    commit = there.person.get_git_commit(opened.commit)
    assert "Because: ü.\n\nAgentfix-Session: s1" in commit.message
    modes = {entry.path: entry.mode for entry in there.person.get_git_tree(commit.tree.sha, recursive=True).tree}
    assert (modes["run.sh"], modes["dags/shop.py"]) == ("100755", "100644")
    (pull,) = there.person.get_pulls(state="open")
    assert (pull.draft, pull.title, pull.body, pull.html_url) == (True, "Correct x", "Because.", opened.pull_request)


def test_a_second_call_finds_branch_and_pull_request_of_the_first(there: There) -> None:
    first, second = there.host().open_fix(fix(there)), there.host().open_fix(fix(there))
    assert (second.commit, second.pull_request, second.reused) == (first.commit, first.pull_request, True)
    assert len(list(there.person.get_pulls(state="all"))) == 1


@pytest.mark.parametrize("session", ["s1", "s2"])
def test_a_branch_with_another_fix_is_left_alone(there: There, session: str) -> None:
    first = there.host().open_fix(fix(there))
    with pytest.raises(BranchExists):
        there.host().open_fix(fix(there, FileChange("dags/shop.py", b"other"), session=session))
    assert there.host().head("fix/shop-1") == first.commit


def test_a_persons_branch_is_left_alone(there: There) -> None:
    theirs = there.push("a.py", b"a", branch="fix/shop-1")
    with pytest.raises(BranchExists, match="someone else"):
        there.host().open_fix(fix(there))
    with pytest.raises(BranchExists):
        there.host().delete_branch("fix/shop-1")
    assert there.host().head("fix/shop-1") == theirs


def test_a_fix_that_changes_nothing_is_refused(there: There) -> None:
    with pytest.raises(NothingToCommit):
        there.host().open_fix(fix(there, FileChange("dags/shop.py", CRLF)))
    assert there.host().head("fix/shop-1") is None


def test_a_base_that_moved_elsewhere_does_not_matter_and_in_the_same_file_it_does(there: There) -> None:
    request, late = fix(there), fix(there, branch="fix/shop-2")
    there.push("other.py", b"o")
    assert there.host().open_fix(request).pull_request
    there.push("dags/shop.py", b"theirs")
    with pytest.raises(BaseMoved, match=r"dags/shop\.py"):
        there.host().open_fix(late)
    assert there.host().head("fix/shop-2") is None


def test_labels_and_the_reviewers_who_can_be_asked_are_there(there: There) -> None:
    there.host().open_fix(fix(there, labels=("agentfix",), reviewers=("nobody", "anna")))
    (pull,) = there.person.get_pulls()
    assert [label.name for label in pull.labels] == ["agentfix"]
    assert [user.login for user in pull.requested_reviewers] == ["anna"]


def test_an_update_sets_the_text(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    there.host().update_request(opened, body="Verified.")
    (pull,) = there.person.get_pulls()
    assert (pull.body, pull.draft) == ("Verified.", True)


def test_an_update_takes_it_out_of_draft(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    there.host().update_request(opened, ready=True)
    assert [pull.draft for pull in there.person.get_pulls()] == [False]


def test_a_closed_pull_request_is_left_as_it_is_and_its_fix_is_gone(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    assert there.host().fate(opened) == Fate("open")
    (pull,) = there.person.get_pulls()
    pull.edit(state="closed")
    there.host().update_request(opened, body="Late.")
    assert [one.body for one in there.person.get_pulls(state="all")] == ["Because."]
    assert there.host().fate(opened) == Fate("gone")


def test_a_comment_is_written_once(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    there.host().comment(opened, "Green.")
    there.host().comment(opened, "Green.")
    (pull,) = there.person.get_pulls()
    assert [(one.user.login, one.body) for one in pull.get_issue_comments()] == [("octo-bot", "Green.")]


def test_comments_of_people_are_read_and_ours_are_not(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    there.host().comment(opened, "Green.")
    (pull,) = there.person.get_pulls()
    pull.create_issue_comment("Thanks")
    pull.create_review(body="Nearly", event="COMMENT")
    assert {(one.author, one.may_write, one.text) for one in there.host().comments(opened)} == {
        ("anna", True, "Thanks"),
        ("anna", True, "Nearly"),
    }


def test_approvals_are_left_once_and_go_with_the_branch(there: There) -> None:
    opened = there.host().open_fix(fix(there))
    refs: Callable[[], list[str]] = lambda: [ref.ref for ref in there.person.get_git_matching_refs("agentfix/")]  # noqa: E731
    for _ in range(2):
        there.host().approve(opened.commit, "a" * 64)
    assert refs() == [f"refs/agentfix/approved/{opened.commit}/{'a' * 64}"]
    for _ in range(2):
        there.host().delete_branch("fix/shop-1")
    assert refs() == []
    assert there.host().head("fix/shop-1") is None


def test_a_second_pull_request_for_the_branch_is_refused(there: There) -> None:
    there.host().open_fix(fix(there))
    with pytest.raises(Exception, match="already exists"):
        there.person.create_pull(base="main", head="fix/shop-1", title="Again", draft=True)


def test_a_wrong_token_is_refused(there: There) -> None:
    with pytest.raises(CodeHostForbidden):
        there.host(token="wrong").head("main")


def test_an_unknown_repository_is_no_unknown_branch(there: There) -> None:
    with pytest.raises(RepositoryNotFound):
        there.host(name="acme/nothing").head("main")

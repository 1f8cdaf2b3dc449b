"""What only GitHub has: pull requests, status codes, limits, lost answers."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from github import Auth

from airflow_agentfix.code.github_client import build_github, has_login
from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import (
    BranchExists,
    CodeError,
    CodeHostForbidden,
    CodeHostRefused,
    CommitNotFound,
    ConfigurationError,
    MissingConnection,
    RepositoryNotFound,
    RepositoryUnreachable,
)
from airflow_agentfix.ports import Fate, FileChange, FixRequest, OpenedFix
from airflow_agentfix.settings import Settings
from tests.code.conftest import github_host
from tests.code.repos import merge, push
from tests.fakes.github import Asked, FakeGitHub, Reply, problem


def fix(fake: FakeGitHub, content: bytes = b"x = 2\n") -> FixRequest:
    base = fake.text("rev-parse", "main") or ""
    message = "Correct x\n\nAgentfix-Session: s1"
    return FixRequest("s1", "fix/a", "main", base, message, (FileChange("dags/shop.py", content),), "Correct x", "Why.")


def once(method: str, part: str) -> Callable[[Asked], bool]:
    """True for the first request of this kind."""
    left = [1]

    def hit(asked: Asked) -> bool:
        return asked.method == method and part in asked.path and bool(left) and bool(left.pop())

    return hit


def refuse(method: str, part: str, reply: Reply) -> Callable[[Asked], Reply | None]:
    return lambda asked: reply if asked.method == method and part in asked.path else None


def test_a_fix_opens_one_draft_pull_request(github: FakeGitHub) -> None:
    opened = github_host(github).open_fix(fix(github))
    (pull,) = github.pulls
    assert opened.pull_request == pull["html_url"]
    assert (pull["draft"], pull["title"], pull["body"]) == (True, "Correct x", "Why.")
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("fix/a", "main")


def test_a_second_call_opens_no_second_pull_request(github: FakeGitHub) -> None:
    first = github_host(github).open_fix(fix(github))
    assert github_host(github).open_fix(fix(github)).pull_request == first.pull_request
    assert len(github.pulls) == 1


def test_a_branch_left_without_its_pull_request_gets_one(github: FakeGitHub) -> None:
    github.before = refuse("POST", "/pulls", problem(500, "Server Error"))
    with pytest.raises(RepositoryUnreachable):
        github_host(github).open_fix(fix(github))
    github.before = lambda _: None
    opened = github_host(github).open_fix(fix(github))
    assert opened.reused
    assert opened.pull_request == github.pulls[0]["html_url"]


def test_a_pull_request_that_a_person_closed_is_not_opened_anew(github: FakeGitHub) -> None:
    first = github_host(github).open_fix(fix(github))
    github.pulls[0]["state"] = "closed"
    assert github_host(github).open_fix(fix(github)).pull_request == first.pull_request
    assert len(github.pulls) == 1


def test_a_branch_whose_pull_request_was_closed_is_not_taken_over_by_another_session(github: FakeGitHub) -> None:
    cause = "\nAgentfix-Fingerprint: fp1:00ff"
    mine = fix(github)
    mine = replace(mine, message=mine.message.rstrip("\n") + cause)
    later = replace(mine, session_id="s2", message=mine.message.replace("Session: s1", "Session: s2"))
    first = github_host(github).open_fix(mine)
    assert github_host(github).open_fix(later) == replace(first, reused=True, made_by="s1")
    github.pulls[0]["state"] = "closed"
    with pytest.raises(BranchExists, match=r"has a pull request that is closed, http.*Use another branch name"):
        github_host(github).open_fix(later)
    assert len(github.pulls) == 1


def test_where_drafts_are_not_supported_the_pull_request_is_an_ordinary_one(github: FakeGitHub) -> None:
    github.drafts = False
    github_host(github).open_fix(fix(github))
    assert [pull["draft"] for pull in github.pulls] == [False]


@pytest.mark.parametrize("part", ["/git/refs", "/pulls", "/git/commits", "/git/trees", "/git/blobs"])
def test_a_lost_answer_makes_nothing_twice(github: FakeGitHub, part: str) -> None:
    github.lose_answer = once("POST", part)
    opened = github_host(github).open_fix(fix(github))
    again = github_host(github).open_fix(fix(github))
    assert (again.commit, again.pull_request) == (opened.commit, opened.pull_request)
    assert github.text("rev-parse", "fix/a") == opened.commit
    assert len(github.pulls) == 1


def test_a_branch_that_appears_meanwhile_is_not_overwritten(github: FakeGitHub, folder: Path) -> None:
    def quicker(asked: Asked) -> Reply | None:
        if asked.method == "POST" and asked.path.endswith("/git/refs"):
            github.git("update-ref", "refs/heads/fix/a", "main")
        return None

    github.before = quicker
    with pytest.raises(BranchExists):
        github_host(github).open_fix(fix(github))
    assert github.text("rev-parse", "fix/a") == github.text("rev-parse", "main")
    assert github.pulls == []


def test_nothing_is_ever_forced_or_patched(github: FakeGitHub) -> None:
    github_host(github).open_fix(fix(github))
    assert {asked.method for asked in github.asked} == {"GET", "POST"}
    assert all("force" not in (asked.body or {}) for asked in github.asked)


@pytest.mark.parametrize(
    ("reply", "error", "said"),
    [
        (
            problem(403, "Resource not accessible by integration", **{"X-Accepted-GitHub-Permissions": "contents=write"}),
            CodeHostForbidden,
            "contents: write",
        ),
        (problem(403, "Must have push access"), CodeHostForbidden, "pull_requests: write"),
        (problem(422, "Repository rule violations found"), CodeHostForbidden, "fix/"),
        (problem(404, "Not Found"), RepositoryNotFound, "private repository"),
        (problem(422, "Validation Failed", {"message": "odd"}), CodeHostRefused, "odd"),
        (problem(502, "Bad Gateway"), RepositoryUnreachable, "502"),
        (
            problem(403, "API rate limit exceeded for user", **{"X-RateLimit-Reset": str(int(time.time()) + 3600)}),
            RepositoryUnreachable,
            "resets at",
        ),
        (problem(429, "Too many"), RepositoryUnreachable, "rate limit"),
        (problem(418, "I'm a teapot"), CodeHostRefused, "teapot"),
    ],
)
def test_each_refusal_has_its_error_and_advice(github: FakeGitHub, reply: Reply, error: type[CodeError], said: str) -> None:
    github.before = refuse("POST", "/git/refs", reply)
    with pytest.raises(error, match=said):
        github_host(github).open_fix(fix(github))


def test_a_wrong_token_is_forbidden_and_not_in_the_error(github: FakeGitHub) -> None:
    with pytest.raises(CodeHostForbidden, match="GITHUB_TOKEN") as refused:
        github_host(github, token="wrong-token").head("main")
    assert "wrong-token" not in str(refused.value)


def test_an_unknown_repository_is_no_unknown_branch(github: FakeGitHub) -> None:
    client = build_github(Settings(github_api_url=github.api_url), env={"GITHUB_TOKEN": github.token})
    with pytest.raises(RepositoryNotFound, match="acme/other"):
        GitHubHost(Repository("https://github.com/acme/other", "main"), client).head("main")


def test_a_github_that_is_away_is_unreachable() -> None:
    client = build_github(Settings(github_api_url="http://127.0.0.1:1"), env={"GITHUB_TOKEN": "t"})
    with pytest.raises(RepositoryUnreachable):
        GitHubHost(Repository("https://github.com/acme/dags", "main"), client).head("main")


def test_a_truncated_tree_is_refused_with_a_way_out(github: FakeGitHub, tmp_path: Path) -> None:
    def truncated(asked: Asked) -> Reply | None:
        if "/git/trees/" not in asked.path:
            return None
        reply = github.answer(asked)
        return Reply(200, {**reply.body, "truncated": True})

    github.before = truncated
    with pytest.raises(CodeHostRefused, match="plain git"):
        github_host(github).export(fix(github).base_commit, tmp_path)


def test_an_archive_is_one_request_and_its_login_stays_with_the_api(github: FakeGitHub, tmp_path: Path) -> None:
    github_host(github).export(fix(github).base_commit, tmp_path)
    asked = [one.path.rpartition("/")[0].removeprefix("/repos/acme/dags/") for one in github.asked]
    # the three blobs are what export-ignore, export-subst and eol=crlf keep from the archive
    assert sorted(asked) == ["/_codeload", "git/blobs", "git/blobs", "git/blobs", "git/trees", "tarball"]


def test_a_commit_that_the_host_lost_is_named(github: FakeGitHub, tmp_path: Path) -> None:
    with pytest.raises(CommitNotFound, match="e" * 40):
        github_host(github).export("e" * 40, tmp_path)


def test_a_fix_reads_the_newest_base_not_a_remembered_one(github: FakeGitHub, folder: Path) -> None:
    host = github_host(github)
    host.head("main")
    newest = push(folder, "z.py", "z\n")
    assert host.head("main") == newest


@dataclass
class Connection:
    conn_id: str = "github_default"
    password: str | None = None
    host: str | None = None
    extra_dejson: dict[str, Any] = field(default_factory=dict)


def test_the_connections_token_and_host_win_over_the_environment(github: FakeGitHub) -> None:
    connection = Connection(password=github.token, host=github.api_url + "/")
    client = build_github(Settings(), connection=connection, env={"GITHUB_TOKEN": "other"})
    assert GitHubHost(Repository(github.repo_url, "main"), client).head("main") == fix(github).base_commit


def test_either_variable_of_the_environment_serves() -> None:
    for name in ("GITHUB_TOKEN", "GITHUB_API_TOKEN"):
        client = build_github(Settings(), env={name: "t"})
        assert isinstance(client.requester.auth, Auth.Token)
        assert has_login(None, {name: "t"})
    assert not has_login(None, {"GITHUB_TOKEN": ""})


def test_a_github_app_is_taken_from_the_connections_extra() -> None:
    extra = {"app_id": 7, "installation_id": 9, "private_key": "key"}
    client = build_github(Settings(), connection=Connection(extra_dejson=extra), env={})
    assert isinstance(client.requester.auth, Auth.AppInstallationAuth)
    assert client.requester.auth.installation_id == 9


def test_no_login_and_an_incomplete_one_say_what_to_add() -> None:
    with pytest.raises(MissingConnection, match="airflow connections add"):
        build_github(Settings(), env={})
    with pytest.raises(ConfigurationError, match="app_id, installation_id"):
        build_github(Settings(), connection=Connection(extra_dejson={"private_key": "k"}), env={"GITHUB_TOKEN": "t"})


def opened_on(github: FakeGitHub) -> tuple[GitHubHost, OpenedFix]:
    host = github_host(github)
    return host, host.open_fix(fix(github))


def test_a_squashed_fix_is_known_by_its_pull_request(github: FakeGitHub, folder: Path) -> None:
    host, opened = opened_on(github)
    squashed = merge(folder, opened.branch, how="--squash")
    github.pulls[0].update(state="closed", merged=True, merge_commit_sha=squashed)
    assert host.fate(opened) == Fate("merged", squashed)
    github.git("update-ref", "-d", f"refs/heads/{opened.branch}")
    assert github_host(github).fate(opened) == Fate("merged", squashed)


def test_a_pull_request_that_was_closed_is_the_end_of_its_fix_though_the_branch_is_there(github: FakeGitHub) -> None:
    host, opened = opened_on(github)
    assert host.fate(opened) == Fate("open")
    github.pulls[0]["state"] = "closed"
    assert host.fate(opened) == Fate("gone")


def test_a_fix_that_was_merged_into_another_branch_is_not_in_the_base(github: FakeGitHub, folder: Path) -> None:
    host, opened = opened_on(github)
    elsewhere = push(folder, "a.py", "a\n", branch="develop")
    github.pulls[0].update(state="closed", merged=True, merge_commit_sha=elsewhere)
    github.pulls[0]["base"]["ref"] = "develop"
    assert host.fate(opened) == Fate("gone")


def test_a_github_that_does_not_tell_of_the_pull_request_is_no_answer(github: FakeGitHub) -> None:
    host, opened = opened_on(github)
    github.before = refuse("GET", "/pulls/1", problem(500, "Server Error"))
    with pytest.raises(RepositoryUnreachable):
        host.fate(opened)

"""What is asked again and how often: limits, outages, answers that break off."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_agentfix.code.github_client import build_github
from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import CodeHostRefused, RepositoryUnreachable
from airflow_agentfix.ports import FileChange
from airflow_agentfix.settings import Settings
from tests.code.conftest import github_host
from tests.code.test_github_host import fix, once, refuse
from tests.fakes.github import Asked, FakeGitHub, Reply, problem

SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
PRIMARY = "API rate limit exceeded for user ID 7."


def first(method: str, part: str, reply: Reply) -> Callable[[Asked], Reply | None]:
    hit = once(method, part)
    return lambda asked: reply if hit(asked) else None


def times(github: FakeGitHub, method: str, part: str) -> int:
    return sum(asked.method == method and part in asked.path for asked in github.asked)


@pytest.mark.parametrize("reply", [
    problem(403, SECONDARY, **{"Retry-After": "1"}),
    problem(429, SECONDARY, **{"Retry-After": "1"}),
    problem(403, PRIMARY, **{"X-RateLimit-Reset": "1", "X-RateLimit-Remaining": "0"}),
    problem(502, "Bad Gateway"),
    problem(503, "Unavailable", **{"Retry-After": "1"}),
])  # fmt: skip
@pytest.mark.parametrize("part", ["/git/refs", "/pulls"])
def test_a_short_limit_or_outage_is_waited_for_and_makes_nothing_twice(github: FakeGitHub, part: str, reply: Reply) -> None:
    github.before = first("POST", part, reply)
    opened = github_host(github).open_fix(fix(github))
    assert github.text("rev-parse", "fix/a") == opened.commit
    assert len(github.pulls) == 1


@pytest.mark.parametrize("status", [403, 429, 503])
@pytest.mark.parametrize("quick", [False, True])
def test_a_long_retry_after_is_not_waited_for(github: FakeGitHub, status: int, quick: bool) -> None:
    github.before = refuse("GET", "/branches/", problem(status, SECONDARY, **{"Retry-After": "3600"}))
    client = build_github(Settings(github_api_url=github.api_url), env={"GITHUB_TOKEN": github.token}, quick=quick)
    started = time.monotonic()
    with pytest.raises(RepositoryUnreachable, match="wait 3600 s"):
        GitHubHost(Repository(github.repo_url, "main"), client).head("main")
    assert time.monotonic() - started < 120
    assert times(github, "GET", "/branches/") == 1


def test_a_limit_that_resets_in_an_hour_says_when(github: FakeGitHub) -> None:
    github.before = refuse("GET", "/branches/", problem(403, PRIMARY, **{"X-RateLimit-Reset": str(int(time.time()) + 3600)}))
    with pytest.raises(RepositoryUnreachable, match="resets at"):
        github_host(github).head("main")
    assert times(github, "GET", "/branches/") == 1


def test_an_outage_ends_after_a_few_tries(github: FakeGitHub) -> None:
    github.before = refuse("GET", "/branches/", problem(500, "Server Error"))
    with pytest.raises(RepositoryUnreachable, match="500"):
        github_host(github).head("main")
    assert times(github, "GET", "/branches/") == 5


@pytest.mark.parametrize(("method", "part"), [
    ("GET", "/git/trees/"), ("GET", "/branches/"), ("POST", "/git/trees"), ("POST", "/git/commits"), ("POST", "/git/refs"),
    ("POST", "/pulls"),
])  # fmt: skip
def test_an_answer_that_breaks_off_is_asked_for_again_and_makes_nothing_twice(github: FakeGitHub, method: str, part: str) -> None:
    github.cut_answer = once(method, part)
    opened = github_host(github).open_fix(fix(github))
    assert github.text("for-each-ref", "--format=%(objectname)", "refs/heads/fix") == opened.commit
    assert len(github.pulls) == 1


def test_an_archive_that_breaks_off_or_fails_is_fetched_again(github: FakeGitHub, tmp_path: Path) -> None:
    github.cut_answer = once("GET", "/_codeload/")
    github.before = first("GET", "/_codeload/", problem(502, "Bad Gateway"))
    github_host(github).export(fix(github).base_commit, tmp_path)
    assert (tmp_path / "dags/shop.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
    assert times(github, "GET", "/_codeload/") == 3


def test_an_answer_that_breaks_off_each_time_ends(github: FakeGitHub) -> None:
    github.cut_answer = lambda asked: "/branches/" in asked.path
    with pytest.raises(RepositoryUnreachable, match="ChunkedEncodingError"):
        github_host(github).head("main")
    assert times(github, "GET", "/branches/") == 3


@pytest.mark.parametrize("lost", ["lose_answer", "cut_answer"])
def test_an_approval_whose_answer_was_lost_is_left_once(github: FakeGitHub, lost: str) -> None:
    commit = fix(github).base_commit
    setattr(github, lost, once("POST", "/git/refs"))
    github_host(github).approve(commit, "a" * 64)
    assert github.text("for-each-ref", "--format=%(refname)", "refs/agentfix") == f"refs/agentfix/approved/{commit}/{'a' * 64}"


@pytest.mark.parametrize("lost", ["lose_answer", "cut_answer"])
def test_a_branch_whose_deletion_was_not_answered_is_gone(github: FakeGitHub, lost: str) -> None:
    host = github_host(github)
    host.approve(host.open_fix(fix(github)).commit, "a" * 64)
    setattr(github, lost, once("DELETE", "/heads/"))
    host.delete_branch("fix/a")
    assert github.text("for-each-ref", "--format=%(refname)", "refs/heads/fix", "refs/agentfix") == ""


def test_an_archive_that_is_none_is_told(github: FakeGitHub, tmp_path: Path) -> None:
    github.archive = lambda _: b"no archive"  # type: ignore[method-assign]  # the fake's
    with pytest.raises(CodeHostRefused, match="cannot be read"):
        github_host(github).export(fix(github).base_commit, tmp_path)


def test_a_file_that_is_no_text_or_large_gets_its_blob_and_text_goes_along(github: FakeGitHub) -> None:
    contents = {
        "latin.py": "# ü\r\n".encode("latin-1"),
        "nul.py": b"\0",
        "large.py": b"x" * 1_000_001,
        "text.py": "ü\r\n\t\x1b".encode(),
    }
    request = replace(fix(github), changes=tuple(FileChange(path, content) for path, content in contents.items()))
    opened = github_host(github).open_fix(request)
    assert {path: github.git("show", f"{opened.commit}:{path}") for path in contents} == contents
    assert times(github, "POST", "/git/blobs") == 3

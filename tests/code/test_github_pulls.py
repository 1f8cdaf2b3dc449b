"""The pull request of a fix: labels, reviewers, its text, out of draft, comments."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.errors import CodeHostForbidden, CodeHostRefused, RepositoryUnreachable
from airflow_agentfix.ports import FixRequest, OpenedFix
from tests.code.conftest import github_host
from tests.code.test_github_host import fix, once, refuse
from tests.fakes.github import FakeGitHub, problem


def opened(github: FakeGitHub, request: FixRequest | None = None) -> tuple[GitHubHost, OpenedFix]:
    host = github_host(github)
    return host, host.open_fix(request or fix(github))


def asked_to_review(github: FakeGitHub) -> tuple[list[str], list[str]]:
    (pull,) = github.pulls
    return [one["login"] for one in pull["requested_reviewers"]], [one["slug"] for one in pull["requested_teams"]]


# --- labels and reviewers ---


def test_labels_and_reviewers_are_asked_for_when_the_pull_request_is_opened(github: FakeGitHub) -> None:
    github.people.collaborators |= {"anna": "write", "ben": "read"}
    github.people.teams.add("data")
    opened(github, replace(fix(github), labels=("agentfix", "bot"), reviewers=("anna", "@ben", "acme/data", "anna")))
    assert [label["name"] for label in github.pulls[0]["labels"]] == ["agentfix", "bot"]
    assert asked_to_review(github) == (["anna", "ben"], ["data"])


@pytest.mark.parametrize("refused", ["stranger", "acme/no-such-team", "octo-bot", "other/data"])
def test_a_reviewer_who_cannot_be_asked_is_logged_and_loses_neither_the_others_nor_the_pull_request(
    github: FakeGitHub, refused: str, caplog: pytest.LogCaptureFixture
) -> None:
    github.people.collaborators |= {"anna": "write"}
    github.people.teams.add("data")
    with caplog.at_level(logging.WARNING):
        _, done = opened(github, replace(fix(github), reviewers=("anna", refused, "acme/data")))
    assert done.pull_request == github.pulls[0]["html_url"]
    assert asked_to_review(github) == (["anna"], ["data"])
    assert refused in caplog.text


@pytest.mark.parametrize("part", ["/labels", "/requested_reviewers"])
def test_labels_and_reviewers_that_are_forbidden_are_logged_and_lose_nothing(
    github: FakeGitHub, part: str, caplog: pytest.LogCaptureFixture
) -> None:
    github.people.collaborators |= {"anna": "write"}
    github.before = refuse("POST", part, problem(403, "Resource not accessible by personal access token"))
    _, done = opened(github, replace(fix(github), labels=("agentfix",), reviewers=("anna",)))
    assert done.pull_request == github.pulls[0]["html_url"]
    assert "goes without" in caplog.text
    assert "not accessible" in caplog.text


@pytest.mark.parametrize("part", ["/labels", "/requested_reviewers"])
def test_a_lost_answer_to_labels_or_reviewers_asks_for_nothing_twice(github: FakeGitHub, part: str) -> None:
    github.people.collaborators |= {"anna": "write"}
    github.lose_answer = once("POST", part)
    request = replace(fix(github), labels=("agentfix",), reviewers=("anna",))
    opened(github, request)
    opened(github, request)
    assert [label["name"] for label in github.pulls[0]["labels"]] == ["agentfix"]
    assert len(github.pulls) == 1


def test_a_pull_request_found_again_keeps_the_reviewers_it_has(github: FakeGitHub) -> None:
    github.people.collaborators |= {"anna": "write", "ben": "write"}
    opened(github, replace(fix(github), reviewers=("anna",)))
    opened(github, replace(fix(github), reviewers=("ben",)))
    assert asked_to_review(github) == (["anna"], [])


def test_no_more_reviewers_are_asked_than_github_takes(github: FakeGitHub, caplog: pytest.LogCaptureFixture) -> None:
    names = [f"user{number}" for number in range(20)]
    github.people.collaborators |= dict.fromkeys(names, "write")
    opened(github, replace(fix(github), reviewers=tuple(names)))
    assert asked_to_review(github)[0] == names[:15]
    assert "user19" in caplog.text


# --- text and draft ---


def test_an_update_sets_the_text_and_takes_it_out_of_draft(github: FakeGitHub) -> None:
    host, done = opened(github)
    host.update_request(done, body="Verified.")
    assert (github.pulls[0]["body"], github.pulls[0]["draft"]) == ("Verified.", True)
    host.update_request(done, ready=True)
    assert (github.pulls[0]["body"], github.pulls[0]["draft"]) == ("Verified.", False)


def test_an_update_that_changes_nothing_writes_nothing(github: FakeGitHub) -> None:
    host, done = opened(github)
    host.update_request(done, body="New.", ready=True)
    github.asked.clear()
    host.update_request(done, body="New.", ready=True)
    assert {asked.method for asked in github.asked} == {"GET"}


def test_where_drafts_are_not_supported_ready_asks_nothing(github: FakeGitHub) -> None:
    github.drafts = False
    host, done = opened(github)
    host.update_request(done, ready=True)
    assert not any(asked.path == "/graphql" for asked in github.asked)


@pytest.mark.parametrize("merged", [False, True])
def test_a_pull_request_that_is_closed_or_merged_is_left_as_it_is(github: FakeGitHub, merged: bool) -> None:
    host, done = opened(github)
    github.pulls[0].update(state="closed", merged=merged)
    host.update_request(done, body="Late.", ready=True)
    assert (github.pulls[0]["body"], github.pulls[0]["draft"]) == ("Why.", True)


@pytest.mark.parametrize(("method", "part"), [("POST", "/graphql"), ("PATCH", "/pulls/1")])
def test_a_lost_answer_to_an_update_is_made_good(github: FakeGitHub, method: str, part: str) -> None:
    host, done = opened(github)
    github.lose_answer = once(method, part)
    host.update_request(done, body="Verified.", ready=True)
    assert (github.pulls[0]["body"], github.pulls[0]["draft"]) == ("Verified.", False)


def test_a_right_that_graphql_misses_is_forbidden(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.before = refuse("POST", "/graphql", problem(200, "", {"type": "FORBIDDEN", "message": "Resource not accessible"}))
    with pytest.raises(CodeHostForbidden, match=r"not accessible.*pull_requests: write"):
        host.update_request(done, ready=True)


def test_without_a_pull_request_there_is_nothing_to_do(github: FakeGitHub) -> None:
    host, bare = github_host(github), OpenedFix("fix/a", "c" * 40, None)
    host.update_request(bare, body="x", ready=True)
    host.comment(bare, "x")
    assert host.comments(bare) == []
    assert github.asked == []


# --- comments ---


def texts(github: FakeGitHub) -> list[str]:
    return [one["body"] for one in github.people.issue_comments.get(1, [])]


def test_a_comment_is_written_once_however_often_the_call_is_made(github: FakeGitHub) -> None:
    host, done = opened(github)
    host.comment(done, "Rerun is green.\r\n")
    github_host(github).comment(done, "Rerun is green.")
    host.comment(done, "Another.")
    assert [text.strip() for text in texts(github)] == ["Rerun is green.", "Another."]


@pytest.mark.parametrize("lost", ["answer", "cut", "502"])
def test_a_comment_whose_answer_was_lost_is_not_written_again(github: FakeGitHub, lost: str) -> None:
    host, done = opened(github)
    hit = once("POST", "/comments")
    if lost == "answer":
        github.lose_answer = hit
    elif lost == "cut":
        github.cut_answer = hit
    else:  # it arrived, and what stands before GitHub lost the answer
        github.before = lambda asked: (github.answer(asked), problem(502, "Bad Gateway"))[1] if hit(asked) else None
    host.comment(done, "Rerun is green.")
    assert texts(github) == ["Rerun is green."]


def test_a_comment_that_did_not_arrive_is_sent_again(github: FakeGitHub) -> None:
    host, done = opened(github)
    hit = once("POST", "/comments")
    github.before = lambda asked: problem(502, "Bad Gateway") if hit(asked) else None
    host.comment(done, "Rerun is green.")
    assert texts(github) == ["Rerun is green."]


def test_a_comment_that_never_arrives_is_told_after_a_few_tries(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.before = refuse("POST", "/comments", problem(502, "Bad Gateway"))
    with pytest.raises(RepositoryUnreachable):
        host.comment(done, "Rerun is green.")
    assert sum(asked.method == "POST" and asked.path.endswith("/comments") for asked in github.asked) == 3


def test_comments_of_every_kind_are_read_oldest_first_with_who_may_write(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.people.collaborators |= {"anna": "admin", "ben": "read", "mia": "write"}
    github.people.say(1, "ben", "Why?", at="2026-01-05T09:00:00Z")
    github.people.remark(1, "anna", "Use y here", path="dags/shop.py", line=3, at="2026-01-05T08:00:00Z")
    github.people.review(1, "mia", "Nearly", at="2026-01-05T10:00:00Z")
    github.people.review(1, "mia", "", at="2026-01-05T10:01:00Z")  # of its lines only
    github.people.review(1, "octo-bot", "not sent", at=None)
    host.comment(done, "Ours.")
    found = host.comments(done)
    assert [(one.author, one.may_write, one.text, one.where) for one in found] == [
        ("anna", True, "Use y here", "dags/shop.py:3"),
        ("ben", False, "Why?", None),
        ("mia", True, "Nearly", None),
    ]
    assert [one.at for one in found] == ["2026-01-05T08:00:00Z", "2026-01-05T09:00:00Z", "2026-01-05T10:00:00Z"]
    assert [one.id.rstrip("0123456789") for one in found] == ["discussion_r-", "issuecomment-", "pullrequestreview-"]
    assert all(one.url.startswith("https://github.test/acme/dags/pull/1#") for one in found)


def test_only_what_was_written_since_then_is_read(github: FakeGitHub) -> None:
    host, done = opened(github)
    for hour in (8, 9, 10):
        github.people.say(1, "anna", f"at {hour}", at=f"2026-01-05T{hour:02}:00:00Z")
        github.people.review(1, "anna", f"review at {hour}", at=f"2026-01-05T{hour:02}:30:00Z")
    github.people.issue_comments[1][0]["updated_at"] = "2026-01-06T00:00:00Z"  # edited later
    since = host.comments(done, since="2026-01-05T11:00:00+02:00")
    assert [one.text for one in since] == ["at 9", "review at 9", "at 10", "review at 10"]
    with pytest.raises(CodeHostRefused, match="no time"):
        host.comments(done, since="yesterday")


def test_every_page_of_comments_is_read_and_each_author_asked_about_once(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.people.collaborators |= {"anna": "write"}
    for number in range(230):
        github.people.say(1, "anna", f"{number}")
    github.asked.clear()
    assert len(host.comments(done)) == 230
    assert sum("/collaborators/" in asked.path for asked in github.asked) == 1


def test_more_comments_than_one_reading_takes_are_told_of(github: FakeGitHub, caplog: pytest.LogCaptureFixture) -> None:
    host, done = opened(github)
    for number in range(510):
        github.people.say(1, "anna", f"{number}", at=f"2026-01-05T08:{number // 60:02}:{number % 60:02}Z")
    found = host.comments(done)
    assert (len(found), found[0].text) == (500, "0")
    assert "oldest 500" in caplog.text


def test_a_deleted_account_and_one_who_is_no_collaborator_may_not_write(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.people.say(1, "", "gone")
    github.people.say(1, "stranger", "hello")
    assert [(one.author, one.may_write) for one in host.comments(done)] == [("ghost", False), ("stranger", False)]


def test_who_may_write_is_not_guessed_where_github_does_not_say(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.people.say(1, "anna", "hello")
    github.before = refuse("GET", "/collaborators/", problem(403, "Must have push access to view collaborator permission."))
    with pytest.raises(CodeHostForbidden, match="push access"):
        host.comments(done)


def test_the_app_that_wrote_it_is_known_by_both_its_names(github: FakeGitHub) -> None:
    host, done = opened(github)
    github.people.login = "fixer"
    github.people.say(1, "fixer[bot]", "Ours.")
    assert host.comments(done) == []

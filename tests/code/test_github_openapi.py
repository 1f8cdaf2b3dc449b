"""Our small GitHub and our client, both held against GitHub's own description of its API.

Every test with the fixture `github` is judged by it where it was fetched; here a whole story is, and the judge itself.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.code.conftest import github_host
from tests.code.openapi_judge import Judge
from tests.code.repos import push
from tests.code.test_github_host import fix
from tests.fakes.github import FakeGitHub
from tests.fakes.github_http import Exchange
from tests.standins import GITHUB_OPENAPI, needed


@pytest.fixture(scope="module")
def described(judge: Judge | None) -> Judge:
    needed(GITHUB_OPENAPI)
    assert judge is not None
    return judge


def test_everything_a_fix_says_and_hears_is_as_github_describes_it(
    described: Judge, github: FakeGitHub, folder: Path, tmp_path: Path
) -> None:
    github.people.collaborators |= {"anna": "write"}
    github.people.teams.add("data")
    base = fix(github).base_commit
    newest = push(folder, "other.py", "o\n")
    host = github_host(github)
    host.export(base, tmp_path / "tree")
    host.compare(base, newest)
    host.commits(newest, paths=["other.py"], until="2030-01-01T00:00:00Z", limit=5)
    request = replace(fix(github), labels=("agentfix",), reviewers=("anna", "nobody", "acme/data"))
    done = host.open_fix(request)
    github_host(github).open_fix(request)
    host.approve(done.commit, "a" * 64)
    host.update_request(done, body="Verified.", ready=True)
    host.comment(done, "Green.")
    github.people.say(1, "anna", "Thanks")
    github.people.remark(1, "anna", "Here", path="dags/shop.py", line=1)
    github.people.review(1, "anna", "Fine")
    assert len(host.comments(done, since="2020-01-01T00:00:00Z")) == 3
    host.fate(done)
    host.delete_branch(done.branch)
    host.head(done.branch)
    assert "\n".join(described.faults(github.exchanges)) == ""
    assert len({(one.method, one.path) for one in github.exchanges}) > 25


def an_exchange(**changes: Any) -> Exchange:
    answer = {"ref": "refs/heads/a", "node_id": "x", "url": "https://api/x"}
    answer["object"] = {"type": "commit", "sha": "c" * 40, "url": "https://api/y"}  # type: ignore[assignment]  # nested
    body = {"ref": "refs/heads/a", "sha": "c" * 40}
    return replace(Exchange("POST", "/repos/acme/dags/git/refs", json.dumps(body), 201, json.dumps(answer)), **changes)


@pytest.mark.parametrize(
    ("exchange", "said"),
    [
        (an_exchange(path="/repos/acme/dags/git/nothing"), "no such route"),
        (an_exchange(method="PUT"), "no such route"),
        (an_exchange(request='{"ref": "refs/heads/a"}'), "'sha' is a required property"),
        (an_exchange(response='{"ref": "refs/heads/a", "node_id": 7}'), "'url' is a required property"),
        (an_exchange(status=200), "expected 201"),
        (an_exchange(status=422, response="{}"), "without a message"),
        (
            an_exchange(method="GET", path="/repos/acme/dags/pulls?sort=created&order=up", request="", status=200, response="[]"),
            "no parameter order",
        ),
    ],
)
def test_what_is_not_as_described_is_found(described: Judge, exchange: Exchange, said: str) -> None:
    assert said in "\n".join(described.faults([exchange]))


def test_what_is_as_described_is_not_found(described: Judge) -> None:
    assert described.faults([an_exchange()]) == []

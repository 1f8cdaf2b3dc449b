"""Every way in to GitHub over HTTP, what each login may do, and repositories that are not where they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_agentfix.code.github_client import build_github
from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.code.hosts import open_host
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import (
    CodeHostForbidden,
    CodeHostRefused,
    ConfigurationError,
    RepositoryMoved,
    RepositoryNotFound,
)
from airflow_agentfix.ports import Fate
from airflow_agentfix.settings import Settings
from tests.code.conftest import github_host
from tests.code.repos import merge, push
from tests.code.test_github_host import Connection, fix, refuse
from tests.fakes.github import INSTALLATION_TOKEN, FakeGitHub, Reply, problem

READ, WRITE = {"contents": "read", "metadata": "read"}, {"contents": "write", "metadata": "read"}


@pytest.fixture(scope="module")
def app_key() -> tuple[str, str]:
    """Private and public key of a GitHub App."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def test_a_github_app_opens_a_fix_with_its_installations_token(
    github: FakeGitHub, app_key: tuple[str, str], tmp_path: Path
) -> None:
    private, github.app_key = app_key
    (tmp_path / "key.pem").write_text(private)
    for key in ({"private_key": private}, {"key_path": str(tmp_path / "key.pem")}):
        extra = {"app_id": 7, "installation_id": 9, **key}
        client = build_github(Settings(), connection=Connection(host=github.api_url, extra_dejson=extra), env={})
        assert GitHubHost(Repository(github.repo_url, "main"), client).open_fix(fix(github)).pull_request
        assert client.requester.auth.token == INSTALLATION_TOKEN  # type: ignore[union-attr]  # there is one
    assert len(github.pulls) == 1


def test_a_github_app_with_another_key_or_installation_is_told_so(github: FakeGitHub, app_key: tuple[str, str]) -> None:
    private, github.app_key = app_key
    extra = {"app_id": 7, "installation_id": 8, "private_key": private}
    for wrong, error in ((extra, RepositoryNotFound), ({**extra, "installation_id": 9, "app_id": 6}, RepositoryNotFound)):
        client = build_github(Settings(), connection=Connection(host=github.api_url, extra_dejson=wrong), env={})
        with pytest.raises(error):
            GitHubHost(Repository(github.repo_url, "main"), client).head("main")


def test_a_key_that_is_none_is_a_matter_of_configuration(github: FakeGitHub) -> None:
    extra = {"app_id": 7, "installation_id": 9, "private_key": "not a key"}
    client = build_github(Settings(), connection=Connection(host=github.api_url, extra_dejson=extra), env={})
    with pytest.raises(ConfigurationError, match="private key") as told:
        GitHubHost(Repository(github.repo_url, "main"), client).head("main")
    assert "not a key" not in str(told.value)


@pytest.fixture
def enterprise(folder: Path) -> Iterator[FakeGitHub]:
    with FakeGitHub(folder / "acme" / "dags.git", prefix="/api/v3") as fake:
        yield fake


def test_an_enterprise_server_has_its_api_under_a_path_and_graphql_beside_it(enterprise: FakeGitHub, tmp_path: Path) -> None:
    settings = Settings(github_api_url=f"{enterprise.site}/api/v3/")
    environ = {"GITHUB_TOKEN": enterprise.token}
    repository = Repository(enterprise.repo_url, "main")
    host = open_host(repository, settings=settings, get_connection=lambda _: None, environ=environ)
    host.export(fix(enterprise).base_commit, tmp_path / "tree")
    done = host.open_fix(fix(enterprise))
    host.update_request(done, body="Verified.", ready=True)
    host.comment(done, "Green.")
    enterprise.people.collaborators["anna"] = "write"
    enterprise.people.say(1, "anna", "Thanks")
    assert [one.text for one in host.comments(done)] == ["Thanks"]
    assert (enterprise.pulls[0]["body"], enterprise.pulls[0]["draft"]) == ("Verified.", False)


# --- rights ---


def test_a_fine_grained_token_that_may_only_read_is_told_what_it_lacks_and_nothing_is_made(github: FakeGitHub) -> None:
    github.rights = READ
    host = github_host(github)
    assert host.head("main")
    with pytest.raises(CodeHostForbidden, match="The token needs contents: write"):
        host.open_fix(fix(github))
    assert github.text("for-each-ref", "--format=%(refname)", "refs/heads/fix") == ""


def test_a_fine_grained_token_without_pull_requests_is_told_so_and_goes_on_once_it_has_them(github: FakeGitHub) -> None:
    github.rights = WRITE
    with pytest.raises(CodeHostForbidden, match="The token needs pull_requests: write"):
        github_host(github).open_fix(fix(github))
    github.rights = {**WRITE, "pull_requests": "write"}
    opened = github_host(github).open_fix(fix(github))
    assert opened.reused
    assert opened.pull_request == github.pulls[0]["html_url"]


def test_a_token_that_may_not_read_is_told_what_it_lacks(github: FakeGitHub) -> None:
    github.rights = {}
    with pytest.raises(CodeHostForbidden, match="contents: read"):
        github_host(github).head("main")


def test_an_archived_repository_can_be_read_and_says_that_it_is_archived(github: FakeGitHub, tmp_path: Path) -> None:
    github.archived = True
    github_host(github).export(fix(github).base_commit, tmp_path)
    with pytest.raises(CodeHostForbidden, match=r"Unarchive it") as refused:
        github_host(github).open_fix(fix(github))
    assert "contents: write" not in str(refused.value)


def test_an_organization_that_wants_single_sign_on_is_quoted(github: FakeGitHub) -> None:
    words = "Resource protected by organization SAML enforcement. You must grant your token access to this organization."
    github.before = refuse("GET", "/branches/", problem(403, words))
    with pytest.raises(CodeHostForbidden, match="SAML"):
        github_host(github).head("main")


@pytest.mark.parametrize(
    "words",
    [
        "Repository rule violations found\n\nCannot create ref due to creations being restricted.",
        "Cannot update this protected ref.",
    ],
)
def test_a_protected_branch_name_is_told_and_opens_no_pull_request(github: FakeGitHub, words: str) -> None:
    github.before = refuse("POST", "/git/refs", problem(422, words))
    with pytest.raises(CodeHostForbidden, match=r"protects.*Allow the login to create fix/\* branches"):
        github_host(github).open_fix(fix(github))
    assert github.pulls == []


# --- renamed and transferred ---


def test_a_renamed_repository_is_read_whole(github: FakeGitHub, folder: Path, tmp_path: Path) -> None:
    base, host = fix(github).base_commit, github_host(github)
    github.rename("acme/flows")
    host.export(base, tmp_path / "tree")
    assert (tmp_path / "tree/dags/shop.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
    newest = push(folder, "a.py", "a\n")
    old = Repository(f"{github.site}/acme/dags.git", "main")
    again = GitHubHost(old, build_github(Settings(github_api_url=github.api_url), env={"GITHUB_TOKEN": github.token}))
    assert again.head("main") == newest
    assert "a.py" in again.files(newest)
    assert again.commits(newest, paths=["a.py"], limit=5) == [newest]
    assert again.compare(base, newest).files == ("a.py",)
    assert again.head("mai") is None


def test_a_fix_of_a_transferred_repository_lands_at_its_new_place_once(github: FakeGitHub) -> None:
    request, first, second = fix(github), github_host(github), github_host(github)
    github.rename("umbrella/flows")
    opened = first.open_fix(request)
    assert opened.pull_request == "https://github.test/umbrella/flows/pull/1"
    assert second.open_fix(request) == replace(opened, reused=True)
    assert len(github.pulls) == 1


def test_every_write_follows_a_renamed_repository(github: FakeGitHub, folder: Path) -> None:
    opened = github_host(github).open_fix(fix(github))
    hosts = [github_host(github) for _ in range(6)]
    github.rename("acme/flows")
    hosts[0].approve(opened.commit, "a" * 64)
    hosts[1].update_request(opened, body="Verified.", ready=True)
    hosts[2].comment(opened, "Green.")
    hosts[3].comments(opened)
    assert hosts[4].fate(opened) == Fate("open")
    assert (github.pulls[0]["body"], github.pulls[0]["draft"]) == ("Verified.", False)
    assert len(github.people.issue_comments[1]) == 1
    assert github.text("for-each-ref", "--format=%(objectname)", "refs/agentfix") == opened.commit
    hosts[5].delete_branch(opened.branch)
    assert github.text("for-each-ref", "--format=%(refname)", "refs/agentfix", "refs/heads/fix") == ""


def test_a_branch_that_was_renamed_is_not_there_under_its_old_name(github: FakeGitHub) -> None:
    location = f"{github.api_url}/repositories/4711/branches/trunk"
    moved = Reply(301, {"message": "Moved Permanently", "url": location}, {"Location": location})
    github.before = lambda asked: moved if asked.path.endswith("/branches/master") else None
    assert github_host(github).head("master") is None


@pytest.mark.parametrize("location", ["https://elsewhere.example/api/v3/x", "/repositories/4711/branches/main", ""])
def test_a_redirect_that_leads_nowhere_is_told_and_not_followed_for_ever(github: FakeGitHub, location: str) -> None:
    headers = {"Location": location} if location else {}
    github.before = refuse("GET", "/compare/", Reply(301, {"message": "Moved Permanently"}, headers))
    with pytest.raises(RepositoryMoved, match="correct the repository's URL"):
        github_host(github).compare("a" * 40, "b" * 40)


def test_a_squash_merge_is_known_after_a_rename(github: FakeGitHub, folder: Path) -> None:
    opened, host = github_host(github).open_fix(fix(github)), github_host(github)
    squashed = merge(folder, opened.branch, how="--squash")
    github.pulls[0].update(state="closed", merged=True, merge_commit_sha=squashed)
    github.rename("acme/flows")
    assert host.fate(opened) == Fate("merged", squashed)


def test_a_repository_that_is_gone_after_a_rename_is_not_found(github: FakeGitHub) -> None:
    host = github_host(github)
    github.rename("acme/flows")
    github.before = refuse("GET", "/repositories/4711", problem(404, "Not Found"))
    with pytest.raises((RepositoryNotFound, CodeHostRefused)):
        host.head("main")

"""The code hosts of the contract suite: plain git by path, by file URL and over HTTP with a token, and GitHub."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.code.github_client import build_github
from airflow_agentfix.code.github_host import GitHubHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.settings import Settings
from tests.code.openapi_judge import Judge
from tests.code.repos import git, make_origin
from tests.fakes.git_http import GitHttpServer
from tests.fakes.github import FakeGitHub
from tests.standins import GITHUB_OPENAPI

TOKEN = "s3cret-token"


@dataclass(frozen=True)
class Place:
    """A repository and a way to it; `host()` is a new worker's view each time."""

    folder: Path
    origin: Path
    host: Callable[[], CodeHost]
    kind: str

    @property
    def base(self) -> str:
        return git("rev-parse", "refs/heads/main", cwd=self.origin)

    def git(self, *arguments: str) -> str:
        return git(*arguments, cwd=self.origin)

    def branches(self) -> list[str]:
        return self.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("origin")
    make_origin(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    git("clone", "-q", "--bare", str(template / "acme" / "dags.git"), str(tmp_path / "acme" / "dags.git"), cwd=template)
    git("config", "http.receivepack", "true", cwd=tmp_path / "acme" / "dags.git")
    git("clone", "-q", str(tmp_path / "acme" / "dags.git"), str(tmp_path / "work"), cwd=template)
    return tmp_path


@contextmanager
def basic_auth(token: str) -> Iterator[Mapping[str, str]]:
    """A token as Airflow's GitHook gives it: by a credential helper in the environment."""
    helper = f"!f() {{ echo username=bot; echo password={token}; }}; f"
    yield {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": helper}


@pytest.fixture(scope="session")
def judge() -> Judge | None:
    """GitHub's own description of its API, where it was fetched; test_github_openapi.py says so where not."""
    return Judge(GITHUB_OPENAPI) if GITHUB_OPENAPI.exists() else None


@pytest.fixture
def github(folder: Path, judge: Judge | None) -> Iterator[FakeGitHub]:
    """All that goes over its wire is judged, whatever the test is about."""
    with FakeGitHub(folder / "acme" / "dags.git") as fake:
        yield fake
    assert judge is None or "\n".join(judge.faults(fake.exchanges)) == ""


def github_host(fake: FakeGitHub, *, token: str | None = None) -> GitHubHost:
    client = build_github(Settings(github_api_url=fake.api_url), env={"GITHUB_TOKEN": token or fake.token})
    return GitHubHost(Repository(fake.repo_url, "main"), client)


@pytest.fixture(params=["git-path", "git-file", "git-http", "github"])
def place(request: pytest.FixtureRequest, folder: Path) -> Iterator[Place]:
    origin = folder / "acme" / "dags.git"
    if request.param == "git-path":
        yield Place(folder, origin, lambda: GitHost(Repository(str(origin), "main")), request.param)
    elif request.param == "git-file":
        yield Place(folder, origin, lambda: GitHost(Repository(origin.as_uri(), "main")), request.param)
    elif request.param == "git-http":
        with GitHttpServer(folder, token=TOKEN) as server:
            repository = Repository(server.url("acme/dags.git"), "main")
            yield Place(folder, origin, lambda: GitHost(repository, hook_env=lambda: basic_auth(TOKEN)), request.param)
    else:
        fake: FakeGitHub = request.getfixturevalue("github")
        yield Place(folder, origin, lambda: github_host(fake), request.param)

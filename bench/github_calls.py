"""How often GitHub is asked on the way from a failed task to its draft pull request."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from airflow_agentfix.core.session import EventKind
from airflow_agentfix.driver import Driver
from bench.figure import Figure
from tests.code.repos import IDENTITY, git
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.bench import DAG, RUN, SOURCE, SmallBench, fail, new_session, settings_for
from tests.fakes.github import FakeGitHub
from tests.fakes.session_client import MemorySessionClient

CODEOWNERS = "* @anna\n"


def measure() -> list[Figure]:
    return [
        _figure("GitHub calls from evidence to draft pull request", versioned=True),
        _figure("the same where runs have no code version", versioned=False),
    ]


def _figure(name: str, *, versioned: bool) -> Figure:
    with TemporaryDirectory(prefix="agentfix-bench-") as folder:
        counted = calls(Path(folder), versioned=versioned)
    how = (
        "requests to the API by a worker's own code over HTTP to the tests' GitHub, the archive's download from its other host "
        f"not counted: a green run, one commit, the failed run; one file fixed, a label, a reviewer; {dict(counted)}"
    )
    return Figure(name, counted.total(), "calls", 12, 1, how)


def calls(folder: Path, *, versioned: bool) -> Counter[str]:
    """What was asked, by kind. `versioned`: the runs come from a versioned bundle and say which commit they ran on."""
    with _github(folder) as github, FakeAirflow() as airflow:
        good, broken = (git("rev-parse", name, cwd=github.folder) for name in ("main~1", "main"))
        day_before = dict.fromkeys(("start_date", "end_date", "run_after"), "2026-11-21T12:00:00Z")
        fail(airflow)
        airflow.add_run(DAG, "sunday", state="success", **day_before, bundle_version=good if versioned else None)
        if versioned:
            airflow.runs[DAG, RUN]["bundle_version"] = broken
        client = MemorySessionClient(new_session(), approve=None)
        driver = Driver(_Bench(github, airflow, client), settle_seconds=0)
        driver.drive("s1", worker="bench", last_try=True)
        opened = [event for event in client.events if event.kind is EventKind.FIX]
        if not (opened and github.pulls and github.pulls[0]["labels"] and github.pulls[0]["requested_reviewers"]):
            raise RuntimeError(f"No pull request with label and reviewer: {[str(event.kind) for event in client.events]}")
        return Counter(_kind(asked.method, asked.path) for asked in github.asked if not asked.path.startswith("/_codeload/"))


def _kind(method: str, path: str) -> str:
    rest = path.split("/")[4:]
    return f"{method} {'/'.join(rest[:2] if rest[0] == 'git' else rest[::2] if len(rest) > 2 else rest[:1])}"


@contextmanager
def _github(folder: Path) -> Iterator[FakeGitHub]:
    """A repository whose newest commit brought the mistake."""
    bare, work = folder / "acme" / "dags.git", folder / "work"
    work.mkdir()
    git("init", "-q", "-b", "main", cwd=work)
    (work / "CODEOWNERS").write_text(CODEOWNERS)
    for source, day in ((SOURCE.replace("amont", "amount"), 20), (SOURCE, 22)):
        (work / "shop.py").write_text(source)
        git("add", "-A", cwd=work)
        at = f"2026-11-{day}T08:00:00Z"
        command = ["git", *IDENTITY, "commit", "-q", "-m", f"Sum of day {day}", "--date", at]
        subprocess.run(command, cwd=work, env={**os.environ, "GIT_COMMITTER_DATE": at}, check=True)
    git("clone", "-q", "--bare", str(work), str(bare), cwd=folder)
    with FakeGitHub(bare) as fake:
        fake.people.collaborators["anna"] = "write"
        yield fake


class _Bench(SmallBench):
    """A worker's bench whose environment has a GitHub token."""

    def __init__(self, github: FakeGitHub, airflow: FakeAirflow, client: MemorySessionClient) -> None:
        settings = settings_for(github.repo_url, github_api_url=github.api_url)
        super().__init__(airflow, settings, client)
        self._environ = {"GITHUB_TOKEN": github.token}

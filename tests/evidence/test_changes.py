"""What changed since the last green run, and the code around the frames, from a real git repository."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.core.incident import DagFacts, Frame, Repository, RunFacts
from airflow_agentfix.evidence.changes import FILES, Codebase, changes, codebase, excerpts, says_what_is_installed
from tests.code.repos import git

DAG = DagFacts("shop", "shop.py", fileloc="/opt/bundles/shop/versions/f00/dags/shop.py", bundle_name="shop")
HELPER = "dags/lib/money.py"
FRAMES = (
    Frame("/opt/bundles/shop/versions/f00/dags/shop.py", 2, "run", True),
    Frame("/opt/bundles/shop/versions/f00/dags/lib/money.py", 7, "euros", True),
    Frame("/usr/lib/python3.12/site-packages/x.py", 9, "inner", False),
)

Commit = Callable[..., str]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    git("init", "-q", "-b", "main", cwd=folder)
    return folder


@pytest.fixture
def commit(work: Path) -> Commit:
    """Commit files (path to text) at a date; gives the commit."""

    def commit(subject: str, date: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git("add", "-A", cwd=work)
        git("-c", f"user.name={subject.split()[0]}", "commit", "-q", "--date", date, "-m", subject, cwd=work)
        return git("rev-parse", "HEAD", cwd=work)

    return commit


@pytest.fixture
def history(commit: Commit, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-20T08:00:00Z")
    numbered = "".join(f"line{number} = {number}\n" for number in range(1, 15))
    first = commit(
        "First", "2026-11-20T08:00:00Z", {"dags/shop.py": "from airflow import x\n", HELPER: numbered, "README.md": "a"}
    )
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-21T08:00:00Z")
    other = commit("Docs", "2026-11-21T08:00:00Z", {"README.md": "b", "requirements.txt": "pandas\n"})
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-22T08:00:00Z")
    broken = commit("Rename", "2026-11-22T08:00:00Z", {HELPER: numbered.replace("line7", "seven")})
    monkeypatch.setenv("GIT_COMMITTER_DATE", "2026-11-23T08:00:00Z")
    return [first, other, broken, commit("Later", "2026-11-23T08:00:00Z", {"README.md": "c"})]


def run(version: str | None = None, *, started: str = "2026-11-22T12:00:00Z", name: str = "r") -> RunFacts:
    return RunFacts("shop", name, "failed", start_date=started, bundle_version=version)


def code_at(work: Path, failed: RunFacts) -> Codebase:
    repository = Repository(str(work), "main", "dags")
    return codebase(lambda _: (repository, GitHost(repository)), DAG, failed)


def test_commits_that_touch_the_tracebacks_files_come_first_and_dependencies_are_named(work: Path, history: list[str]) -> None:
    found = changes(code_at(work, run(history[3])), green=run(history[0], name="green"), frames=FRAMES)
    assert [(one.subject, one.touches) for one in found.commits] == [
        ("Rename", "traceback"),
        ("Docs", "dependencies"),
        ("Later", "other"),
    ]
    assert found.files == (HELPER, "requirements.txt", "README.md")
    assert (found.since_run, found.by, found.undone, found.dependencies) == (
        "green",
        "bundle_version",
        False,
        ("requirements.txt",),
    )


def test_a_run_on_older_code_lacks_what_the_green_one_had(work: Path, history: list[str]) -> None:
    found = changes(code_at(work, run(history[1])), green=run(history[2]), frames=FRAMES)
    assert (found.undone, [one.subject for one in found.commits]) == (True, ["Rename"])


def test_runs_without_a_version_are_compared_by_what_the_base_branch_was_when_they_started(
    work: Path, history: list[str]
) -> None:
    code = code_at(work, run(started="2026-11-22T12:00:00Z"))
    assert (code.commit, code.exact) == (history[2], False)
    found = changes(code, green=run(started="2026-11-20T12:00:00Z"), frames=FRAMES)
    assert (found.by, found.base, found.head) == ("time", history[0], history[2])


def test_the_same_code_has_no_commits(work: Path, history: list[str]) -> None:
    found = changes(code_at(work, run(history[2])), green=run(history[2]), frames=FRAMES)
    assert (found.base == found.head, found.commits, found.files) == (True, (), ())


def test_the_source_around_the_frames_is_what_ran_the_innermost_first(work: Path, history: list[str]) -> None:
    inner, outer = excerpts(code_at(work, run(history[2])), FRAMES)
    assert (inner.path, inner.commit, inner.exact, inner.first) == (HELPER, history[2], True, 1)
    assert "seven = 7" in inner.lines
    assert outer.path == "dags/shop.py"


def test_of_many_files_those_that_matter_are_kept(work: Path, history: list[str], commit: Commit) -> None:
    many = commit("Vendor", "2026-11-24T08:00:00Z", {f"a/{number}.txt": "x" for number in range(FILES + 20)})
    found = changes(code_at(work, run(many)), green=run(history[0]), frames=FRAMES)
    assert (len(found.files), found.files[:2]) == (FILES, (HELPER, "requirements.txt"))


def test_a_line_of_megabytes_is_cut_with_a_mark(work: Path, commit: Commit) -> None:
    long = commit("Data", "2026-11-24T08:00:00Z", {HELPER: "\n" * 6 + "DATA = '" + "x" * 1_000_000 + "'\n"})
    (excerpt,) = excerpts(code_at(work, run(long)), FRAMES)
    assert excerpt.lines[-1].endswith(" more characters")
    assert len(excerpt.lines[-1]) < 600


@pytest.mark.parametrize("path", ["requirements.txt", "infra/requirements/prod.txt", "Dockerfile", "uv.lock", "pyproject.toml"])
def test_files_that_say_what_is_installed_are_known(path: str) -> None:
    assert says_what_is_installed(path)


@pytest.mark.parametrize("path", ["dags/requirements.py", "README.md", "docs/docker.md"])
def test_other_files_do_not_say_what_is_installed(path: str) -> None:
    assert not says_what_is_installed(path)

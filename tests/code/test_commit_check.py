"""What was approved is what runs: a fix's commit is compared with its recorded changes, on a real repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_agentfix.code.commit_check import RepositoryCommits
from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.ports import CodeHost, OpenedFix
from tests.code.conftest import github_host
from tests.code.repos import git, make_origin, merge, push
from tests.code.test_github_host import fix
from tests.fakes.github import FakeGitHub

DAG = DagFacts("orders", "dags/shop.py")
BEFORE, AFTER = "x = 1\r\ny = 2\r\n", "x = 1\r\ny = 3\r\n"
FIX = [Patch(path="dags/shop.py", before=BEFORE, after=AFTER)]
BRANCH = "fix/shop"


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    return make_origin(tmp_path)


def commits(url: Path | str, opened: list[CodeHost] | None = None) -> RepositoryCommits:
    def open_host(repository: Repository) -> CodeHost:
        host = GitHost(repository, lean=True)
        if opened is not None:
            opened.append(host)
        return host

    return RepositoryCommits(repository_of=lambda _: Repository(str(url), "main"), open_host=open_host)


def against(url: Path | str, commit: str, patches: list[Patch]) -> Finding | None:
    return commits(url).objection(DAG, commit, patches, failed_on=None)


def refused(found: Finding | None) -> str:
    assert found is not None
    assert (found.rule, found.severity) == ("commit-differs", Severity.REFUSE)
    return found.reason


def test_a_commit_that_holds_the_recorded_changes_byte_for_byte_has_nothing_against_it(origin: Path, tmp_path: Path) -> None:
    opened: list[CodeHost] = []
    check = commits(origin, opened)
    commit = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    assert [check.objection(DAG, commit, FIX, failed_on=None) for _ in range(3)] == [None] * 3
    assert len(opened) == 1


def test_other_text_than_recorded_is_refused(origin: Path, tmp_path: Path) -> None:
    commit = push(tmp_path, "dags/shop.py", AFTER + "import os; os.system('id')\n", branch=BRANCH)
    assert "holds other text than the recorded changes in dags/shop.py" in refused(against(origin, commit, FIX))


def test_a_file_beside_the_recorded_ones_is_refused(origin: Path, tmp_path: Path) -> None:
    (tmp_path / "work" / "dags" / "evil.py").write_text("import os\n")
    commit = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    assert "not among the recorded changes: dags/evil.py" in refused(against(origin, commit, FIX))


def test_a_commit_below_the_fix_that_nobody_reviewed_is_refused(origin: Path, tmp_path: Path) -> None:
    push(tmp_path, "dags/evil.py", "import os\n", branch=BRANCH)
    commit = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    assert "brings 2 commits to main; expected itself alone" in refused(against(origin, commit, FIX))


def test_a_link_in_the_place_of_the_file_is_refused(origin: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "dags" / "shop.py").unlink()
    (work / "dags" / "shop.py").symlink_to("../run.sh")
    commit = push(tmp_path, "note.txt", "n", branch=BRANCH)
    patches = [*FIX, Patch(path="note.txt", before=None, after="n")]
    assert "other text than the recorded changes in dags/shop.py" in refused(against(origin, commit, patches))


def test_a_base_branch_that_moved_on_changes_nothing_and_a_merged_fix_is_its_reviewers(origin: Path, tmp_path: Path) -> None:
    commit = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    push(tmp_path, "other.py", "z = 1\n")
    assert against(origin, commit, FIX) is None
    merge(tmp_path, BRANCH)
    assert against(origin, commit, FIX) is None


def test_a_commit_that_the_base_branch_has_but_that_does_not_hold_the_changes_is_refused(origin: Path, tmp_path: Path) -> None:
    old = push(tmp_path, "other.py", "z = 1\n")
    push(tmp_path, "other.py", "z = 2\n")
    assert "holds other text than the recorded changes" in refused(against(origin, old, FIX))


def test_a_fix_on_top_of_code_older_than_what_failed_is_a_persons_to_look_at(origin: Path, tmp_path: Path) -> None:
    before = git("rev-parse", "main", cwd=origin)
    failed_on = push(tmp_path, "dags/guard.py", "assert True\n")
    git("fetch", "-q", "origin", cwd=tmp_path / "work")
    on_top = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    assert commits(origin).objection(DAG, on_top, FIX, failed_on=failed_on) is None
    git("push", "-q", "origin", f"{before}:refs/heads/fix/old", cwd=tmp_path / "work")
    below = push(tmp_path, "dags/shop.py", AFTER, branch="fix/old")
    found = commits(origin).objection(DAG, below, FIX, failed_on=failed_on)
    assert found is not None
    assert (found.rule, found.severity) == ("older-code", Severity.PERSON)
    assert "lacks 1 commits that the failed run had" in found.reason


def test_what_could_not_be_compared_is_a_persons_to_look_at(origin: Path, tmp_path: Path) -> None:
    for url, commit in (("/nowhere/dags.git", "c" * 40), (str(origin), "c" * 40), (str(origin), "not-a-commit")):
        found = against(url, commit, FIX)
        assert found is not None
        assert (found.rule, found.severity) == ("commit-not-compared", Severity.PERSON)
        assert "look at the commit itself" in found.reason


def test_a_branch_stands_for_the_commit_at_its_end_alone(origin: Path, tmp_path: Path) -> None:
    commit = push(tmp_path, "dags/shop.py", AFTER, branch=BRANCH)
    assert commits(origin).moved(DAG, BRANCH, commit) is None
    newer = push(tmp_path, "dags/shop.py", AFTER + "z = 4\n", branch=BRANCH)
    assert commits(origin).moved(DAG, BRANCH, commit) == f"branch {BRANCH!r} ends at {newer}, not at commit {commit}."
    assert "it is gone" in str(commits(origin).moved(DAG, "fix/other", commit))
    assert "could not be looked up" in str(commits(tmp_path / "nowhere").moved(DAG, BRANCH, commit))


# --- is it merged


def unmerged(
    url: Path | str, done: OpenedFix, *, served: str | None = None, patches: list[Patch] = FIX
) -> tuple[str, str] | None:
    found = commits(url).unmerged(DAG, done, patches, served=served)
    return (found.rule, found.reason) if found else None


def pushed(folder: Path, *, pull_request: str | None = None) -> OpenedFix:
    return OpenedFix(BRANCH, push(folder, "dags/shop.py", AFTER, branch=BRANCH), pull_request)


def test_a_fix_that_nobody_merged_is_not_merged_whether_or_not_its_branch_is_there(origin: Path, tmp_path: Path) -> None:
    done = pushed(tmp_path)
    push(tmp_path, "dags/other.py", "other = 1\n")
    rule, reason = unmerged(origin, done) or ("", "")
    assert rule == "not-merged"
    assert reason.startswith(
        "The fix is not merged: 'main' has the changed files as they were, and branch 'fix/shop' is still to"
    )
    git("update-ref", "-d", f"refs/heads/{BRANCH}", cwd=origin)
    assert "it was closed, or its branch is gone. Merge it" in (unmerged(origin, done) or ("", ""))[1]


def test_a_merged_fix_counts_once_airflow_serves_a_version_with_it(origin: Path, tmp_path: Path) -> None:
    before = git("rev-parse", "main", cwd=origin)
    done = pushed(tmp_path)
    merged = merge(tmp_path, BRANCH)
    assert unmerged(origin, done, served=merged) is None
    assert unmerged(origin, done, served=None) is None  # the bundle has no versions
    assert unmerged(origin, done, served=before) == (
        "not-merged",
        f"The fix is merged, and Airflow serves the DAG on {before[:12]}, without it yet. Recover once it has.",
    )
    assert (unmerged(origin, done, served="e" * 40) or ("", ""))[0] == "merge-not-known"


def test_a_squash_is_known_by_its_content_and_where_more_was_changed_a_person_has_to_say(origin: Path, tmp_path: Path) -> None:
    done = pushed(tmp_path)
    merge(tmp_path, BRANCH, how="--squash")
    assert unmerged(origin, done) is None
    push(tmp_path, "dags/shop.py", AFTER + "z = 4\r\n")
    assert (unmerged(origin, done) or ("", ""))[0] == "merge-not-known"
    request = OpenedFix(done.branch, done.commit, "https://git.example/acme/dags/pull/7")
    assert (unmerged(origin, request) or ("", ""))[1].startswith(
        "The fix is not merged yet: https://git.example/acme/dags/pull/7 is"
    )


def test_what_is_not_on_record_or_cannot_be_looked_up_is_a_persons_word(origin: Path, tmp_path: Path) -> None:
    done = pushed(tmp_path)
    assert (unmerged(origin, done, patches=[]) or ("", ""))[0] == "merge-not-known"
    rule, reason = unmerged(tmp_path / "nowhere", done) or ("", "")
    assert (rule, "so that it is counts as your word" in reason) == ("merge-not-looked-up", True)


def test_on_github_the_pull_request_tells_a_squash_from_one_that_is_open(github: FakeGitHub, folder: Path) -> None:
    host = github_host(github)
    check = RepositoryCommits(repository_of=lambda _: Repository(github.repo_url, "main"), open_host=lambda _: host)
    before = host.read(host.head("main") or "", "dags/shop.py") or b""
    patches = [Patch(path="dags/shop.py", before=before.decode(), after="x = 2\n")]
    opened = host.open_fix(fix(github))
    found = check.unmerged(DAG, opened, patches, served=None)
    assert found
    assert (found.severity, str(opened.pull_request) in found.reason) == (Severity.REFUSE, True)
    squashed = merge(folder, opened.branch, how="--squash")
    github.pulls[0].update(state="closed", merged=True, merge_commit_sha=squashed)
    push(folder, "dags/shop.py", "x = 3\n")  # others went on from it since
    assert check.unmerged(DAG, opened, patches, served=squashed) is None

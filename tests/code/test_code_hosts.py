"""The contract of `ports.CodeHost`, on every host alike."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from airflow_agentfix.errors import BaseMoved, BranchExists, CodeHostRefused, CommitNotFound, EditRefused, NothingToCommit
from airflow_agentfix.ports import Fate, FileChange, FixRequest
from tests.code.conftest import Place
from tests.code.repos import merge, push

FIX = FileChange("dags/shop.py", b"x = 2\r\ny = 2\r\n")


def fix(place: Place, *changes: FileChange, session: str = "s1", branch: str = "fix/shop-1") -> FixRequest:
    return FixRequest(
        session_id=session,
        branch=branch,
        base_branch="main",
        base_commit=place.base,
        message=f"Correct x\n\nBecause it was wrong: ü.\n\nAgentfix-Session: {session}\nAgentfix-Dag: shop\n",
        changes=changes or (FIX,),
        title="Correct x",
        body="Because.",
    )


def export(place: Place, commit: str, into: Path) -> Path:
    into.mkdir()
    place.host().export(commit, into)
    return into


def test_head_is_the_branchs_commit_and_none_for_an_unknown_branch(place: Place) -> None:
    assert place.host().head("main") == place.base
    assert place.host().head("mai") is None
    assert place.host().head("heads/main") is None


def test_an_export_has_the_commits_very_bytes(place: Place, tmp_path: Path) -> None:
    tree = export(place, place.base, tmp_path / "tree")
    assert (tree / "dags/shop.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
    assert (tree / "dags/nö end.py").read_bytes() == "# ü\nz = 3".encode()
    assert (tree / "logo.bin").read_bytes() == bytes(range(256))
    assert (tree / "hidden.py").read_text() == "hidden = True\n"
    assert (tree / "version.py").read_text() == "commit = '$Format:%H$'\n"
    assert (tree / "run.bat").read_bytes() == b"echo 1\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert not os.access(tree / "dags/shop.py", os.X_OK)
    assert not (tree / ".git").exists()


def test_an_export_keeps_links_inside_and_leaves_out_those_that_lead_out(place: Place, tmp_path: Path) -> None:
    tree = export(place, place.base, tmp_path / "tree")
    assert os.readlink(tree / "link") == "run.sh"
    assert not os.path.lexists(tree / "escape")
    assert not os.path.lexists(tree / "up")


def test_an_older_commit_can_be_exported_and_an_unknown_one_is_named(place: Place, tmp_path: Path) -> None:
    old = place.base
    push(place.folder, "dags/shop.py", "new = 1\n")
    assert (export(place, old, tmp_path / "old") / "dags/shop.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
    for unknown in ("a" * 40, "main", "--output=/tmp/x"):
        with pytest.raises(CommitNotFound):
            place.host().export(unknown, tmp_path)


def test_a_comparison_names_commits_newest_first_and_files(place: Place) -> None:
    old = place.base
    first = push(place.folder, "dags/a.py", "a\n", message="Add a\n\nlong")
    second = push(place.folder, "dags/shop.py", "s\n", message="Change shop")
    found = place.host().compare(old, second)
    assert [commit["sha"] for commit in found.commits] == [second, first]
    assert [commit["subject"] for commit in found.commits] == ["Change shop", "Add a"]
    assert {commit["author"] for commit in found.commits} == {"Dana"}
    assert all(commit["date"].startswith("20") for commit in found.commits)
    assert found.files == ("dags/a.py", "dags/shop.py")
    assert place.host().compare(old, old).commits == ()


def test_a_comparison_with_an_unknown_commit_says_so(place: Place) -> None:
    with pytest.raises(CommitNotFound):
        place.host().compare(place.base, "b" * 40)


def test_a_fix_is_one_commit_on_a_new_branch_and_nothing_else_moves(place: Place) -> None:
    base = place.base
    opened = place.host().open_fix(fix(place, FIX, FileChange("dags/new/a.py", b"new"), FileChange("hidden.py", None)))
    assert place.branches() == ["fix/shop-1", "main"]
    assert place.git("rev-parse", "fix/shop-1") == opened.commit
    assert place.git("rev-list", f"{base}..fix/shop-1").split() == [opened.commit]
    assert place.base == base
    status = place.git("diff", "--name-status", base, opened.commit).splitlines()
    assert status == ["A\tdags/new/a.py", "M\tdags/shop.py", "D\thidden.py"]
    assert not opened.reused


def test_the_commit_message_arrives_whole(place: Place) -> None:
    request = fix(place)
    opened = place.host().open_fix(request)
    assert place.git("log", "-1", "--format=%B", opened.commit).strip() == request.message.strip()


def test_no_byte_is_lost_whatever_the_files_encoding(place: Place) -> None:
    contents = {"dags/latin.py": "# ü\r\nx = 1".encode("latin-1"), "logo.bin": bytes(reversed(range(256))), "empty.py": b""}
    opened = place.host().open_fix(fix(place, *(FileChange(path, content) for path, content in contents.items())))
    assert {path: place.host().read(opened.commit, path) for path in contents} == contents


def test_a_renamed_file_keeps_its_mode_and_content(place: Place) -> None:
    moved = (FileChange("run.sh", None), FileChange("bin/run.sh", b"#!/bin/sh\n", mode="100755"))
    opened = place.host().open_fix(fix(place, *moved))
    assert place.git("diff", "--name-status", "-M", place.base, opened.commit) == "R100\trun.sh\tbin/run.sh"


def test_modes_are_kept_and_a_changed_crlf_file_stays_crlf(place: Place, tmp_path: Path) -> None:
    opened = place.host().open_fix(
        fix(place, FIX, FileChange("run.sh", b"#!/bin/bash\n"), FileChange("b.sh", b"x", mode="100755"))
    )
    tree = export(place, opened.commit, tmp_path / "tree")
    assert (tree / "dags/shop.py").read_bytes() == b"x = 2\r\ny = 2\r\n"
    assert os.access(tree / "run.sh", os.X_OK)
    assert os.access(tree / "b.sh", os.X_OK)


def test_a_second_call_finds_the_branch_of_the_first(place: Place) -> None:
    first = place.host().open_fix(fix(place))
    second = place.host().open_fix(fix(place))
    assert second == replace(first, reused=True)
    assert len(place.branches()) == 2


def test_the_branch_is_found_again_after_the_base_moved(place: Place) -> None:
    request = fix(place)
    first = place.host().open_fix(request)
    push(place.folder, "dags/shop.py", "other = 1\n")
    assert place.host().open_fix(request).commit == first.commit


@pytest.mark.parametrize("session", ["s2", "s1"])
def test_a_branch_of_another_session_or_with_another_fix_is_left_alone(place: Place, session: str) -> None:
    first = place.host().open_fix(fix(place))
    with pytest.raises(BranchExists, match="fix/shop-1"):
        place.host().open_fix(fix(place, FileChange("dags/shop.py", b"other"), session=session))
    assert place.git("rev-parse", "fix/shop-1") == first.commit


def test_the_same_fix_of_an_earlier_session_for_the_same_cause_is_used_again(place: Place) -> None:
    cause = "\nAgentfix-Fingerprint: fp1:00ff"
    first = place.host().open_fix(with_trailer(fix(place), cause))
    later = place.host().open_fix(with_trailer(fix(place, session="s2"), cause))
    assert later == replace(first, reused=True, made_by="s1")
    assert place.host().open_fix(with_trailer(fix(place, session="s2"), cause)) == later
    assert place.host().open_fix(with_trailer(fix(place), cause)).made_by is None


def test_a_fix_without_the_signature_that_previews_need_is_not_used_again_by_a_session_that_signs(place: Place) -> None:
    cause = "\nAgentfix-Fingerprint: fp1:00ff"
    signing = replace(with_trailer(fix(place, session="s2"), cause), sign=lambda _: "s" * 64)
    place.host().open_fix(with_trailer(fix(place), cause))
    with pytest.raises(BranchExists, match="without the deployment's signature"):
        place.host().open_fix(signing)
    signed = place.host().open_fix(replace(signing, branch="fix/shop-1-s2"))
    third = replace(with_trailer(fix(place, session="s3", branch="fix/shop-1-s2"), cause), sign=lambda _: "t" * 64)
    assert place.host().open_fix(third).commit == signed.commit


def test_the_same_fix_for_another_cause_or_on_another_base_is_not_used_again(place: Place) -> None:
    cause = "\nAgentfix-Fingerprint: fp1:00ff"
    place.host().open_fix(with_trailer(fix(place), cause))
    with pytest.raises(BranchExists):
        place.host().open_fix(with_trailer(fix(place, session="s2"), cause.replace("ff", "11")))
    moved = push(place.folder, "other.py", "other = 1\n")
    with pytest.raises(BranchExists):
        place.host().open_fix(replace(with_trailer(fix(place, session="s2"), cause), base_commit=moved))


def with_trailer(request: FixRequest, trailer: str) -> FixRequest:
    return replace(request, message=request.message.rstrip("\n") + trailer)


def test_a_persons_branch_of_that_name_is_left_alone(place: Place) -> None:
    theirs = push(place.folder, "a.py", "a\n", branch="fix/shop-1")
    with pytest.raises(BranchExists, match="someone else"):
        place.host().open_fix(fix(place))
    assert place.git("rev-parse", "fix/shop-1") == theirs


def test_a_fix_that_changes_nothing_is_refused(place: Place) -> None:
    for changes in ((FileChange("dags/shop.py", b"x = 1\r\ny = 2\r\n"),), (FileChange("gone.py", None),)):
        with pytest.raises(NothingToCommit):
            place.host().open_fix(fix(place, *changes))
    with pytest.raises(NothingToCommit):
        place.host().open_fix(replace(fix(place), changes=()))
    assert place.branches() == ["main"]


def test_a_base_that_moved_elsewhere_does_not_matter_and_in_the_same_file_it_does(place: Place) -> None:
    request = fix(place)
    push(place.folder, "dags/other.py", "o = 1\n")
    place.host().open_fix(request)
    late = replace(request, branch="fix/shop-2")
    push(place.folder, "dags/shop.py", "other = 1\n")
    with pytest.raises(BaseMoved, match=r"dags/shop\.py"):
        place.host().open_fix(late)
    assert "fix/shop-2" not in place.branches()


def test_a_fix_on_an_older_base_merges_with_what_came_meanwhile(place: Place) -> None:
    request = fix(place, FIX, FileChange("dags/new.py", b"new"), FileChange("hidden.py", None))
    push(place.folder, "dags/other.py", "o = 1\n")
    opened = place.host().open_fix(request)
    merged = merge(place.folder, opened.branch)
    assert place.git("show", f"{merged}:dags/other.py") == "o = 1"
    assert place.host().read(merged, "dags/shop.py") == b"x = 2\r\ny = 2\r\n"
    assert "hidden.py" not in place.git("ls-tree", "--name-only", merged).split()


def test_a_stop_because_the_base_moved_says_what_to_do_and_leaves_nothing(place: Place) -> None:
    request = fix(place)
    push(place.folder, "dags/shop.py", "other = 1\n")
    with pytest.raises(BaseMoved, match=r"nothing was pushed.*a new session for the failed task starts from the new head"):
        place.host().open_fix(request)
    assert place.branches() == ["main"]


@pytest.mark.parametrize(("mine", "theirs"), [("dags/new", "dags/new/a.py"), ("dags/new/a.py", "dags/new")])
def test_a_folder_where_the_fix_has_a_file_counts_as_moved(place: Place, mine: str, theirs: str) -> None:
    request = fix(place, FileChange(mine, b"mine"))
    push(place.folder, theirs, "theirs\n")
    with pytest.raises(BaseMoved, match=theirs):
        place.host().open_fix(request)


def test_a_file_that_the_fix_deletes_and_the_base_changed_counts_as_moved(place: Place) -> None:
    request = fix(place, FileChange("hidden.py", None))
    push(place.folder, "hidden.py", "hidden = 2\n")
    with pytest.raises(BaseMoved):
        place.host().open_fix(request)


def test_a_new_file_that_the_base_got_meanwhile_counts_as_moved(place: Place) -> None:
    request = fix(place, FileChange("dags/new.py", b"mine"))
    push(place.folder, "dags/new.py", "theirs\n")
    with pytest.raises(BaseMoved):
        place.host().open_fix(request)


def test_what_no_host_may_do_is_refused_before_it_is_asked(place: Place) -> None:
    request = fix(place)
    with pytest.raises(BranchExists, match="base branch"):
        place.host().open_fix(replace(request, branch="main"))
    for name in ("fix/..", "-d", "fix/a b", "fix/a.lock", "fix//a", "", "fix/@{1}"):
        with pytest.raises(CodeHostRefused, match="branch name"):
            place.host().open_fix(replace(request, branch=name))
    with pytest.raises(CodeHostRefused, match="trailer"):
        place.host().open_fix(replace(request, message="No trailer"))
    with pytest.raises(EditRefused):
        place.host().open_fix(fix(place, FileChange("../x", b"x")))
    assert place.branches() == ["main"]


@pytest.mark.parametrize("path", ["escape", "escape/x", "up/x/y", "link"])
def test_a_link_of_the_base_is_never_made_something_else(place: Place, path: str) -> None:
    with pytest.raises(EditRefused, match="is a symbolic link in the repository"):
        place.host().open_fix(fix(place, FileChange(path, b"/root/.ssh")))
    assert place.branches() == ["main"]


def test_an_unknown_base_is_named(place: Place) -> None:
    with pytest.raises(CommitNotFound):
        place.host().open_fix(replace(fix(place), base_commit="c" * 40))
    push(place.folder, "z.py", "z\n")
    with pytest.raises(CommitNotFound, match="develop"):
        place.host().open_fix(replace(fix(place), base_branch="develop"))


def test_our_branch_can_be_deleted_twice_and_a_persons_never(place: Place) -> None:
    place.host().open_fix(fix(place))
    place.host().delete_branch("fix/shop-1")
    place.host().delete_branch("fix/shop-1")
    assert place.branches() == ["main"]
    push(place.folder, "a.py", "a\n", branch="feature")
    for branch in ("feature", "main"):
        with pytest.raises(BranchExists):
            place.host().delete_branch(branch)
    assert place.branches() == ["feature", "main"]


def test_our_branch_on_which_a_person_went_on_is_not_deleted(place: Place) -> None:
    place.host().open_fix(fix(place))
    push(place.folder, "a.py", "a\n", branch="fix/shop-1")
    with pytest.raises(BranchExists):
        place.host().delete_branch("fix/shop-1")


def approvals(place: Place) -> list[str]:
    return place.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/agentfix").splitlines()


def test_an_approval_is_a_ref_that_is_left_once(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    for signature in ("a" * 64, "a" * 64, "b" * 64):
        place.host().approve(opened.commit, signature)
    assert approvals(place) == [f"{opened.commit} refs/agentfix/approved/{opened.commit}/{letter * 64}" for letter in "ab"]


def test_a_branchs_approvals_go_with_it_and_anothers_stay(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    other = place.host().open_fix(fix(place, FileChange("b.py", b"b"), session="s2", branch="fix/shop-2"))
    for commit in (opened.commit, other.commit):
        place.host().approve(commit, "a" * 64)
    place.host().delete_branch("fix/shop-1")
    assert approvals(place) == [f"{other.commit} refs/agentfix/approved/{other.commit}/{'a' * 64}"]
    assert place.branches() == ["fix/shop-2", "main"]


def test_without_a_pull_request_updating_it_does_nothing(place: Place) -> None:
    opened = replace(place.host().open_fix(fix(place)), pull_request=None)
    place.host().update_request(opened, body="x", ready=True)
    place.host().comment(opened, "x")
    assert place.host().comments(opened) == []


def test_a_fix_is_open_while_its_branch_has_it(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    assert place.host().fate(opened) == Fate("open")
    push(place.folder, "a.py", "a\n", branch="fix/shop-1")  # a person goes on from it
    push(place.folder, "b.py", "b\n")
    assert place.host().fate(opened) == Fate("open")


@pytest.mark.parametrize("how", ["--no-ff", "--ff-only"])
def test_a_fix_is_merged_once_the_base_branch_has_its_commit_whether_or_not_the_branch_is_still_there(
    place: Place, how: str
) -> None:
    opened = place.host().open_fix(fix(place))
    merge(place.folder, "fix/shop-1", how=how)
    push(place.folder, "b.py", "b\n")
    assert place.host().fate(opened) == Fate("merged", opened.commit)
    place.git("update-ref", "-d", "refs/heads/fix/shop-1")
    assert place.host().fate(opened) == Fate("merged", opened.commit)


def test_a_fix_is_gone_with_its_branch(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    place.git("update-ref", "-d", "refs/heads/fix/shop-1")
    assert place.host().fate(opened) == Fate("gone")
    place.git("reflog", "expire", "--expire=now", "--all")
    place.git("prune", "--expire=now")
    assert place.host().fate(opened) == Fate("gone")


def test_a_fix_is_gone_when_its_branch_was_moved_off_the_commit(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    other = push(place.folder, "a.py", "a\n", branch="other")
    place.git("update-ref", "refs/heads/fix/shop-1", other)
    assert place.host().fate(opened) == Fate("gone")


def test_without_a_base_branch_nobody_can_tell(place: Place) -> None:
    opened = place.host().open_fix(fix(place))
    place.git("update-ref", "-d", "refs/heads/main")
    with pytest.raises(CommitNotFound, match="main"):
        place.host().fate(opened)

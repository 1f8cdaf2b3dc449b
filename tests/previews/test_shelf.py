"""Which branches are served, what a refresh costs, and what is left when they go: over real git repositories."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_agentfix.core.previews import preview_id
from airflow_agentfix.errors import CodeError, ConfigurationError
from airflow_agentfix.previews import trees
from airflow_agentfix.previews.shelf import KEPT_SECONDS
from tests.code.repos import git
from tests.fakes.git_http import GitHttpServer
from tests.previews.world import KEY, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path)


def test_an_approved_fix_gets_a_tree_and_a_loader_of_its_own(world: World) -> None:
    one, two = world.rate("fix/one", "1"), world.rate("fix/two", "2")
    world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py", "fix-two.py"]
    assert world.trees() == sorted([one, two])
    assert (world.folder / "trees" / one / "dags/shop/money.py").read_text() == "RATE = '1'\n"
    assert "preview_id='shop.fix-one'" in world.served()["fix-one.py"]
    assert f"tag='agentfix:{one}'" in world.served()["fix-one.py"]


def test_a_loader_is_a_dag_file_for_airflow(world: World) -> None:
    world.rate("fix/one", "1")
    world.shelf().refresh()
    text = world.served()["fix-one.py"].lower()
    assert "dag" in text
    assert "airflow" in text


def test_without_approval_nothing_is_checked_out(world: World) -> None:
    commit = world.fix("fix/one", {"dags/shop/money.py": "RATE = 1\n"}, approved=False)
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])
    assert not (world.folder / "repository.git" / "objects").exists()
    world.approve(commit)
    world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py"]


def test_an_approval_by_another_key_is_none(world: World) -> None:
    commit = world.fix("fix/one", {"dags/shop/money.py": "RATE = 1\n"}, approved=False)
    world.approve(commit, key=b"theirs")
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])


def test_an_approved_commit_that_another_key_signed_is_not_checked_out(world: World) -> None:
    world.fix("fix/one", {"dags/shop/money.py": "RATE = 1\n"}, key=b"theirs")
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])


def test_an_approved_commit_without_signature_is_not_checked_out(world: World) -> None:
    world.commit("Fix\n\nAgentfix-Session: s\nAgentfix-Dag: shop\nAgentfix-File: dags/shop_dag.py\n", branch="fix/one")
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])


def test_a_signature_of_another_tree_does_not_count(world: World) -> None:
    first = world.rate("fix/one", "1")
    message = git("log", "-1", "--format=%B", first, cwd=world.origin)
    world.commit(message, branch="fix/two")
    world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py"]


def test_a_branch_that_moved_past_its_approved_commit_is_gone(world: World) -> None:
    world.rate("fix/one", "1")
    world.shelf().refresh()
    git("update-ref", "refs/heads/fix/one", world.base, cwd=world.origin)
    world.shelf().refresh()
    assert world.served() == {}


@pytest.mark.parametrize("how", ["delete", "withdraw"])
def test_without_its_branch_or_its_approval_a_preview_is_gone(world: World, how: str) -> None:
    commit, other = world.rate("fix/one", "1"), world.rate("fix/two", "2")
    world.shelf().refresh()
    world.delete("fix/one") if how == "delete" else world.withdraw(commit)
    world.shelf().refresh()
    assert list(world.served()) == ["fix-two.py"]
    assert other in world.trees()


def test_branches_other_than_fix_are_no_previews(world: World) -> None:
    commit = world.rate("fix/one", "1")
    for branch in ("main2", "feature/refs/heads/fix/x"):
        git("update-ref", f"refs/heads/{branch}", commit, cwd=world.origin)
    git("update-ref", "refs/foo/refs/heads/fix/x", commit, cwd=world.origin)
    world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py"]


def test_rotated_keys_are_all_known(world: World) -> None:
    world.rate("fix/one", "1")
    world.shelf(keys=(b"new", KEY)).refresh()
    assert list(world.served()) == ["fix-one.py"]
    world.shelf(keys=(b"new",)).refresh()
    assert world.served() == {}


def test_without_any_key_nothing_is_served_and_it_is_said(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.rate("fix/one", "1")
    world.shelf(keys=()).refresh()
    assert world.served() == {}
    assert "set [agentfix] signing_key" in caplog.text


def test_why_a_branch_is_not_served_is_said_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.fix("fix/one", {"dags/shop/money.py": "RATE = 1\n"}, approved=False)
    world.fix("fix/two", {"dags/shop/money.py": "RATE = 2\n"}, key=b"theirs")
    for _ in range(3):
        world.shelf().refresh()
    lines = [record.getMessage() for record in caplog.records if "not served" in record.getMessage()]
    assert len(lines) == 2
    assert "'fix/two'" in lines[0]
    assert "Agentfix-Sig is no signature of this deployment" in lines[0]
    assert "'fix/one'" in lines[1]
    assert "no approval" in lines[1]


# --- what it costs ---


def test_a_refresh_where_nothing_changed_is_one_ls_remote(world: World, tmp_path: Path) -> None:
    world.rate("fix/one", "1")
    asked: list[str] = []
    with GitHttpServer(tmp_path, answer=lambda path: asked.append(path)) as server:
        shelf = world.shelf(url=server.url("acme/dags.git"))
        shelf.refresh()
        assert any(path.endswith("git-upload-pack") for path in asked)
        loader = world.folder / "dags" / "fix-one.py"
        before = loader.stat().st_mtime_ns
        asked.clear()
        shelf.refresh()
    assert [path.partition("?")[0].rpartition("/")[2] for path in asked] == ["refs", "git-upload-pack"]  # protocol 2's ls-refs
    assert loader.stat().st_mtime_ns == before


def test_a_code_host_that_is_away_leaves_what_is_served(world: World) -> None:
    world.rate("fix/one", "1")
    world.shelf().refresh()
    with pytest.raises(CodeError):
        world.shelf(url=str(world.origin.parent / "away.git")).refresh()
    assert list(world.served()) == ["fix-one.py"]
    assert world.shelf().has("shop.fix-one")


def test_a_changed_option_reaches_the_loaders(world: World) -> None:
    world.rate("fix/one", "1")
    world.shelf().refresh()
    assert "mute_outlets=True" in world.served()["fix-one.py"]
    world.shelf(mute_outlets=False).refresh()
    assert "mute_outlets=False" in world.served()["fix-one.py"]


def test_only_what_a_fix_changed_is_fetched_again(world: World) -> None:
    noise = os.urandom(300_000).hex()
    git("checkout", "-q", "main", cwd=world.work)
    (world.work / "big.txt").write_text(noise)
    git("add", "-A", cwd=world.work)
    git("commit", "-q", "-m", "Big", cwd=world.work)
    git("push", "-q", str(world.origin), "main", cwd=world.work)
    world.rate("fix/one", "1")
    world.shelf().refresh()
    world.rate("fix/two", "2")
    world.shelf().refresh()
    packs = sorted(file.stat().st_size for file in (world.folder / "repository.git/objects/pack").glob("*.pack"))
    assert len(packs) == 2
    assert packs[0] < 2_000 < 300_000 < packs[1]


# --- what is left ---


def test_a_tree_stays_for_a_day_after_its_branch_went(world: World) -> None:
    commit = world.rate("fix/one", "1")
    world.shelf().refresh()
    world.delete("fix/one")
    world.shelf().refresh()
    world.clock[0] += KEPT_SECONDS - 1
    world.shelf().refresh()
    assert world.trees() == [commit]
    world.clock[0] += 2
    world.shelf().refresh()
    assert world.trees() == []
    assert not (world.folder / "repository.git" / "objects").exists()


def test_a_branch_that_comes_back_has_its_tree_back(world: World) -> None:
    commit = world.rate("fix/one", "1")
    world.shelf().refresh()
    world.delete("fix/one")
    world.shelf().refresh()
    git("update-ref", "refs/heads/fix/one", commit, cwd=world.origin)
    world.clock[0] += 2 * KEPT_SECONDS
    world.shelf().refresh()
    world.shelf().refresh()
    assert (world.trees(), list(world.served())) == ([commit], ["fix-one.py"])


def test_a_tree_that_a_process_loads_from_is_not_removed(world: World) -> None:
    commit = world.rate("fix/one", "1")
    world.shelf().refresh()
    world.delete("fix/one")
    code = (
        "import sys; from pathlib import Path; from airflow_agentfix.previews import trees\n"
        "trees.hold(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(world.folder / "trees" / commit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        world.shelf().refresh()
        world.clock[0] += 2 * KEPT_SECONDS
        world.shelf().refresh()
        assert world.trees() == [commit]
    finally:
        child.communicate()
    world.shelf().refresh()
    assert world.trees() == []


def test_a_removal_that_was_cut_short_is_finished(world: World) -> None:
    commit = world.rate("fix/one", "1")
    world.shelf().refresh()
    world.delete("fix/one")
    world.shelf().refresh()
    (world.folder / "trees" / commit).rename(world.folder / "trees" / f".gone-{commit}")
    world.clock[0] += 2 * KEPT_SECONDS
    world.shelf().refresh()
    assert [entry.name for entry in (world.folder / "trees").iterdir()] == [".in-use"]


def test_many_fixes_later_the_repository_has_few_packs(world: World) -> None:
    for number in range(24):
        world.rate(f"fix/n{number}", str(number))
        world.shelf().refresh()
        if number:
            world.delete(f"fix/n{number - 1}")
    world.shelf().refresh()
    assert len(list((world.folder / "repository.git/objects/pack").glob("*.pack"))) <= 21
    assert list(world.served()) == ["fix-n23.py"]


# --- crashes ---


def test_what_a_killed_refresh_left_is_no_hindrance(world: World) -> None:
    world.rate("fix/one", "1")
    half = world.folder / "trees" / ".new"
    half.mkdir(parents=True)
    (half / "old").write_text("half")
    bare = world.folder / "repository.git"
    (bare / "refs/agentfix").mkdir(parents=True)
    for lock in ("shallow.lock", "packed-refs.lock", "refs/agentfix/x.lock", "index.lock", "index"):
        (bare / lock).write_text("")
    (world.folder / "state.json").write_text('{"served": [')
    world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py"]
    (tree,) = world.trees()
    assert not (world.folder / "trees" / tree / "old").exists()


def test_a_commit_that_cannot_be_checked_out_takes_no_other_with_it(world: World, caplog: pytest.LogCaptureFixture) -> None:
    bad, good = world.rate("fix/bad", "1"), world.rate("fix/good", "2")
    shelf = world.shelf()
    (world.folder / "trees").mkdir(parents=True)
    (world.folder / "trees" / bad).write_text("a file where the tree would be")
    shelf.refresh()
    assert list(world.served()) == ["fix-good.py"]
    assert f"commit {bad} cannot be checked out" in caplog.text
    (world.folder / "trees" / bad).unlink()
    shelf.refresh()
    assert world.trees() == sorted([bad, good])


# --- what is here, without asking anyone ---


def test_a_dag_is_here_only_with_its_loader_and_its_tree(world: World) -> None:
    commit = world.rate("fix/one", "1")
    shelf = world.shelf()
    assert not shelf.has("shop.fix-one")
    assert not shelf.has(None)
    shelf.refresh()
    assert shelf.has("shop.fix-one")
    assert shelf.has(None)
    assert not shelf.has("shop.fix-two")
    trees.Trees(world.folder / "trees").path(commit).rename(world.folder / "elsewhere")
    assert not shelf.has("shop.fix-one")


def test_a_refresh_brings_a_lost_tree_back(world: World) -> None:
    commit = world.rate("fix/one", "1")
    world.shelf().refresh()
    (world.folder / "trees" / commit).rename(world.folder / "elsewhere")
    world.shelf().refresh()
    assert world.shelf().has("shop.fix-one")


def test_a_worker_gets_the_branch_of_its_task_and_keeps_what_it_has(world: World) -> None:
    one, two, _ = world.rate("fix/one", "1"), world.rate("fix/two", "2"), world.rate("fix/three", "3")
    world.shelf().refresh("shop.fix-one")
    assert (list(world.served()), world.trees()) == (["fix-one.py"], [one])
    world.shelf().refresh("shop.fix-two")
    assert (list(world.served()), world.trees()) == (["fix-one.py", "fix-two.py"], sorted([one, two]))
    world.shelf().refresh()
    assert len(world.served()) == 3


def test_a_worker_gets_a_branch_whose_dag_id_had_to_be_shortened(world: World) -> None:
    dag_id = "d" * 200
    world.fix("fix/" + "b" * 100, {"dags/shop/money.py": "RATE = 1\n"}, dag_id=dag_id)
    wanted = preview_id(dag_id, "fix/" + "b" * 100)
    world.shelf().refresh(wanted)
    assert world.shelf().has(wanted)


def test_what_nobody_refreshed_for_a_minute_is_old(world: World) -> None:
    shelf = world.shelf()
    assert shelf.is_old()
    shelf.refresh()
    world.clock[0] = (world.folder / "asked").stat().st_mtime + 50
    assert not shelf.is_old()
    world.clock[0] += 20
    assert shelf.is_old()


@pytest.mark.parametrize("subdir", ["../other", "/etc", "dags/../../x"])
def test_a_subdir_that_leads_out_is_refused(world: World, subdir: str) -> None:
    with pytest.raises(ConfigurationError, match="subdir"):
        world.shelf(subdir=subdir).refresh()

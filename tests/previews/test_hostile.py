"""Branches, trailers, trees and refs of somebody who means harm and may push: nothing of theirs is run, written or believed."""

from __future__ import annotations

import ast
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.signature import APPROVED, approval_ref, sign_approval
from airflow_agentfix.previews import listing, loaders, shelf
from airflow_agentfix.previews.fixes import Fix, read_fix
from airflow_agentfix.previews.state import Served
from tests.code.repos import git
from tests.fakes.git_http import GitHttpServer
from tests.previews.world import BASE, KEY, SECRET, World, environment


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.make(tmp_path)


def approved(world: World, **trailers: str) -> str:
    """A commit that even carries a valid signature and approval, with these trailers."""
    git("checkout", "-q", "-B", "hand", "main", cwd=world.work)
    tree = git("write-tree", cwd=world.work)
    return world.commit(world.signed(tree=tree, **trailers), branch="fix/x", files=BASE)


@pytest.mark.parametrize(
    "file",
    [
        "../../etc/passwd.py",
        "/etc/passwd.py",
        "dags/../../x.py",
        "dags//shop_dag.py",
        "~/x.py",
        ".git/hooks/x.py",
        "dags/shop_dag.sh",
        "dags\\shop_dag.py",
        "dags/\u202eshop.py",
        "x" * 2000 + ".py",
    ],
)
def test_a_signed_file_that_is_no_path_in_the_repository_is_refused(
    world: World, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    approved(world, file=file)
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])
    assert "Agentfix-File" in caplog.text


@pytest.mark.parametrize("dag_id", ["shop'); import os  #", "../shop", "shop shop", "x" * 300])
def test_a_signed_dag_id_that_is_none_is_refused(world: World, dag_id: str) -> None:
    approved(world, dag_id=dag_id)
    world.shelf().refresh()
    assert (world.served(), world.trees()) == ({}, [])


@pytest.mark.parametrize("extra", ["Agentfix-Dag: other", "Agentfix-File: dags/other.py", "Agentfix-Sig: " + "0" * 64])
def test_trailers_given_twice_are_refused(world: World, extra: str) -> None:
    tree = git("rev-parse", "main^{tree}", cwd=world.origin)
    world.commit(f"{world.signed(tree=tree).rstrip()}\n{extra}\n", branch="fix/x", files=BASE)
    world.shelf().refresh()
    assert world.served() == {}


def test_trailers_above_the_last_paragraph_are_text(world: World) -> None:
    tree = git("rev-parse", "main^{tree}", cwd=world.origin)
    world.commit(f"{world.signed(tree=tree)}\nBut this is the last paragraph.\n", branch="fix/x", files=BASE)
    world.shelf().refresh()
    assert world.served() == {}


def test_a_commit_object_that_is_no_commit_is_refused() -> None:
    for raw in (b"", b"\0\xff", b"tree x\n\nAgentfix-Sig: 0", b"\n\n\n"):
        assert isinstance(read_fix("c" * 40, raw, [KEY]), str)


NAMES = [
    "fix/');open('pwned','w')#",
    'fix/"""+x',
    "fix/{arguments}%s",
    "fix/$(touch${IFS}pwned)`touch${IFS}pwned`;touch${IFS}pwned",
    "fix/-rf",
    "fix/a/b/c/d",
    "fix/ünïcödé-\u202e",
    "fix/" + "n" * 200,
    "fix/A-B",
    "fix/a-b",
    "fix/con",
    "fix/--upload-pack=touch",
]


def test_hostile_branch_names_are_harmless_and_each_its_own(world: World) -> None:
    commit = world.rate("fix/plain", "1")
    for name in NAMES:
        git("update-ref", f"refs/heads/{name}", commit, cwd=world.origin)
    world.shelf().refresh()
    served = world.served()
    assert len(served) == len(NAMES) + 1
    said = set()
    for name, text in served.items():
        assert "/" not in name
        assert not name.startswith((".", "-"))
        assert len(name) < 200
        assert text.isascii()
        (call,) = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
        said.add(next(ast.literal_eval(word.value) for word in call.keywords if word.arg == "branch"))
    assert said == {"fix/plain", *NAMES}
    assert not list(world.folder.rglob("pwned"))
    assert not Path("pwned").exists()


def test_a_branch_name_that_is_no_text_is_harmless(world: World) -> None:
    commit = world.rate("fix/plain", "1")
    with (world.origin / "packed-refs").open("ab") as refs:
        refs.write(f"{commit} refs/heads/fix/".encode() + b"\xff\xfe\n")
    for _ in range(2):
        world.shelf().refresh()
    assert len(world.served()) == 2
    assert all(text.isascii() for text in world.served().values())


def test_a_loader_holds_only_literals() -> None:
    hostile = "'''\n\"\\\nimport os #\udcff"
    fix = Fix(hostile, hostile, hostile, hostile)
    text = loaders.text(Served(f"fix/{hostile}", fix), tree=Path(hostile), subdir=hostile, mute_outlets=True)
    module = ast.parse(text)
    assert [type(node).__name__ for node in module.body] == ["ImportFrom", "Assign"]
    (call,) = [node for node in ast.walk(module) if isinstance(node, ast.Call)]
    assert {word.arg for word in call.keywords if not isinstance(word.value, ast.Constant)} == set()


def test_a_hundred_thousand_branches_are_read_and_not_fetched(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world.rate("fix/one", "1")
    commit = world.base
    with (world.origin / "packed-refs").open("a") as refs:
        refs.writelines(f"{commit} refs/heads/fix/n{number:06}\n" for number in range(100_000))
    for _ in range(2):
        world.shelf().refresh()
    assert list(world.served()) == ["fix-one.py"]
    assert len(caplog.records) < 100
    assert "and 99950 more" in caplog.text


def test_many_branches_at_one_approved_commit_do_not_fill_airflow(world: World, caplog: pytest.LogCaptureFixture) -> None:
    commit = world.rate("fix/one", "1")
    with (world.origin / "packed-refs").open("a") as refs:
        refs.writelines(f"{commit} refs/heads/fix/x{number:05}\n" for number in range(3000))
    caplog.set_level(logging.INFO)
    world.shelf().refresh()
    assert len(world.served()) == shelf.MOST
    assert len(world.trees()) == 1
    assert "there are 100 previews already" in caplog.text


def test_made_up_approvals_count_for_nothing() -> None:
    commit, other = "a" * 40, "b" * 40
    good, bad = sign_approval(KEY, commit), sign_approval(b"theirs", commit)
    refs = {
        approval_ref(commit, bad): commit,
        approval_ref(commit, "0" * 64): commit,
        f"{APPROVED}{commit}": commit,
        f"{APPROVED}{commit}/{good}/x": commit,
        f"refs/x/{approval_ref(commit, good)}": commit,
        approval_ref(other, good): commit,
    }
    lines = "".join(f"{at}\t{ref}\n" for ref, at in refs.items())
    assert listing.read(f"{commit}\trefs/heads/fix/x\n{lines}".encode(), [KEY]).approved == ()
    real = f"{commit}\t{approval_ref(commit, good)}\n"
    found = listing.read(f"{commit}\trefs/heads/fix/x\n{lines}{real}".encode(), [KEY]).approved
    assert [tip.branch for tip in found] == ["fix/x"]


def test_an_approval_that_points_elsewhere_counts_for_nothing() -> None:
    commit, other = "a" * 40, "b" * 40
    ref = approval_ref(commit, sign_approval(KEY, commit))
    answer = f"{commit}\trefs/heads/fix/x\n{other}\trefs/heads/fix/y\n{other}\t{ref}\n".encode()
    assert listing.read(answer, [KEY]).approved == ()


def test_no_hook_filter_or_attribute_of_a_tree_runs_anything(world: World, tmp_path: Path) -> None:
    mark = tmp_path / "pwned"
    files = {
        ".gitattributes": "* filter=evil\n*.py export-ignore ident\n",
        ".gitconfig": f"[filter \"evil\"]\n smudge = touch {mark}\n",
        "hooks/post-checkout": f"#!/bin/sh\ntouch {mark}\n",
        ".gitmodules": f"[submodule \"x\"]\n path = x\n url = ext::sh -c 'touch {mark}'\n",
    }  # fmt: skip
    commit = world.fix("fix/x", files)
    world.shelf().refresh()
    assert (world.folder / "trees" / commit / "dags/shop_dag.py").is_file()
    assert not mark.exists()


# --- private repositories ---

_REFRESH = """
import logging, sys
logging.basicConfig(level=logging.DEBUG)
from airflow_agentfix.bundles import AgentFixPreviews
bundle = AgentFixPreviews(name="previews", git_conn_id="shop_git", subdir="dags")
bundle.initialize()
bundle.refresh()
print("SERVED", sorted(file.name for file in bundle.path.iterdir()))
"""


def refreshed(home: Path, connection: dict[str, Any]) -> tuple[str, Path]:
    """What a child prints and logs that refreshes a bundle over an Airflow connection, and the bundle's folder."""
    environ = environment(
        home,
        AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH=str(home / "bundles"),
        AIRFLOW__AGENTFIX__SIGNING_KEY=SECRET,
        AIRFLOW_CONN_SHOP_GIT=json.dumps(connection),
    )
    command = [sys.executable, "-c", _REFRESH]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr, home / "bundles" / "previews"


def test_a_private_repository_is_read_by_connection_and_its_token_is_nowhere(world: World, tmp_path: Path) -> None:
    token = "tok3n-" + "Zq9" * 8
    world.rate("fix/one", "1")
    with GitHttpServer(tmp_path, token=token) as server:
        connection = {"conn_type": "git", "host": server.url("acme/dags.git"), "login": "x-access-token", "password": token}
        said, folder = refreshed(tmp_path / "home", connection)
        assert "SERVED ['fix-one.py']" in said
        refused, _ = refreshed(tmp_path / "other", {**connection, "password": "wr0ng-" + "Yx8" * 8})
    assert "CodeHostForbidden" in refused
    assert token not in said
    assert "wr0ng-" not in refused
    holding = [file for file in folder.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]
    assert holding == []
    assert "url" not in (folder / "repository.git" / "config").read_text()


def test_a_login_in_the_url_is_not_in_errors(world: World) -> None:
    with pytest.raises(Exception, match="acme") as caught:
        world.shelf(url="http://dana:s3cretpass@127.0.0.1:9/acme/dags.git").refresh()
    assert "s3cretpass" not in str(caught.value)

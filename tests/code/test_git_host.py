"""What only plain git has: git's own error texts, hooks, timeouts, credentials, a worker that dies in between."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_agentfix.code.git import Git, mask_credentials
from airflow_agentfix.code.git_host import GitHost, connection_env
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.errors import (
    BranchExists,
    CodeError,
    CodeHostForbidden,
    CodeHostRefused,
    CommitNotFound,
    RepositoryNotFound,
    RepositoryUnreachable,
)
from airflow_agentfix.ports import FileChange, FixRequest
from tests.code.conftest import TOKEN, basic_auth
from tests.code.repos import git, push
from tests.fakes.git_http import GitHttpServer


@pytest.fixture
def origin(folder: Path) -> Path:
    return folder / "acme" / "dags.git"


def host_at(url: str, **options: float) -> GitHost:
    return GitHost(Repository(url, "main"), **options)  # type: ignore[arg-type]


def fix(origin: Path) -> FixRequest:
    base = git("rev-parse", "refs/heads/main", cwd=origin)
    message = "Correct x\n\nAgentfix-Session: s1"
    return FixRequest("s1", "fix/a", "main", base, message, (FileChange("dags/shop.py", b"x = 2\n"),), "Correct x", "Body")


def hook(origin: Path, name: str, script: str) -> None:
    file = origin / "hooks" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("#!/bin/sh\n" + script)
    file.chmod(0o755)


def test_making_a_host_touches_nothing() -> None:
    GitHost(Repository("/nowhere", "main"))


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("/nowhere/dags.git", RepositoryNotFound),
        ("file:///nowhere/dags.git", RepositoryNotFound),
        ("http://127.0.0.1:1/dags.git", RepositoryUnreachable),
        ("ext::sh -c true", CodeHostRefused),
    ],
)
def test_a_repository_that_cannot_be_asked_is_an_error_not_an_empty_answer(url: str, error: type[CodeError]) -> None:
    with pytest.raises(error):
        host_at(url).head("main")


def test_an_unknown_repository_over_http_is_not_found(folder: Path) -> None:
    with GitHttpServer(folder) as server, pytest.raises(RepositoryNotFound):
        host_at(server.url("acme/none.git")).head("main")


def test_a_refused_login_is_forbidden_and_no_credential_is_in_the_error(folder: Path) -> None:
    with GitHttpServer(folder, token=TOKEN) as server:
        repository = Repository(server.url("acme/dags.git"), "main")
        with pytest.raises(CodeHostForbidden, match="connection"):
            GitHost(repository).head("main")
        with pytest.raises(CodeHostForbidden) as refused:
            GitHost(repository, hook_env=lambda: basic_auth("wrong-token")).head("main")
        assert "wrong-token" not in str(refused.value)
        with_user = Repository(repository.url.replace("//", "//bot:wrong-token@"), "main")
        with pytest.raises(CodeHostForbidden) as refused:
            GitHost(with_user).head("main")
        assert "wrong-token" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, CodeHostForbidden), (404, RepositoryNotFound), (500, RepositoryUnreachable), (503, RepositoryUnreachable)],
)
def test_each_http_status_has_its_error(folder: Path, status: int, error: type[CodeError]) -> None:
    with GitHttpServer(folder, answer=lambda _: status) as server, pytest.raises(error):
        host_at(server.url("acme/dags.git")).head("main")


def test_a_login_that_may_read_but_not_push_is_forbidden(folder: Path, origin: Path) -> None:
    with (
        GitHttpServer(folder, answer=lambda path: 403 if "receive-pack" in path else None) as server,
        pytest.raises(CodeHostForbidden),
    ):
        host_at(server.url("acme/dags.git")).open_fix(fix(origin))
    assert git("for-each-ref", "--format=%(refname)", cwd=origin) == "refs/heads/main"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo 'no pushes on Sunday' >&2; exit 1", CodeHostRefused),
        ("echo 'GH006: Protected branch update failed' >&2; exit 1", CodeHostForbidden),
    ],
)
def test_a_hook_that_declines_is_told_in_its_own_words(origin: Path, script: str, error: type[CodeError]) -> None:
    hook(origin, "pre-receive", script)
    with pytest.raises(error, match=r"Sunday|Protected"):
        host_at(str(origin)).open_fix(fix(origin))


@pytest.fixture
def silent_server() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/dags.git"


def test_a_host_that_never_answers_is_given_up_and_no_process_stays(silent_server: str) -> None:
    started = time.monotonic()
    with pytest.raises(RepositoryUnreachable, match="within 1 s"):
        host_at(silent_server, timeout=1).head("main")
    assert time.monotonic() - started < 60
    assert silent_server not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_branch_that_appears_while_we_push_is_not_overwritten(origin: Path) -> None:
    # the hook runs when our push has begun: someone else was quicker
    hook(origin, "pre-receive", "env -u GIT_QUARANTINE_PATH git update-ref refs/heads/fix/a refs/heads/main\n")
    with pytest.raises(BranchExists):
        host_at(str(origin)).open_fix(fix(origin))
    assert git("rev-parse", "fix/a", cwd=origin) == git("rev-parse", "main", cwd=origin)


def test_a_worker_killed_after_the_push_leaves_one_branch_and_the_next_finds_it(origin: Path) -> None:
    # the push reaches the origin, its answer never reaches the worker
    hook(origin, "post-receive", "kill -9 $(cat worker.pid)\n")
    worker = textwrap.dedent(
        f"""
        import os, pathlib
        from airflow_agentfix.code.git_host import GitHost, connection_env
        from airflow_agentfix.core.incident import Repository
        from airflow_agentfix.ports import FileChange, FixRequest
        pathlib.Path({str(origin / "worker.pid")!r}).write_text(str(os.getpid()))
        GitHost(Repository({str(origin)!r}, "main")).open_fix({fix(origin)!r})
        """
    )
    killed = subprocess.run([sys.executable, "-c", worker], env={**os.environ, "TMPDIR": str(origin)}, check=False)
    assert killed.returncode == -9
    (origin / "hooks" / "post-receive").unlink()
    opened = host_at(str(origin)).open_fix(fix(origin))
    assert opened.reused
    assert git("for-each-ref", "--format=%(refname:short)", "refs/heads", cwd=origin).split() == ["fix/a", "main"]
    assert git("rev-list", "--count", "main..fix/a", cwd=origin) == "1"


def test_author_and_committer_are_agent_fix(origin: Path) -> None:
    opened = host_at(str(origin)).open_fix(fix(origin))
    assert git("log", "-1", "--format=%an <%ae> %cn <%ce>", opened.commit, cwd=origin) == (
        "Agent Fix <agentfix@localhost> Agent Fix <agentfix@localhost>"
    )


def test_a_commit_that_is_on_no_branch_any_more_can_still_be_exported(origin: Path, tmp_path: Path) -> None:
    opened = host_at(str(origin)).open_fix(fix(origin))
    git("update-ref", "-d", "refs/heads/fix/a", cwd=origin)
    into = tmp_path / "tree"
    into.mkdir()
    host_at(str(origin)).export(opened.commit, into)
    assert (into / "dags" / "shop.py").read_bytes() == b"x = 2\n"


def test_gits_environment_of_the_caller_does_not_lead_elsewhere(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert host_at(str(origin)).open_fix(fix_without_git_environment(origin)).branch == "fix/a"
    assert not (tmp_path / "index").exists()


def fix_without_git_environment(origin: Path) -> FixRequest:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    base = subprocess.run(
        ["git", "rev-parse", "main"], cwd=origin, env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    return FixRequest("s1", "fix/a", "main", base, "T\n\nAgentfix-Session: s1", (FileChange("a.py", b"1"),), "T", "B")


def test_the_repository_ends_with_its_host(origin: Path) -> None:
    host = host_at(str(origin))
    with pytest.raises(CommitNotFound):
        host.compare("d" * 40, "d" * 40)
    folder = host._git.folder
    assert folder.exists()
    del host
    assert not folder.exists()


def test_credentials_in_a_url_are_masked() -> None:
    assert mask_credentials("at 'https://u:p@host/a' and http://t@b") == "at 'https://host/a' and http://b"


def test_git_is_asked_in_its_own_folder_only(tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFound):
        Git(tmp_path, about="nothing", timeout=5).run("log")


def test_an_airflow_git_connection_gives_the_login(
    folder: Path, origin: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW_CONN_DAGS_REPO", json.dumps({"conn_type": "git", "login": "x-access-token", "password": TOKEN}))
    with GitHttpServer(folder, token=TOKEN) as server:
        url = server.url("acme/dags.git")
        host = GitHost(Repository(url, "main", connection="dags_repo"), hook_env=connection_env("dags_repo", url))
        opened = host.open_fix(fix(origin))
    assert git("rev-parse", "fix/a", cwd=origin) == opened.commit
    assert TOKEN not in "".join(os.environ.get(name, "") for name in os.environ if name.startswith("GIT_"))


# --- hostile addresses, trees and histories --------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["--upload-pack=touch {} #", "-otouch {}", "ext::sh -c touch% {}"])
def test_an_address_is_never_read_as_an_option_or_a_command(tmp_path: Path, option: str) -> None:
    host, proof = host_at(option.format(tmp_path / "proof")), tmp_path / "proof"
    with pytest.raises(CodeError):
        host.head("main")
    with pytest.raises(CodeError):
        host.export("a" * 40, tmp_path)
    assert not proof.exists()
    assert not (tmp_path / "proof refs").exists()


@pytest.mark.parametrize("password", ["s3cr@et", "s3cr/et", "p@s3c:r/et", "1s3cret"])
def test_a_password_no_url_may_hold_unquoted_is_not_told(password: str) -> None:
    with pytest.raises(CodeError) as failed:
        host_at(f"https://dana:{password}@127.0.0.1:1/x", timeout=10).head("main")
    assert not any(part in str(failed.value) for part in (password, "et@", "s3c"))


def test_masking_leaves_ports_and_paths(tmp_path: Path) -> None:
    assert mask_credentials("see https://host:8080/a@b and ssh://dana@host/x") == "see https://host:8080/a@b and ssh://host/x"


def test_links_that_leave_the_tree_by_way_of_another_link_are_left_out(origin: Path, tmp_path: Path) -> None:
    def blob(text: str) -> str:
        return subprocess.run(
            ["git", "hash-object", "-w", "--stdin"], cwd=origin, input=text, text=True, capture_output=True, check=True
        ).stdout.strip()

    def made(*entries: str) -> str:
        listing = "".join(f"{entry}\0" for entry in entries)
        return subprocess.run(
            ["git", "mktree", "-z"], cwd=origin, input=listing, text=True, capture_output=True, check=True
        ).stdout.strip()

    up = made(f"120000 blob {blob('../..')}\tup")
    top = made(
        f"040000 tree {made(f'040000 tree {up}{chr(9)}b')}\ta",
        f"120000 blob {blob('a/b/up/..')}\tout",
        f"120000 blob {blob('loop')}\tloop",
        f"100644 blob {blob('x')}\tplain",
    )
    commit = git("commit-tree", top, "-m", "x", cwd=origin)
    git("update-ref", "refs/heads/evil", commit, cwd=origin)
    tree = tmp_path / "tree"
    tree.mkdir()
    host_at(str(origin)).export(commit, tree)
    assert (tree / "plain").read_text() == "x"
    assert not (tree / "out").is_symlink()


def test_a_commit_subject_with_foreign_line_ends_is_one_commit(folder: Path, origin: Path) -> None:
    first = git("rev-parse", "refs/heads/main", cwd=origin)
    head = push(folder, "a", "1", message="one\u2028two\x0b\x0c\x85three")
    (commit,) = host_at(str(origin)).compare(first, head).commits
    assert commit["subject"].startswith("one\u2028two")

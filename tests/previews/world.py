"""A real repository with a DAG, fixes of it on branches as AgentFix makes them, and approvals as the API server gives them."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.signature import APPROVED, approval_ref, sign_approval, sign_fix
from airflow_agentfix.ports import FileChange, FixRequest
from airflow_agentfix.previews.remote import Remote
from airflow_agentfix.previews.shelf import Shelf
from tests.code.repos import IDENTITY, git

SECRET = "secret"
KEY = hashlib.sha256(f"agentfix-sig:{SECRET}".encode()).digest()
"""as `signing_keys` makes it"""
SESSION = "5e55"
SHOP = """
from airflow.sdk import DAG, task
from shop.money import RATE

with DAG("shop", schedule="@daily", tags=["sales"]):
    @task
    def total():
        return RATE
    total()
"""
BASE = {"dags/shop_dag.py": SHOP, "dags/shop/money.py": "RATE = 'base'\n"}


@dataclass(frozen=True)
class Plain(Remote):
    """A repository that needs no login."""

    @contextmanager
    def login(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        yield str(self.repo_url), {}


@dataclass
class World:
    """`origin` is the repository that everyone sees; `folder` is the bundle's. `clock` is what the bundle takes for now."""

    origin: Path
    folder: Path
    work: Path
    clock: list[float] = field(default_factory=lambda: [1e9])

    @classmethod
    def make(cls, folder: Path, files: Mapping[str, str] = BASE) -> World:
        work, origin = folder / "work", folder / "acme" / "dags.git"
        work.mkdir(parents=True)
        git("init", "-q", "-b", "main", cwd=work)
        _write(work, files)
        git("add", "-A", cwd=work)
        git("commit", "-q", "-m", "First", cwd=work)
        origin.parent.mkdir()
        git("clone", "-q", "--bare", str(work), str(origin), cwd=folder)
        git("config", "http.receivepack", "true", cwd=origin)
        return cls(origin, folder / "bundle", work)

    @cached_property
    def host(self) -> GitHost:
        return GitHost(Repository(url=str(self.origin), base_branch="main"))

    @property
    def base(self) -> str:
        return git("rev-parse", "main", cwd=self.origin)

    def shelf(self, *, keys: tuple[bytes, ...] = (KEY,), url: str | None = None, subdir: str = "dags", **options: bool) -> Shelf:
        remote = Plain(repo_url=url or str(self.origin))
        return Shelf(self.folder, remote=remote, keys=lambda: keys, subdir=subdir, now=lambda: self.clock[0], **options)

    def fix(
        self,
        branch: str,
        files: Mapping[str, str | None],
        *,
        dag_id: str = "shop",
        file: str = "dags/shop_dag.py",
        key: bytes = KEY,
        approved: bool = True,
    ) -> str:
        """A fix as `open_fix` makes it; its commit."""
        trailers = f"Agentfix-Session: {SESSION}\nAgentfix-Dag: {dag_id}\nAgentfix-File: {file}"
        opened = self.host.open_fix(
            FixRequest(
                session_id=SESSION,
                branch=branch,
                base_branch="main",
                base_commit=self.base,
                message=f"Fix {branch}\n\nBecause.\n\n{trailers}",
                changes=tuple(FileChange(path, text.encode() if text is not None else None) for path, text in files.items()),
                title="Fix",
                body="",
                sign=lambda tree: sign_fix(key, tree=tree, dag_id=dag_id, file=file, session_id=SESSION),
            )
        )
        if approved:
            self.approve(opened.commit)
        return opened.commit

    def rate(self, branch: str, rate: str) -> str:
        """A fix that changes what shop.money says."""
        return self.fix(branch, {"dags/shop/money.py": f"RATE = {rate!r}\n"})

    def approve(self, commit: str, *, key: bytes = KEY) -> None:
        self.host.approve(commit, sign_approval(key, commit))

    def withdraw(self, commit: str, *, key: bytes = KEY) -> None:
        git("update-ref", "-d", approval_ref(commit, sign_approval(key, commit)), cwd=self.origin)

    def delete(self, branch: str) -> None:
        git("update-ref", "-d", f"refs/heads/{branch}", cwd=self.origin)

    def commit(
        self, message: str, *, branch: str, files: Mapping[str, str] | None = None, links: Mapping[str, str] | None = None
    ) -> str:
        """A person's commit on a branch, with whatever message and links; approved, as if the key's holder had been tricked."""
        git("checkout", "-q", "-B", "hand", "main", cwd=self.work)
        _write(self.work, files or {"dags/shop/money.py": f"RATE = {branch!r}\n"})
        for path, target in (links or {}).items():
            (self.work / path).unlink(missing_ok=True)
            (self.work / path).symlink_to(target)
        git("add", "-A", cwd=self.work)
        tree = git("write-tree", cwd=self.work)
        message = message.replace("TREE", tree)
        command = ["git", *IDENTITY, "commit-tree", tree, "-p", "main"]
        done = subprocess.run(command, cwd=self.work, input=message.encode(), check=True, capture_output=True)
        made = done.stdout.decode().strip()
        git("push", "-q", "-f", str(self.origin), f"{made}:refs/heads/{branch}", cwd=self.work)
        git("reset", "-q", "--hard", "main", cwd=self.work)
        self.approve(made)
        return made

    def signed(self, *, dag_id: str = "shop", file: str = "dags/shop_dag.py", tree: str, key: bytes = KEY) -> str:
        """Trailers as one who has the key would write them."""
        signature = sign_fix(key, tree=tree, dag_id=dag_id, file=file, session_id=SESSION)
        names = {"Session": SESSION, "Dag": dag_id, "File": file, "Sig": signature}
        return "Fix\n\n" + "\n".join(f"Agentfix-{name}: {value}" for name, value in names.items()) + "\n"

    def served(self) -> dict[str, str]:
        """The loader files by name."""
        folder = self.folder / "dags"
        return {file.name: file.read_text() for file in sorted(folder.iterdir())} if folder.is_dir() else {}

    def trees(self) -> list[str]:
        folder = self.folder / "trees"
        return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".") if folder.is_dir() else []

    def approvals(self) -> list[str]:
        return git("for-each-ref", "--format=%(refname)", APPROVED, cwd=self.origin).split()


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Of a child with an Airflow of its own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHONPATH", "_AIRFLOW"))}
    return {**inherited, "AIRFLOW_HOME": str(home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **more}

"""The bare repository that previews are fetched into: approved commits only, without history, no remote and no login in it.

Every method expects the bundle's lock; a lock file of git's that is there nevertheless is a killed process's.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from airflow_agentfix.code.git import Git
from airflow_agentfix.errors import CommitNotFound
from airflow_agentfix.previews.listing import PATTERNS, Tip
from airflow_agentfix.previews.remote import Remote

_LIST_SECONDS = 60
_FETCH_SECONDS = 900
_PACKS = 20
"""a fetch makes one; more are put together once commits are gone"""
_KEPT = "refs/agentfix/commits/"


class Repository:
    """Bare, in `folder`, made when it is first needed."""

    def __init__(self, folder: Path, remote: Remote) -> None:
        self._folder = folder
        self._remote = remote

    def list_refs(self) -> bytes:
        """One `git ls-remote` for the fix branches and the approvals. Raises a CodeError, ConfigurationError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._remote.login() as (url, env):
            return self._git(_LIST_SECONDS).run("ls-remote", "--refs", "--", url, *PATTERNS, env=env)

    def fetch(self, tips: Iterable[Tip]) -> list[str]:
        """Have the tips' commits here; gives those that are not, because their branches moved or went meanwhile."""
        wanted = {tip.commit: tip.branch for tip in tips}
        self._open()
        missing = {commit: branch for commit, branch in wanted.items() if not self._has(commit)}
        if missing:
            try:
                self._fetch(missing)
            except CommitNotFound:  # git fetches all or nothing
                for commit, branch in missing.items():
                    self._fetch_one(commit, branch)
        return [commit for commit in missing if not self._has(commit)]

    def raw(self, commit: str) -> bytes:
        """The commit object as it was signed: no replacement, no encoding, no mailmap."""
        return self._git().run("cat-file", "commit", commit)

    def export(self, commit: str, into: Path) -> None:
        """Write the commit's tree into the empty folder `into`, as a checkout would; LFS files stay pointers, submodules empty
        folders: what the connection opens is this repository."""
        index = self._folder / "index"
        index.unlink(missing_ok=True)  # a killed process's
        env = {"GIT_WORK_TREE": str(into), "GIT_INDEX_FILE": str(index), "GIT_LFS_SKIP_SMUDGE": "1"}
        try:
            self._git().run("read-tree", "--reset", "-u", commit, env=env)
        finally:
            index.unlink(missing_ok=True)

    def keep(self, commits: Collection[str]) -> None:
        """Let go of all other commits; of what they took, now and then, or at once where nothing is kept."""
        if not (self._folder / "objects").is_dir():
            return
        if not commits:
            shutil.rmtree(self._folder)
            return
        refs = self._git().text("for-each-ref", "--format=%(refname)", _KEPT).split()
        for ref in refs:
            if ref.removeprefix(_KEPT) not in commits:
                self._git().run("update-ref", "-d", ref)
        if len(list((self._folder / "objects" / "pack").glob("*.pack"))) > _PACKS:
            self._git().run("gc", "--quiet", "--prune=now")

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for stale in (*self._folder.glob("*.lock"), *(self._folder / "refs").rglob("*.lock")):
            stale.unlink()
        self._git().run("init", "--quiet", "--bare", "--template=")
        self._git().run("config", "fetch.unpackLimit", "1")  # a pack a fetch, which `keep` can count

    def _fetch(self, wanted: Mapping[str, str]) -> None:
        refs = "".join(f"+refs/heads/{branch}:{_KEPT}{commit}\n" for commit, branch in wanted.items())
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--depth=1", "--stdin")
        with self._remote.login() as (url, env):
            self._git().run("fetch", *options, "--", url, stdin=refs.encode(errors="surrogateescape"), env=env)

    def _fetch_one(self, commit: str, branch: str) -> None:
        try:
            self._fetch({commit: branch})
        except CommitNotFound:
            return  # `fetch` tells its caller

    def _has(self, commit: str) -> bool:
        return self._git().ask("cat-file", "-e", f"{commit}^{{commit}}")

    def _git(self, timeout: float = _FETCH_SECONDS) -> Git:
        return Git(self._folder, about=self._remote.about, timeout=timeout)

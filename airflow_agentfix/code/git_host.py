"""A plain git repository (path, file, http, ssh) as code host: everything over git's own protocol, no working tree.

Invariants: a branch is only ever created, never moved; file contents are git's blobs, byte for byte (no line-end, LFS or
export attributes apply), so what an edit did not touch stays as it is in the commit.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from airflow_agentfix.code import tree
from airflow_agentfix.code.fate import fate_of
from airflow_agentfix.code.git import Git, mask_credentials
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.signature import APPROVED, approval_ref
from airflow_agentfix.errors import BaseMoved, BranchExists, CodeHostRefused, CommitNotFound, NothingToCommit
from airflow_agentfix.ports import COMPARED_COMMITS, Comment, Comparison, Fate, FileChange, FixRequest, OpenedFix
from airflow_agentfix.redaction import learn, learn_login

AUTHOR_NAME = "Agent Fix"
AUTHOR_EMAIL = "agentfix@localhost"

HookEnv = Callable[[], AbstractContextManager[Mapping[str, str] | None]]

_IDENTITY = {
    "GIT_AUTHOR_NAME": AUTHOR_NAME,
    "GIT_AUTHOR_EMAIL": AUTHOR_EMAIL,
    "GIT_COMMITTER_NAME": AUTHOR_NAME,
    "GIT_COMMITTER_EMAIL": AUTHOR_EMAIL,
}


class GitHost:
    """Implements `ports.CodeHost`. Fetched objects live in a temporary bare repository that ends with this object.

    :param hook_env: gives, for the time of one remote call, the environment with git's credentials (see `connection_env`).
    :param timeout: seconds for one git command.
    :param lean: leave out files over 64 KB when fetching, where the host can.
    :param tip_only: lean, and of the base branch's head alone, without history.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        hook_env: HookEnv | None = None,
        timeout: float = 120,
        lean: bool = False,
        tip_only: bool = False,
    ) -> None:
        self._url = os.path.expanduser(repository.url)
        self._about = mask_credentials(repository.url)
        self._base_branch = repository.base_branch
        self._hook_env = hook_env or nullcontext
        self._timeout = timeout
        self._tip_only = tip_only
        self._lean = ("--filter=blob:limit=64k",) if lean or tip_only else ()
        self._cached: Git | None = None

    def head(self, branch: str) -> str | None:
        """The branch's commit, None if there is no such branch."""
        answer = self._remote("ls-remote", "--", self._url, f"refs/heads/{branch}")
        shas = [line.split("\t")[0] for line in answer.split("\n") if line.endswith(f"\trefs/heads/{branch}")]
        return shas[0] if shas else None

    def export(self, commit: str, into: Path) -> None:
        """Write the tree at `commit` into the empty folder `into`."""
        self._ensure(commit)
        entries = list(self._entries(commit))
        names = "".join(f"{entry.sha}\n" for entry in entries if entry.is_file)
        contents = _batch(self._git.run("cat-file", "--batch", stdin=names.encode()))
        for entry in entries:
            if entry.is_file:
                tree.write(into, entry, next(contents))

    def compare(self, base: str, head: str) -> Comparison:
        """What `head` has and `base` has not."""
        self._ensure(base)
        self._ensure(head)
        log = self._git.text("log", f"--max-count={COMPARED_COMMITS}", "--format=%H%x00%an%x00%aI%x00%s", f"{base}..{head}")
        commits = tuple(
            dict(zip(("sha", "author", "date", "subject"), line.split("\0"), strict=True)) for line in log.split("\n") if line
        )
        # three dots where the commits have a common ancestor, as GitHub compares
        dots = "..." if self._git.ask("merge-base", base, head) else ".."
        files = self._git.text("diff", "--name-only", "-z", "--no-renames", f"{base}{dots}{head}")
        return Comparison(commits=commits, files=tuple(file for file in files.split("\0") if file))

    def commits(self, head: str, *, paths: Sequence[str] = (), until: str | None = None, limit: int) -> list[str]:
        """Newest first. By time, along the branch itself: when a commit came to it, not when it was made elsewhere."""
        self._ensure(head)
        along = ("--first-parent", f"--until={until}") if until else ()
        found = self._git.text(
            "log", f"--max-count={limit}", "--format=%H", *along, head, "--", *(f":(literal){path}" for path in paths)
        )
        return found.split()

    def files(self, commit: str) -> list[str]:
        """Paths of the commit's files."""
        self._ensure(commit)
        return [entry.path for entry in self._entries(commit) if entry.is_file]

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at the commit, None if it has no such file."""
        self._ensure(commit)
        entry = next(
            (entry for entry in self._entries(commit, f":(literal){path}") if entry.path == path and entry.is_file), None
        )
        return self._git.run("cat-file", "blob", entry.sha) if entry else None

    def open_fix(self, request: FixRequest) -> OpenedFix:
        """One commit on a new branch off the base commit, pushed; found again by its trailer and tree."""
        tree.check_request(request)
        self._ensure(request.base_commit)
        new_tree = self._tree(request)
        if new_tree == self._git.text("rev-parse", f"{request.base_commit}^{{tree}}"):
            raise NothingToCommit(f"The fix of session {request.session_id!r} changes nothing against {request.base_commit}.")
        if existing := self._existing(request, new_tree):
            return existing
        self._refuse_moved_base(request)
        commit = self._commit(request, new_tree)
        try:
            ref = f"refs/heads/{request.branch}"
            self._push(f"--force-with-lease={ref}:", refspecs=[f"{commit}:{ref}"])
        except CodeHostRefused:
            # someone created it since we looked: perhaps an earlier call of ours whose answer was lost
            if existing := self._existing(request, new_tree):
                return existing
            raise
        return OpenedFix(request.branch, commit, None)

    def fate(self, fix: OpenedFix) -> Fate:
        """What became of a fix; a squash merge leaves no trace of its commit."""
        return fate_of(self, fix, base_branch=self._base_branch)

    def approve(self, commit: str, signature: str) -> None:
        """Leave the approval as a ref that points to the commit."""
        self._ensure(commit)
        self._remote("push", "--quiet", "--no-verify", "--", self._url, f"{commit}:{approval_ref(commit, signature)}")

    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        """Plain git has no pull requests."""

    def comment(self, fix: OpenedFix, text: str) -> None:
        """Plain git has no pull requests."""

    def comments(self, fix: OpenedFix, *, since: str | None = None) -> list[Comment]:  # noqa: ARG002 - the port's
        """Plain git has no pull requests."""
        return []

    def delete_branch(self, branch: str) -> None:
        """Remove a branch that AgentFix made; one that is gone is fine, another's is BranchExists."""
        commit = self.head(branch)
        if commit is None:
            return
        self._ensure(commit)
        if tree.session_of(self._message(commit)) is None:
            raise BranchExists(f"Branch {branch!r} of {self._about} ends in a commit AgentFix did not make; it is left alone.")
        gone = [f"refs/heads/{branch}", *self._approvals(commit)]
        self._push(*(f"--force-with-lease={ref}:{commit}" for ref in gone), refspecs=[f":{ref}" for ref in gone])

    @property
    def _git(self) -> Git:
        if self._cached is None:
            folder = tempfile.mkdtemp(prefix="agentfix-git-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            git = Git(Path(folder), about=self._about, timeout=self._timeout)
            git.run("init", "--quiet", "--bare", "--template=")
            self._cached = git
        return self._cached

    def _remote(self, *arguments: str) -> str:
        with self._hook_env() as env:
            return self._git.text(*arguments, env=env)

    def _push(self, *leases: str, refspecs: Sequence[str]) -> None:
        self._remote("push", "--quiet", "--no-verify", *leases, "--", self._url, *refspecs)

    def _approvals(self, commit: str) -> list[str]:
        answer = self._remote("ls-remote", "--", self._url, f"{APPROVED}{commit}/*")
        return [line.partition("\t")[2] for line in answer.split("\n") if line.startswith(f"{commit}\t")]

    def _ensure(self, commit: str) -> None:
        """Have the commit here, with its history. CommitNotFound if neither a branch nor the host's objects hold it."""
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise CommitNotFound(f"{commit!r} is no commit id; expected 40 hexadecimal digits.")
        if self._has(commit):
            return
        if self._tip_only:
            wanted = f"+refs/heads/{self._base_branch}:refs/heads/{self._base_branch}"
            self._remote("fetch", "--quiet", "--no-tags", "--depth=1", *self._lean, "--", self._url, wanted)
        else:
            self._remote("fetch", "--quiet", "--no-tags", "--prune", *self._lean, "--", self._url, "+refs/heads/*:refs/heads/*")
        if not self._has(commit):
            self._remote("fetch", "--quiet", "--no-tags", "--", self._url, commit)

    def _has(self, commit: str) -> bool:
        return self._git.ask("cat-file", "-e", f"{commit}^{{commit}}")

    def _entries(self, commit: str, *paths: str) -> Iterator[tree.Entry]:
        listing = self._git.run("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        for line in listing.split(b"\0")[:-1]:
            facts, _, path = line.partition(b"\t")
            mode, _, sha = facts.decode().split(" ")
            yield tree.Entry(os.fsdecode(path), mode, sha)

    def _tree(self, request: FixRequest) -> str:
        base, entries = request.base_commit, {entry.path: entry for entry in self._entries(request.base_commit)}
        tree.check_places(request, entries)
        with tempfile.TemporaryDirectory(prefix="agentfix-index-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            self._git.run("read-tree", base, env=index)
            lines = b"".join(self._index_line(change, entries.get(change.path)) for change in request.changes)
            self._git.run("update-index", "-z", "--index-info", stdin=lines, env=index)
            return self._git.text("write-tree", env=index)

    def _index_line(self, change: FileChange, was: tree.Entry | None) -> bytes:
        path = os.fsencode(change.path)
        if change.content is None:
            return b"0 " + b"0" * 40 + b"\t" + path + b"\0"
        sha = self._git.text("hash-object", "-w", "--stdin", stdin=change.content)
        return f"{change.mode or (was.mode if was else tree.FILE)} {sha}\t".encode() + path + b"\0"

    def _existing(self, request: FixRequest, new_tree: str) -> OpenedFix | None:
        """The branch if it holds this very fix, None if there is none; BranchExists for any other."""
        commit = self.head(request.branch)
        if commit is None:
            return None
        self._ensure(commit)
        content = self._git.text("show", "--no-patch", "--format=%T %P", commit).split()
        same = content == [new_tree, request.base_commit]
        maker = tree.maker_of(request, commit, self._message(commit), new_tree=new_tree, same_content=same)
        return OpenedFix(request.branch, commit, None, reused=True, made_by=maker)

    def _refuse_moved_base(self, request: FixRequest) -> None:
        now = self.head(request.base_branch)
        if now is None:
            raise CommitNotFound(f"No branch {request.base_branch!r} in {self._about}; check the configured base branch.")
        if now == request.base_commit:
            return
        self._ensure(now)
        before, after = ({entry.path: entry for entry in self._entries(commit)} for commit in (request.base_commit, now))
        if moved := tree.moved(request, before, after):
            raise BaseMoved(tree.moved_message(request, now, moved))

    def _commit(self, request: FixRequest, new_tree: str) -> str:
        arguments = ("commit-tree", new_tree, "-p", request.base_commit, "-F", "-")
        message = tree.signed_message(request, new_tree)
        return self._git.text(*arguments, stdin=message.encode(), env=_IDENTITY)

    def _message(self, commit: str) -> str:
        return self._git.text("log", "-1", "--format=%B", commit)


def connection_env(connection: str, url: str) -> HookEnv:
    """The credentials of an Airflow git connection, as `GitHost` takes them."""

    @contextmanager
    def environment() -> Iterator[Mapping[str, str]]:
        from airflow.providers.git.hooks.git import GitHook  # loads Airflow; only where a connection is named

        hook = GitHook(git_conn_id=connection, repo_url=url)
        with hook.configure_hook_env():  # may fetch a token or read a key file
            learn_login(hook.user_name, hook.auth_token)
            learn(hook.private_key, hook.private_key_passphrase)
            yield hook.env

    return environment


def _batch(output: bytes) -> Iterator[bytes]:
    """The contents in the answer of `git cat-file --batch`, in the order asked."""
    position = 0
    while position < len(output):
        end = output.index(b"\n", position)
        size = int(output[position:end].split(b" ")[2])
        yield output[end + 1 : end + 1 + size]
        position = end + 1 + size + 1

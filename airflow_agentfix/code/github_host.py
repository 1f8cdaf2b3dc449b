"""GitHub as code host, over its Git Data API: one commit however many files, a branch, a draft pull request.

Invariants: a branch is only ever created, never moved; every file of an export has the blob id the tree names, so archive
attributes (export-ignore, export-subst) and LFS never get into a commit.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any

import requests  # noqa: TID253 - an adapter; only wiring.py imports it
from github import Github, GithubException, InputGitTreeElement  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GitCommit import GitCommit  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GithubObject import NotSet  # noqa: TID253 - an adapter; only wiring.py imports it

from airflow_agentfix.code import tree
from airflow_agentfix.code.fate import fate_of
from airflow_agentfix.code.github_errors import mapped_errors, said
from airflow_agentfix.code.hosts import full_name
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.signature import approval_ref
from airflow_agentfix.errors import BaseMoved, BranchExists, CodeHostRefused, CommitNotFound, NothingToCommit
from airflow_agentfix.ports import COMPARED_COMMITS, Comment, Comparison, Fate, FixRequest, OpenedFix

ARCHIVE_BYTES = 300_000_000
FILE_BYTES = 100_000_000

log = logging.getLogger(__name__)


class GitHubHost:
    """Implements `ports.CodeHost`.

    :param github: a lazy client, see `github_client.build_github`.
    """

    def __init__(self, repository: Repository, github: Github) -> None:
        self._name = full_name(repository.url)
        self._base_branch = repository.base_branch
        self._github = github
        self._repo = github.get_repo(self._name)
        self._listed: tuple[str, Mapping[str, tree.Entry]] | None = None

    def head(self, branch: str) -> str | None:
        """The branch's commit, None if there is no such branch."""
        with mapped_errors(self._name):
            try:
                return self._repo.get_git_ref(f"heads/{branch}").object.sha
            except GithubException as error:
                if error.status not in (404, 409):
                    raise
                # the same answer as for a repository that is not there: ask for that too
                _ = self._github.get_repo(self._name).id
                return None

    def export(self, commit: str, into: Path) -> None:
        """Write the tree at `commit` into the empty folder `into`: one archive, each file checked against its blob id."""
        missing = self._entries(commit)
        with tempfile.TemporaryFile() as archive:
            self._download(commit, archive)
            for path, mode, content in _archived(archive):
                entry = missing.get(path)
                if (
                    entry is not None
                    and (entry.mode == tree.SYMLINK) == (mode == tree.SYMLINK)
                    and _blob_id(content) == entry.sha
                ):
                    tree.write(into, missing.pop(path), content)
        for entry in missing.values():
            if entry.is_file:
                log.info("Fetching %s of %s on its own: the archive leaves it out or changes it", entry.path, self._name)
                tree.write(into, entry, self._blob(entry.sha))

    def compare(self, base: str, head: str) -> Comparison:
        """What `head` has and `base` has not; files are the first 300, as GitHub gives them."""
        with mapped_errors(f"{base} or {head} in {self._name}", missing=CommitNotFound):
            comparison = self._repo.compare(base, head)
            files = tuple(sorted(file.filename for file in comparison.files))
            commits = [_facts(commit.sha, commit.commit) for commit in islice(comparison.commits, 1000)]
        return Comparison(commits=tuple(reversed(commits[-COMPARED_COMMITS:])), files=files)

    def commits(self, head: str, *, paths: Sequence[str] = (), until: str | None = None, limit: int) -> list[str]:
        """Newest first for each path: one request a path, for GitHub takes one at a time."""
        then = datetime.fromisoformat(until) if until else NotSet
        found: list[str] = []
        with mapped_errors(f"{head} in {self._name}", missing=CommitNotFound):
            for path in paths or (NotSet,):
                found += [one.sha for one in islice(self._repo.get_commits(sha=head, path=path, until=then), limit)]
        return list(dict.fromkeys(found))

    def files(self, commit: str) -> list[str]:
        """Paths of the commit's files."""
        return [entry.path for entry in self._listing(commit).values() if entry.is_file]

    def read(self, commit: str, path: str) -> bytes | None:
        """A file's content at the commit, None if it has no such file."""
        entry = self._listing(commit).get(path)
        return self._blob(entry.sha) if entry and entry.is_file else None

    def _listing(self, commit: str) -> Mapping[str, tree.Entry]:
        """`_entries`, asked once for several reads of one commit."""
        if self._listed is None or self._listed[0] != commit:
            self._listed = (commit, self._entries(commit))
        return self._listed[1]

    def open_fix(self, request: FixRequest) -> OpenedFix:
        """One commit on a new branch off the base commit, and a draft pull request; each found again if it is there."""
        tree.check_request(request)
        with mapped_errors(self._name):
            base = self._commit(request.base_commit)
            new_tree = self._tree(request, base)
            existing = self._existing(request, new_tree)
            commit = existing or self._make_branch(request, base, new_tree)
            return OpenedFix(request.branch, commit, self._pull_request(request), reused=existing is not None)

    def fate(self, fix: OpenedFix) -> Fate:
        """What became of a fix; squashed and rebased ones are known by their pull request."""
        found = fate_of(self, fix, base_branch=self._base_branch)
        number = (fix.pull_request or "").rpartition("/pull/")[2]
        if found.state == "merged" or not number.isdecimal():
            return found
        with mapped_errors(f"pull request {number} of {self._name}"):
            pull = self._repo.get_pull(int(number))
            if pull.merged and pull.base.ref == self._base_branch:
                return Fate("merged", pull.merge_commit_sha)
            return Fate("gone") if pull.state == "closed" else found

    def approve(self, commit: str, signature: str) -> None:
        """Leave the approval as a ref that points to the commit."""
        with mapped_errors(self._name):
            try:
                self._repo.create_git_ref(approval_ref(commit, signature), commit)
            except GithubException as error:
                if "already exists" not in said(error):
                    raise

    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        """Bring the open pull request up to date."""
        raise NotImplementedError

    def comment(self, fix: OpenedFix, text: str) -> None:
        """Write under the pull request."""
        raise NotImplementedError

    def comments(self, fix: OpenedFix, *, since: str | None = None) -> list[Comment]:
        """What was written on the pull request."""
        raise NotImplementedError

    def delete_branch(self, branch: str) -> None:
        """Remove a branch that AgentFix made; one that is gone is fine, another's is BranchExists."""
        commit = self.head(branch)
        if commit is None:
            return
        if tree.session_of(self._commit(commit).message) is None:
            raise BranchExists(f"Branch {branch!r} of {self._name} ends in a commit AgentFix did not make; it is left alone.")
        with mapped_errors(self._name):
            try:
                ref = self._repo.get_git_ref(f"heads/{branch}")
                # reading it first gives the ref its own URL; a lazy one would delete at the URL for reading, which GitHub lacks
                if ref.object.sha == commit:
                    ref.delete()
            except GithubException as error:
                if "does not exist" not in said(error):
                    raise

    def _commit(self, sha: str) -> GitCommit:
        with mapped_errors(f"commit {sha} in {self._name}", missing=CommitNotFound):
            return self._repo.get_git_commit(sha)

    def _entries(self, commit: str) -> dict[str, tree.Entry]:
        sha = self._commit(commit).tree.sha
        with mapped_errors(self._name):
            listing = self._repo.get_git_tree(sha, recursive=True)
        if listing.raw_data.get("truncated"):
            raise CodeHostRefused(
                f"The tree of {self._name} at {commit} is too large for GitHub's API; "
                "give the repository a git connection and unset the GitHub login to use plain git."
            )
        return {
            element.path: tree.Entry(element.path, element.mode, element.sha)
            for element in listing.tree
            if element.type != "tree"
        }

    def _blob(self, sha: str) -> bytes:
        with mapped_errors(self._name):
            return base64.b64decode(self._repo.get_git_blob(sha).content)

    def _download(self, commit: str, archive: IO[bytes]) -> None:
        with mapped_errors(f"commit {commit} in {self._name}", missing=CommitNotFound):
            link = self._repo.get_archive_link("tarball", commit)
            # no login: the link carries its own short-lived one
            with requests.get(link, stream=True, timeout=60) as response:
                response.raise_for_status()
                for chunk in response.iter_content(1 << 20):
                    archive.write(chunk)
                    if archive.tell() > ARCHIVE_BYTES:
                        raise CodeHostRefused(
                            f"The archive of {self._name} has over {ARCHIVE_BYTES} bytes; use plain git for it."
                        )
        archive.seek(0)

    def _tree(self, request: FixRequest, base: GitCommit) -> str:
        entries = self._entries(request.base_commit)
        tree.check_places(request, entries)
        elements = []
        for change in request.changes:
            was = entries.get(change.path)
            if change.content is not None:
                mode = change.mode or (was.mode if was else tree.FILE)
                sha = self._repo.create_git_blob(base64.b64encode(change.content).decode(), "base64").sha
                elements.append(InputGitTreeElement(change.path, mode, "blob", sha=sha))
            elif was is not None:
                elements.append(InputGitTreeElement(change.path, was.mode, "blob", sha=None))
        new_tree = self._repo.create_git_tree(elements, base.tree).sha if elements else base.tree.sha
        if new_tree == base.tree.sha:
            raise NothingToCommit(f"The fix of session {request.session_id!r} changes nothing against {request.base_commit}.")
        return new_tree

    def _existing(self, request: FixRequest, new_tree: str) -> str | None:
        """The branch's commit if it holds this very fix, None if there is none; BranchExists for others."""
        sha = self.head(request.branch)
        if sha is None:
            return None
        commit = self._commit(sha)
        same = (commit.tree.sha, [parent.sha for parent in commit.parents]) == (new_tree, [request.base_commit])
        tree.check_ours(request, sha, commit.message, same_content=same)
        return sha

    def _make_branch(self, request: FixRequest, base: GitCommit, new_tree: str) -> str:
        self._refuse_moved_base(request)
        # no author: GitHub names the login, and signs for a GitHub App
        commit = self._repo.create_git_commit(tree.signed_message(request, new_tree), self._repo.get_git_tree(new_tree), [base])
        try:
            self._repo.create_git_ref(f"refs/heads/{request.branch}", commit.sha)
        except GithubException as error:
            # an earlier call of ours whose answer was lost, or someone who was quicker
            if "already exists" in said(error) and (existing := self._existing(request, new_tree)):
                return existing
            raise
        return commit.sha

    def _refuse_moved_base(self, request: FixRequest) -> None:
        now = self.head(request.base_branch)
        if now is None:
            raise CommitNotFound(f"No branch {request.base_branch!r} in {self._name}; check the configured base branch.")
        if now == request.base_commit:
            return
        before, after = self._entries(request.base_commit), self._entries(now)
        if moved := sorted(change.path for change in request.changes if before.get(change.path) != after.get(change.path)):
            raise BaseMoved(tree.moved_message(request, now, moved))

    def _pull_request(self, request: FixRequest) -> str:
        if known := self._known_pull_request(request):
            return known
        try:
            return self._create_pull(request, draft=True)
        except GithubException as error:
            words = said(error)
            if "already exists" in words and (known := self._known_pull_request(request)):
                return known
            if "raft pull requests are not supported" not in words:
                raise
        return self._create_pull(request, draft=False)

    def _create_pull(self, request: FixRequest, *, draft: bool) -> str:
        pull = self._repo.create_pull(
            base=request.base_branch, head=request.branch, title=request.title, body=request.body, draft=draft
        )
        return pull.html_url

    def _known_pull_request(self, request: FixRequest) -> str | None:
        """The branch's pull request, the open one first: one that a person closed is not opened anew."""
        owner = self._name.partition("/")[0]
        pulls = self._repo.get_pulls(state="all", base=request.base_branch, head=f"{owner}:{request.branch}")
        found = sorted(islice(pulls, 30), key=lambda pull: (pull.state != "open", -pull.number))
        return found[0].html_url if found else None


def _facts(sha: str, commit: GitCommit) -> dict[str, Any]:
    author = commit.author
    return {"sha": sha, "author": author.name, "date": author.date.isoformat(), "subject": commit.message.partition("\n")[0]}


def _archived(archive: IO[bytes]) -> Iterator[tuple[str, str, bytes]]:
    """(path, mode, content) of the archive's files and links; its first folder is GitHub's own."""
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as members:
            for member in members:
                path = member.name.partition("/")[2]
                if member.issym():
                    yield path, tree.SYMLINK, os.fsencode(member.linkname)
                elif member.isreg() and member.size <= FILE_BYTES and (file := members.extractfile(member)):
                    yield path, tree.FILE, file.read()
    except (tarfile.TarError, EOFError, OSError) as error:
        raise CodeHostRefused(f"GitHub's archive cannot be read: {error}; try again.") from error


def _blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()

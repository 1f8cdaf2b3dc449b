"""GitHub as code host, over its Git Data API: one commit however many files, a branch, a draft pull request.

Invariants: a branch is only ever created, never moved; every file of an export has the blob id the tree names, so archive
attributes (export-ignore, export-subst) and LFS never get into a commit. What a commit id names is kept: it never changes.
"""

from __future__ import annotations

import base64
import logging
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from github import Github, GithubException, InputGitTreeElement  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GitCommit import GitCommit  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GithubObject import NotSet  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GitRef import GitRef  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GitTree import GitTree  # noqa: TID253 - an adapter; only wiring.py imports it

from airflow_agentfix.code import github_archive, tree
from airflow_agentfix.code.fate import fate_of
from airflow_agentfix.code.github_errors import mapped_errors, said
from airflow_agentfix.code.github_pulls import PullRequests
from airflow_agentfix.code.github_retry import REDIRECTS, patient
from airflow_agentfix.code.hosts import full_name
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.signature import APPROVED, approval_ref
from airflow_agentfix.errors import (
    BaseMoved,
    BranchExists,
    CodeError,
    CodeHostRefused,
    CommitNotFound,
    NothingToCommit,
    RepositoryMoved,
)
from airflow_agentfix.ports import COMPARED_COMMITS, Comment, Comparison, Fate, FileChange, FixRequest, OpenedFix

INLINE_BYTES = 1_000_000
"""of a text that goes along with its tree; larger ones, and what is no text, are sent as blobs first"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Commit:
    sha: str
    tree: str
    parents: tuple[str, ...]
    message: str
    at: datetime


class GitHubHost:
    """Implements `ports.CodeHost`.

    :param github: a lazy client, see `github_client.build_github`.
    """

    def __init__(self, repository: Repository, github: Github) -> None:
        self._base_branch = repository.base_branch
        self._github = github
        self._known: dict[str, _Commit] = {}
        self._listed: tuple[str, Mapping[str, tree.Entry]] | None = None
        self._is_at(full_name(repository.url))

    def _is_at(self, name: str) -> None:
        self._name = name
        self._repo = self._github.get_repo(name)
        self._pulls = PullRequests(self._github, self._repo, name)

    def follow(self, moved: RepositoryMoved) -> None:
        """Go on where the repository is now, by the number that GitHub keeps whatever its name."""
        number = re.search(r"/repositories/(\d+)(?=/|$)", moved.location)
        if number is None:
            raise moved
        with mapped_errors(self._name):
            name = self._github.get_repo(int(number[1])).full_name
        if name == self._name:
            raise moved
        log.warning("Repository %s is %s now; correct its URL where it is configured", self._name, name)
        self._is_at(name)

    def head(self, branch: str) -> str | None:
        """The branch's commit, None if there is no such branch."""
        tip = self._tip(branch)
        return tip.sha if tip else None

    def export(self, commit: str, into: Path) -> None:
        """Write the tree at `commit` into the empty folder `into`: one archive, each file checked against its blob id."""
        missing = dict(self._listing(commit))
        with tempfile.TemporaryFile() as archive:
            self._download(commit, archive)
            for path, mode, content in github_archive.contents(archive):
                entry = missing.get(path)
                if (
                    entry is not None
                    and (entry.mode == tree.SYMLINK) == (mode == tree.SYMLINK)
                    and github_archive.blob_id(content) == entry.sha
                ):
                    tree.write(into, missing.pop(path), content)
        for entry in missing.values():
            if entry.is_file:
                log.info("Fetching %s of %s on its own: the archive leaves it out or changes it", entry.path, self._name)
                tree.write(into, entry, self._blob(entry.sha))

    @patient
    def compare(self, base: str, head: str) -> Comparison:
        """What `head` has and `base` has not; files are the first 300, as GitHub gives them."""
        with mapped_errors(f"{base} or {head} in {self._name}", missing=CommitNotFound):
            comparison = self._repo.compare(base, head)
            files = tuple(sorted(file.filename for file in comparison.files))
            commits = [_facts(commit.sha, commit.commit) for commit in islice(comparison.commits, 1000)]
        return Comparison(commits=tuple(reversed(commits[-COMPARED_COMMITS:])), files=files)

    @patient
    def commits(self, head: str, *, paths: Sequence[str] = (), until: str | None = None, limit: int) -> list[str]:
        """Newest first for each path: one request a path, for GitHub takes one at a time."""
        then = datetime.fromisoformat(until) if until else NotSet
        if limit == 1 and not paths and isinstance(then, datetime) and head in self._known and self._known[head].at <= then:
            return [head]
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

    @patient
    def open_fix(self, request: FixRequest) -> OpenedFix:
        """One commit on a new branch off the base commit, and a draft pull request; each found again if it is there."""
        tree.check_request(request)
        with mapped_errors(self._name):
            new_tree = self._tree(request)
            refusal = self._base_refusal(request)
            existing = self._existing(request, new_tree.sha) if refusal else None
            if refusal and existing is None:
                raise refusal
            fix = existing or self._make_branch(request, new_tree)
            address = self._pulls.open(request, branch_was_there=fix.reused, made_by=fix.made_by)
            return replace(fix, pull_request=address)

    @patient
    def fate(self, fix: OpenedFix) -> Fate:
        """What became of a fix; squashed and rebased ones are known by their pull request."""
        found = fate_of(self, fix, base_branch=self._base_branch)
        pull = self._pulls.get(fix) if found.state != "merged" else None
        if pull is None:
            return found
        if pull.merged and pull.base.ref == self._base_branch:
            return Fate("merged", pull.merge_commit_sha)
        return Fate("gone") if pull.state == "closed" else found

    @patient
    def approve(self, commit: str, signature: str) -> None:
        """Leave the approval as a ref that points to the commit."""
        with mapped_errors(self._name):
            try:
                self._repo.create_git_ref(approval_ref(commit, signature), commit)
            except GithubException as error:
                if "already exists" not in said(error):
                    raise

    @patient
    def update_request(self, fix: OpenedFix, *, body: str | None = None, ready: bool = False) -> None:
        """Bring the open pull request up to date."""
        self._pulls.update(fix, body=body, ready=ready)

    @patient
    def comment(self, fix: OpenedFix, text: str) -> None:
        """Write under the pull request."""
        self._pulls.comment(fix, text)

    @patient
    def comments(self, fix: OpenedFix, *, since: str | None = None) -> list[Comment]:
        """What was written on the pull request."""
        return self._pulls.comments(fix, since=since)

    @patient
    def delete_branch(self, branch: str) -> None:
        """Remove a branch that AgentFix made; one that is gone is fine, another's is BranchExists."""
        tip = self._tip(branch)
        if tip is None:
            return
        if tree.session_of(tip.message) is None:
            raise BranchExists(f"Branch {branch!r} of {self._name} ends in a commit AgentFix did not make; it is left alone.")
        with mapped_errors(self._name):
            # before the branch: what is gone names its commit no more
            approvals = self._repo.get_git_matching_refs(f"{APPROVED.removeprefix('refs/')}{tip.sha}/")
            for ref in [*approvals, self._repo.get_git_ref(f"heads/{branch}")]:
                self._delete(ref, tip.sha)

    def _delete(self, ref: GitRef, commit: str) -> None:
        """Remove the ref if it still names the commit."""
        try:
            # reading a lazy one gives it its own URL; it would delete at the URL for reading, which GitHub lacks
            if ref.object.sha == commit:
                ref.delete()
        except GithubException as error:
            if error.status != 404 and "does not exist" not in said(error):
                raise

    # --- reading ---

    @patient
    def _tip(self, branch: str) -> _Commit | None:
        with mapped_errors(self._name):
            try:
                found = self._repo.get_branch(branch).raw_data
            except GithubException as error:
                if _is_of_another_branch(error, branch):
                    return None
                if error.status != 404:
                    raise
                if said(error) != "Branch not found":  # perhaps there is no such repository: ask for that too
                    _ = self._github.get_repo(self._name).id
                return None
        return self._remember(found["commit"]["sha"], found["commit"]["commit"], found["commit"]["parents"])

    @patient
    def _commit(self, sha: str) -> _Commit:
        if sha in self._known:
            return self._known[sha]
        with mapped_errors(f"commit {sha} in {self._name}", missing=CommitNotFound):
            found = self._repo.get_git_commit(sha).raw_data
        return self._remember(sha, found, found["parents"])

    def _remember(self, sha: str, facts: Mapping[str, Any], parents: Sequence[Mapping[str, Any]]) -> _Commit:
        commit = _Commit(
            sha,
            facts["tree"]["sha"],
            tuple(parent["sha"] for parent in parents),
            facts["message"],
            datetime.fromisoformat(facts["committer"]["date"]),
        )
        self._known[sha] = commit
        return commit

    def _listing(self, commit: str) -> Mapping[str, tree.Entry]:
        """`_entries`, asked once for several looks at one commit."""
        if self._listed is None or self._listed[0] != commit:
            self._listed = (commit, self._entries(commit))
        return self._listed[1]

    @patient
    def _entries(self, commit: str) -> dict[str, tree.Entry]:
        if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise CommitNotFound(f"{commit!r} is no commit id; expected 40 hexadecimal digits.")
        with mapped_errors(f"commit {commit} in {self._name}", missing=CommitNotFound):
            listing = self._repo.get_git_tree(commit, recursive=True)
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

    @patient
    def _blob(self, sha: str) -> bytes:
        with mapped_errors(self._name):
            return base64.b64decode(self._repo.get_git_blob(sha).content)

    @patient
    def _download(self, commit: str, archive: IO[bytes]) -> None:
        with mapped_errors(f"commit {commit} in {self._name}", missing=CommitNotFound):
            github_archive.download(self._repo.get_archive_link("tarball", commit), archive, about=self._name)

    # --- writing ---

    def _tree(self, request: FixRequest) -> GitTree:
        base, entries = self._commit(request.base_commit), self._listing(request.base_commit)
        tree.check_places(request, entries)
        elements = []
        for change in request.changes:
            was = entries.get(change.path)
            if change.content is not None:
                elements.append(self._element(change, change.content, change.mode or (was.mode if was else tree.FILE)))
            elif was is not None:
                elements.append(InputGitTreeElement(change.path, was.mode, "blob", sha=None))
        new_tree = self._repo.create_git_tree(elements, self._as_tree(base.tree)) if elements else None
        if new_tree is None or new_tree.sha == base.tree:
            raise NothingToCommit(f"The fix of session {request.session_id!r} changes nothing against {request.base_commit}.")
        return new_tree

    def _element(self, change: FileChange, content: bytes, mode: str) -> InputGitTreeElement:
        """Text goes along; what JSON does not carry byte for byte is a blob of its own first."""
        try:
            text = content.decode() if len(content) <= INLINE_BYTES and b"\0" not in content else None
        except UnicodeDecodeError:
            text = None
        if text is not None:
            return InputGitTreeElement(change.path, mode, "blob", content=text)
        sha = self._repo.create_git_blob(base64.b64encode(content).decode(), "base64").sha
        return InputGitTreeElement(change.path, mode, "blob", sha=sha)

    def _as_tree(self, sha: str) -> GitTree:
        return GitTree(self._repo.requester, {}, {"sha": sha}, completed=True)

    def _existing(self, request: FixRequest, new_tree: str) -> OpenedFix | None:
        """The branch if it holds this very fix, None if there is none; BranchExists for others."""
        tip = self._tip(request.branch)
        if tip is None:
            return None
        same = (tip.tree, tip.parents) == (new_tree, (request.base_commit,))
        maker = tree.maker_of(request, tip.sha, tip.message, new_tree=new_tree, same_content=same)
        return OpenedFix(request.branch, tip.sha, None, reused=True, made_by=maker)

    def _make_branch(self, request: FixRequest, new_tree: GitTree) -> OpenedFix:
        """The branch, or the one that was there."""
        parent = GitCommit(self._repo.requester, {}, {"sha": request.base_commit}, completed=True)
        # no author: GitHub names the login, and signs for a GitHub App
        commit = self._repo.create_git_commit(tree.signed_message(request, new_tree.sha), new_tree, [parent])
        try:
            self._repo.create_git_ref(f"refs/heads/{request.branch}", commit.sha)
        except GithubException as error:
            # an earlier call of ours whose answer was lost, an earlier session for the same cause, or someone who was quicker
            if "already exists" in said(error) and (existing := self._existing(request, new_tree.sha)):
                return existing
            raise
        return OpenedFix(request.branch, commit.sha, None)

    def _base_refusal(self, request: FixRequest) -> CodeError | None:
        """Why no new branch may be made off the base commit."""
        now = self._tip(request.base_branch)
        if now is None:
            return CommitNotFound(f"No branch {request.base_branch!r} in {self._name}; check the configured base branch.")
        if now.sha == request.base_commit:
            return None
        moved = tree.moved(request, self._listing(request.base_commit), self._entries(now.sha))
        return BaseMoved(tree.moved_message(request, now.sha, moved)) if moved else None


def _is_of_another_branch(error: GithubException, branch: str) -> bool:
    """Whether GitHub points from a renamed branch to its new name: one of the old name is not there."""
    location = {name.lower(): value for name, value in (error.headers or {}).items()}.get("location", "")
    return error.status in REDIRECTS and "/branches/" in location and not location.endswith(f"/branches/{quote(branch)}")


def _facts(sha: str, commit: GitCommit) -> dict[str, Any]:
    author = commit.author
    return {"sha": sha, "author": author.name, "date": author.date.isoformat(), "subject": commit.message.partition("\n")[0]}

"""What the code hosts share: a tree's entries written to disk safely, and the rules of a fix branch."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from airflow_agentfix.core import paths
from airflow_agentfix.core.signature import TRAILER as SIGNATURE
from airflow_agentfix.errors import BranchExists, CodeHostRefused, EditRefused
from airflow_agentfix.ports import FixRequest

FILE = "100644"
EXECUTABLE = "100755"
SYMLINK = "120000"
SUBMODULE = "160000"

_KINDS = {SYMLINK: "symbolic link", SUBMODULE: "submodule"}

TRAILER = "Agentfix-Session"
CAUSE_TRAILER = "Agentfix-Fingerprint"

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Entry:
    """One file of a git tree: its mode and its blob's id."""

    path: str
    mode: str
    sha: str

    @property
    def is_file(self) -> bool:
        """Whether it has content of its own: all but submodules."""
        return self.mode != SUBMODULE


def write(root: Path, entry: Entry, content: bytes) -> None:
    """Write one entry below `root`. Links that lead out of it, and names no checkout could hold, are left out."""
    target = root / entry.path
    if paths.unsafe(entry.path) or not Path(os.path.realpath(target.parent)).is_relative_to(root.resolve()):
        log.warning("Left %r out of the working copy: not a path inside it", entry.path)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if entry.mode == SYMLINK:
        _link(root, entry.path, content)
        return
    target.write_bytes(content)
    if entry.mode == EXECUTABLE:
        target.chmod(0o755)


def check_request(request: FixRequest) -> None:
    """Refuse what no host may do, before anything is asked of it."""
    if request.branch == request.base_branch:
        raise BranchExists(f"The fix branch {request.branch!r} is the base branch; expected a new branch such as 'fix/…'.")
    if not _is_branch_name(request.branch):
        raise CodeHostRefused(f"{request.branch!r} is no branch name git accepts.")
    if session_of(request.message) != request.session_id:
        raise CodeHostRefused(
            f"The commit message lacks the trailer '{TRAILER}: {request.session_id}'; the branch could not be known again."
        )
    for change in request.changes:
        if reason := paths.unsafe(change.path):
            raise EditRefused(f"{change.path!r} is no path in the repository: {reason}.")


def signed_message(request: FixRequest, new_tree: str) -> str:
    """The commit message with the deployment's signature of the tree as its last trailer, where there is one."""
    signature = _signature(request, new_tree)
    return f"{request.message.rstrip()}\n{SIGNATURE}: {signature}\n" if signature else request.message


def _signature(request: FixRequest, new_tree: str) -> str:
    return request.sign(new_tree) if request.sign else ""


def check_places(request: FixRequest, entries: Mapping[str, Entry]) -> None:
    """EditRefused where a change would make something else of an entry of the base: a link that the working copy was not
    given, because it leads out, looks there like a free name."""
    for change in request.changes:
        folders = [str(folder) for folder in PurePosixPath(change.path).parents]
        for place in (change.path, *folders):
            entry = entries.get(place)
            if entry is not None and (place != change.path or entry.mode in (SYMLINK, SUBMODULE)):
                what = _KINDS.get(entry.mode, "file")
                raise EditRefused(f"{change.path!r} cannot be written: {place!r} is a {what} in the repository.")


def maker_of(request: FixRequest, commit: str, message: str, *, new_tree: str, same_content: bool) -> str | None:
    """The earlier session that made the commit at the branch's end, None where it is this session's own.

    BranchExists unless it is this very fix: same tree on the same base, made by this session or by an earlier one for the same
    cause. One from before there was a signing key is none: no preview would ever show it."""
    maker = session_of(message)
    if maker == request.session_id and not same_content:
        raise BranchExists(f"Branch {request.branch!r} exists at {commit} with another fix of this session; it is never moved.")
    cause = trailer_of(message, CAUSE_TRAILER)
    same_cause = cause is not None and cause == trailer_of(request.message, CAUSE_TRAILER)
    if maker != request.session_id and not (maker and same_cause and same_content):
        who = f"session {maker!r}" if maker else "someone else"
        raise BranchExists(
            f"Branch {request.branch!r} exists at {commit}, made by {who}; it is left alone. Use another branch name."
        )
    if maker != request.session_id and trailer_of(message, SIGNATURE) is None and _signature(request, new_tree):
        raise BranchExists(
            f"Branch {request.branch!r} exists at {commit}, made by session {maker!r} without the deployment's signature, which "
            "previews need; it is left alone. Use another branch name."
        )
    return maker if maker != request.session_id else None


def session_of(message: str) -> str | None:
    """The session a commit message names in its trailers, None if it names none."""
    return trailer_of(message, TRAILER)


def trailer_of(message: str, name: str) -> str | None:
    """The value of a trailer in the message's last paragraph, None if it is not there."""
    last_paragraph = re.split(r"\n\s*\n", message.strip())[-1]
    match = re.search(rf"^{name}:\s*(\S+)\s*$", last_paragraph, re.MULTILINE)
    return match.group(1) if match else None


def moved(request: FixRequest, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> list[str]:
    """Paths that the base branch changed since and that the fix changes too, or makes a folder or a file of."""
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    return sorted(path for path in changed if any(_meet(path, change.path) for change in request.changes))


def _meet(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def moved_message(request: FixRequest, now: str, moved: list[str]) -> str:
    """What BaseMoved says."""
    return (
        f"{request.base_branch!r} moved from {request.base_commit} to {now} and changed {', '.join(moved[:5])}, which the fix "
        "changes too. The fix is not merged with that unseen, and nothing was pushed: end this session with its report and say "
        "so; a new session for the failed task starts from the new head."
    )


def _link(root: Path, path: str, content: bytes) -> None:
    pointed = os.fsdecode(content)
    inside = (root / path).parent.resolve() / pointed
    named = [part for part in pointed.split("/") if part not in ("", ".")]
    # "..", once a name was followed, may leave from where another link led: only leading ones can be judged by the path alone
    climbs = ".." in named[next((place for place, part in enumerate(named) if part != ".."), len(named)) :]
    leads_out = climbs or not Path(os.path.normpath(inside)).is_relative_to(root.resolve())
    if PurePosixPath(pointed).is_absolute() or leads_out:
        log.warning("Left the symbolic link %r out of the working copy: it leads out of the repository", path)
        return
    (root / path).symlink_to(pointed)


def _is_branch_name(name: str) -> bool:
    """git check-ref-format's rules for a branch."""
    if not name or name.startswith(("-", "/")) or name.endswith(("/", ".", ".lock")) or name in ("@", "HEAD"):
        return False
    if re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//", name):
        return False
    return not any(part.startswith(".") or part.endswith(".lock") for part in name.split("/"))

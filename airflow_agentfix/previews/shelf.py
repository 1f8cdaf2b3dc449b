"""The previews of one bundle on this machine: brought up to date by `refresh`, else only looked at.

Invariant: what has no approval and no signature of this deployment is neither checked out nor written a loader for.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_agentfix.core import paths
from airflow_agentfix.core.previews import LONGEST, branch_slug
from airflow_agentfix.errors import CodeError, ConfigurationError
from airflow_agentfix.previews import listing, loaders, state
from airflow_agentfix.previews.fixes import Fix, read_fix
from airflow_agentfix.previews.listing import Listing, Tip
from airflow_agentfix.previews.remote import Remote
from airflow_agentfix.previews.repository import Repository
from airflow_agentfix.previews.state import Served, State
from airflow_agentfix.previews.trees import Trees

MOST = 100
"""previews at a time; more branches are named in the log"""
KEPT_SECONDS = 24 * 3600.0
"""that a tree stays after its branch went: what a task started there may still read it"""
_OLD_SECONDS = 60.0
"""a branch that was deleted and made again has another commit under the same DAG id: no worker runs the old one for long"""
_TOLD = 50

log = logging.getLogger(__name__)


class Shelf:
    """Everything is below `folder`; `dags` holds the loader files. `refresh` expects the bundle's lock, the rest does not."""

    def __init__(
        self,
        folder: Path,
        *,
        remote: Remote,
        keys: Callable[[], tuple[bytes, ...]],
        subdir: str = "",
        mute_outlets: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.dags = folder / "dags"
        self._folder = folder
        self._remote = remote
        self._keys = keys
        self._subdir = subdir
        self._mute_outlets = mute_outlets
        self._now = now
        self._trees = Trees(folder / "trees")
        self._repository = Repository(folder / "repository.git", remote)

    def has(self, dag_id: str | None) -> bool:
        """Whether this DAG can be loaded from here; None: whether there was a refresh. Asks no one."""
        known = state.read(self._file)
        if known is None or dag_id is None:
            return known is not None and self.dags.is_dir()
        mine = [one for one in known.served if one.dag_id == dag_id]
        return any((self.dags / one.loader).is_file() and self._trees.has(one.fix.commit) for one in mine)

    def is_old(self) -> bool:
        """Whether nothing here was refreshed, nor tried to be, for a minute: no DAG processor does it on this machine."""
        try:
            return self._now() - self._asked.stat().st_mtime > _OLD_SECONDS
        except FileNotFoundError:
            return True

    def refresh(self, wanted: str | None = None) -> None:
        """Serve what is approved and signed now, and nothing else; of what is new only the DAG `wanted`, if one is: a worker has
        one task to start. One ls-remote where nothing changed. Raises CodeError, ConfigurationError; what was served still is."""
        self._check()
        self._folder.mkdir(parents=True, exist_ok=True)
        self._asked.touch()
        keys = self._keys()
        known = self._known(keys)
        if not keys:
            log.warning("Previews of %s: no signing key, so no branch can be known as ours; set [agentfix] signing_key or "
                        "[core] fernet_key, the same in every Airflow process", self._remote.about)  # fmt: skip
        found = listing.read(self._repository.list_refs(), keys)
        now = self._served(found, known, keys, wanted)
        loaders.write(self.dags, {one.loader: self._loader(one) for one in now.served})
        self._tell(known.told, now.told)
        self._tidy(known, now)
        state.write(self._file, now)

    @property
    def _file(self) -> Path:
        return self._folder / "state.json"

    @property
    def _asked(self) -> Path:
        return self._folder / "asked"

    def _check(self) -> None:
        if self._subdir and (reason := paths.unsafe(self._subdir)):
            raise ConfigurationError(f"subdir {self._subdir!r} of the previews' bundle is no folder of the repository: {reason}.")

    def _known(self, keys: Iterable[bytes]) -> State:
        """What the last refresh found; with other keys other commits are ours."""
        digest = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        known = state.read(self._file)
        return known if known is not None and known.keys == digest else State(keys=digest, gone=known.gone if known else {})

    def _served(self, found: Listing, known: State, keys: tuple[bytes, ...], wanted: str | None) -> State:
        fixes, refused = self._judged(found.approved, known, keys, wanted)
        served = [Served(tip.branch, fixes[tip.commit]) for tip in found.approved if tip.commit in fixes]
        told = [
            *(_line(tip, refused[tip.commit]) for tip in found.approved if tip.commit in refused),
            *(_line(Tip(one.branch, one.fix.commit), f"there are {MOST} previews already") for one in served[MOST:]),
            *(_line(tip, "its commit has no approval of this deployment") for tip in found.unapproved),
        ]
        return State(served=tuple(served[:MOST]), refused=refused, keys=known.keys, told=told)

    def _judged(
        self, tips: Iterable[Tip], known: State, keys: tuple[bytes, ...], wanted: str | None
    ) -> tuple[dict[str, Fix], dict[str, str]]:
        """The approved commits that are fixes of ours, their trees checked out, and why the others are none."""
        commits = {tip.commit for tip in tips}
        fixes = {commit: fix for commit, fix in known.fixes.items() if commit in commits and self._trees.has(commit)}
        refused = {commit: reason for commit, reason in known.refused.items() if commit in commits}
        new = [tip for tip in tips if not {tip.commit} & {*fixes, *refused} and (wanted is None or _may_be(wanted, tip.branch))]
        if not new:
            return fixes, refused
        absent = self._repository.fetch(new)
        for commit in dict.fromkeys(tip.commit for tip in new):
            if commit in absent:
                continue  # moved meanwhile: the next refresh sees where to
            fix = read_fix(commit, self._repository.raw(commit), keys)
            if isinstance(fix, str):
                refused[commit] = fix
            elif self._check_out(commit):
                fixes[commit] = fix
        return fixes, refused

    def _check_out(self, commit: str) -> bool:
        """One that cannot be checked out takes no other with it, and is tried again."""
        try:
            self._trees.make(commit, lambda into: self._repository.export(commit, into))
        except (CodeError, OSError) as error:
            log.error("Previews of %s: commit %s cannot be checked out: %s", self._remote.about, commit, error)
            return False
        log.info("Previews of %s: checked out %s", self._remote.about, commit)
        return True

    def _loader(self, served: Served) -> str:
        tree = self._trees.path(served.fix.commit)
        return loaders.text(served, tree=tree, subdir=self._subdir, mute_outlets=self._mute_outlets)

    def _tell(self, before: Iterable[str], now: list[str]) -> None:
        """Why a branch is not served, once; of very many branches the first few and how many."""
        known = set(before)
        if len(now) > _TOLD:
            now[_TOLD:] = [f"and {len(now) - _TOLD} more"]
        for line in now:
            if line not in known:
                log.info("Previews of %s: not served: %s", self._remote.about, line)

    def _tidy(self, known: State, now: State) -> None:
        """Trees of commits that are served no more go after a day, unless a process works in them."""
        served, time_now = set(now.fixes), self._now()
        gone = {commit: known.gone.get(commit, time_now) for commit in self._trees.commits() if commit not in served}
        removed = self._trees.remove(gone, before=time_now - KEPT_SECONDS)
        now.gone = {commit: since for commit, since in gone.items() if commit not in removed}
        if removed or set(known.fixes) - served:
            self._repository.keep(served)


def _may_be(dag_id: str, branch: str) -> bool:
    """Whether the DAG id may be of the branch's preview; one that was shortened tells no branch."""
    return dag_id.endswith(f".{branch_slug(branch)}") or len(dag_id) == LONGEST


def _line(tip: Tip, reason: str) -> str:
    return f"{tip.branch[:120]!a} at {tip.commit[:12]}: {reason}"

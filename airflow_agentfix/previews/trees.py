"""Checked-out trees of fix commits, one folder a commit, each written once and then only read.

Invariants: a tree is there whole or not at all. One that a process loads from is not removed while the process lives.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from airflow_agentfix.errors import PreviewNotLoaded

_IN_USE = ".in-use"
_NEW = ".new"
_GONE = ".gone-"

log = logging.getLogger(__name__)

_held: dict[str, int] = {}
"""the descriptors that keep trees, by tree, for as long as this process lives"""


class Trees:
    """The folder that holds them. Writing and removing expect the bundle's lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, commit: str) -> Path:
        return self._folder / commit

    def has(self, commit: str) -> bool:
        return self.path(commit).is_dir()

    def make(self, commit: str, export: Callable[[Path], None]) -> None:
        """Have the commit's tree; `export` writes it into an empty folder."""
        if self.has(commit):
            return
        new = self._folder / _NEW
        shutil.rmtree(new, ignore_errors=True)  # a killed process's
        new.mkdir(parents=True)
        export(new)
        (self._folder / _IN_USE).mkdir(exist_ok=True)
        (self._folder / _IN_USE / commit).touch()
        new.rename(self.path(commit))

    def commits(self) -> list[str]:
        """Those whose trees are here, or what is left of them."""
        if not self._folder.is_dir():
            return []
        names = [entry.name.removeprefix(_GONE) for entry in os.scandir(self._folder) if entry.is_dir()]
        return [name for name in names if not name.startswith(".")]

    def remove(self, gone: Mapping[str, float], *, before: float) -> Collection[str]:
        """Remove the trees that went before that time and that no process holds; gives their commits."""
        return [commit for commit, since in gone.items() if since <= before and self._remove(commit)]

    def _remove(self, commit: str) -> bool:
        mark = self._folder / _IN_USE / commit
        mark.parent.mkdir(parents=True, exist_ok=True)
        with mark.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            try:
                self._put_away(commit)
            except OSError as error:  # what a task that runs as another user wrote there is not ours to remove
                log.warning("The tree %s cannot be removed: %s", self.path(commit), error)
                return False
            mark.unlink()
        return True

    def _put_away(self, commit: str) -> None:
        """In two steps: nobody sees half a tree."""
        going = self._folder / f"{_GONE}{commit}"
        if self.has(commit):
            self.path(commit).rename(going)
        if going.exists():
            shutil.rmtree(going)


def hold(tree: Path) -> None:
    """Keep the tree until this process ends. Raises PreviewNotLoaded where it is being removed."""
    if str(tree) in _held:
        return
    try:
        descriptor = os.open(tree.parent / _IN_USE / tree.name, os.O_RDONLY)
    except FileNotFoundError:
        raise PreviewNotLoaded(f"The tree of {tree.name} is gone: its branch was deleted some time ago.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise PreviewNotLoaded(f"The tree of {tree.name} is being removed: its branch was deleted some time ago.") from None
    _held[str(tree)] = descriptor

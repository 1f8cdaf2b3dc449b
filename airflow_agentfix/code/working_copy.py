"""A repository's tree at one commit, and the changes made to it.

Invariants: nothing outside `root` is read or written, symbolic links are never written through, and a file's bytes change
only where an edit says so. The folder is a cache: base commit and `patch()` rebuild it anywhere.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rapidfuzz import process

from airflow_agentfix.code import text_edit
from airflow_agentfix.core import paths
from airflow_agentfix.errors import EditRefused
from airflow_agentfix.patterns import compiled, glob_spec
from airflow_agentfix.ports import FileChange

SEARCHED_BYTES = 1_000_000
SEARCHED_LINE = 1_000
MAX_HITS = 1_000


class Patch(TypedDict):
    """One changed file as an event holds it: whole texts, `before` None for a new file, `after` None for a deleted one."""

    path: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Snapshot:
    """All changes at one moment, for `WorkingCopy.restore`."""

    contents: Mapping[str, bytes | None]
    revision: int


class WorkingCopy:
    """The tree below `root`, as exported at the base commit, with `files` (path to text, None deletes) applied to it."""

    def __init__(self, root: Path, *, files: Mapping[str, str | None] | None = None) -> None:
        self.root = root.resolve()
        self.revision = 0
        self._base: dict[str, bytes | None] = {}
        for path, text in (files or {}).items():
            self._put(self._checked(path), path, None if text is None else text.encode())

    def list_files(self, glob: str | None = None) -> list[str]:
        """Paths of all files, sorted; `glob` as in .gitignore (`*.py` anywhere, `dags/**` from the top)."""
        found = sorted(self._walk())
        if glob is None:
            return found
        return list(glob_spec(glob).match_files(found))

    def read(self, path: str) -> str:
        """The file's text, line ends as they are. EditRefused for what is not there or is no UTF-8 text."""
        content = self._bytes(path)
        if content is None:
            raise EditRefused(f"No file {path!r} in the repository.{self._near(path)}")
        return _decode(path, content)

    def search(self, regex: str, glob: str | None = None) -> list[tuple[str, int, str]]:
        """(path, line number, line) of every line that matches, at most MAX_HITS; binary and large files are passed over."""
        pattern = compiled(regex)
        hits: list[tuple[str, int, str]] = []
        for path in self.list_files(glob):
            for number, line in enumerate(self._searchable_lines(path), 1):
                if pattern.search(line[:SEARCHED_LINE]):
                    hits.append((path, number, line))
                    if len(hits) == MAX_HITS:
                        return hits
        return hits

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must occur exactly once, by `new`. A line end in `old` matches the file's own line ends."""
        target = self._checked(path)
        text = self.read(path)
        self._put(target, path, text_edit.replace_once(path, text, old, new).encode())

    def create(self, path: str, content: str) -> None:
        """Add a new file. EditRefused if there is one, also under a name that some system takes for the same."""
        target = self._checked(path)
        if reason := paths.not_everywhere(path):
            raise EditRefused(f"{path!r} is no name for a new file: {reason}. Use a plain one.")
        if target.exists():
            raise EditRefused(f"{path!r} exists already; use an edit to change it, or another name for a new file.")
        self._refuse_colliding_case(path)
        self._put(target, path, content.encode())

    def delete(self, path: str) -> None:
        """Remove a file."""
        target = self._checked(path)
        self.read(path)
        self._put(target, path, None)

    def changes(self) -> tuple[FileChange, ...]:
        """What differs from the base commit, by path."""
        return tuple(FileChange(path, self._bytes(path)) for path in self._changed())

    def patch(self) -> list[Patch]:
        """What differs from the base commit, as whole texts."""
        return [Patch(path=path, before=_text(self._base[path]), after=_text(self._bytes(path))) for path in self._changed()]

    def diff(self) -> str:
        """What differs from the base commit, as one unified diff that `git apply` takes."""
        return "".join(text_edit.unified_diff(**file) for file in self.patch())

    def snapshot(self) -> Snapshot:
        """Remember the present state; `restore` comes back to it."""
        return Snapshot({path: self._bytes(path) for path in self._base}, self.revision)

    def restore(self, snapshot: Snapshot) -> None:
        """Undo everything since the snapshot."""
        for path, base in list(self._base.items()):
            self._put(self.root / path, path, snapshot.contents.get(path, base))
        self.revision = snapshot.revision

    def _changed(self) -> list[str]:
        return sorted(path for path, base in self._base.items() if self._bytes(path) != base)

    def _put(self, target: Path, path: str, content: bytes | None) -> None:
        self._base.setdefault(path, self._bytes(path))
        if content is None:
            target.unlink(missing_ok=True)
            _remove_empty_parents(target, self.root)
        else:
            _make_folders(target.parent, path)
            target.write_bytes(content)
        self.revision += 1

    def _bytes(self, path: str) -> bytes | None:
        if reason := paths.unsafe(path):
            raise EditRefused(f"{path!r} is no path in the repository: {reason}.")
        target = self.root / path
        if not _real(target).is_relative_to(self.root):
            raise EditRefused(f"{path!r} is a symbolic link that leads out of the repository.")
        if target.is_dir():
            raise EditRefused(f"{path!r} is a folder; expected a file. list_files with {path + '/**'!r} shows what is in it.")
        return target.read_bytes() if target.is_file() else None

    def _checked(self, path: str) -> Path:
        """The file to write for `path`. EditRefused where writing would leave the tree or change what is not a file of it."""
        self._bytes(path)
        target = self.root / path
        for place in (target, *target.parents):
            if place == self.root:
                break
            if place.is_symlink():
                name = place.relative_to(self.root).as_posix()
                raise EditRefused(f"{name!r} is a symbolic link; change the file it points to, {os.readlink(place)!r}.")
        for submodule in self._submodules():
            if path == submodule or path.startswith(submodule + "/"):
                raise EditRefused(
                    f"{path!r} is in the submodule {submodule!r}, another repository; it cannot be changed from here."
                )
        return target

    def _submodules(self) -> list[str]:
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(_text(self._bytes(".gitmodules")) or "")
        except configparser.Error:
            return []
        return [parser[section]["path"].strip("/ ") for section in parser.sections() if "path" in parser[section]]

    def _refuse_colliding_case(self, path: str) -> None:
        folder = self.root
        for part in path.split("/"):
            names = os.listdir(folder) if folder.is_dir() else []
            if part not in names and (other := next((name for name in names if name.casefold() == part.casefold()), None)):
                raise EditRefused(
                    f"{path!r} differs only in case from {other!r}, which exists; they are one file on some systems."
                )
            folder = folder / part

    def _near(self, path: str) -> str:
        files = self.list_files()
        same_name = [file for file in files if file.rpartition("/")[2] == path.rpartition("/")[2]][:3]
        near = same_name or [file for file, _, _ in process.extract(path, files, limit=3, score_cutoff=70)]
        return f" Did you mean {' or '.join(map(repr, near))}?" if near else " list_files shows what is there."

    def _walk(self) -> Iterator[str]:
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != ".git"]
            for name in names:
                file = Path(folder, name)
                if file.is_file() and file.resolve().is_relative_to(self.root):
                    yield file.relative_to(self.root).as_posix()

    def _searchable_lines(self, path: str) -> list[str]:
        file = self.root / path
        if file.stat().st_size > SEARCHED_BYTES:
            return []
        content = file.read_bytes()
        try:
            return [] if b"\0" in content else [line.rstrip("\r") for line in content.decode().split("\n")]
        except UnicodeDecodeError:
            return []


def _real(path: Path) -> Path:
    """Where the path leads; unlike Path.resolve it comes back from a link that leads to itself."""
    return Path(os.path.realpath(path))


def _decode(path: str, content: bytes) -> str:
    if b"\0" in content:
        raise EditRefused(f"{path!r} is a binary file ({len(content)} bytes); only UTF-8 text can be read and edited.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise EditRefused(f"{path!r} is not UTF-8 text (byte {error.start}); only UTF-8 text can be read and edited.") from error


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode()


def _make_folders(folder: Path, path: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise EditRefused(f"{path!r} would need a folder where a file is: {folder.name!r}.") from error


def _remove_empty_parents(target: Path, root: Path) -> None:
    for folder in target.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()

"""Imports while a preview's DAG file loads, and on a worker while its tasks run: what the tree has comes from the tree.

A process may have loaded other trees, or the DAG's own bundle, under the same module names. Those modules step aside while the
tree loads, so neither sees the other's. What the interpreter itself has (standard library, installed packages) wins over a file
of that name in the tree, as it does for Airflow, which puts a bundle's folder last on the path: a DAG file `github.py` is no
package `github`.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.machinery import BuiltinImporter, FrozenImporter, ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_DAG_FILES = "unusual_prefix_"
"""Airflow's names for the modules of DAG files; each has its path in it and nobody imports it by name"""


@contextmanager
def within(root: Path, *, tree: Path, bundles: Path, stay: bool) -> Iterator[None]:
    """For the block, imports start from `root`, a folder of `tree`; with `stay` also after it, where the block did not raise.

    `bundles` is where Airflow keeps all bundles: what lies in there, but not in the tree, is another version of something.
    """
    path, finders, modules = list(sys.path), list(sys.meta_path), dict(sys.modules)
    foreign = _Places(tree=tree, bundles=(bundles, tree.parent))
    _step_aside(root, foreign)
    sys.meta_path[:] = [_TreeFinder(root), *(finder for finder in finders if not isinstance(finder, _TreeFinder))]
    sys.path[:] = [str(root), *(entry for entry in path if not foreign.hold(entry) and entry != str(root))]
    done = False
    try:
        yield
        done = True
    finally:
        if not (stay and done):
            sys.path[:], sys.meta_path[:] = path, finders
            _step_back(modules, tree)


class _TreeFinder:
    """First of the finders: top-level names that the tree has."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,  # noqa: ARG002 - the protocol's
    ) -> ModuleSpec | None:
        if path is not None:
            return None  # a submodule is where its package is
        spec = PathFinder.find_spec(name, [self._root])
        if spec is None:
            return None
        if theirs := _interpreters(name):
            return theirs
        if spec.loader is None:  # a folder without __init__.py: Python would add folders of that name elsewhere on the path
            spec.submodule_search_locations = list(spec.submodule_search_locations or ())
        return spec


class _Places:
    """Which places on disk are another version's."""

    def __init__(self, *, tree: Path, bundles: Sequence[Path]) -> None:
        self._tree = tree
        self._bundles = bundles
        self._own = tree.parent.parent / "dags"

    def hold(self, place: str) -> bool:
        """Whether the path is in a bundle, and neither in the tree nor among our loader files."""
        if not os.path.isabs(place) or _below(place, self._tree) or _below(place, self._own):
            return False
        return any(_below(place, bundle) for bundle in self._bundles)


def _step_aside(root: Path, foreign: _Places) -> None:
    """Forget modules of other versions, and those the tree has under the same name."""
    names = {entry.name.partition(".")[0] for entry in os.scandir(root)}
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if name.startswith(_DAG_FILES) or top == "__main__":
            continue
        places = {*_places(sys.modules.get(top)), *_places(module)}
        is_same_name = top in names and any(not (_is_interpreters(place) or _below(place, root)) for place in places)
        if is_same_name or any(foreign.hold(place) for place in places):
            sys.modules.pop(name, None)


def _step_back(before: dict[str, ModuleType], tree: Path) -> None:
    """Forget the tree's modules and have those again that stepped aside."""
    for name, module in list(sys.modules.items()):
        if any(_below(place, tree) for place in _places(module)):
            del sys.modules[name]
    for name, module in before.items():
        sys.modules.setdefault(name, module)


def _places(module: ModuleType | None) -> list[str]:
    """Where a module's code is; a namespace package may be in several places, a built-in module in none."""
    file = getattr(module, "__file__", None)
    try:
        return [file] if file else [str(place) for place in getattr(module, "__path__", ())]
    except Exception:  # a module-like object of somebody's, with properties of its own
        return []


def _interpreters(name: str) -> ModuleSpec | None:
    """The interpreter's own module or package of this name."""
    if name in sys.stdlib_module_names:
        return BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name) or PathFinder.find_spec(name, _interpreter())
    spec = PathFinder.find_spec(name, _interpreter())
    return spec if spec is not None and spec.loader is not None else None


def _is_interpreters(place: str) -> bool:
    return any(_below(place, Path(entry)) for entry in _interpreter())


@cache
def _interpreter() -> list[str]:
    """Folders of the standard library and of installed packages."""
    own = sysconfig.get_paths()
    places = [own[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    compiled = sysconfig.get_config_var("DESTSHARED") or os.path.join(own["platstdlib"], "lib-dynload")
    return list(dict.fromkeys([*places, compiled, *site.getsitepackages(), site.getusersitepackages()]))


def _below(place: str, folder: Path) -> bool:
    return place == str(folder) or place.startswith(f"{folder}{os.sep}")

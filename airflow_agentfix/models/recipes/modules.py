"""Which file of the repository a dotted module name is."""

from __future__ import annotations

from airflow_agentfix.models.recipes.base import NoFix, Repo, Steps, is_test
from airflow_agentfix.models.recipes.source import Source


def find_module(repo: Repo, module: str, *, importer: str) -> Steps[Source | NoFix]:
    """The module's source, as the file `importer` would import it; NoFix says why it is not certain which file that is."""
    stem = module.replace(".", "/")
    found: list[str] = []
    for ending in (f"{stem}.py", f"{stem}/__init__.py"):
        paths = yield from repo.paths(f"**/{ending}")
        found += [path for path in paths if f"/{path}".endswith(f"/{ending}") and importer.startswith(path[: -len(ending)])]
    if len(found) != 1:
        return NoFix(f"module {module!r} is {'not in the repository' if not found else 'in the repository more than once'}")
    source = Source.parse(found[0], (yield from repo.read(found[0])))
    return source or NoFix(f"{found[0]} does not parse")


def find_class(repo: Repo, name: str) -> Steps[Source | NoFix]:
    """The one file outside tests that defines class `name`."""
    hits = yield from repo.search(rf"^\s*class {name}\b", "**/*.py")
    paths = sorted({hit.path for hit in hits if not is_test(hit.path)})
    if len(paths) != 1:
        return NoFix(f"class {name!r} is {'not defined in the repository' if not paths else 'defined more than once'}")
    source = Source.parse(paths[0], (yield from repo.read(paths[0])))
    return source or NoFix(f"{paths[0]} does not parse")

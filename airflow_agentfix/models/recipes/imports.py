"""ImportError and ModuleNotFoundError for the repository's own modules: a misspelled name or module."""

from __future__ import annotations

import ast
import re

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Fix, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.modules import find_module
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Place, Source, definition_line
from airflow_agentfix.models.recipes.spot import (
    Slip,
    Spot,
    exception_name,
    exception_text,
    find_spot,
    other_uses,
    rename,
    used_elsewhere,
)

_NAME = re.compile(r"cannot import name '(\w+)' from '([\w.]+)' \([^()]*\)(?:\. Did you mean: '\w+'\?)?")
_MODULE = re.compile(r"No module named '([\w.]+)'")


def _imports_name(incident: Incident) -> bool:
    found = _NAME.fullmatch(exception_text(incident))
    return exception_name(incident) == "ImportError" and found is not None and not found[2].startswith("airflow")


def _attempt_name(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    _, wrong, _, module, *_ = exception_text(incident).split("'")
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    source = yield from find_module(repo, module, importer=spot.path)
    if isinstance(source, NoFix):
        return source
    right = None if source.dynamic else only_near(wrong, source.exports(), inflections=True)
    if right is None:
        return NoFix(f"{source.path} defines no name, or more than one, that could be meant by {wrong!r}")
    places = _name_places(spot, wrong, right)
    if isinstance(places, NoFix):
        return places
    uses = yield from other_uses(repo, wrong, spot, own=frozenset(line for line, _ in places))
    if uses:
        return used_elsewhere(wrong, uses)
    reason = f"`{right}` is the only name in {source.path} that is near `{wrong}`"
    return rename(incident, spot, Slip(wrong, right, places, f"{source.path}:{definition_line(source, right)}", reason))


def _name_places(spot: Spot, wrong: str, right: str) -> tuple[Place, ...] | NoFix:
    """The import and, where it has no `as`, every use of what it brought in."""
    aliases = [
        alias
        for node in _import_statements(spot)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name == wrong
    ]
    if len(aliases) != 1:
        return NoFix(f"{spot.cite} imports {wrong!r} {len(aliases)} times; exactly one was expected")
    first = (aliases[0].lineno, aliases[0].col_offset)
    if aliases[0].asname:
        return (first,)
    names = [node for node in ast.walk(spot.source.tree) if isinstance(node, ast.Name)]
    if any(node.id == right or (node.id == wrong and not isinstance(node.ctx, ast.Load)) for node in names):
        return NoFix(f"{spot.path} uses {right!r} already, or binds {wrong!r} again")
    return (first, *((node.lineno, node.col_offset) for node in names if node.id == wrong))


def _import_statements(spot: Spot) -> list[ast.Import | ast.ImportFrom]:
    return [
        node
        for node in ast.walk(spot.source.tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno <= spot.line <= (node.end_lineno or node.lineno)
    ]


def _imports_module(incident: Incident) -> bool:
    found = _MODULE.fullmatch(exception_text(incident))
    return exception_name(incident) == "ModuleNotFoundError" and found is not None and not found[1].startswith("airflow")


def _attempt_module(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    module = exception_text(incident).split("'")[1]
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    imports = [node for node in _import_statements(spot) if isinstance(node, ast.ImportFrom)]
    statements = [node for node in imports if node.module == module and not node.level]
    if len(statements) != 1:
        return NoFix(f"{spot.cite} has no one `from {module} import …`")
    package, _, wrong = module.rpartition(".")
    found = yield from _near_module(repo, spot, package, wrong)
    if found is None:
        return NoFix(f"no module of the repository, or more than one, is near {module!r}")
    right, source = found
    if not {alias.name for alias in statements[0].names} <= source.exports():
        return NoFix(f"{source.path} does not define all that {spot.cite} imports")
    uses = yield from other_uses(repo, wrong, spot)
    if uses:
        return used_elsewhere(wrong, uses)
    column = statements[0].col_offset + len("from ") + len(module) - len(wrong)
    reason = f"`{right}` is the only module there that is near `{wrong}`, and it defines all that is imported"
    return rename(incident, spot, Slip(wrong, right, ((statements[0].lineno, column),), f"{source.path}:1", reason))


def _near_module(repo: Repo, spot: Spot, package: str, wrong: str) -> Steps[tuple[str, Source] | None]:
    """The one module near `wrong` in the package, or beside the importing file and the folders above it."""
    inside = f"{package.replace('.', '/')}/" if package else ""
    paths = yield from repo.paths(f"**/{inside}{wrong[0]}*")
    stems = {stem for path in paths for root in _roots(spot.path) if (stem := _stem(path, root + inside))}
    right = only_near(wrong, stems, inflections=True)
    if right is None:
        return None
    source = yield from find_module(repo, f"{package}.{right}" if package else right, importer=spot.path)
    return None if isinstance(source, NoFix) else (right, source)


def _stem(path: str, folder: str) -> str | None:
    """The module that `path` is in `folder`; None for files further down or elsewhere."""
    stem = path.removesuffix("/__init__.py").removesuffix(".py")
    name = stem.removeprefix(folder)
    return name if stem != path and stem.startswith(folder) and "/" not in name else None


def _roots(path: str) -> list[str]:
    folders = path.split("/")[:-1]
    return ["".join(f"{folder}/" for folder in folders[:depth]) for depth in range(len(folders) + 1)]


NAME = Recipe("a misspelled import", _imports_name, _attempt_name)
MODULE = Recipe("a misspelled module", _imports_module, _attempt_module)

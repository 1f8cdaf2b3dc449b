"""NameError: a name that no scope binds, with one near it that is bound there; or a standard module nobody imported."""

from __future__ import annotations

import ast
import builtins
import importlib
import re

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Claim, Edit, Fix, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Source, definition_line, visible
from airflow_agentfix.models.recipes.spot import (
    Slip,
    Spot,
    exception_name,
    exception_text,
    find_spot,
    log_cites,
    other_uses,
    rename,
    used_elsewhere,
)

_NAME = re.compile(r"name '(\w+)' is not defined(?:\. Did you (?:mean:?|forget to import) .*\?)?")
_MODULES = (
    *("base64", "collections", "copy", "csv", "datetime", "decimal", "functools", "gzip", "hashlib", "io", "itertools", "json"),
    *("logging", "math", "os", "pathlib", "random", "re", "shutil", "statistics", "string", "subprocess", "sys", "tempfile"),
    *("textwrap", "time", "uuid", "zipfile", "zoneinfo"),
)
"""standard modules that code uses by their own name"""


def _matches(incident: Incident) -> bool:
    return exception_name(incident) == "NameError" and bool(_NAME.fullmatch(exception_text(incident)))


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    wrong = exception_text(incident).split("'")[1]
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    if spot.source.dynamic:
        return NoFix(f"{spot.path} makes names in ways its text does not show")
    places = [node for node in spot.spanning() if isinstance(node, ast.Name) and node.id == wrong and node.lineno == spot.line]
    if len(places) != 1 or not isinstance(places[0].ctx, ast.Load):
        return NoFix(f"{spot.cite} has {len(places)} places that read the name {wrong!r}; exactly one was expected")
    if wrong in _MODULES:
        return _import_module(incident, spot, places[0])
    called = any(isinstance(node, ast.Call) and node.func is places[0] for node in spot.spanning())
    right = only_near(wrong, visible(spot.source, spot.line) | set(dir(builtins)), inflections=called)
    if right is None:
        return NoFix(f"no name, or more than one, bound where {spot.cite} reads it is near {wrong!r}")
    uses = yield from other_uses(repo, wrong, spot)
    if uses:
        return used_elsewhere(wrong, uses)
    line = spot.line if hasattr(builtins, right) else definition_line(spot.source, right)
    reason = f"`{right}` is the only name bound at {spot.cite} that is near `{wrong}`"
    return rename(incident, spot, Slip(wrong, right, ((spot.line, places[0].col_offset),), f"{spot.path}:{line}", reason))


def _import_module(incident: Incident, spot: Spot, place: ast.Name) -> Fix | NoFix:
    """`json.dumps` without `import json`; only where every use of the name is an attribute the module has."""
    name = place.id
    uses = [node for node in ast.walk(spot.source.tree) if isinstance(node, ast.Name) and node.id == name]
    used = {node.attr for node in ast.walk(spot.source.tree) if isinstance(node, ast.Attribute) and node.value in uses}
    attributes = [node for node in ast.walk(spot.source.tree) if isinstance(node, ast.Attribute) and node.value in uses]
    module = importlib.import_module(name)
    if len(attributes) != len(uses) or not all(hasattr(module, attribute) for attribute in used):
        return NoFix(f"{name!r} is not used as the standard module of that name throughout {spot.path}")
    return Fix(
        title=f"Import {name} in {spot.path.rsplit('/', 1)[-1]}",
        cause=f"{spot.cite} uses the standard module `{name}` without importing it: NameError: {exception_text(incident)}",
        change=f"`import {name}` is added to {spot.path}; nothing else changes.",
        why_this_one=f"Every use of `{name}` in the file is an attribute of the standard module ({', '.join(sorted(used))}).",
        edits=(Edit(spot.path, spot.source.text, _with_import(spot.source, name)),),
        claims=(
            Claim(f"The task failed with NameError: {exception_text(incident)}", log_cites(incident)),
            Claim(f"The code uses `{name}` without importing it", (spot.cite,)),
        ),
    )


def _with_import(source: Source, name: str) -> str:
    """The text with `import name` before the first import, else after docstring and `from __future__`."""
    body = source.tree.body
    imports = [node.lineno for node in body if isinstance(node, ast.Import | ast.ImportFrom) and not _is_future(node)]
    heads: list[ast.stmt] = [node for node in body[:1] if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)]
    heads += [node for node in body if _is_future(node)]
    after_heads = max((node.end_lineno or node.lineno for node in heads), default=0)
    at = imports[0] - 1 if imports else after_heads
    lines = source.text.split("\n")
    return "\n".join([*lines[:at], f"import {name}", *lines[at:]])


def _is_future(node: ast.stmt) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


RECIPE = Recipe("a name that is not bound", _matches, _attempt)

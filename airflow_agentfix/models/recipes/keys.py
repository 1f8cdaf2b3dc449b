"""KeyError: a key written in the failing line that no record in the code has, with one near it that they do have.

Only keys of that very record count: those read from the same variable in the file, and those of dict literals that have
every other key read from it. A key computed at run time is data, not a slip.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Fix, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Source
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

_KEY = re.compile(r"(['\"])(\w+)\1")
_OUTSIDE = ("environ", "Variable", "Connection", "globals()", "locals()")
"""records whose keys come from outside the code"""


@dataclass(frozen=True)
class _Known:
    """A key a record has, and a line that shows it."""

    key: str
    path: str
    line: int


def _matches(incident: Incident) -> bool:
    return exception_name(incident) == "KeyError" and bool(_KEY.fullmatch(exception_text(incident)))


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    found = _KEY.fullmatch(exception_text(incident))
    assert found
    wrong = found[2]
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    place = _place(spot, wrong)
    if isinstance(place, NoFix):
        return place
    known = yield from _known_keys(incident, repo, spot, ast.unparse(place.value), wrong)
    right = only_near(wrong, {key.key for key in known}, fold=True)
    if right is None:
        return NoFix(f"no key, or more than one, that code in scope shows for `{ast.unparse(place.value)}` is near {wrong!r}")
    uses = yield from other_uses(repo, wrong, spot)
    if uses:
        return used_elsewhere(wrong, uses)
    shown = next(key for key in known if key.key == right)
    key = place.slice
    reason = f"`{right}` is the only key that the code shows for `{ast.unparse(place.value)}` and that is near `{wrong}`"
    return rename(incident, spot, Slip(wrong, right, ((key.lineno, key.col_offset + 1),), f"{shown.path}:{shown.line}", reason))


def _place(spot: Spot, wrong: str) -> ast.Subscript | NoFix:
    """The one `record["wrong"]` that the failing line reads."""
    places = [
        node
        for node in spot.spanning()
        if isinstance(node, ast.Subscript) and _constant(node.slice) == wrong and node.slice.lineno == spot.line
    ]
    if len(places) != 1:
        return NoFix(f"{spot.cite} has {len(places)} places that read key {wrong!r} as written; exactly one was expected")
    if not isinstance(places[0].ctx, ast.Load):
        return NoFix(f"{spot.cite} writes or deletes key {wrong!r}")
    if any(word in ast.unparse(places[0].value) for word in _OUTSIDE):
        return NoFix(f"the keys of `{ast.unparse(places[0].value)}` come from outside the code")
    return places[0]


def _constant(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _known_keys(incident: Incident, repo: Repo, spot: Spot, record: str, wrong: str) -> Steps[list[_Known]]:
    """Keys the code shows for the record: in the failing file, and in dict literals there and in the DAG's file."""
    read = [key for key in _read_from(spot.source, record) if key.key != wrong]
    sources = [spot.source]
    dag_file = yield from repo.locate(incident.dag.fileloc or incident.dag.file)
    if dag_file not in (None, spot.path):
        other = Source.parse(dag_file, (yield from repo.read(dag_file)))
        sources += [other] if other else []
    names = {key.key for key in read}
    literals = [keys for source in sources for keys in _literals(source, record, names)]
    return read + [key for keys in literals for key in keys]


def _read_from(source: Source, record: str) -> Iterator[_Known]:
    """Constant keys read from or written to an expression that is spelled like the record."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str(key))) if ast.unparse(value) == record:
                yield _Known(key, source.path, node.lineno)
            case ast.Call(
                func=ast.Attribute(value=value, attr="get" | "setdefault" | "pop"), args=[ast.Constant(value=str(key)), *_]
            ):
                if ast.unparse(value) == record:
                    yield _Known(key, source.path, node.lineno)


def _literals(source: Source, record: str, names: set[str]) -> Iterator[list[_Known]]:
    """Keys of dict literals that are the record: assigned to its name, or with every other key that is read from it."""
    named = {
        id(node.value)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Assign) and any(ast.unparse(target) == record for target in node.targets)
    }
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Dict):
            continue
        keys = [_Known(key.value, source.path, key.lineno) for key in node.keys if key is not None and _is_text(key)]  # type: ignore[attr-defined]  # _is_text says Constant
        if id(node) in named or (names and names <= {key.key for key in keys}):
            yield keys


def _is_text(node: ast.expr) -> bool:
    return _constant(node) is not None


RECIPE = Recipe("a misspelled key", _matches, _attempt)

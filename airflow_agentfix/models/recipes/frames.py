"""pandas and polars: a column written in the code that the frame does not have, with one near it that it does.

polars lists the columns there are. pandas does not: there only columns count that the file reads from the same variable.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

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
    log_cites,
    other_uses,
    rename,
    used_elsewhere,
)

_POLARS = re.compile(r'unable to find column "(\w+)"; valid columns: \[([^\]]*)\]')
_PANDAS = (
    re.compile(r"'(\w+)'"),
    re.compile(r"'Column not found: (\w+)'"),
    re.compile(r"\"\['(\w+)'\] not (?:in index|found in axis)\""),
    re.compile(r"\"None of \[Index\(\['(\w+)'\], dtype='\w+'\)\] are in the \[columns\]\""),
    re.compile(r"\"Label\(s\) \['(\w+)'\] do not exist\""),
)


def _missing(incident: Incident) -> str | None:
    text, name = exception_text(incident), exception_name(incident)
    if name == "ColumnNotFoundError":
        found = _POLARS.match(text)
    elif name == "KeyError" and incident.cause.frames and "/pandas/" in incident.cause.frames[-1].file:
        found = next((match for regex in _PANDAS if (match := regex.fullmatch(text))), None)
    else:
        found = None
    return found[1] if found else None


def _matches(incident: Incident) -> bool:
    return _missing(incident) is not None


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    wrong = _missing(incident) or ""
    spot = yield from find_spot(incident, repo, in_user_code=False)
    if isinstance(spot, NoFix):
        return spot
    places = [node for node in ast.walk(spot.source.tree) if isinstance(node, ast.Constant) and node.value == wrong]
    if len(places) != 1:
        return NoFix(f"{spot.path} has {len(places)} strings {wrong!r}; exactly one was expected")
    listed = _POLARS.match(exception_text(incident))
    if listed is None and places[0] not in set(spot.spanning()):
        return NoFix(f"{wrong!r} is not written at {spot.cite}")
    names = set(re.findall(r'"(\w+)"', listed[2])) if listed else set(_columns(spot, places[0]))
    right = only_near(wrong, names, fold=True)
    if right is None:
        return NoFix(f"the frame has no column, or more than one, that is known to be there and near {wrong!r}")
    uses = yield from other_uses(repo, wrong, spot, own=frozenset({places[0].lineno}))
    if uses:
        return used_elsewhere(wrong, uses)
    reason = (
        f"`{right}` is the only column that {'polars lists' if listed else 'the file reads from the same frame'} near `{wrong}`"
    )
    shown = log_cites(incident)[0] if listed else f"{spot.path}:{_line_of(spot.source, right)}"
    place = (places[0].lineno, places[0].col_offset + 1)
    return rename(incident, Spot(spot.source, place[0], spot.function), Slip(wrong, right, (place,), shown, reason))


def _columns(spot: Spot, place: ast.Constant) -> Iterator[str]:
    """Strings that index the variable at whose expression the misspelled column stands, or a frame made for it."""
    holding = [node for node in spot.spanning() if isinstance(node, ast.Subscript | ast.Call) and _holds(node, place)]
    roots = {_root(node) for node in holding} - {None}
    if len(roots) != 1:
        return
    for node in ast.walk(spot.source.tree):
        if isinstance(node, ast.Subscript) and _root(node) in roots:
            yield from _strings(node.slice)
        elif (
            isinstance(node, ast.Assign)
            and {_root(target) for target in node.targets} & roots
            and isinstance(node.value, ast.Call)
        ):
            yield from (text for argument in node.value.args if isinstance(argument, ast.Dict) for text in _keys(argument))


def _holds(node: ast.AST, place: ast.Constant) -> bool:
    return any(child is place for child in ast.walk(node))


def _root(node: ast.AST) -> str | None:
    """The variable an expression like df.groupby(…)[…] begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _strings(node: ast.expr) -> Iterator[str]:
    parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    yield from (part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str))


def _keys(node: ast.Dict) -> Iterator[str]:
    yield from (key.value for key in node.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _line_of(source: Source, text: str) -> int:
    return min(node.lineno for node in ast.walk(source.tree) if isinstance(node, ast.Constant) and node.value == text)


RECIPE = Recipe("a misspelled column of a frame", _matches, _attempt)

"""TypeError: a keyword argument that a function of the repository does not take, with one near it that it does."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Fix, NoFix, Recipe, Repo, Steps, is_test
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Source, classes
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

_KEYWORD = re.compile(r"([\w.<>]+)\(\) got an unexpected keyword argument '(\w+)'(?:\. Did you mean '\w+'\?)?")
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def _matches(incident: Incident) -> bool:
    return exception_name(incident) == "TypeError" and bool(_KEYWORD.fullmatch(exception_text(incident)))


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    callee, _, rest = exception_text(incident).partition("()")
    wrong = rest.split("'")[1]
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    place = _place(spot, callee, wrong)
    if isinstance(place, NoFix):
        return place
    call, keyword = place
    defined = yield from _definition(repo, callee)
    if isinstance(defined, NoFix):
        return defined
    given = {other.arg for other in call.keywords if other.arg}
    right = only_near(wrong, defined.lines.keys() - given, inflections=True)
    if right is None:
        return NoFix(f"{callee}() takes no argument, or more than one, that could be meant by {wrong!r}")
    uses = yield from other_uses(repo, wrong, spot)
    if uses:
        return used_elsewhere(wrong, uses)
    reason = f"`{right}` is the only argument of {callee}() that is near `{wrong}` and not given already"
    defined_at = f"{defined.path}:{defined.lines[right]}"
    return rename(incident, spot, Slip(wrong, right, ((keyword.lineno, keyword.col_offset),), defined_at, reason))


def _place(spot: Spot, callee: str, wrong: str) -> tuple[ast.Call, ast.keyword] | NoFix:
    """The one call at the line that passes `wrong=` to something of the callee's name. `**kwargs` shows no such place."""
    parts = callee.split(".")
    name = parts[-2] if parts[-1] == "__init__" and len(parts) > 1 else parts[-1]
    found = [
        (node, keyword)
        for node in spot.spanning()
        if isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] == name
        for keyword in node.keywords
        if keyword.arg == wrong
    ]
    return (
        found[0]
        if len(found) == 1
        else NoFix(f"{spot.cite} has {len(found)} calls of {name}({wrong}=…); exactly one was expected")
    )


@dataclass(frozen=True)
class _Taken:
    """The arguments a callable takes, each with the line that declares it."""

    path: str
    lines: dict[str, int]


def _definition(repo: Repo, callee: str) -> Steps[_Taken | NoFix]:
    """What the callee takes, read from the one file outside tests that defines it."""
    owner, _, name = callee.rpartition(".")
    owner = owner.rsplit(".", 1)[-1]
    word = rf"class {owner}" if owner and owner != "<locals>" else rf"def {name}"
    hits = yield from repo.search(rf"^\s*(async )?{word}\b", "**/*.py")
    paths = sorted({hit.path for hit in hits if not is_test(hit.path)})
    if len(paths) != 1:
        return NoFix(f"{callee}() is {'not defined in the repository' if not paths else 'defined more than once'}")
    source = Source.parse(paths[0], (yield from repo.read(paths[0])))
    taken = _taken(source, owner, name) if source else []
    if len(taken) != 1:
        return NoFix(f"{paths[0]} does not show exactly one {callee}()")
    return _Taken(paths[0], taken[0])


def _taken(source: Source, owner: str, name: str) -> list[dict[str, int]]:
    """Arguments of each function, or of each constructor a dataclass makes itself, that is called so."""
    if not owner or owner == "<locals>":
        return [_arguments(node) for node in ast.walk(source.tree) if isinstance(node, _Function) and node.name == name]
    kinds = classes(source, owner)
    own = [_arguments(node) for kind in kinds for node in kind.body if isinstance(node, _Function) and node.name == name]
    made = [
        kind for kind in kinds if name == "__init__" and not kind.bases and "dataclass" in map(_decorator, kind.decorator_list)
    ]
    return own or [_fields(kind) for kind in made]


def _arguments(function: _Function) -> dict[str, int]:
    a = function.args
    return {argument.arg: argument.lineno for argument in [*a.args, *a.kwonlyargs]}


def _fields(kind: ast.ClassDef) -> dict[str, int]:
    return {
        node.target.id: node.lineno for node in kind.body if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _decorator(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node).rsplit(".", 1)[-1]


RECIPE = Recipe("a misspelled argument", _matches, _attempt)

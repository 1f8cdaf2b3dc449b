"""AttributeError: a module of the repository, an object of one of its classes, or a builtin has no such attribute."""

from __future__ import annotations

import ast
import builtins
import re
from dataclasses import dataclass

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.models.recipes.base import Fix, NoFix, Recipe, Repo, Steps
from airflow_agentfix.models.recipes.modules import find_class, find_module
from airflow_agentfix.models.recipes.nearest import only_near
from airflow_agentfix.models.recipes.source import Source, classes, definition_line, members
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

_MODULE = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'(?:\. Did you mean: '\w+'\?)?")
_OBJECT = re.compile(r"(?:type object )?'(\w+)'(?: object)? has no attribute '(\w+)'(?:\. Did you mean: '\w+'\?)?")
_BUILTINS = frozenset({"str", "list", "dict", "set", "tuple", "bytes", "int", "float"})
_PLAIN_BASES = frozenset(
    {"object", "ABC", "NamedTuple", "Enum", "StrEnum", "IntEnum", "Protocol", "Generic", "Exception", "BaseModel"}
)


@dataclass(frozen=True)
class _Owner:
    """What lacks the attribute: a description, the names it has, and where they are defined."""

    described: str
    names: frozenset[str]
    source: Source | None


def _matches(incident: Incident) -> bool:
    text = exception_text(incident)
    return exception_name(incident) == "AttributeError" and bool(_MODULE.fullmatch(text) or _OBJECT.fullmatch(text))


def _attempt(incident: Incident, repo: Repo) -> Steps[Fix | NoFix]:
    text = exception_text(incident)
    found = _MODULE.fullmatch(text) or _OBJECT.fullmatch(text)
    assert found
    wrong = found[2]
    spot = yield from find_spot(incident, repo)
    if isinstance(spot, NoFix):
        return spot
    place = _place(spot, wrong)
    if isinstance(place, NoFix):
        return place
    owner = yield from (_module(repo, spot, found[1]) if found.re is _MODULE else _object(repo, found[1]))
    if isinstance(owner, NoFix):
        return owner
    called = any(isinstance(node, ast.Call) and node.func is place for node in spot.spanning())
    names = {name for name in owner.names if wrong.startswith("_") or not name.startswith("_")}
    right = only_near(wrong, names, inflections=called and owner.source is not None)
    if right is None or (owner.source is None and not called):
        return NoFix(f"{owner.described} has no attribute {wrong!r}, and not exactly one that could be meant by it")
    uses = yield from other_uses(repo, wrong, spot)
    if uses:
        return used_elsewhere(wrong, uses)
    line = place.end_lineno or place.lineno
    defined_at = f"{owner.source.path}:{definition_line(owner.source, right)}" if owner.source else f"{spot.path}:{line}"
    reason = f"`{right}` is the only attribute of {owner.described} that is near `{wrong}`"
    return rename(incident, spot, Slip(wrong, right, ((line, (place.end_col_offset or 0) - len(wrong)),), defined_at, reason))


def _place(spot: Spot, wrong: str) -> ast.Attribute | NoFix:
    """The one `.wrong` on the failing line. A name reached by getattr or a string is not there, and is no slip in the code."""
    places = [
        node
        for node in spot.spanning()
        if isinstance(node, ast.Attribute)
        and node.attr == wrong
        and node.end_lineno == spot.line
        and isinstance(node.ctx, ast.Load)
    ]
    if len(places) != 1:
        return NoFix(f"{spot.cite} has {len(places)} places that read attribute {wrong!r}; exactly one was expected")
    return places[0]


def _module(repo: Repo, spot: Spot, module: str) -> Steps[_Owner | NoFix]:
    source = yield from find_module(repo, module, importer=spot.path)
    if isinstance(source, NoFix):
        return source
    if source.dynamic:
        return NoFix(f"{source.path} makes names in ways its text does not show")
    return _Owner(f"module {module} ({source.path})", source.exports(), source)


def _object(repo: Repo, name: str) -> Steps[_Owner | NoFix]:
    if name in _BUILTINS:
        return _Owner(f"type {name}", frozenset(dir(getattr(builtins, name))), None)
    source = yield from find_class(repo, name)
    if isinstance(source, NoFix):
        return source
    names = _members(source, name)
    if names is None:
        return NoFix(f"class {name} in {source.path} has bases or attributes that its text does not show")
    return _Owner(f"class {name} ({source.path})", names, source)


def _members(source: Source, name: str) -> frozenset[str] | None:
    """All members, of bases in the same file too; None where the text does not show them all."""
    found = classes(source, name)
    if len(found) != 1 or source.dynamic:
        return None
    names = members(found[0])
    for base in found[0].bases:
        plain = ast.unparse(base.value if isinstance(base, ast.Subscript) else base).rsplit(".", 1)[-1]
        if plain in _PLAIN_BASES:
            continue
        inherited = _members(source, plain)
        if inherited is None:
            return None
        names |= inherited
    return names


RECIPE = Recipe("a misspelled attribute", _matches, _attempt)

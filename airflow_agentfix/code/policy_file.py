"""`.agentfix.yaml`: what a repository says AgentFix may do in it.

Invariant: a file that is not understood to its last key is not used at all; a typo must not loosen a policy unseen.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from airflow_agentfix.core.policy import Autonomy, Layer, RepoCheck
from airflow_agentfix.core.redact import redact
from airflow_agentfix.errors import PolicyInvalid, ToolRefused
from airflow_agentfix.patterns import glob_spec

FILE = ".agentfix.yaml"
MAX_BYTES = 64 * 1024
_SHOWN_CHARS, _SHOWN_ERRORS = 300, 5
_NOT_USABLE = (yaml.YAMLError, RecursionError, ValueError, TypeError, LookupError, AttributeError)
"""what PyYAML raises for a file: beside its own errors whatever `int`, `datetime` and the like say to a date or number that is
none, and to a number of over 4,300 digits as soon as a message shows it"""
_NAMES, _GLOBS = ("approve_before", "approvers", "reviewers", "rerun_ways"), ("allowed_paths", "denied_paths")


class PolicyFile:
    """A valid file. `where` names it to people: repository, branch and commit."""

    def __init__(self, document: Mapping[str, Any], *, where: str) -> None:
        self.document = document
        self.where = where

    def layers(self, dag_id: str, tags: Collection[str]) -> list[Layer]:
        """What it says about a DAG with these tags: its top, and every entry of `dags` that matches."""
        found = [_layer(self.document, source=self.where)]
        for number, entry in enumerate(self.document.get("dags", ())):
            if _is_meant(entry, dag_id, tags):
                found.append(_layer(entry, source=f"{self.where}, dags[{number}] ({_about(entry)})"))
        return found


def parse(content: bytes, *, where: str) -> PolicyFile:
    """Raises PolicyInvalid with the place and what is expected there."""
    if len(content) > MAX_BYTES:
        raise PolicyInvalid(f"{where} has more than {MAX_BYTES} bytes; expected at most that.")
    try:
        document = yaml.load(content.decode(), Loader=_Loader)
        _validate(document, where)
    except _NOT_USABLE as error:
        raise PolicyInvalid(
            f"{where} is no YAML that can be used: {redact(' '.join(str(error).split()))[:_SHOWN_CHARS]}"
        ) from error
    _validate_globs(document, where)
    return PolicyFile(document, where=where)


def schema() -> dict[str, Any]:
    """The published JSON schema of the file."""
    return dict(json.loads((files("airflow_agentfix.code") / "agentfix.schema.json").read_text()))


def _validate(document: object, where: str) -> None:
    errors = [_said(error) for error in _validator().iter_errors(document)]
    if errors:
        more = [f"and {len(errors) - _SHOWN_ERRORS} more"] if len(errors) > _SHOWN_ERRORS else []
        told = "; ".join([*errors[:_SHOWN_ERRORS], *more])
        raise PolicyInvalid(f"{where}: {told}. The schema is printed by: agentfix policy schema")


def _said(error: Any) -> str:
    """One error with its place; where jsonschema's own words leave out what was found or is expected, in ours."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path).lstrip(".")
    message = str(error.message)
    if error.validator == "anyOf":  # the schema has one: an entry of dags
        message = "it has neither dag nor tag; expected one of them, or both"
    elif error.validator == "const":
        message = f"{error.instance!r} was found, {error.validator_value!r} was expected"
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        near = [get_close_matches(str(name), known, n=1) for name in error.instance if name not in known]
        message += "".join(f"; did you mean {guess[0]}?" for guess in near if guess).rstrip("?")
    return f"{place or 'top level'}: {redact(message)[:_SHOWN_CHARS]}"


def _validate_globs(document: Mapping[str, Any], where: str) -> None:
    for values in (document, *document.get("dags", ())):
        for name in _GLOBS:
            for glob in values.get(name, ()):
                try:
                    glob_spec(glob)
                except ToolRefused as error:
                    raise PolicyInvalid(f"{where}: {name}: {redact(str(error))[:_SHOWN_CHARS]}") from error


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator  # 60 ms that only who reads a policy pays

    return Draft202012Validator(schema())


def _is_meant(entry: Mapping[str, Any], dag_id: str, tags: Collection[str]) -> bool:
    return fnmatchcase(dag_id, entry.get("dag", "*")) and ("tag" not in entry or entry["tag"] in tags)


def _about(entry: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {entry[name]}" for name in ("dag", "tag") if name in entry)


def _layer(values: Mapping[str, Any], *, source: str) -> Layer:
    said: dict[str, Any] = {name: value for name, value in values.items() if name not in ("version", "dags", "dag", "tag")}
    said |= {name: tuple(said[name]) for name in _NAMES if name in said}
    said |= {name: (tuple(said[name]),) for name in _GLOBS if name in said}
    if "autonomy" in said:
        said["autonomy"] = Autonomy(said["autonomy"])
    if "rerun" in said.get("approve_before", ()):
        said["allow_unreviewed_reruns"] = False  # a repository that wants to be asked is asked
    if "checks" in said:
        said["checks"] = tuple(RepoCheck(**{**check, "run": tuple(check["run"])}) for check in said["checks"])
    return Layer(source, **said)


class _Loader(yaml.SafeLoader):
    """YAML without what hides something: a key given twice, of which the last would count; aliases, which can grow a file
    beyond any bound; and `.nan` and `.inf`, limits that limit nothing."""

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        number: float = super().construct_yaml_float(node)
        if not math.isfinite(number):
            raise yaml.YAMLError(f"it has {node.value}, which is no number (line {node.start_mark.line + 1})")
        return number

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name); write the value out")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = Counter(str(key.value) for key, _ in node.value)
        if twice := sorted(key for key, times in keys.items() if times > 1)[:_SHOWN_ERRORS]:
            lines = [str(key.start_mark.line + 1) for key, _ in node.value if str(key.value) in twice]
            raise yaml.YAMLError(f"it has {', '.join(twice)} twice in one place (lines {', '.join(lines)})")
        return super().construct_mapping(node, deep)


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)

"""The diff gate's YAML part: dbt data tests that are removed, weakened or narrowed need a person.

Tests are compared per file as a bag, without the column or model they stand under: renaming a column is no finding. So do
models that are switched off, and statements that dbt runs beside its models.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from airflow_agentfix.code import plain_yaml
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity

_TEST_KEYS = ("tests", "data_tests")
_NAMING = frozenset({"to", "field", "column_name", "name", "description", "tags", "meta", "compare_model", "alias"})
_WORDS = {
    "severity": "sets severity to {new!r}",
    "enabled": "sets enabled to {new!r}",
    "where": "tests only where {new!r}",
    "error_if": "fails only if {new!r}",
    "warn_if": "warns only if {new!r}",
}


@dataclass(frozen=True)
class DataTest:
    """One generic test: its name and its arguments and config, flat, as JSON text by key."""

    name: str
    settings: tuple[tuple[str, str], ...]

    @property
    def meaning(self) -> dict[str, str]:
        return {key: value for key, value in self.settings if key not in _NAMING}


_SQL_OFF = re.compile(r"\benabled\s*=\s*(?i:false)\b")
_SQL_ACTS = re.compile(
    r"(?i)\b(?:pre_hook|post_hook)\s*=|\brun_query\s*\(|\bcall\s+statement\b"
    r"|\b(?:drop|truncate|alter|create)\s+(?:table|schema|view|database|user|role)\b|\bdelete\s+from\b|\b(?:grant|revoke)\s+\w+"
)
_HOOKS = frozenset({"on-run-start", "on-run-end", "pre-hook", "post-hook", "pre_hook", "post_hook"})


def dbt_gate(patch: list[Patch]) -> Iterator[Finding]:
    """Findings over the changed YAML and SQL files."""
    yield from _in_sql(patch)
    for file in patch:
        if PurePosixPath(file["path"]).suffix not in (".yml", ".yaml") or file["before"] is None or file["after"] is None:
            continue
        before, after = _load(file["before"]), _load(file["after"])
        if after is _BROKEN:
            continue  # the static check refuses it, or it never parsed
        for key in sorted(_hooks(after) - _hooks(before)):
            yield Finding("new-reach", Severity.PERSON, file["path"], f"{file['path']} newly runs statements of its own ({key}).")
        reasons = _unknown_before(after) if before is _BROKEN else _weakened(before, after)
        for reason in reasons:
            text = f"In {file['path']} {reason}: the fix silences a data check."
            yield Finding("data-check-silenced", Severity.PERSON, file["path"], text)


def _in_sql(patch: list[Patch]) -> Iterator[Finding]:
    for file in patch:
        path, before, after = file["path"], file["before"] or "", file["after"] or ""
        if not path.endswith(".sql"):
            continue
        if len(_SQL_OFF.findall(after)) > len(_SQL_OFF.findall(before)):
            text = f"{path} is switched off, and its data tests with it: the fix silences a data check."
            yield Finding("data-check-silenced", Severity.PERSON, path, text)
        if new := _words(after) - _words(before):
            shown = ", ".join(repr(word) for word in sorted(new))
            yield Finding("new-reach", Severity.PERSON, path, f"{path} newly runs statements of its own ({shown}).")


def _words(sql: str) -> Counter[str]:
    return Counter(" ".join(match.group().lower().split()) for match in _SQL_ACTS.finditer(sql))


def _hooks(node: Any) -> set[str]:
    """Statements that dbt runs beside the models, as `key: value`."""
    if isinstance(node, list):
        return {hook for item in node for hook in _hooks(item)}
    if not isinstance(node, dict):
        return set()
    own = {f"{key}: {json.dumps(value, default=str)}" for key, value in node.items() if str(key).lstrip("+") in _HOOKS and value}
    return own | {hook for value in node.values() for hook in _hooks(value)}


def _switched_off(node: Any) -> int:
    """How often something other than a test is switched off: a model, a folder of models, with the tests on them."""
    if isinstance(node, list):
        return sum(map(_switched_off, node))
    if not isinstance(node, dict):
        return 0
    off = sum(value is False for key, value in node.items() if str(key).lstrip("+") == "enabled")
    return off + sum(_switched_off(value) for key, value in node.items() if key not in _TEST_KEYS)


def _weakened(before: Any, after: Any) -> Iterator[str]:
    if _switched_off(after) > _switched_off(before):
        yield "a resource is switched off, and the data tests on it"
    gone, new = list(_tests(before)), list(_tests(after))
    for test in list(gone):
        if test in new:
            gone.remove(test)
            new.remove(test)
    for test in gone:
        successor = _successor(test, new)
        if successor is None:
            yield f"a data test {test.name!r} is gone"
            continue
        new.remove(successor)
        yield from (f"the data test {test.name!r} {change}" for change in _changes(test, successor))
    if _project_tests(before) != _project_tests(after):
        yield "the project's settings for all data tests change"


def _unknown_before(after: Any) -> Iterator[str]:
    if any(_tests(after)):
        yield "data tests stand that could not be compared, because the file did not parse before"


def _successor(test: DataTest, candidates: list[DataTest]) -> DataTest | None:
    same = [one for one in candidates if one.name == test.name]
    return max(same, key=lambda one: len(set(one.settings) & set(test.settings)), default=None)


def _changes(old: DataTest, new: DataTest) -> Iterator[str]:
    for key in sorted(old.meaning.keys() | new.meaning.keys()):
        was, now = old.meaning.get(key), new.meaning.get(key)
        if was == now or (key, now) in (("severity", '"error"'), ("enabled", "true")):
            continue
        yield _WORDS.get(key, f"changes {key} to {{new!r}}").format(new=json.loads(now) if now is not None else "its default")


def _tests(node: Any) -> Iterator[DataTest]:
    """Every generic test below `node`, wherever a `tests:` list stands."""
    if isinstance(node, list):
        for item in node:
            yield from _tests(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in _TEST_KEYS and isinstance(value, list):
                yield from (_test(item) for item in value)
            else:
                yield from _tests(value)


def _test(item: Any) -> DataTest:
    if not isinstance(item, dict):
        return DataTest(str(item), ())
    # both `- unique: {config: …}` and `- test_name: unique` with keys beside it are dbt's
    name = str(item.get("test_name") or next(iter(item), "?"))
    inner = item.get(name)
    flat = dict(_flat(inner if isinstance(inner, dict) else {}))
    flat.update(_flat({key: value for key, value in item.items() if key not in (name, "test_name")}))
    return DataTest(name, tuple(sorted(flat.items())))


def _flat(settings: dict[Any, Any]) -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if key in ("config", "arguments") and isinstance(value, dict):
            yield from _flat(value)
        else:
            text = value.lower() if key == "severity" and isinstance(value, str) else value
            yield str(key), json.dumps(text, sort_keys=True, default=str)


def _project_tests(node: Any) -> dict[str, Any]:
    if not isinstance(node, dict):
        return {}
    return {key: node[key] for key in _TEST_KEYS if isinstance(node.get(key), dict)}


_BROKEN = object()


def _load(text: str) -> Any:
    try:
        return plain_yaml.load(text)
    except ValueError:
        return _BROKEN

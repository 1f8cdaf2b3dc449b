"""dbt's generic data tests in a schema YAML: which there are, what dbt calls them, and how one gets a threshold.

The text is edited where the parser says the test stands, so comments, order and quoting stay as their author left them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode

_RESOURCES = ("models", "seeds", "snapshots")
_SEVERITY = frozenset({"severity", "warn_if", "error_if", "config", "enabled"})
_CONFIG = frozenset(
    {
        *("severity", "warn_if", "error_if", "config", "enabled", "tags", "where", "limit", "fail_calc", "store_failures"),
        *("store_failures_as", "meta", "database", "schema", "alias", "group", "name", "description", "test_name"),
    }
)
_COLUMN = "column_name"


@dataclass(frozen=True)
class DataTest:
    """A generic data test: the name dbt gives it, and the YAML node that it is."""

    full_name: str
    node: Node
    line: int
    configured: bool
    """whether it has a configuration of its own already"""


def data_tests(text: str) -> list[DataTest]:
    """The tests of models, seeds and snapshots; none where the file is no YAML or its parts refer to each other."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return []
    if root is None or any(isinstance(token, yaml.AnchorToken | yaml.AliasToken) for token in yaml.scan(text)):
        return []
    return [test for resource in _RESOURCES for model in _items(_get(root, resource)) for test in _of_model(model)]


def _of_model(model: Node) -> Iterator[DataTest]:
    name = _text(_get(model, "name"))
    yield from (_test(node, name, None) for node in _tests(model))
    for column in _items(_get(model, "columns")):
        column_name = _text(_get(column, "name"))
        yield from (_test(node, name, column_name) for node in _tests(column))


def _tests(node: Node) -> Iterator[Node]:
    for key in ("data_tests", "tests"):
        yield from _items(_get(node, key))


def _test(node: Node, model: str, column: str | None) -> DataTest:
    kind, settings = _kind(node)
    named = _text(_get(settings, "name")) if settings else ""
    arguments = dict(_arguments(settings)) if settings else {}
    if column is not None:
        arguments[_COLUMN] = [column]
    parts = [re.sub("[^0-9a-zA-Z_]+", "_", part) for key in sorted(arguments) for part in arguments[key]]
    configured = bool(settings) and any(key.value in _SEVERITY for key, _ in _pairs(settings))
    full_name = named or f"{kind.replace('.', '_')}_{model}_{'__'.join(parts)}"
    return DataTest(full_name, node, node.start_mark.line + 1, configured)


def _kind(node: Node) -> tuple[str, Node | None]:
    """The test's type, and its settings where it has any."""
    if isinstance(node, ScalarNode):
        return str(node.value), None
    pairs = list(_pairs(node))
    if len(pairs) == 1:
        return str(pairs[0][0].value), pairs[0][1]
    return _text(_get(node, "test_name")), node  # `- test_name: unique` with the settings beside it


def _arguments(settings: Node) -> Iterator[tuple[str, list[str]]]:
    for key, value in _pairs(settings):
        if key.value == "arguments":
            yield from _arguments(value)
        elif key.value not in _CONFIG:
            yield str(key.value), _flat(value)


def _flat(node: Node) -> list[str]:
    if isinstance(node, SequenceNode):
        return [_text(item) for item in node.value]
    if isinstance(node, MappingNode):
        return [_text(value) for _, value in node.value]
    return [_text(node)]


def _pairs(node: Node | None) -> list[tuple[Node, Node]]:
    return list(node.value) if isinstance(node, MappingNode) else []


def _get(node: Node | None, key: str) -> Node | None:
    return next((value for name, value in _pairs(node) if name.value == key), None)


def _items(node: Node | None) -> list[Node]:
    return list(node.value) if isinstance(node, SequenceNode) else []


def _text(node: Node | None) -> str:
    return str(node.value) if isinstance(node, ScalarNode) else ""


# --- the edit --------------------------------------------------------------------------------------------------------


def with_threshold(text: str, test: DataTest, count: int) -> str | None:
    """The text with the test warning up to `count` rows; None where it stands in a form that is not known here."""
    flow = f'config: {{severity: error, warn_if: ">0", error_if: ">{count}"}}'
    block = ["config:", "  severity: error", '  warn_if: ">0"', f'  error_if: ">{count}"']
    kind, settings = _kind(test.node)
    if isinstance(test.node, ScalarNode):
        after = _scalar(text, test.node, kind, flow, block)
    elif isinstance(settings, MappingNode) and settings.value and not settings.flow_style:
        after = _before(text, settings.value[0][0], block)
    else:
        return None
    return after if _is_only_change(text, after, test.full_name) else None


def _scalar(text: str, node: ScalarNode, kind: str, flow: str, block: list[str]) -> str:
    start, end = node.start_mark, node.end_mark
    if text[text.rfind("\n", 0, start.index) + 1 : start.index].strip() != "-":  # `[unique, not_null]`, or a form like it
        return f"{text[: start.index]}{{{kind}: {{{flow}}}}}{text[end.index :]}"
    rest, line_end = text[end.index :].partition("\n")[0], text.find("\n", end.index)
    after = text[line_end:] if line_end >= 0 else ""
    lines = "".join(f"\n{' ' * (start.column + 2)}{line}" for line in block)
    return f"{text[: end.index]}:{rest}{lines}{after}"


def _before(text: str, key: Node, block: list[str]) -> str:
    indent = " " * key.start_mark.column
    lines = "".join(f"{line}\n{indent}" for line in block)
    return f"{text[: key.start_mark.index]}{lines}{text[key.start_mark.index :]}"


def _is_only_change(before: str, after: str, name: str) -> bool:
    """Whether the same tests stand there as before, and only this one is configured now."""
    old, new = data_tests(before), data_tests(after)
    changed = [test.full_name for one, test in zip(old, new, strict=False) if one.configured != test.configured]
    return [test.full_name for test in old] == [test.full_name for test in new] and changed == [name]

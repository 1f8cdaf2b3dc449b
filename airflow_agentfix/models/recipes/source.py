"""What a Python file says, read with ast: names bound, members, parameters, keys. Nothing is ever executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Place = tuple[int, int]
"""line from 1, column in UTF-8 bytes from 0: as ast counts"""

_DYNAMIC = re.compile(r"\b(globals|locals|vars|setattr|exec|eval|__getattr__|__getattribute__)\b")


@dataclass(frozen=True)
class Source:
    """A Python file of the repository."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> Source | None:
        """None where the text is not Python this interpreter knows."""
        try:
            return cls(path, text, ast.parse(text))
        except (SyntaxError, ValueError):
            return None

    @property
    def dynamic(self) -> bool:
        """Whether names may come to be in ways the text does not show."""
        return bool(_DYNAMIC.search(self.text)) or any(
            isinstance(node, ast.ImportFrom) and node.names[0].name == "*" for node in ast.walk(self.tree)
        )

    def line(self, number: int) -> str:
        lines = self.text.split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def nodes(self, number: int) -> Iterator[ast.AST]:
        """Expressions that begin on line `number`."""
        return (node for node in ast.walk(self.tree) if getattr(node, "lineno", None) == number)

    def statement_nodes(self, number: int) -> Iterator[ast.AST]:
        """Nodes of the innermost statement that covers line `number`: a traceback names one line of several."""
        covering = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or node.lineno)
        ]
        return ast.walk(covering[-1]) if covering else iter(())

    def enclosing(self, number: int) -> list[ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda]:
        """Functions around line `number`, outermost first."""
        return [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            and node.lineno <= number <= (node.end_lineno or node.lineno)
        ]

    def exports(self) -> frozenset[str]:
        """Names bound at the module's top level, in `if` and `try` too."""
        return frozenset(_bound(self.tree.body))

    def replaced(self, places: Iterable[Place], old: str, new: str) -> str | None:
        """The text with `old` at each place replaced; None where it does not stand there."""
        lines = self.text.split("\n")
        for line, column in sorted(places, reverse=True):
            raw = lines[line - 1].encode()
            if raw[column : column + len(old.encode())] != old.encode():
                return None
            lines[line - 1] = (raw[:column] + new.encode() + raw[column + len(old.encode()) :]).decode()
        return "\n".join(lines)


def _bound(body: list[ast.stmt]) -> Iterator[str]:
    """Names statements bind in their own scope."""
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name
        else:
            yield from _bound_by(statement)


def _bound_by(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.split(".")[0] for alias in node.names)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
        return
    elif isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return
    for child in ast.iter_child_nodes(node):
        yield from _bound_by(child)


def visible(source: Source, number: int) -> frozenset[str]:
    """Names a reader of line `number` may use: of the functions around it (with comprehension targets) and of the module."""
    names = set(source.exports())
    for function in source.enclosing(number):
        names |= set(parameters(function))
        if not isinstance(function, ast.Lambda):
            names |= set(_bound(function.body))
    for node in source.statement_nodes(number):
        if isinstance(node, ast.comprehension):
            names |= {name.id for name in ast.walk(node.target) if isinstance(name, ast.Name)}
    return frozenset(names)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[str]:
    """All parameter names, * and ** ones too."""
    a = function.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *([a.vararg] if a.vararg else []), *([a.kwarg] if a.kwarg else [])]
    return [argument.arg for argument in every]


def classes(source: Source, name: str) -> list[ast.ClassDef]:
    return [node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef) and node.name == name]


def members(node: ast.ClassDef) -> frozenset[str]:
    """What the class body binds and what its methods set on their first parameter."""
    names = set(_bound(node.body))
    for method in node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef) and method.args.args:
            this = method.args.args[0].arg
            names |= {
                target.attr
                for target in ast.walk(method)
                if isinstance(target, ast.Attribute)
                and isinstance(target.ctx, ast.Store)
                and isinstance(target.value, ast.Name)
                and target.value.id == this
            }
    return frozenset(names)


def definition_line(source: Source, name: str) -> int:
    """The first line that binds `name`, as a function, class, variable, attribute, parameter or import."""
    lines = [node.lineno for node in ast.walk(source.tree) if hasattr(node, "lineno") and _binds(node, name)]
    return min(lines, default=1)


def _binds(node: ast.AST, name: str) -> bool:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return node.name == name
        case ast.Name(ctx=ast.Store()):
            return node.id == name
        case ast.Attribute(ctx=ast.Store()):
            return node.attr == name
        case ast.arg():
            return node.arg == name
        case ast.alias():
            return (node.asname or node.name.split(".")[0]) == name
    return False

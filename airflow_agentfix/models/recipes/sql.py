"""SQL texts as far as renaming one column needs: statements, words outside quotes and comments, tables, declared columns."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_agentfix.models.recipes.source import Place, Source

_HIDDEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\{#.*?#\}", re.DOTALL)
_IS_SQL = re.compile(r"(?i)\b(select|insert\s+into|update|delete\s+from|merge\s+into)\b")
_TABLE = re.compile(r'(?i)\b(?:from|join|into|update)\s+((?:["`\[]?\w+["`\]]?\.)*["`\[]?\w+["`\]]?)')
_CREATE = re.compile(
    r'(?i)\bcreate\s+(?:or\s+replace\s+)?table\s+(?:if\s+not\s+exists\s+)?((?:["`\[]?\w+["`\]]?\.)*["`\[]?(\w+)["`\]]?)\s*\('
)
_CONSTRAINTS = frozenset({"primary", "foreign", "unique", "check", "constraint", "key", "index", "like", "exclude"})


@dataclass(frozen=True)
class Statement:
    """One SQL statement: characters `start` to `end` of a file's text."""

    path: str
    text: str
    start: int
    end: int

    @property
    def shown(self) -> str:
        """The file's text as long as it is, with only the statement's words left: no quotes, no comments."""
        inside = self.text[self.start : self.end]
        bare = _HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), inside)
        return " " * self.start + bare

    def _offsets(self, name: str) -> list[int]:
        return [match.start() for match in re.finditer(rf"\b{re.escape(name)}\b", self.shown)]

    def places(self, name: str) -> tuple[Place, ...]:
        """Line and column of each occurrence of a word."""
        before = [self.text[:offset] for offset in self._offsets(name)]
        return tuple((text.count("\n") + 1, len(text) - text.rfind("\n") - 1) for text in before)

    def renamed(self, old: str, new: str) -> str:
        """The file's text with every occurrence of the word renamed."""
        text = self.text
        for offset in reversed(self._offsets(old)):
            text = text[:offset] + new + text[offset + len(old) :]
        return text

    def defines(self, name: str) -> bool:
        """Whether the statement itself makes the name: as an alias, a CTE, a new column."""
        made = rf"(?i)\bas\s+[\"`]?{name}\b|\b{name}[\"`]?\s+as\s*\(|\b(create|alter)\s+(or\s+replace\s+)?table\b"
        return re.search(made, self.shown) is not None

    def tables(self) -> frozenset[str]:
        """Tables it reads and writes, without schema; a CTE or subquery counts as one, which no CREATE TABLE will know."""
        return frozenset(re.findall(r"\w+", match[1])[-1].lower() for match in _TABLE.finditer(self.shown))


def statements(path: str, text: str) -> Iterator[Statement]:
    """The statements of a .sql file."""
    bare = _HIDDEN.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    start = 0
    for end in [*(match.start() for match in re.finditer(";", bare)), len(text)]:
        yield Statement(path, text, start, end)
        start = end + 1


def statement_in_python(source: Source, name: str) -> Statement | None:
    """The one string that is SQL and holds every occurrence of `name` in the file's code; None where there is no such one."""
    holding = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Constant | ast.JoinedStr) and re.search(rf"\b{name}\b", ast.unparse(node))
    ]
    outer = [node for node in holding if not any(_inside(node, other) for other in holding)]
    if len(outer) != 1 or not _IS_SQL.search(ast.unparse(outer[0])):
        return None
    lines = source.text.split("\n")
    node = outer[0]
    start = _offset(lines, node.lineno, node.col_offset)
    end = _offset(lines, node.end_lineno or node.lineno, node.end_col_offset or 0)
    quote = re.match(r"\w*(\"\"\"|'''|\"|')", source.text[start:end])
    inner = Statement(source.path, source.text, start + quote.end(), end - len(quote[1])) if quote else None
    if inner is None or len(inner.places(name)) != len(re.findall(rf"\b{name}\b", _code(source.text))):
        return None
    return inner if ";" not in inner.shown.strip().rstrip(";") else None


def _inside(node: ast.expr, other: ast.expr) -> bool:
    return node is not other and isinstance(other, ast.JoinedStr) and any(child is node for child in ast.walk(other))


def _offset(lines: list[str], line: int, column: int) -> int:
    before = sum(len(text) + 1 for text in lines[: line - 1])
    return before + len(lines[line - 1].encode()[:column].decode())


def _code(text: str) -> str:
    """The text without whole-line comments."""
    return "\n".join(line for line in text.split("\n") if not line.lstrip().startswith("#"))


def declared(text: str, table: str) -> Iterator[str]:
    """Columns that CREATE TABLE statements in `text` declare for the table."""
    for match in _CREATE.finditer(text):
        if match[2].lower() == table:
            yield from (name for part in _parts(text, match.end()) if (name := _column(part)))


def _parts(text: str, start: int) -> Iterator[str]:
    """What stands between the commas of a parenthesis that opened just before `start`."""
    depth, begin = 0, start
    for at in range(start, len(text)):
        if text[at] == "(":
            depth += 1
        elif depth and text[at] == ")":
            depth -= 1
        elif not depth and text[at] in ",)":
            yield text[begin:at]
            begin = at + 1
            if text[at] == ")":
                return


def _column(part: str) -> str | None:
    words = re.findall(r"\w+", _HIDDEN.sub(" ", part))
    return words[0] if len(words) > 1 and words[0].lower() not in _CONSTRAINTS else None

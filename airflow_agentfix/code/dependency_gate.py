"""New dependencies need a person: code of others that nobody here has read would run with the connections of production.

Compared is what the changed files install, before and after: each package with its extras, and where it comes from. Another
version of a package is no new one; another source is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from functools import partial
from pathlib import PurePosixPath

from airflow_agentfix.code import manifests
from airflow_agentfix.code.manifests import installed
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity

Reader = Callable[[str], Iterable[str]]

_ARGUMENTS = frozenset(
    {"requirements", "install_requires", "setup_requires", "tests_require", "extras_require", "index_urls", "index_url"}
)
"""of a virtualenv task and of setup()"""


def dependency_gate(patch: list[Patch]) -> Iterator[Finding]:
    """One finding per file that installs what no changed file installed before."""
    known = {name for file in patch for name in _names(file["path"], file["before"])}
    for file in patch:
        if new := sorted(_names(file["path"], file["after"]) - known):
            path, shown = file["path"], ", ".join(map(repr, new))
            reason = f"{path} newly installs {shown}: a person must agree to code from elsewhere, and to its very name."
            yield Finding("new-dependency", Severity.PERSON, path, reason)


def _names(path: str, text: str | None) -> set[str]:
    return {name for read in _readers(path) for name in read(text or "")}


def _readers(path: str) -> Iterator[Reader]:
    name = PurePosixPath(path).name
    for pattern, read in _READERS:
        if fnmatch(path if "/" in pattern else name, pattern):
            yield read


def of_python(text: str) -> Iterator[str]:
    """Requirements given to a virtualenv task or to setup(), and install commands in texts and lists."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    assigned = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in _ARGUMENTS:
            value = assigned.get(node.value.id, node.value) if isinstance(node.value, ast.Name) else node.value
            for one in _texts(value):
                yield from manifests.requirements(one)
        elif isinstance(node, ast.List | ast.Tuple):
            yield from installed(" ".join(one.value for one in node.elts if _is_text(one)))  # type: ignore[attr-defined]  # as checked
        elif _is_text(node):
            yield from installed(node.value)  # type: ignore[attr-defined]  # as checked


def _texts(value: ast.expr) -> list[str]:
    return [node.value for node in ast.walk(value) if _is_text(node)]  # type: ignore[attr-defined]  # as checked


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


_READERS: tuple[tuple[str, Reader], ...] = (
    *((f"*requirements{name}", manifests.requirements) for name in ("*.txt", "*.in", "/*.txt", "/*.in")),
    ("*constraints*.txt", partial(manifests.requirements, pins_only=True)),
    ("packages.txt", manifests.plain_names),
    *((name, manifests.of_toml) for name in ("*.toml", "Pipfile", "poetry.lock", "uv.lock", "pdm.lock")),
    ("setup.cfg", manifests.of_setup_cfg),
    *((name, manifests.of_yaml) for name in ("packages.yml", "dependencies.yml", "environment*.y*ml", "conda*.y*ml")),
    *((name, installed) for name in ("*.sh", "*.bash", "Makefile", "*.mk", "*.yml", "*.yaml")),
    *((name, manifests.of_image) for name in ("*Dockerfile*", "*Containerfile*")),
    ("*.py", of_python),
)

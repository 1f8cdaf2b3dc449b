"""Do the changed files still parse? Nothing is imported or executed."""

from __future__ import annotations

import json
import platform
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import yaml

from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core import stages
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.stages import COMPILED, STATIC_CHECKS, Stage, some

Check = Callable[[str], tuple[int, str] | None]
"""the line and what is wrong there; None for a text that parses"""


def static_checks(patch: list[Patch]) -> Iterator[Finding]:
    """A REFUSE for Python that does not compile, and for YAML, JSON and TOML that parsed before and no longer do."""
    for file in patch:
        check = _CHECKS.get(PurePosixPath(file["path"]).suffix)
        if check is None or file["after"] is None:
            continue
        error = _error(check, file["after"])
        if error is None or (check is not _python and file["before"] is not None and _error(check, file["before"]) is not None):
            continue  # templates that never parsed are none of ours
        line, what = error
        reason = f"{file['path']} would not parse: line {line}: {what}. Correct the edit."
        yield Finding("does-not-parse", Severity.REFUSE, file["path"], reason, line)


def parsed(patch: list[Patch]) -> tuple[Stage, Stage]:
    """What of a change that passed them was seen to parse: Python by compiling it, data files by reading them."""
    parses: dict[str, bool] = {}
    for file in patch:
        check = _CHECKS.get(PurePosixPath(file["path"]).suffix)
        if check is not None and file["after"] is not None:
            parses[file["path"]] = _error(check, file["after"]) is None
    python = {path: good for path, good in parses.items() if _CHECKS[PurePosixPath(path).suffix] is _python}
    return _compiled(python), _read({path: good for path, good in parses.items() if path not in python})


def _compiled(parses: dict[str, bool]) -> Stage:
    if not parses:
        return stages.not_run(COMPILED, "the fix changes no Python file")
    broken = [path for path, good in parses.items() if not good]
    if broken:
        return stages.failed(COMPILED, f"does not compile: {some(broken)}")
    return stages.passed(COMPILED, f"with Python {platform.python_version()}: {some(list(parses))}")


def _read(parses: dict[str, bool]) -> Stage:
    """A template that never parsed was let through, and is no pass."""
    if not parses:
        return stages.not_run(STATIC_CHECKS, "the fix changes no YAML, JSON or TOML file")
    good = [path for path, well in parses.items() if well]
    left = [path for path in parses if path not in good]
    parts = [f"parses: {some(good)}"] if good else []
    parts += [f"parses neither on the base nor on the fix: {some(left)}"] if left else []
    return (stages.passed if good else stages.not_run)(STATIC_CHECKS, "; ".join(parts))


def _error(check: Check, text: str) -> tuple[int, str] | None:
    try:
        return check(text)
    except RecursionError:
        return 1, "nested too deeply"


def _python(text: str) -> tuple[int, str] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an old invalid escape is no reason to refuse, nor worth a line in the log
            compile(text, "<fix>", "exec", dont_inherit=True)
    except SyntaxError as error:
        return error.lineno or 1, error.msg
    except ValueError as error:
        return 1, str(error)
    return None


def _yaml(text: str) -> tuple[int, str] | None:
    try:
        # compose, not load: tags of other tools (!Ref, !vault) are fine
        for _ in yaml.compose_all(text, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), error.problem or "not YAML"
    except yaml.YAMLError as error:
        return 1, str(error)
    return None


def _json(text: str) -> tuple[int, str] | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.lineno, error.msg
    return None


def _toml(text: str) -> tuple[int, str] | None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return getattr(error, "lineno", 1), str(error)
    return None


_CHECKS: dict[str, Check] = {
    ".py": _python,
    ".yml": _yaml,
    ".yaml": _yaml,
    ".json": _json,
    ".toml": _toml,
}

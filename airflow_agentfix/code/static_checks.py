"""Do the changed files still parse? Nothing is imported or executed."""

from __future__ import annotations

import json
import tomllib
import warnings
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import yaml

from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity

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

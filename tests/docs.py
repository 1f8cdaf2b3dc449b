"""The tables of docs/ that are made from the code. `python -m tests.docs` writes them into the pages."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import typer

from airflow_agentfix import errors
from airflow_agentfix.cli.app import app
from airflow_agentfix.core.triage_rules import RULES
from airflow_agentfix.provider_info import get_provider_info
from airflow_agentfix.settings import OPTIONS, Settings

ROOT = Path(__file__).resolve().parents[1]


def options() -> str:
    shown = get_provider_info()["config"]["agentfix"]["options"]
    defaults = {field.name: field.default for field in fields(Settings)}
    return _table(
        ("option", "default", "meaning"),
        [
            (f"`{name}`", f"`{shown[name]['default']}`" if defaults[name] not in ("", ()) else "", _option(name))
            for name in OPTIONS
        ],
    )


def _option(name: str) -> str:
    option = OPTIONS[name]
    return f"{option.description} Example: `{option.example}`" if option.example else option.description


def verbs() -> str:
    rows = [(f"`agentfix {usage}`", help_text) for usage, help_text in _verbs(typer.main.get_command(app), "")]
    return _table(("command", "does"), rows)


def _verbs(group: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{prefix}{name} ")
        else:
            yield " ".join([prefix + name, *map(_parameter, command.params)]), " ".join(command.help.split())


def _parameter(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
        return str(name if parameter.required else f"[{name}]")
    return f"[{parameter.opts[0]}]"


def all_errors() -> str:
    rows = [(f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split())) for kind in error_classes()]
    return _table(("error", "when"), rows)


def error_classes() -> list[type[Exception]]:
    of_module = (kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__)
    return sorted(of_module, key=lambda kind: inspect.getsourcelines(kind)[1])


def rules() -> str:
    rows = [
        (rule.name, f"`{rule.verdict}`", f"{rule.confidence:.2f}", rule.reason, (rule.action or "").removesuffix("."))
        for rule in RULES
    ]
    return _table(("rule", "verdict", "confidence", "because", "owner action"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


TABLES: dict[str, tuple[str, Callable[[], str]]] = {
    "options": ("configuration.md", options),
    "verbs": ("cli.md", verbs),
    "rules": ("evidence.md", rules),
    "errors": ("troubleshooting.md", all_errors),
}


def written(name: str) -> str:
    """The page as it should be."""
    page, made = TABLES[name]
    text = (ROOT / "docs" / page).read_text()
    return re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}\n{made()}\n\n{m[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    for table, (file, _) in TABLES.items():
        (ROOT / "docs" / file).write_text(written(table))

"""A policy for a person: each value, and where it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_agentfix.core.policy import Effective, Policy

if TYPE_CHECKING:
    from rich.console import Console


def print_policy(console: Console, found: Effective) -> None:
    """A row for each value; below them whatever is wrong with a source."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("value", "is", "from"):
        table.add_column(column, overflow="fold")
    defaults = vars(Policy())
    for name, value in vars(found.policy).items():
        source = "; ".join(found.sources.get(name, ()))
        built_in = source in ("", "[agentfix]") and value == defaults[name]
        table.add_row(name, Text(_shown(value)), Text("default" if built_in else source))
    console.print(table)
    for problem in found.problems:
        console.print(Text.assemble(("problem  ", "bold red"), problem))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(_shown_one, value)) or "-"
    return str(value)


def _shown_one(value: Any) -> str:
    """A name, a group of globs, or a check."""
    if isinstance(value, str):
        return value
    return ", ".join(value) if isinstance(value, tuple) else f"{value.name}: {' '.join(value.run)}"

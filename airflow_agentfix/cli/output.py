"""What every verb prints with: exit codes, JSON, and a console that stays plain where no person looks."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer  # noqa: TID253 - see app.py

if TYPE_CHECKING:
    from rich.console import Console

OK, ERROR, USAGE, NOT_GREEN, WAITS_FOR_PERSON, INTERRUPTED = 0, 1, 2, 3, 4, 130

NO_WIDTH = 10_000

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def print_json(value: Any) -> None:
    """One JSON value on stdout; dataclasses as objects."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def print_line(value: Any) -> None:
    """One JSON value on one line, for verbs that print one per file."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=_plain))


def console() -> Console:
    """Colours on a terminal; elsewhere plain text whose lines are never broken by a width nobody has."""
    from rich.console import Console  # 60 ms that --json need not pay

    terminal = Console(highlight=False, soft_wrap=True)
    return terminal if terminal.is_terminal else Console(highlight=False, soft_wrap=True, color_system=None, width=NO_WIDTH)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is not JSON")

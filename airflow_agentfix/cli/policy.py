"""Verbs on what sessions may do: policy show, policy check, policy schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import NOT_GREEN, OK, AsJson, console, print_json

if TYPE_CHECKING:
    from airflow_agentfix.core.policy import Effective

policy = typer.Typer(help="What sessions may do, and who says so.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.add_typer(policy, name="policy")


@policy.command("show")
def show(dag: Annotated[str, typer.Argument(metavar="DAG", help="DAG id.")], as_json: AsJson = False) -> None:
    """Tell each value that holds for a DAG now, and where it comes from; exits with 3 where a source cannot be used."""
    found = here.sessions_api().policy(dag)
    if as_json:
        print_json({"dag_id": dag, **found.to_json()})
    else:
        _print(found)
    raise typer.Exit(NOT_GREEN if found.problems else OK)


@policy.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file.", exists=True, dir_okay=False)] = Path(".agentfix.yaml"),
) -> None:
    """Check a repository's .agentfix.yaml against its schema, before it is pushed. Needs no Airflow."""
    from airflow_agentfix.code.policy_file import parse

    parse(file.read_bytes(), where=str(file))
    typer.echo(f"{file} is valid.")


@policy.command("schema")
def schema() -> None:
    """Print the JSON schema of .agentfix.yaml, for editors and CI."""
    from airflow_agentfix.code.policy_file import schema as published

    print_json(published())


def _print(found: Effective) -> None:
    from rich.table import Table
    from rich.text import Text

    from airflow_agentfix.core.policy import Policy

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("value", "is", "from"):
        table.add_column(column, overflow="fold")
    defaults = vars(Policy())
    for name, value in vars(found.policy).items():
        source = "; ".join(found.sources.get(name, ()))
        built_in = source in ("", "[agentfix]") and value == defaults[name]
        table.add_row(name, Text(_shown(value)), Text("default" if built_in else source))
    out = console()
    out.print(table)
    for problem in found.problems:
        out.print(Text.assemble(("problem  ", "bold red"), problem))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "; ".join(map(_shown_one, value)) or "-"
    return str(value)


def _shown_one(value: Any) -> str:
    """A name, a group of globs, or a check."""
    if isinstance(value, str):
        return value
    return ", ".join(value) if isinstance(value, tuple) else f"{value.name}: {' '.join(value.run)}"

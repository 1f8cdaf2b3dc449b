"""Verbs on what sessions may do: policy show, policy check, policy schema."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import NOT_GREEN, OK, AsJson, console, print_json
from airflow_agentfix.cli.policy_table import print_policy

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
        print_policy(console(), found)
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

"""Verbs for who runs AgentFix: db, doctor, demo."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import NOT_GREEN, OK, AsJson, console, print_json

if TYPE_CHECKING:
    from airflow_agentfix.doctor import Check

db = typer.Typer(help="AgentFix's own tables.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command("doctor")(doctor)
    app.add_typer(db, name="db")
    app.command("demo")(demo)


def doctor(
    dag: Annotated[str | None, typer.Option("--dag", help="Check the repository of this DAG; else of one DAG a bundle.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check login, plugin, database, bundle, repository, its policy and model; each problem comes with its fix (exit code 3)."""
    from airflow_agentfix.doctor import diagnose
    from airflow_agentfix.doctor_ports import RestDeployment

    settings = here.settings()
    deployment = RestDeployment(settings, with_airflow=not here.is_outside())
    checks = list(diagnose(deployment, settings, os.environ, dag_id=dag))
    if as_json:
        print_json(checks)
    else:
        _print(checks)
    raise typer.Exit(OK if all(one.ok for one in checks) else NOT_GREEN)


@db.command("migrate")
def migrate() -> None:
    """Create AgentFix's tables, or bring them to this version. Safe to repeat."""
    from airflow_agentfix.store.engine import open_engine
    from airflow_agentfix.store.migrate import migrate as migrate_tables

    migrate_tables(open_engine(_database_url()))
    typer.echo("AgentFix's tables are at this version.")


@db.command("check")
def check() -> None:
    """Say whether the tables are there and of this version; exits with 1 if not."""
    from airflow_agentfix.store.engine import open_engine
    from airflow_agentfix.store.migrate import check as check_tables

    check_tables(open_engine(_database_url()))
    typer.echo("AgentFix's tables are at this version.")


def demo() -> None:
    """Watch a failed run become a fixed one, on an Airflow of its own that leaves nothing behind.

    AGENTFIX_DEMO_DIR keeps what it makes; ANTHROPIC_API_KEY lets Claude do the work instead of the rules model.
    """
    from airflow_agentfix.demo import run_demo

    run_demo()


def _database_url() -> str:
    """[agentfix] sql_alchemy_conn, else Airflow's own database."""
    if own := here.settings().sql_alchemy_conn:
        return own
    from airflow.configuration import conf  # seconds; only where our tables are in Airflow's database

    return str(conf.get("database", "sql_alchemy_conn"))


def _print(checks: Sequence[Check]) -> None:
    from rich.text import Text

    out = console()
    for one in checks:
        mark, style = ("ok", "green") if one.ok else ("problem", "bold red")
        out.print(Text.assemble((f"{mark:<8}", style), f"{one.name}: {one.found}"))
        if one.fix:
            out.print(Text(f"{'':<8}→ {one.fix}"))

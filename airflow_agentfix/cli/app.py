"""The verbs of `agentfix`, put together, and the boundary where an AgentFixError becomes a message and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer  # noqa: TID253 - the command line is what typer is for; nothing but the entry point imports this package

from airflow_agentfix import __version__
from airflow_agentfix.cli import admin, audit, evidence, policy, sessions
from airflow_agentfix.cli.output import ERROR, INTERRUPTED
from airflow_agentfix.errors import AgentFixError, SessionNotFound

HELP = """A failed Airflow DAG run becomes a fixed one: on a branch, with evidence.

Where Airflow is: AGENTFIX_AIRFLOW_URL (with AGENTFIX_AIRFLOW_USERNAME and _PASSWORD, or _TOKEN), else Airflow's own configuration
and its connection agentfix_airflow.
"""
EXIT_CODES = """Exit codes: 0 done · 1 an error, said on stderr · 2 wrong usage · 3 not green: the session did not end fixed,
or a check found a problem · 4 the session waits for a person · 130 interrupted"""
HINT = "See which there are: agentfix sessions"
"""with what the server says to whoever asks, by whatever way"""

app = typer.Typer(
    name="agentfix", help=HELP, epilog=EXIT_CODES, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)
for group in (sessions, evidence, policy, audit, admin):
    group.add_to(app)


def _print_version(wanted: bool) -> None:
    """A callback of the option: the body of the command below is not reached without a verb."""
    if wanted:
        typer.echo(f"agentfix {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    pass


def run() -> None:
    """Run the command line of this process."""
    try:
        app()
    except AgentFixError as error:
        from airflow_agentfix.redaction import told  # loads the detectors; only who fails pays

        hint = f" {HINT}" if isinstance(error, SessionNotFound) else ""
        typer.echo(f"Error: {told(error)}{hint}", err=True)
        sys.exit(ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)

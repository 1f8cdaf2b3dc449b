"""Verbs on evidence: context, logs, redact. The last two read files and need no Airflow."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import AsJson, print_json
from airflow_agentfix.cli.sessions import Dag, MapIndex, Run, Task, Try

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Task logs; - is standard input.")]
Budget = Annotated[int | None, typer.Option("--budget", min=500, help="Characters at most.", show_default=False)]

logs = typer.Typer(help="Read task logs offline.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    app.command("context")(context)
    app.add_typer(logs, name="logs")
    app.command("redact")(redact)


def context(
    dag: Dag,
    run: Run = None,
    task: Task = None,
    map_index: MapIndex = -1,
    try_: Try = None,
    budget: Budget = None,
    as_json: AsJson = False,
) -> None:
    """Print the evidence on a failed task: what the agent gets, and what anyone needs to take over."""
    from airflow_agentfix.airflow_api import RestAirflowApi
    from airflow_agentfix.evidence.collect import collect, resolve_ref

    wanted = here.named(dag, run, task, map_index=map_index, try_number=try_)
    api = RestAirflowApi(here.http())
    ref = resolve_ref(api, wanted.dag_id, wanted.run_id, wanted.task_id, map_index=wanted.map_index, try_number=wanted.try_number)
    incident = collect(ref, api=api, budget=budget or here.settings().evidence_chars)
    print_json(incident.to_json()) if as_json else typer.echo(incident.text)


@logs.command("distill")
def distill(files: Files, budget: Budget = None, as_json: AsJson = False) -> None:
    """Print what of a log states the failure's cause."""


@logs.command("verdict")
def verdict(files: Files, as_json: AsJson = False) -> None:
    """Say by rules what kind of failure a log shows: code, data, config, dependency, infra or unknown."""


def redact(file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")]) -> None:
    """Print a file with every secret found replaced by ***."""
    from airflow_agentfix.redaction import redact as redacted

    typer.echo(redacted(_read(file).decode(errors="replace")), nl=False)


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"{str(file)!r} cannot be read: {error.strerror}") from error

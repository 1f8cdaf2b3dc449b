"""Verbs on evidence: context, logs, redact. The last two read files and need no Airflow."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, BinaryIO

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import AsJson, print_json, print_line
from airflow_agentfix.cli.sessions import Dag, MapIndex, Run, Task, Try

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Task logs; - is standard input.")]
Budget = Annotated[int | None, typer.Option("--budget", min=500, help="Characters at most.", show_default=False)]

DEFAULT_BUDGET = 16_000

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
    incident = collect(ref, api=api, budget_chars=budget or here.settings().evidence_chars)
    print_json(incident.to_json()) if as_json else typer.echo(incident.text)


@logs.command("distill")
def distill(files: Files, budget: Budget = None, as_json: AsJson = False) -> None:
    """Print what of a log states the failure's cause. --json: one object a line."""
    from airflow_agentfix.core.logs import distill as distilled
    from airflow_agentfix.core.logs import render
    from airflow_agentfix.redaction import redact as redacted

    for file in files:
        with _lines(file) as lines:
            found = distilled(lines, max_chars=budget or DEFAULT_BUDGET)
        text = render(found, redact=redacted, max_chars=budget or DEFAULT_BUDGET) if found.selection else ""
        cause = redacted(found.cause.line)
        if as_json:
            print_line(
                {
                    "file": str(file),
                    "root_cause": cause,
                    "text": text,
                    "lines": found.lines,
                    "bytes": found.bytes,
                    "cut": found.cut,
                }
            )
        else:
            _print_text(file, text, several=len(files) > 1)


@logs.command("verdict")
def verdict(files: Files, as_json: AsJson = False) -> None:
    """Say by rules what kind of failure a log shows: code, data, config, dependency, infra, unknown. --json: a line each."""
    from airflow_agentfix.core.logs import distill as distilled
    from airflow_agentfix.core.triage import judge
    from airflow_agentfix.redaction import redact as redacted

    for file in files:
        with _lines(file) as lines:
            cause = distilled(lines).cause
        told = judge(cause)
        told = replace(told, reason=redacted(told.reason), owner_action=told.owner_action and redacted(told.owner_action))
        line = redacted(cause.line)
        if as_json:
            print_line({"file": str(file), **asdict(told), "root_cause": line})
        else:
            _print_text(file, f"{told.verdict} ({told.confidence:.0%}): {told.reason}\n{line}", several=len(files) > 1)


def redact(file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")]) -> None:
    """Print a file with every secret found replaced by ***."""
    from airflow_agentfix.redaction import redact as redacted

    typer.echo(redacted(_read(file).decode(errors="replace")), nl=False)


def _read(file: Path) -> bytes:
    with _lines(file) as lines:
        return lines.read()


@contextmanager
def _lines(file: Path) -> Iterator[BinaryIO]:
    """The file, line by line, so that a log of any size is read in bounded memory."""
    if str(file) == "-":
        yield sys.stdin.buffer
        return
    try:
        opened = file.open("rb")
    except OSError as error:
        raise typer.BadParameter(f"{str(file)!r} cannot be read: {error.strerror}") from error
    with opened:
        yield opened


def _print_text(file: Path, text: str, *, several: bool) -> None:
    typer.echo(f"== {file}\n{text}\n" if several else text)

"""Verbs on evidence: context, logs, redact. The last two read files and need no Airflow."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import AsJson, print_json, print_line
from airflow_agentfix.cli.sessions import Dag, MapIndex, Run, Task, Try

if TYPE_CHECKING:
    from airflow_agentfix.core.incident import RootCause

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Task logs; - is standard input.")]
Chars = Annotated[int, typer.Option("--budget", min=500, help="Characters at most.")]
Tokens = Annotated[int | None, typer.Option("--budget", min=200, help="Tokens at most, 3 characters each.", show_default=False)]

DEFAULT_CHARS = 16_000

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
    budget: Tokens = None,
    as_json: AsJson = False,
) -> None:
    """Print the evidence on a failed task: what the agent gets, and what anyone needs to take over."""
    from airflow_agentfix.evidence.render import CHARS_PER_TOKEN

    wanted = here.named(dag, run, task, map_index=map_index, try_number=try_)
    incident = here.evidence(wanted, budget_chars=budget and budget * CHARS_PER_TOKEN)
    print_json(incident.to_json()) if as_json else typer.echo(incident.text)


@logs.command("distill")
def distill(files: Files, budget: Chars = DEFAULT_CHARS, as_json: AsJson = False) -> None:
    """Print what of a log states the failure's cause. --json: one object a line."""
    from airflow_agentfix.core.logs import distill as distilled
    from airflow_agentfix.core.logs import render
    from airflow_agentfix.redaction import redact as redacted

    _require_readable(files)
    for file in files:
        started = time.perf_counter()
        with _lines(file) as lines:
            found = distilled(lines, max_chars=budget)
        room = budget if as_json else budget - 1  # for the newline at its end
        text = render(found, redact=redacted, max_chars=room) if found.selection else ""
        if not as_json:
            _print_text(file, text, several=len(files) > 1)
            continue
        print_line(
            {
                "file": str(file),
                "text": text,
                "chars": len(text),
                "bytes_in": found.bytes,
                "seconds": round(time.perf_counter() - started, 3),
                "peak_kib": _peak_kib(),
                "lines": found.lines,
                "cut": found.cut,
            }
        )


@logs.command("verdict")
def verdict(files: Files, as_json: AsJson = False) -> None:
    """Say by rules what kind of failure a log shows: code, data, config, dependency, infra, unknown. --json: a line each."""
    from airflow_agentfix.core.logs import distill as distilled

    _require_readable(files)
    for file in files:
        with _lines(file) as lines:
            told = _judged(distilled(lines).cause)
        if as_json:
            print_line({"file": str(file), **told})
            continue
        where = f"\n{told['location']}" if told["location"] else ""
        action = f"\n{told['owner_action']}" if told["owner_action"] else ""
        text = f"{told['verdict']} ({told['confidence']:.0%}): {told['reason']}\n{told['root_cause']}{where}{action}"
        _print_text(file, text, several=len(files) > 1)


def _judged(cause: RootCause) -> dict[str, Any]:
    """What the rules say of a cause, redacted."""
    from airflow_agentfix.core.fingerprint import fingerprint
    from airflow_agentfix.core.triage import judge
    from airflow_agentfix.redaction import redact as redacted

    told = judge(cause)
    frame = cause.user_frames[-1] if cause.user_frames else None
    return {
        "verdict": told.verdict,
        "confidence": told.confidence,
        "decided": told.decided,
        "root_cause": redacted(cause.line),
        "exception": cause.exception,
        "location": frame and redacted(f"{frame.file}:{frame.line} in {frame.function}"),
        "fingerprint": fingerprint(cause),
        "evidence": told.evidence,
        "reason": redacted(told.reason),
        "owner_action": told.owner_action and redacted(told.owner_action),
    }


def _peak_kib() -> int:
    """The most memory this process has held, in KiB. Linux's getrusage would tell its parent's where that was more."""
    status = Path("/proc/self/status")
    if status.exists() and (told := re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)):
        return int(told[1])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // 1024 if sys.platform == "darwin" else peak


def redact(file: Annotated[Path, typer.Argument(metavar="FILE", help="- is standard input.")]) -> None:
    """Print a file with every secret found replaced by ***."""
    from airflow_agentfix.redaction import redact as redacted

    typer.echo(redacted(_read(file).decode(errors="replace")), nl=False)


def _require_readable(files: list[Path]) -> None:
    """Before the first one is told of: of a batch either all are, or none."""
    for file in files:
        if str(file) != "-":
            with _lines(file):
                pass


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

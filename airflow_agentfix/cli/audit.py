"""Verbs on the record of sessions: audit verify, audit export."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here
from airflow_agentfix.cli.output import NOT_GREEN, OK, AsJson, print_json, print_line

if TYPE_CHECKING:
    from airflow_agentfix.store.client import SessionsApi
    from airflow_agentfix.store.wire import Audit

PAGE = 200
_HASH = re.compile(r"[0-9a-f]{64}")

audit = typer.Typer(help="The record of sessions: who did what, when, and whether it is as it was written.", no_args_is_help=True)

Sessions = Annotated[list[str] | None, typer.Argument(metavar="SESSION…", help="Session ids; all you may read unless given.")]
Anchor = Annotated[
    str | None,
    typer.Option("--anchor", help="A hash kept elsewhere, as a fix's commit has it (Agentfix-Audit); needs one SESSION."),
]


def add_to(app: typer.Typer) -> None:
    app.add_typer(audit, name="audit")


@audit.command("verify")
def verify(sessions: Sessions = None, anchor: Anchor = None, as_json: AsJson = False) -> None:
    """Check that no event of a session was changed, removed or cut off; exits with 3 where one was."""
    if anchor is not None and len(sessions or ()) != 1:
        raise typer.BadParameter("--anchor needs the one SESSION whose commit has it")
    if anchor is not None and not _HASH.fullmatch(anchor):
        raise typer.BadParameter(f"--anchor is {anchor!r}; expected the whole hash of Agentfix-Audit: 64 digits 0-9, a-f")
    api = here.sessions_api()
    found = [api.audit(session_id, anchor=anchor) for session_id in sessions or _all(api)]
    if as_json:
        print_json([one.to_json() for one in found])
    else:
        for one in found:
            typer.echo(f"{one.session_id}  {_told(one)}")
    raise typer.Exit(OK if all(one.ok for one in found) else NOT_GREEN)


@audit.command("export")
def export(sessions: Sessions = None) -> None:
    """Print the events of sessions with their hashes, one JSON object a line."""
    api = here.sessions_api()
    for session_id in sessions or _all(api):
        for event in api.events(session_id):
            print_line({"session_id": session_id, **event.to_json()})


def _all(api: SessionsApi) -> Iterator[str]:
    """Every session the login may read, newest first."""
    offset = 0
    while page := api.list(limit=PAGE, offset=offset):
        yield from (session.id for session in page)
        offset += len(page)


def _told(one: Audit) -> str:
    if one.broken_at is not None:
        return f"BROKEN at event {one.broken_at} of {one.events}: it is not what was written, or it is missing"
    if one.anchored is False:
        return f"NOT ANCHORED: {one.events} events are whole, but the hash is not among theirs"
    anchored = ", anchor found" if one.anchored else ""
    return f"ok, {one.events} events{anchored}, newest hash {one.head}"

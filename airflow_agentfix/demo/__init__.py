"""The main job from one command: a production run fails, is diagnosed, fixed on a branch, rerun on it and goes green.

Everything is real (Airflow, git, the session, the pin) and stays in one folder that is gone afterwards.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import typer  # noqa: TID253 - the demo is a part of the command line

from airflow_agentfix.core.session import Event, Outcome, Session
from airflow_agentfix.demo.deployment import RUN_ID, DemoFailed, Deployment
from airflow_agentfix.demo.narration import narrate

UNREVIEWED = {"AGENTFIX__ALLOW_UNREVIEWED_RERUNS": "True"}
KEEP = "AGENTFIX_DEMO_DIR"
"""names an empty folder in which everything is kept, story.json too"""


@dataclass
class Telling:
    """Prints each step with the seconds since the start."""

    started: float

    def __call__(self, text: str) -> None:
        seconds = time.monotonic() - self.started
        first, *rest = text.splitlines() or [""]
        typer.echo(f"{seconds:5.1f}s  {first}")
        for line in rest:
            typer.echo(f"        {line}")
        sys.stdout.flush()


def run_demo() -> None:
    """Run it. Ends by itself where the output is no terminal, else keeps the UI up until Ctrl-C. DemoFailed if not green."""
    tell = Telling(time.monotonic())
    with _folder() as folder, _ended_by_signals():
        deployment = Deployment.prepare(folder, config=UNREVIEWED)
        tell(deployment.says())
        with deployment.running(tell):
            session = _watch(deployment, tell)
            story = deployment.story(session, seconds=time.monotonic() - tell.started)
            (folder / "story.json").write_text(json.dumps(story, indent=2) + "\n")
            _end(deployment, session, tell)


def _watch(deployment: Deployment, tell: Telling) -> Session:
    """The production run fails; its callback started a session: show what happens until it is done."""
    deployment.fail_production_run(tell)
    session = deployment.session()
    seen = 0
    while True:
        session = deployment.sessions.get(session.id)  # before its events, or the last ones could be missed
        for event in deployment.sessions.events(session.id, after=seen):
            seen = event.number
            _show(event, tell)
        if session.outcome is not None:
            return session
        deployment.expect_time_left(session)
        time.sleep(0.5)


def _show(event: Event, tell: Telling) -> None:
    if text := narrate(event):
        tell(text)


def _end(deployment: Deployment, session: Session, tell: Telling) -> None:
    from airflow_agentfix.cli.output import console
    from airflow_agentfix.cli.render import print_story
    from airflow_agentfix.cli.story import story_of

    state, sessions = deployment.run_state(), deployment.sessions
    tell(f"The production run is {state}. The story:\n")
    print_story(console(), story_of(session, sessions.events(session.id), sessions.budget(session.id)))
    typer.echo(f"\nAirflow's UI: {deployment.run_url}")
    if session.outcome is not Outcome.FIXED or state != "success":
        raise DemoFailed(
            f"The session ended {session.outcome} and run {RUN_ID!r} is {state!r}; expected 'fixed' and 'success'. "
            f"{session.summary}"
        )
    if sys.stdout.isatty():
        typer.echo("It stays up until you press Ctrl-C.")
        signal.pause()


@contextmanager
def _folder() -> Iterator[Path]:
    """The folder everything is in: the one named to be kept, or one that is removed at the end."""
    if kept := os.environ.get(KEEP):
        folder = Path(kept).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise DemoFailed(f"{KEEP} is {kept!r}, which is not empty; expected an empty folder.")
        yield folder
        return
    folder = Path(tempfile.mkdtemp(prefix="agentfix-demo-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """A closed terminal or a kill ends the demo as Ctrl-C does: what it started is ended first."""
    handlers = {kind: signal.signal(kind, _interrupt) for kind in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for kind, handler in handlers.items():
            signal.signal(kind, handler)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)

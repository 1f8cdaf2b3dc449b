"""The answer to reviewers, where they asked: a comment on the pull request once the session that theirs set to work ends, or
waits for a person.

Invariant: the session's end stands whatever the code host says to its answer.
"""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Sequence
from typing import Protocol

from airflow_agentfix.core import mentions, transcript
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.session import Event, EventKind, Session, WaitFor, run_of
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.ports import CodeHost, OpenedFix, WaitRun

log = logging.getLogger(__name__)

WIDTH = 100
"""of a line: plain text is not wrapped by the code host's page"""
MOST_CHARS = 4_000
WAITS = "The session waits for a person's answer: under Required Actions in Airflow, or with agentfix continue."


class Place(Protocol):
    """Where answers go: `workbench.Workbench`."""

    def host(self, repository: Repository) -> CodeHost: ...

    def run_page(self, dag_id: str, run_id: str) -> str | None:
        """The address of a run's page in Airflow, None where no address is configured."""

    def redact(self, text: str) -> str: ...


def answer(end: WaitRun | Session, session_id: str, events: Sequence[Event], place: Place, *, worker: str) -> None:
    """Answer the newest comment that has no answer yet; `events` are those before the end."""
    note = mentions.to_answer(events)
    if note is None or (isinstance(end, WaitRun) and end.waiting_for is not WaitFor.PERSON):
        return
    fix = _fix_under(note, events)
    incident = transcript.last(events, EventKind.INCIDENT)
    if fix is None or incident is None or not incident.data.get("repository"):
        return
    text = _text(end, session_id, note, events, place, worker)
    try:
        place.host(Repository(**incident.data["repository"])).comment(fix, text)
    except AgentFixError as error:
        log.warning("Session %s: nobody was answered on %s: %s", session_id, fix.pull_request, place.redact(str(error)))


def _fix_under(note: Event, events: Sequence[Event]) -> OpenedFix | None:
    """The fix whose pull request was commented on, by the comment's address; else the newest one before the comment came."""
    fixes = [event.data for event in transcript.of_kind(events, EventKind.FIX) if event.number < note.number]
    url = str(note.data["comment"]["url"])
    named = [fix for fix in fixes if (request := fix["pull_request"]) and url.startswith((f"{request}#", f"{request}/"))]
    found = (named or fixes)[-1:]
    return OpenedFix(found[0]["branch"], found[0]["commit"], found[0]["pull_request"]) if found else None


def _text(
    end: WaitRun | Session, session_id: str, note: Event, events: Sequence[Event], place: Place, worker: str
) -> str:  # fmt: skip
    run = run_of(worker)
    said = WAITS if isinstance(end, WaitRun) else mentions.ending(end.outcome, end.summary)
    redacted = place.redact(said)
    shown = redacted if len(redacted) <= MOST_CHARS else f"{redacted[:MOST_CHARS]} [cut]"
    return mentions.answer_text(
        note,
        "\n".join(textwrap.fill(line, WIDTH) for line in shown.splitlines()),
        session_id=session_id,
        page=place.run_page(*run) if run else None,
        was_read=isinstance(end, WaitRun) or mentions.was_read(note, events),
    )

"""A session's events as its worker knows them: appended through the session API first, known after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_agentfix.agent.case import Ending, NewEvent
from airflow_agentfix.core import transcript
from airflow_agentfix.core.session import Event, EventKind, Session, fold
from airflow_agentfix.errors import InvalidTransition
from airflow_agentfix.ports import Claim, SessionClient, WaitRun


class Stopped(Exception):
    """A stop was among the events. No error: a person said so; it never leaves the loop."""


class Ended(Exception):
    """The server ended the session, as a duplicate for one. No error either: there is nothing left to do."""

    def __init__(self, session: Session) -> None:
        super().__init__(f"Session {session.id!r} ended as {session.outcome}: {session.summary}")
        self.session = session


class Journal:
    """Invariant: `events` holds nothing that the store does not hold, in the store's order."""

    def __init__(self, claim: Claim, client: SessionClient) -> None:
        self.session = claim.session
        self.lease = claim.lease
        self.events: tuple[Event, ...] = claim.events
        self._client = client

    @property
    def last(self) -> int:
        """Number of the last known event."""
        return self.events[-1].number if self.events else 0

    def append(self, *events: NewEvent) -> None:
        """Save `events` together and take in what the server wrote meanwhile. Raises Ended or Stopped if that is an end or a
        stop."""
        try:
            self._take_in(events)
        except InvalidTransition:
            self._take_in()  # brings the end that the refusal is about
            raise
        self.heed_stop()

    def _take_in(self, events: Sequence[NewEvent] = ()) -> None:
        saved = self._client.append(self.session.id, lease=self.lease, after=self.last, events=events)
        self.events = (*self.events, *saved)
        if (end := transcript.last(saved, EventKind.FINISHED)) is not None:
            raise Ended(fold(self.session, end))

    def heed_stop(self) -> None:
        """Raise Stopped if someone stopped the session since it last ended."""
        stop, ended = transcript.last(self.events, EventKind.STOP), transcript.last(self.events, EventKind.FINISHED)
        if stop is not None and (ended is None or ended.number < stop.number):
            raise Stopped(f"Stopped by {stop.actor}: {stop.data.get('reason') or 'no reason given'}")

    def has_intent(self, call_id: str) -> bool:
        return any(event.data["call_id"] == call_id for event in transcript.of_kind(self.events, EventKind.INTENT))

    def park(self, wait: WaitRun) -> WaitRun:
        """Give the lease back until the run has ended. Raises Stopped or Ended if that happened to the session meanwhile."""
        try:
            self._client.park(self.session.id, lease=self.lease, wait=wait)
        except InvalidTransition:
            self.append()  # brings the stop that the refusal is about
            raise
        return wait

    def finish(self, end: Ending) -> Session:
        """End the session."""
        named: Mapping[str, Any] = {"verdict": end.verdict, "report": end.report, "error": end.error}
        return self._client.finish(self.session.id, lease=self.lease, outcome=end.outcome, summary=end.summary, **named)

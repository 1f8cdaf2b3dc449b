"""Who holds a session: every call of a worker but `claim` comes with the lease that it gave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Session
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import SessionConflict
from airflow_agentfix.store.record import Stored


class Leases:
    """Sessions, for the worker that holds them."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def end(self) -> str:
        """When a lease that is renewed now ends."""
        return self.desk.at(self.desk.clock() + timedelta(seconds=self.desk.settings.lease_seconds))

    def held(self, session_id: str, user: Any, lease: str) -> Stored:
        """The session, for its lease's holder. An expired lease that nobody took is still the holder's."""
        stored = self.desk.open(session_id, user, edit=True)
        if stored.lease != lease:
            raise SessionConflict(f"The lease on session {session_id!r} is {stored.holder!r}'s now; claim the session again.")
        return stored

    def policy(self, session: Session) -> Policy:
        """What is in force for it."""
        return self.desk.policy_in_force(session)

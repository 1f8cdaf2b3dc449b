"""Comments on pull requests as the server writes them down.

Invariant: such a note is its author's word, told by a login, and never more than a note: it answers and approves nothing.
"""

from __future__ import annotations

from typing import Any

from airflow_agentfix.core import mentions
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.session import EventKind
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.store.record import Draft, Stored


def is_known(desk: Desk, stored: Stored, remark: Remark) -> bool:
    """Whether the session was told the comment before. `stored` is read first: a write of another one in between makes ours
    stale, so that of two who bring a comment at once one finds it there. Raises InvalidRequest where there is nothing to
    comment on."""
    session = stored.session
    if session.pull_request is None:
        raise InvalidRequest(f"Session {session.id!r} has no pull request that {remark.author!r} could have commented on.")
    return mentions.knows(desk.store.events(session.id, kinds=(EventKind.NOTE,)), remark.id)


def note_of(remark: Remark, message: str, user: Any) -> Draft:
    """The note, in the name of the comment's author; which login brought it stands beside."""
    return Draft(EventKind.NOTE, remark.actor, remark.noted(message, brought_by=user.get_name()))

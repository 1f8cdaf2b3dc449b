"""One cause, one session: a further failure with the repository, DAG and fingerprint of a session in work is attached to it,
and one of the same run to a session that is done and left the cause as it is.

Invariant: of sessions with the same cause that are in work, exactly one goes on. Each writes its incident before it looks for
others, so of two that come at once the later one to look sees both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.session import SERVER, Event, EventKind, Outcome, Session, State
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import SessionNotFound
from airflow_agentfix.store.record import Draft, Stored

_LEFT_AS_IT_IS = frozenset({Outcome.REPORTED, Outcome.GAVE_UP, Outcome.REJECTED, Outcome.PROPOSED})


def occurrence(ref: TaskRef, *, session_id: str | None = None) -> Draft:
    """A further failure, as an event of the session it is attached to; `session_id` ended as that one's duplicate."""
    data = {"ref": str(ref), "run_id": ref.run_id, "map_index": ref.map_index, "session_id": session_id}
    return Draft(EventKind.OCCURRENCE, SERVER, data)


def was_looked_at(desk: Desk, session: Session, ref: TaskRef) -> bool:
    """Whether the failure is the session's own, or was found to be of its cause: not only put behind it while it worked."""
    return _is_own(session, ref) or str(ref) in _attached(desk.store.events(session.id, kinds=(EventKind.OCCURRENCE,)))


def failures_of_cause(desk: Desk, session: Session, events: Sequence[Event]) -> list[TaskRef]:
    """The session's own failure and all that were found to be of its cause, those of its duplicates too."""
    attached = _attached(events)
    return [ref for ref in desk.store.failures(session.id) if _is_own(session, ref) or str(ref) in attached]


def _is_own(session: Session, ref: TaskRef) -> bool:
    return (session.run_id, session.task_id, session.map_index) == (ref.run_id, ref.task_id, ref.map_index)


def _attached(events: Sequence[Event]) -> set[str]:
    """Failures that a session looked at before it ended as this one's duplicate."""
    told = (event.data for event in events if event.kind is EventKind.OCCURRENCE)
    return {str(data.get("ref")) for data in told if data.get("session_id")}


def settle(desk: Desk, session_id: str, *, on_done: Callable[[Session], None]) -> Session:
    """After a session's incident was written: end it as duplicate of the one that goes on, or others as duplicates of it.

    `on_done` is told of each that ended, again where the call is repeated.
    """
    own = _read(desk, session_id)
    if own.session.state is State.DONE:
        on_done(own.session)
        return own.session
    others = [other for other in desk.store.same_cause(own.session) if _takes(desk, other, own)]
    first = min([own, *others], key=_rank)
    for duplicate in others if first is own else [own]:
        _attach(desk, duplicate, to=_read(desk, first.session.id))
        on_done(_read(desk, duplicate.session.id).session)
    return _read(desk, session_id).session


def _takes(desk: Desk, other: Stored, own: Stored) -> bool:
    """Whether `other` does for both: one that reran its part of this very run would leave our task failed.

    One that is done does where it left the cause as it is, unless a person asked, or the same task instance failed again.
    """
    if desk.is_abandoned(other):
        return False
    if other.session.state is State.DONE:
        again = (other.session.task_id, other.session.map_index) == (own.session.task_id, own.session.map_index)
        if own.session.requested_by or again or other.session.outcome not in _LEFT_AS_IT_IS:
            return False
    if other.session.run_id != own.session.run_id:
        return True
    return not desk.store.events(other.session.id, kinds=(EventKind.RERUN,))


def _rank(stored: Stored) -> tuple[bool, bool, str, str]:
    """Who goes on: one that is done stays so; else one that has asked its model before one that has not, then the older one."""
    session = stored.session
    return session.state is not State.DONE, not session.usage.turns, session.created_at, session.id


def _attach(desk: Desk, duplicate: Stored, *, to: Stored) -> None:
    """The failures known to be of the one's cause become the other's; those that only stood behind it are yet to be looked at.

    A worker that is on the duplicate learns it with its next call.
    """
    session, other = duplicate.session, to.session
    failures = [ref for ref in desk.store.failures(session.id) if was_looked_at(desk, session, ref)]
    summary = (
        f"Same cause as session {other.id} on {other.dag_id} / {other.run_id} / {other.task_id}: this failure is attached to it."
    )
    end = {
        "outcome": Outcome.DUPLICATE.value,
        "verdict": None,
        "summary": summary,
        "error": None,
        "report": None,
        "duplicate_of": other.id,
    }
    desk.store.write(
        desk.change(to, *(occurrence(ref, session_id=session.id) for ref in failures), failures=failures),
        desk.change(duplicate, Draft(EventKind.FINISHED, SERVER, end), lease_until=None),
    )


def _read(desk: Desk, session_id: str) -> Stored:
    stored = desk.store.get(session_id)
    if stored is None:
        raise SessionNotFound(f"Session {session_id!r} went away while it was read.")
    return stored

"""Earlier sessions on the same cause, or on the same kind of failure of the same task, and how they ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_agentfix.core.circumstances import Precedent
from airflow_agentfix.core.incident import RootCause, TaskRef
from airflow_agentfix.core.session import Outcome, Session, State

MOST = 3


def precedents(sessions: Iterable[Session], ref: TaskRef, cause: RootCause, fingerprint: str) -> tuple[Precedent, ...]:
    """At most three, in the order given: the same cause first. Who works on this very failure is no precedent of it, nor a
    duplicate, whose failure was another session's to solve."""
    solving = [one for one in sessions if one.outcome is not Outcome.DUPLICATE]
    others = [one for one in solving if one.state is State.DONE or not _is_on(one, ref)]
    same = [one for one in others if one.fingerprint == fingerprint]
    near = [one for one in others if one.fingerprint not in (None, fingerprint) and _is_alike(one, ref, cause)]
    found = [*(_precedent(one, same=True) for one in same), *(_precedent(one, same=False) for one in near)]
    return tuple(found[:MOST])


def _is_on(session: Session, ref: TaskRef) -> bool:
    return (session.dag_id, session.run_id, session.task_id, session.map_index) == (
        ref.dag_id, ref.run_id, ref.task_id, ref.map_index
    )  # fmt: skip


def _is_alike(session: Session, ref: TaskRef, cause: RootCause) -> bool:
    """The same exception in the same task. A session keeps its cause as one line, `Type: message`, and no frames."""
    named = (session.cause or "").partition(":")[0].strip()
    return session.task_id == ref.task_id and bool(cause.exception) and _bare(named) == _bare(cause.exception or "")


def _bare(exception: str) -> str:
    return exception.rsplit(".", 1)[-1]


def _precedent(session: Session, *, same: bool) -> Precedent:
    return Precedent(
        session_id=session.id,
        created_at=session.created_at,
        run_id=session.run_id,
        outcome=session.outcome.value if session.outcome else session.state.value,
        same=same,
        cause=session.cause,
        summary=session.summary,
        fix=session.pull_request or session.fix_branch,
    )

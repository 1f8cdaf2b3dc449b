"""A DAG run as AgentFix knows it: what failed in it and whose it is, what was rerun or recovered, what code it is on."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.pins import pinned
from airflow_agentfix.core.policy import is_own
from airflow_agentfix.core.previews import is_preview
from airflow_agentfix.core.recovery import ENDED, Past, past_of
from airflow_agentfix.core.session import Event, EventKind, Session, State
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import AirflowNotFound, NotAllowed, SessionNotFound
from airflow_agentfix.ports import MOST_TASKS, RunSeen
from airflow_agentfix.service import SessionService
from airflow_agentfix.store.listing import Listing
from airflow_agentfix.views.noticing import noticed

_KINDS = (EventKind.RERUN, EventKind.PIN_ENDED, EventKind.RECOVERY)
_OURS = re.compile(r"agentfix__(.+?)__")
"""run ids that AgentFix gives begin so, with the id of a session"""

Place = tuple[str, int]
"""task id and map index"""


class Kind(StrEnum):
    """What a run is that AgentFix started itself."""

    FIX = "fix"
    ASK = "ask"
    TRIAGE = "triage"
    PREVIEW = "preview"
    RERUN = "rerun"
    OWN = "own"
    """of another of its own DAGs"""


@dataclass(frozen=True)
class Origin:
    """Why AgentFix started the run. `session`: whose it is, where the person may read that one."""

    kind: Kind
    session: Session | None


@dataclass(frozen=True)
class Rerun:
    """The newest rerun on a session's fix. `state`: of its run in Airflow, None where it is gone."""

    way: str
    dag_id: str
    run_id: str
    commit: str
    state: str | None


@dataclass(frozen=True)
class Work:
    """A session, with what it did to this run."""

    session: Session
    rerun: Rerun | None
    recovery: Past | None


@dataclass(frozen=True)
class Pin:
    """The run is on a fix commit. `original`: the version it goes back to where the fix is not merged."""

    session: Session
    commit: str
    since: str
    original: str | None


@dataclass(frozen=True)
class Row:
    """Task instances of a task that stand alike. `indexes`: of mapped ones; `state`: in Airflow now, None where it has none;
    `duplicate`: the session that looked at it first and ended as a duplicate of the one that has it."""

    task_id: str
    indexes: tuple[int, ...]
    state: str | None
    work: Work | None
    duplicate: Session | None


@dataclass(frozen=True)
class Run:
    """`seen` is None where Airflow has no such run (any more)."""

    dag_id: str
    run_id: str
    seen: RunSeen | None
    rows: Sequence[Row]
    pin: Pin | None
    origin: Origin | None

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(repr(self).encode()).hexdigest()[:24]}"'

    @property
    def moves(self) -> bool:
        """Whether it may change soon."""
        at_work = any(row.work and row.work.session.state is not State.DONE for row in self.rows)
        return at_work or (self.seen is not None and self.seen.state not in ENDED)

    @property
    def more_failed(self) -> int:
        """Failed task instances that are not among the rows."""
        shown = sum(max(1, len(row.indexes)) for row in self.rows if row.state == "failed")
        return max(0, self.seen.failed - shown) if self.seen and len(self.seen.tasks) >= MOST_TASKS else 0


def run(service: SessionService, user: Any, dag_id: str, run_id: str) -> Run:
    """NotAllowed for who may not read the DAG's runs."""
    desk = service.desk
    if not desk.airflow.may(user, dag_id, edit=False):
        raise NotAllowed(f"{user.get_name()!r} may not read runs of DAG {dag_id!r}. Ask for the right, or an owner to look.")
    listing = Listing(desk.store.engine)
    given, made = listing.failures_of_run(dag_id, run_id), listing.of_run(dag_id, run_id)
    own = {one.session.id for one in made}
    others = [one for one in listing.these({of for _, of in given} - own) if one.session.dag_id == dag_id]
    sessions = {one.id: one for one in noticed(service, user, [*made, *others])}
    events = listing.events(sessions, _KINDS)
    works = _works(desk, sessions, events, run_id)
    tasks = {ref.task_id for ref, _ in given} | {one.session.task_id for one in made}
    seen = desk.airflow.run_seen(dag_id, run_id, task_ids=tasks)
    whose = {ref_place(ref): of for ref, of in given if of in works}
    first = {(one.session.task_id, one.session.map_index): one.session.id for one in made}
    rows = _rows(seen, {**first, **whose}, first, works)
    return Run(dag_id, run_id, seen, rows, _pin(events, sessions, run_id), _origin(desk, user, dag_id, run_id))


def ref_place(ref: TaskRef) -> Place:
    return ref.task_id, ref.map_index


def _works(desk: Desk, sessions: Mapping[str, Session], events: Mapping[str, Sequence[Event]], run_id: str) -> dict[str, Work]:
    reruns = {of: told[-1] for of, all_of in events.items() if (told := [e for e in all_of if e.kind is EventKind.RERUN])}
    by_dag: dict[str, set[str]] = {}
    for one in reruns.values():
        by_dag.setdefault(one.data["dag_id"], set()).add(one.data["run_id"])
    states = {(dag_id, of): state for dag_id, ids in by_dag.items() for of, state in desk.airflow.run_states(dag_id, ids).items()}
    return {
        of: Work(session, _rerun(reruns[of], states) if of in reruns else None, past_of(events[of]).get(run_id))
        for of, session in sessions.items()
    }


def _rerun(event: Event, states: Mapping[tuple[str, str], str]) -> Rerun:
    data = event.data
    where = (data["dag_id"], data["run_id"])
    return Rerun(data["way"], *where, data["commit"], states.get(where))


def _rows(seen: RunSeen | None, whose: Mapping[Place, str], first: Mapping[Place, str], works: Mapping[str, Work]) -> list[Row]:
    """What failed first is first; what is not red any more comes last."""
    now = {(facts.task_id, facts.map_index): facts for facts in (seen.tasks if seen else ())}
    places = [place for place, facts in now.items() if facts.state == "failed" or place in whose]
    places += [place for place in whose if place not in now]
    alike: dict[tuple[str, str | None, str | None, str | None], list[int]] = {}
    for place in sorted(places, key=lambda one: _state(now, one) != "failed"):
        session_id, at_first = whose.get(place), first.get(place)
        key = (place[0], _state(now, place), session_id, at_first if at_first != session_id else None)
        alike.setdefault(key, []).append(place[1])
    return [
        Row(
            task_id,
            tuple(sorted(index for index in indexes if index >= 0)),
            state,
            works.get(of or ""),
            _session(works, at_first),
        )
        for (task_id, state, of, at_first), indexes in alike.items()
    ]


def _state(now: Mapping[Place, TaskFacts], place: Place) -> str | None:
    return now[place].state if place in now else None


def _session(works: Mapping[str, Work], session_id: str | None) -> Session | None:
    work = works.get(session_id or "")
    return work.session if work else None


def _pin(events: Mapping[str, Sequence[Event]], sessions: Mapping[str, Session], run_id: str) -> Pin | None:
    """Of several sessions on the run, the one that pinned it last."""
    pins = {of: pin for of, all_of in events.items() if (pin := pinned(all_of)) and pin.data["run_id"] == run_id}
    if not pins:
        return None
    of = max(pins, key=lambda one: pins[one].at)
    return Pin(sessions[of], pins[of].data["commit"], pins[of].at, pins[of].data.get("original_version"))


def _origin(desk: Desk, user: Any, dag_id: str, run_id: str) -> Origin | None:
    """A name is nothing that AgentFix alone can give: where it leads is only said of what the session itself has on record."""
    named = _OURS.match(run_id)
    session = _readable(desk, user, named[1]) if named else None
    if is_own(dag_id):
        kind = {"agentfix_fix": Kind.FIX, "agentfix_ask": Kind.ASK, "agentfix_triage": Kind.TRIAGE}.get(dag_id, Kind.OWN)
        return Origin(kind, session)
    if session and not _has_rerun(desk, session, dag_id, run_id):
        session = None
    if _is_preview(desk, dag_id):
        return Origin(Kind.PREVIEW, session)
    return Origin(Kind.RERUN, session) if session else None


def _has_rerun(desk: Desk, session: Session, dag_id: str, run_id: str) -> bool:
    told = desk.store.events(session.id, kinds=(EventKind.RERUN,))
    return any((event.data["dag_id"], event.data["run_id"]) == (dag_id, run_id) for event in told)


def _readable(desk: Desk, user: Any, session_id: str) -> Session | None:
    try:
        return desk.open(session_id, user, edit=False).session
    except SessionNotFound:
        return None


def _is_preview(desk: Desk, dag_id: str) -> bool:
    try:
        return is_preview(desk.airflow.dag(dag_id).tags)
    except AirflowNotFound:  # deleted since: its runs stay
        return False

"""What the page of a session reads: the page itself, what has changed since, and what is fetched when somebody opens it.

Invariant: while nothing changes a poll reads the session's row, and while its rerun goes how that stands; no event, no budget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from airflow_agentfix.core import questions
from airflow_agentfix.core.audit import canonical
from airflow_agentfix.core.budget import Budget
from airflow_agentfix.core.session import Event, EventKind, Session, State, WaitFor
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.desk import Desk, policy_on_record
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.ports import TaskStates
from airflow_agentfix.service import SessionService
from airflow_agentfix.store.record import Stored
from airflow_agentfix.views import asking, session_head, timeline
from airflow_agentfix.views import session_parts as parts
from airflow_agentfix.views.asking import Asker
from airflow_agentfix.views.evidence import Line
from airflow_agentfix.views.sentences import AUTONOMIES, Fold
from airflow_agentfix.views.timeline import Entry

PAGE = 100
"""events of the timeline in the page, and those that one poll brings at most"""
PAGE_BYTES = 2_000_000
"""that the events read for one answer hold together; one may hold more, and is then the only one"""
EARLIER = 200
MOST_EARLIER = 2_000
"""where a link leads to an event of long ago"""
EXPORTED_AT_ONCE = 20


class View:
    """All the page shows, each part read and made when it is asked for. `sent`: the parts that are to be shown anew; `entries`:
    of the timeline, those that are new; `earlier`: how many events stand before them."""

    def __init__(
        self, service: SessionService, stored: Stored, user: Any, seen: _Seen, new: Sequence[Event], sent: frozenset[str]
    ) -> None:
        self.session, self.sent = stored.session, sent
        self._service, self._desk, self._stored, self._user, self._seen = service, service.desk, stored, user, seen
        self.entries: tuple[Entry, ...] = tuple(map(timeline.entry, new))
        self.last = new[-1].number if new else self.session.last_event
        self.earlier = new[0].number - 1 if new else 0

    @property
    def is_erased(self) -> bool:
        """Whether what earlier pages showed is gone with the new events."""
        return any(one.kind == EventKind.ERASED for one in self.entries)

    @property
    def has_ended(self) -> bool:
        """Whether the session ended with the new events."""
        return any(one.kind == EventKind.FINISHED for one in self.entries)

    @property
    def tag(self) -> str:
        """Of one that brings not all that is new, another than the next poll finds."""
        return self._seen.tag if self.last >= self.session.last_event else '"more"'

    @cached_property
    def _events(self) -> Sequence[Event]:
        store, session = self._desk.store, self.session
        newest = store.newest_events(session.id, limit=1, kinds=(EventKind.INCIDENT,))  # of several the last one counts
        found = sorted([*store.events(session.id, kinds=parts.FACTS - {EventKind.INCIDENT}), *newest], key=_number)
        if not session.fix_commit:
            return found
        opened = max((event.number for event in found if event.kind is EventKind.FIX), default=0)
        return sorted([*found, *store.results_of(session.id, "rerun", after=opened)], key=_number)

    @cached_property
    def _asker(self) -> Asker:
        airflow, who = self._desk.airflow, str(self._user.get_id())
        is_worker = who in questions.workers(self._events) and not airflow.one_user_for_all()
        return Asker(self._user.get_name(), who, airflow.may(self._user, self.session.dag_id, edit=True), is_worker)

    @cached_property
    def head(self) -> session_head.Head:
        return session_head.head(self.session, self._events)

    @cached_property
    def asks(self) -> tuple[asking.Ask, ...]:
        waiting = questions.waiting(self._events) if self.session.state is not State.DONE else []
        of_commits = [one for one in waiting if one.data["about"] == "approval"]
        approvers = {one.data["question_id"]: self._desk.approvers(self.session, one) for one in of_commits}
        return asking.asks(self.session, self._events, self._asker, approvers)

    @property
    def answered(self) -> asking.Answered | None:
        return asking.answered(self.session, self._events)

    @property
    def reach(self) -> str:
        """How far it may go."""
        return AUTONOMIES.get(self.session.autonomy, self.session.autonomy)

    @property
    def is_answered(self) -> bool:
        return session_head.is_answered(self.session, self._events)

    @property
    def closed(self) -> str | None:
        """The newest question, once it waits no more."""
        return asking.closed(self.session, self._events)

    @cached_property
    def lines(self) -> tuple[Line, ...]:
        return parts.lines(self._events)

    @cached_property
    def report(self) -> parts.Report:
        return parts.report(self._events, self.lines)

    @cached_property
    def fix(self) -> parts.Fix | None:
        return parts.fix(self._events, self.diff)

    @cached_property
    def diff(self) -> str:
        """Of the newest fix. Patches hold whole files: they are read where it is shown alone."""
        patches = self._desk.store.events(self.session.id, kinds=(EventKind.PATCH,)) if self.session.fix_commit else []
        return parts.diff_of(sorted([*self._events, *patches], key=_number))

    @cached_property
    def checks(self) -> tuple[Stage, ...]:
        return parts.checks(self._events)

    @cached_property
    def rerun(self) -> parts.Rerun | None:
        tasks = self._seen.tasks if self._seen.tasks is not None else _tasks(self._desk, self.session)
        return parts.rerun(self._events, tasks)

    @property
    def recovered(self) -> tuple[parts.Recovered, ...]:
        return parts.recovered(self._events)

    @cached_property
    def actions(self) -> parts.Actions:
        return parts.actions(self.session, self._events, self._asker)

    @cached_property
    def policy(self) -> tuple[parts.Rule, ...]:
        return parts.policy(policy_on_record(self._events))

    @cached_property
    def spent(self) -> Spent:
        return Spent(self.session, self._service.worker.budget(self._stored))

    @property
    def problems(self) -> tuple[str, ...]:
        found = policy_on_record(self._events)
        return found.problems if found else ()


@dataclass(frozen=True)
class Spent:
    """What a session used of what it may. Changes with time, and with what other sessions of the day spend."""

    session: Session
    budget: Budget

    @property
    def tag(self) -> str:
        return f'"{sha256(canonical(self.budget.to_json()).encode()).hexdigest()[:16]}"'


@dataclass(frozen=True)
class _Seen:
    """What a reader of the page has seen: the session's version, and how the rerun stands while it goes; None where none does."""

    version: int
    tasks: tuple[TaskStates, ...] | None = None

    @property
    def tag(self) -> str:
        told = repr([(one.task_id, sorted(one.counts.items())) for one in self.tasks or ()])
        return f'"{self.version}-{sha256(told.encode()).hexdigest()[:16] if self.tasks else ""}"'


def whole(service: SessionService, session_id: str, user: Any) -> View:
    """The page. A session that nobody works on any more is noticed, and ended as failed."""
    stored, desk = service.look(session_id, user), service.desk
    newest = desk.store.newest_events(session_id, limit=PAGE, before=stored.session.last_event + 1, most=PAGE_BYTES)
    return View(service, stored, user, _seen(desk, stored.session), newest, frozenset(parts.KINDS))


def since(service: SessionService, session_id: str, user: Any, *, after: int, known: str | None) -> View | None:
    """What has changed since event `after`; None where nothing has. `known`: the tag of the last answer."""
    desk = service.desk
    stored = desk.open(session_id, user, edit=False)
    seen = _seen(desk, stored.session)
    if known == seen.tag:
        return None
    # What was written since the session was read is left to the next poll: its parts show the session as it is then.
    found = desk.store.events(session_id, after=after, limit=PAGE, most=PAGE_BYTES)
    new = [one for one in found if one.number <= stored.session.last_event]
    sent = parts.changed(stored.session, new) | (frozenset({"rerun"}) if seen.tasks else frozenset())
    return View(service, stored, user, seen, new, sent)


def _number(event: Event) -> int:
    return event.number


def _seen(desk: Desk, session: Session) -> _Seen:
    goes = session.waiting_for is WaitFor.RERUN
    return _Seen(session.version, _tasks(desk, session) if goes else None)


def _tasks(desk: Desk, session: Session) -> tuple[TaskStates, ...]:
    """How the tasks that judge the newest rerun stand."""
    started = desk.store.newest_events(session.id, limit=1, kinds=(EventKind.RERUN,)) if session.fix_commit else []
    return desk.airflow.task_states(*(started[0].data[name] for name in ("dag_id", "run_id", "task_ids"))) if started else ()


# --- fetched when it is asked for ------------------------------------------------------------------------------------


def earlier(service: SessionService, session_id: str, user: Any, *, before: int, since: int | None) -> tuple[Entry, ...]:
    """Events before one that is shown: a page of them, or all from `since` on; fewer where they hold much."""
    service.desk.open(session_id, user, edit=False)
    limit = EARLIER if since is None else min(MOST_EARLIER, max(EARLIER, before - since))
    found = service.desk.store.newest_events(session_id, limit=limit, before=before, most=PAGE_BYTES)
    return tuple(map(timeline.entry, found))


def whole_fold(service: SessionService, session_id: str, user: Any, *, number: int, place: int) -> Fold:
    """One of an event's long texts. InvalidRequest for one that it has not."""
    service.desk.open(session_id, user, edit=False)
    event = next(iter(service.desk.store.events(session_id, after=number - 1, limit=1)), None)
    found = timeline.fold(event, place) if event and event.number == number else None
    if found is None:
        raise InvalidRequest(f"Event {number} of session {session_id!r} has no text {place}; it may have been erased. Reload.")
    return found


def spent(service: SessionService, session_id: str, user: Any) -> Spent:
    """A session that nobody works on any more is noticed."""
    stored = service.look(session_id, user)
    return Spent(stored.session, service.worker.budget(stored))


def export(service: SessionService, session_id: str, user: Any) -> Iterator[Event]:
    """Every event, read a few at a time. SessionNotFound before the first."""
    service.desk.open(session_id, user, edit=False)
    return _all_events(service.desk, session_id)


def _all_events(desk: Desk, session_id: str) -> Iterator[Event]:
    after = 0
    while found := desk.store.events(session_id, after=after, limit=EXPORTED_AT_ONCE, most=PAGE_BYTES):
        yield from found
        after = found[-1].number

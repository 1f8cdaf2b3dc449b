"""A session's moves: which events its state allows, what they change, and who may take it over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_agentfix.core.session import (
    ALLOWED,
    WORKER_KINDS,
    Event,
    EventKind,
    Outcome,
    Session,
    State,
    Usage,
    WaitFor,
    fix_run_id,
    fold,
    takes_over,
    worker_name,
)
from airflow_agentfix.errors import InvalidTransition

AT = "2026-11-22T07:00:00.000+00:00"
OPEN = Session("s1", "orders", "monday", "load", -1, 1, State.OPEN, "rerun", "callback", AT, AT)
END = {"outcome": "fixed", "verdict": "code", "summary": "Green.", "error": None, "report": None}


def event(kind: EventKind, data: dict[str, object], *, actor: str = "worker", number: int = 1) -> Event:
    return Event(number, kind, actor, "2026-11-22T07:00:01.000+00:00", data)


def test_for_every_kind_of_event_it_is_decided_when_it_may_happen() -> None:
    assert set(ALLOWED) == set(EventKind)
    assert all(ALLOWED[kind] == {State.RUNNING} for kind in WORKER_KINDS)


@pytest.mark.parametrize("kind", [kind for kind in EventKind if State.DONE not in ALLOWED[kind]])
def test_a_done_session_takes_nothing_but_what_its_state_allows(kind: EventKind) -> None:
    with pytest.raises(InvalidTransition, match="is done"):
        fold(replace(OPEN, state=State.DONE, outcome=Outcome.FIXED), event(kind, {}))


def test_a_session_goes_from_open_to_done_by_its_events() -> None:
    claimed = fold(OPEN, event(EventKind.CLAIMED, {"worker": worker_name("agentfix_fix", "agentfix__s1__1", "fix", 1)}))
    assert (claimed.state, claimed.worker_run_id, claimed.last_event) == (State.RUNNING, "agentfix__s1__1", 1)
    parked = fold(claimed, event(EventKind.PARKED, {"waiting_for": "person"}))
    assert (parked.state, parked.waiting_for) == (State.WAITING, WaitFor.PERSON)
    done = fold(parked, event(EventKind.FINISHED, END))
    assert (done.state, done.waiting_for, done.outcome, done.summary) == (State.DONE, None, Outcome.FIXED, "Green.")
    reopened = fold(done, event(EventKind.NOTE, {"message": "again"}, actor="anna"))
    assert (reopened.state, reopened.outcome) == (State.OPEN, None)


def test_what_a_model_call_used_is_added_up() -> None:
    call = {"model": "m", "usage": {"input_tokens": 5, "cache_read_input_tokens": None}, "dollars": 0.5}
    session = replace(OPEN, state=State.RUNNING)
    for kind in (EventKind.MODEL, EventKind.SPENT):
        session = fold(session, event(kind, call))
    assert (session.model, session.usage) == ("m", Usage(turns=2, input_tokens=10, dollars=1.0))


def test_text_that_a_database_cannot_hold_is_made_holdable() -> None:
    data = {"fingerprint": "f", "repository": None, "judgement": {"verdict": "code"}, "cause": {"line": "a\0b" + "x" * 5000}}
    cause = fold(replace(OPEN, state=State.RUNNING), event(EventKind.INCIDENT, data)).cause or ""
    assert cause.startswith("abx")
    assert len(cause) == 2000


def test_sessions_and_events_survive_the_way_through_json() -> None:
    session = replace(OPEN, state=State.DONE, outcome=Outcome.FIXED, waiting_for=WaitFor.RERUN, usage=Usage(turns=2))
    assert Session.from_json(session.to_json()) == session
    finished = event(EventKind.FINISHED, END)
    assert Event.from_json(finished.to_json()) == finished


def of(number: int, try_number: int, *, dag: str = "agentfix_fix", task: str = "fix") -> str:
    return worker_name(dag, fix_run_id("s1", number), task, try_number)


@pytest.mark.parametrize(
    ("worker", "holder", "may"),
    [
        (of(1, 1), of(1, 1), True),
        (of(1, 2), of(1, 1), True),
        (of(2, 1), of(1, 3), True),
        (of(1, 1), of(1, 2), False),
        (of(1, 9), of(2, 1), False),
        (of(10, 1), of(9, 1), True),
        (of(2, 1, dag="mine"), of(1, 1), False),
        (of(1, 2, task="other"), of(1, 1), False),
        ("anything", of(1, 1), False),
        ("anything", "anything", True),
    ],
)
def test_a_session_is_taken_over_only_by_who_proves_the_holder_dead(worker: str, holder: str, may: bool) -> None:
    assert takes_over(worker, holder) is may

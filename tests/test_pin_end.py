"""The end of a pin, as a person and the triage ask for it: a run leaves the fix commit for what needs nobody's approval."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, PinEnd, Session, State
from airflow_agentfix.errors import AirflowConflict, InvalidRequest, InvalidTransition, NotAllowed
from airflow_agentfix.ports import PinRequest
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Wanted
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, COMMIT, DAG, OTHER_COMMIT, READER, RUN, TASK, WORKER, Server
from tests.fakes.server_airflow import ORIGINAL

SERVED = "5" * 40


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database("sqlite", tmp_path), Settings(allow_unreviewed_reruns=True))
    server.airflow.served[DAG] = SERVED
    yield server
    server.close()


def rerun(server: Server) -> Any:
    """A session at work whose run is on its fix commit."""
    claim = server.with_fix()
    server.approval(claim)
    server.rerun(claim)
    return claim


def fixed(server: Server) -> str:
    """A done session that made its run green, and keeps it on the fix commit."""
    claim = rerun(server)
    server.airflow.runs[DAG, RUN] = "success"
    end = {"summary": "Green.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.FIXED, **end)
    return str(claim.session.id)


def pinned(server: Server) -> list[Session]:
    return list(server.service.list(ANNA, Wanted(state=State.DONE, pinned=True)).sessions)


def test_a_person_sets_the_run_back_to_its_own_version(server: Server) -> None:
    session_id = fixed(server)
    server.service.end_pin(session_id, ANNA)
    assert server.airflow.versions[DAG, RUN] == ORIGINAL
    ended = server.store.events(session_id)[-1]
    assert (ended.actor, ended.data) == ("anna", {"run_id": RUN, "version": ORIGINAL, "reason": "asked"})


def test_a_merged_fix_sets_the_run_to_what_airflow_serves_the_dag_on(server: Server) -> None:
    session_id = fixed(server)
    server.service.end_pin(session_id, WORKER, version=SERVED, reason=PinEnd.MERGED)
    assert server.airflow.versions[DAG, RUN] == SERVED
    assert server.store.events(session_id)[-1].data == {"run_id": RUN, "version": SERVED, "reason": "merged"}


def test_no_other_commit_can_be_slipped_under_the_run(server: Server) -> None:
    """A clear of the run would run it, and nobody approved it."""
    session_id = fixed(server)
    with pytest.raises(InvalidTransition, match=SERVED):
        server.service.end_pin(session_id, WORKER, version=OTHER_COMMIT, reason=PinEnd.MERGED)
    del server.airflow.served[DAG]
    with pytest.raises(InvalidTransition):
        server.service.end_pin(session_id, WORKER, version=OTHER_COMMIT, reason=PinEnd.MERGED)
    assert server.airflow.versions[DAG, RUN] == COMMIT


@pytest.mark.parametrize(("version", "reason"), [(SERVED, PinEnd.CLOSED), (SERVED, PinEnd.ASKED), (None, PinEnd.MERGED)])
def test_a_version_is_named_on_a_merge_and_only_then(server: Server, version: str | None, reason: PinEnd) -> None:
    session_id = fixed(server)
    with pytest.raises(InvalidRequest, match="merged"):
        server.service.end_pin(session_id, ANNA, version=version, reason=reason)
    assert server.airflow.versions[DAG, RUN] == COMMIT


def test_a_session_at_work_keeps_its_pin(server: Server) -> None:
    claim = rerun(server)
    with pytest.raises(InvalidTransition, match="running"):
        server.service.end_pin(claim.session.id, ANNA)
    assert server.airflow.versions[DAG, RUN] == COMMIT


def test_a_run_that_is_going_again_keeps_its_pin(server: Server) -> None:
    session_id = fixed(server)
    server.airflow.runs[DAG, RUN] = "running"
    with pytest.raises(AirflowConflict, match="running"):
        server.service.end_pin(session_id, ANNA)
    assert (server.airflow.versions[DAG, RUN], len(pinned(server))) == (COMMIT, 1)


def test_a_pin_ends_once(server: Server) -> None:
    session_id = fixed(server)
    server.service.end_pin(session_id, ANNA)
    with pytest.raises(InvalidTransition, match="keeps no run"):
        server.service.end_pin(session_id, ANNA)
    assert server.kinds(session_id).count("pin_ended") == 1


def test_a_session_that_pinned_nothing_has_no_pin_to_end(server: Server) -> None:
    claim = server.claimed()
    server.service.stop(claim.session.id, ANNA)
    end = {"summary": "", "verdict": None, "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.STOPPED, **end)
    with pytest.raises(InvalidTransition, match="keeps no run"):
        server.service.end_pin(claim.session.id, ANNA)


def test_who_may_only_read_ends_no_pin(server: Server) -> None:
    session_id = fixed(server)
    with pytest.raises(NotAllowed):
        server.service.end_pin(session_id, READER)
    assert server.airflow.versions[DAG, RUN] == COMMIT


def test_a_run_that_left_the_fix_commit_is_left_alone_and_the_record_says_where_it_is(server: Server) -> None:
    session_id = fixed(server)
    server.airflow.versions[DAG, RUN] = OTHER_COMMIT
    server.service.end_pin(session_id, ANNA)
    assert server.airflow.versions[DAG, RUN] == OTHER_COMMIT
    assert server.store.events(session_id)[-1].data["version"] == OTHER_COMMIT


def test_a_run_that_was_deleted_has_no_pin_any_more(server: Server) -> None:
    session_id = fixed(server)
    del server.airflow.runs[DAG, RUN]
    server.service.end_pin(session_id, ANNA)
    assert server.store.events(session_id)[-1].data["version"] is None
    assert pinned(server) == []


def test_stopping_one_session_leaves_the_pin_of_another_on_the_same_run(server: Server) -> None:
    claim = rerun(server)
    server.airflow.pins.append(PinRequest("another", DAG, RUN, TASK, -1, COMMIT))
    server.airflow.runs[DAG, RUN] = "failed"
    end = {"summary": "", "verdict": None, "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.REJECTED, **end)
    assert server.airflow.versions[DAG, RUN] == COMMIT


def test_the_list_of_pins_holds_a_session_until_its_pin_ends_and_again_when_it_pins_anew(server: Server) -> None:
    assert pinned(server) == []
    session_id = fixed(server)
    assert [one.id for one in pinned(server)] == [session_id]
    server.service.end_pin(session_id, ANNA)
    assert pinned(server) == []
    assert EventKind.PIN_ENDED in [event.kind for event in server.store.events(session_id)]


def test_a_pin_left_over_by_an_erased_session_is_listed_and_can_be_ended(server: Server) -> None:
    claim = rerun(server)
    server.service.erase(claim.session.id, ANNA)  # the rerun is going: the pin stays
    assert [one.id for one in pinned(server)] == [claim.session.id]
    server.airflow.runs[DAG, RUN] = "success"
    server.service.end_pin(claim.session.id, ANNA, reason=PinEnd.ENDED)
    assert server.airflow.versions[DAG, RUN] == ORIGINAL
    assert server.store.broken_link(claim.session.id) is None

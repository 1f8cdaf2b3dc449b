"""After the merge, as the server does it: runs of a session's cause go on, each written down, by whom it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Autonomy, Layer
from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import EventKind, Outcome, Session
from airflow_agentfix.errors import InvalidRequest, InvalidTransition, NotAllowed, SessionNotFound
from airflow_agentfix.recovering import Asked
from airflow_agentfix.settings import Settings
from airflow_agentfix.store import tables
from airflow_agentfix.store.record import Wanted
from airflow_agentfix.store.wire import Recovery
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, DAG, READER, RUN, STRANGER, TASK, WORKER, Server, fix_data, patch_data
from tests.test_duplicates import claimed, incident

SERVED = "5" * 40
RECOVER = Settings(autonomy=Autonomy.RECOVER, allow_unreviewed_reruns=True)
OTHERS = ("tuesday", "wednesday", "thursday")
TRIAGE = Asked(found="merged", version=SERVED)
PERSON = Asked()


def server_with(settings: Settings, url: str) -> Server:
    """A server whose DAG has failed in four runs of one cause."""
    server = Server(url, settings)
    server.airflow.served[DAG] = SERVED
    for run in OTHERS:
        server.airflow.fail(DAG, run, TASK)
    return server


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = server_with(RECOVER, new_database(request.param, tmp_path))
    yield server
    server.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Server] = []

    def make(**settings: Any) -> Server:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(server_with(replace(RECOVER, **settings), new_database("sqlite", folder)))
        return made[-1]

    yield make
    for server in made:
        server.close()


def fixed(server: Server, *, rerun: bool = True, others: tuple[str, ...] = OTHERS) -> str:
    """A done session with a fix; with a rerun its own run is green on it. The other runs' sessions ended as its duplicates."""
    claim = claimed(server, RUN)
    server.append(claim, incident())
    for run in others:
        server.append(claimed(server, run), incident())
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    if rerun:
        server.approval(claim)
        server.rerun(claim)
        server.airflow.runs[DAG, RUN] = "success"
        key = (DAG, RUN, TASK, -1)
        server.airflow.tasks[key] = replace(server.airflow.tasks[key], state="success", try_number=2)
    end = {"summary": "Told.", "verdict": "code", "report": None, "error": None}
    outcome = Outcome.FIXED if rerun else Outcome.PROPOSED
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=outcome, **end)
    return str(claim.session.id)


def states(recovery: Recovery) -> dict[str, str]:
    return {run.run_id: run.state.value for run in recovery.runs}


def written(server: Server, session_id: str) -> list[tuple[str | None, str, str]]:
    events = (event.data for event in server.store.events(session_id, kinds=[EventKind.RECOVERY]))
    return [(data["run_id"], data["state"], data["by"]) for data in events]


def cleared(server: Server) -> list[str]:
    return [one.run_id for one in server.airflow.recoveries]


def unsettled(server: Server) -> list[Session]:
    return list(server.service.list(ANNA, Wanted(unsettled=True)).sessions)


# --- what is done


def test_the_runs_of_the_duplicates_go_on_with_the_fix_and_each_is_written_down(server: Server) -> None:
    session_id = fixed(server)
    found = server.service.recover(session_id, WORKER, TRIAGE)
    assert states(found) == {RUN: "green", **dict.fromkeys(OTHERS, "started")}
    assert cleared(server) == sorted(OTHERS)
    assert {(one.tasks, one.version) for one in server.airflow.recoveries} == {(((TASK, -1, 1),), SERVED)}
    assert written(server, session_id) == [(run, "started", "triage") for run in sorted(OTHERS)]
    event = server.store.events(session_id, kinds=[EventKind.RECOVERY])[0]
    assert (event.actor, event.data["task_ids"], event.data["reason"]) == ("server", [TASK], "")
    assert server.store.broken_link(session_id) is None


def test_called_again_it_does_nothing_twice(server: Server) -> None:
    session_id = fixed(server)
    for asked, user in ((TRIAGE, WORKER), (TRIAGE, WORKER), (PERSON, ANNA)):
        assert states(server.service.recover(session_id, user, asked))["tuesday"] == "started"
    assert cleared(server) == sorted(OTHERS)
    assert len(written(server, session_id)) == 3


def test_what_became_of_the_runs_is_written_down_and_then_it_is_over(server: Server) -> None:
    session_id = fixed(server)
    assert [one.id for one in unsettled(server)] == [session_id]
    server.service.recover(session_id, WORKER, TRIAGE)
    for run, state in zip(OTHERS, ("success", "failed", "success"), strict=True):
        server.airflow.end_run(DAG, run, state)
    found = server.service.recover(session_id, WORKER, TRIAGE)
    assert states(found) == {RUN: "green", "tuesday": "green", "wednesday": "failed", "thursday": "green"}
    assert (found.over, written(server, session_id)[-1], unsettled(server)) == (True, (None, "over", "triage"), [])
    again = server.service.recover(session_id, WORKER, TRIAGE)
    assert (states(again), len(cleared(server))) == (states(found), 3)
    assert [state for _, state, _ in written(server, session_id)].count("over") == 1


def test_runs_that_somebody_touched_are_left_alone_and_that_is_written_down(server: Server) -> None:
    session_id = fixed(server)
    for run, state in (("tuesday", "success"), ("wednesday", "failed")):
        key = (DAG, run, TASK, -1)
        server.airflow.tasks[key] = replace(server.airflow.tasks[key], state=state, try_number=2)
        server.airflow.runs[DAG, run] = state
    del server.airflow.runs[DAG, "thursday"]
    found = {run.run_id: (run.state.value, run.reason) for run in server.service.recover(session_id, WORKER, TRIAGE).runs}
    assert found["tuesday"] == ("left", "green already: somebody mended it, or it did not need what failed")
    assert found["wednesday"] == ("left", f"somebody cleared it since: {TASK} is at try 2, try 1 failed of this cause")
    assert found["thursday"] == ("left", "the run is gone")
    assert cleared(server) == []
    assert [state for _, state, _ in written(server, session_id)] == ["left"] * 3 + ["over"]


def test_a_fix_that_was_not_proved_by_a_pin_recovers_the_sessions_own_run_too(server: Server) -> None:
    session_id = fixed(server, rerun=False)
    assert states(server.service.recover(session_id, WORKER, TRIAGE)) == dict.fromkeys((RUN, *OTHERS), "started")


def test_what_only_stood_behind_the_session_is_not_of_its_cause(server: Server) -> None:
    claim = claimed(server, RUN)
    server.airflow.fail(DAG, RUN, TASK, map_index=4)
    server.taken(map_index=4)
    server.append(claim, incident(), (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    end = {"summary": "Told.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.PROPOSED, **end)
    server.service.recover(claim.session.id, WORKER, TRIAGE)
    assert [one.tasks for one in server.airflow.recoveries] == [((TASK, -1, 1),)]


def test_no_more_runs_go_on_at_once_than_are_allowed_and_the_next_call_goes_on(make: Any) -> None:
    server = make(recover_per_triage=2)
    session_id = fixed(server)
    first = server.service.recover(session_id, WORKER, TRIAGE)
    assert states(first) == {RUN: "green", "thursday": "started", "tuesday": "started", "wednesday": "waiting"}
    assert server.service.recover(session_id, WORKER, replace(TRIAGE, at_most=0)).runs[-1].state is RunState.WAITING
    assert states(server.service.recover(session_id, WORKER, replace(TRIAGE, at_most=99)))["wednesday"] == "started"


def test_one_after_the_other_where_a_run_needs_the_one_before_it(server: Server) -> None:
    server.airflow.one_by_one = True
    session_id = fixed(server)
    for run in sorted(OTHERS)[:2]:
        server.service.recover(session_id, WORKER, TRIAGE)
        server.service.recover(session_id, WORKER, TRIAGE)
        assert cleared(server)[-1] == run
        server.airflow.end_run(DAG, run, "success")
    server.service.recover(session_id, WORKER, TRIAGE)
    assert cleared(server) == sorted(OTHERS)


def test_a_run_that_cannot_go_on_with_what_is_served_is_left_and_holds_up_no_other(server: Server) -> None:
    session_id = fixed(server)
    server.airflow.cannot_go_on = {"tuesday"}
    found = {run.run_id: run for run in server.service.recover(session_id, WORKER, TRIAGE).runs}
    assert (found["tuesday"].state, "no such task" in found["tuesday"].reason) == (RunState.LEFT, True)
    assert found["wednesday"].state is RunState.STARTED


def test_a_clearing_that_nobody_wrote_down_is_found_and_not_repeated(server: Server) -> None:
    session_id = fixed(server)
    before = server.store.get(session_id)
    server.service.recover(session_id, WORKER, TRIAGE)
    forget_recoveries(server, session_id, before)
    assert states(server.service.recover(session_id, WORKER, TRIAGE)) == {RUN: "green", **dict.fromkeys(OTHERS, "started")}
    assert (cleared(server), len(written(server, session_id))) == (sorted(OTHERS), 3)


def forget_recoveries(server: Server, session_id: str, before: Any) -> None:
    """As if the API server had died between Airflow's transaction and ours."""
    event, session = tables.event.c, tables.session.c
    with server.store.engine.begin() as connection:
        of_session = sa.delete(tables.event).where(event.session_id == session_id, event.kind == EventKind.RECOVERY.value)
        connection.execute(of_session)
        columns = {"last_event": before.session.last_event, "version": before.session.version}
        connection.execute(sa.update(tables.session).where(session.id == session_id).values(**columns))


def test_a_fix_that_is_gone_ends_the_looking_and_clears_nothing(server: Server) -> None:
    session_id = fixed(server)
    found = server.service.recover(session_id, WORKER, Asked(found="gone"))
    assert (found.over, cleared(server), unsettled(server)) == (True, [], [])
    server.service.recover(session_id, WORKER, Asked(found="gone"))
    assert written(server, session_id) == [(None, "over", "triage")]


def test_a_further_occurrence_and_a_new_fix_are_looked_at_again(server: Server) -> None:
    session_id = fixed(server)
    server.service.recover(session_id, WORKER, Asked(found="gone"))
    server.service.message(session_id, ANNA, "Try again.")
    assert unsettled(server) == []
    claim = server.claimed(session_id, number=2)
    server.append(claim, (EventKind.FIX, fix_data("e" * 40)))
    end = {"summary": "Told.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(session_id, WORKER, lease=claim.lease, outcome=Outcome.PROPOSED, **end)
    assert [one.id for one in unsettled(server)] == [session_id]


def test_what_was_done_to_runs_stays_when_the_session_is_erased(server: Server) -> None:
    session_id = fixed(server)
    server.service.recover(session_id, WORKER, TRIAGE)
    server.service.erase(session_id, ANNA)
    assert [run for run, _, _ in written(server, session_id)] == sorted(OTHERS)
    assert server.store.broken_link(session_id) is None


# --- who may


@pytest.mark.parametrize(
    ("settings", "reason"),
    [({"autonomy": Autonomy.RERUN}, "autonomy is rerun"), ({"approve_before": ("recover",)}, "approve_before names recover")],
)
def test_without_the_authority_nothing_is_started_by_itself_and_a_person_may_all_the_same(
    make: Any, settings: dict[str, Any], reason: str
) -> None:
    server = make(**settings)
    session_id = fixed(server)
    found = server.service.recover(session_id, WORKER, TRIAGE)
    assert reason in (found.needs_person or "")
    assert f"agentfix recover {session_id}" in (found.needs_person or "")
    assert (states(found)["tuesday"], cleared(server), unsettled(server)) == ("waiting", [], [])
    assert states(server.service.recover(session_id, ANNA, PERSON))["tuesday"] == "started"
    assert written(server, session_id)[1:] == [(run, "started", "anna") for run in sorted(OTHERS)]
    assert [one.id for one in unsettled(server)] == [session_id]  # triage watches what she started


def test_a_repository_that_became_stricter_since_counts(server: Server) -> None:
    session_id = fixed(server)
    server.policies.says = [Layer(".agentfix.yaml", autonomy=Autonomy.RERUN)]
    assert "autonomy is rerun" in (server.service.recover(session_id, WORKER, TRIAGE).needs_person or "")
    assert cleared(server) == []


def test_what_a_person_started_is_watched_whatever_the_autonomy(make: Any) -> None:
    server = make(approve_before=("recover",))
    session_id = fixed(server)
    server.service.recover(session_id, ANNA, PERSON)
    for run in OTHERS:
        server.airflow.end_run(DAG, run, "success")
    found = server.service.recover(session_id, WORKER, TRIAGE)
    assert (found.needs_person, set(states(found).values())) == (None, {"green"})


def test_the_login_that_worked_on_the_session_is_no_person(server: Server) -> None:
    session_id = fixed(server)
    found = server.service.recover(session_id, WORKER, PERSON)
    assert "login AgentFix itself works with" in (found.needs_person or "")
    assert cleared(server) == []


def test_without_bundle_versions_only_a_person_can_say_that_the_fix_is_served(server: Server) -> None:
    session_id = fixed(server)
    del server.airflow.served[DAG]
    found = server.service.recover(session_id, WORKER, replace(TRIAGE, version=None))
    assert "has no versions" in (found.needs_person or "")
    assert cleared(server) == []
    assert states(server.service.recover(session_id, ANNA, PERSON))["tuesday"] == "started"


def test_another_version_than_triage_looked_at_starts_nothing(server: Server) -> None:
    session_id = fixed(server)
    with pytest.raises(InvalidTransition, match=SERVED):
        server.service.recover(session_id, WORKER, replace(TRIAGE, version="6" * 40))
    assert (cleared(server), [one.id for one in unsettled(server)]) == ([], [session_id])


NOT_MERGED = Finding("not-merged", Severity.REFUSE, "", "The fix is not merged yet: …/pull/7 is open. Merge it.")


def test_before_the_merge_a_person_recovers_nothing_and_is_told_what_to_do(server: Server) -> None:
    session_id = fixed(server)
    server.commits.merge = NOT_MERGED
    before = server.store.get(session_id)
    for asked in (PERSON, Asked(again=True)):
        with pytest.raises(InvalidTransition, match=r"^Nothing was recovered\. The fix is not merged yet: .* Merge it\.$"):
            server.service.recover(session_id, ANNA, asked)
    assert (server.store.get(session_id), cleared(server)) == (before, [])
    assert [one.id for one in unsettled(server)] == [session_id]  # triage still looks for the merge


def test_where_no_other_run_waits_a_recovery_before_the_merge_ends_no_looking(server: Server) -> None:
    session_id = fixed(server, others=())
    server.commits.merge = NOT_MERGED
    with pytest.raises(InvalidTransition):
        server.service.recover(session_id, ANNA, PERSON)
    assert (written(server, session_id), [one.id for one in unsettled(server)]) == ([], [session_id])


def test_a_dry_run_before_the_merge_tells_what_would_be_and_that_it_may_not_be(server: Server) -> None:
    session_id = fixed(server)
    server.commits.merge = NOT_MERGED
    found = server.service.recover(session_id, ANNA, Asked(dry_run=True))
    assert (states(found)["tuesday"], found.warning) == ("due", NOT_MERGED.reason)
    assert (cleared(server), written(server, session_id)) == ([], [])


def test_where_the_repository_cannot_tell_a_persons_word_counts_and_says_so(server: Server) -> None:
    session_id = fixed(server)
    server.commits.merge = Finding("merge-not-known", Severity.PERSON, "", "That counts as your word.")
    found = server.service.recover(session_id, ANNA, PERSON)
    assert (states(found)["tuesday"], found.warning) == ("started", "That counts as your word.")


def test_the_triage_says_itself_what_became_of_the_fix(server: Server) -> None:
    session_id = fixed(server)
    server.commits.merge = NOT_MERGED
    found = server.service.recover(session_id, WORKER, TRIAGE)
    assert (states(found)["tuesday"], found.warning) == ("started", None)


def test_a_dry_run_tells_and_does_nothing(server: Server) -> None:
    session_id = fixed(server)
    found = server.service.recover(session_id, ANNA, Asked(dry_run=True))
    assert states(found) == {RUN: "green", **dict.fromkeys(OTHERS, "due")}
    assert (found.version, cleared(server), written(server, session_id)) == (SERVED, [], [])


def test_a_person_may_have_it_tried_again_and_agentfix_may_not(server: Server) -> None:
    session_id = fixed(server)
    server.service.recover(session_id, WORKER, TRIAGE)
    for run in OTHERS:
        server.airflow.end_run(DAG, run, "failed")
    server.service.recover(session_id, WORKER, TRIAGE)
    with pytest.raises(InvalidRequest, match="person"):
        server.service.recover(session_id, WORKER, replace(TRIAGE, again=True))
    assert set(states(server.service.recover(session_id, ANNA, PERSON)).values()) == {"green", "failed"}
    assert states(server.service.recover(session_id, ANNA, Asked(again=True)))["tuesday"] == "started"
    assert cleared(server).count("tuesday") == 2


def test_who_may_not_edit_the_dag_recovers_nothing(server: Server) -> None:
    session_id = fixed(server)
    with pytest.raises(NotAllowed):
        server.service.recover(session_id, READER, PERSON)
    with pytest.raises(SessionNotFound):
        server.service.recover(session_id, STRANGER, PERSON)
    assert cleared(server) == []


def test_a_session_at_work_or_without_a_fix_has_nothing_to_recover_with(server: Server) -> None:
    claim = claimed(server, RUN)
    with pytest.raises(InvalidTransition, match="running"):
        server.service.recover(claim.session.id, ANNA, PERSON)
    end = {"summary": "Told.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.REPORTED, **end)
    with pytest.raises(InvalidTransition, match="no fix"):
        server.service.recover(claim.session.id, ANNA, PERSON)


def test_a_version_is_the_triages_to_name(server: Server) -> None:
    session_id = fixed(server, others=())
    with pytest.raises(InvalidRequest, match="merged"):
        server.service.recover(session_id, ANNA, Asked(version=SERVED))

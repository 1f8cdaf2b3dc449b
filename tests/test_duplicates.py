"""One cause, one session: what becomes of a failure whose cause another session works on, on SQLite and on Postgres."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.incident import Repository, TaskRef
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, fix_run_id
from airflow_agentfix.desk import Desk
from airflow_agentfix.errors import InvalidTransition
from airflow_agentfix.ports import Claim
from airflow_agentfix.service import Failure
from airflow_agentfix.store.record import Draft, Wanted
from tests.fakes.databases import new_database
from tests.fakes.incidents import an_incident
from tests.fakes.server import ANNA, DAG, RUN, TASK, WORKER, Server, fix_data, model_data, patch_data

SHOP = Repository("https://git.example/shop.git", "main", "dags")


@pytest.fixture(params=["sqlite", "postgres"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database(request.param, tmp_path))
    for run in ("tuesday", "wednesday"):
        server.airflow.fail(DAG, run, TASK)
    yield server
    server.close()


def incident(*, fingerprint: str = "fp1:same", repository: Repository | None = SHOP) -> tuple[EventKind, dict[str, Any]]:
    data = json.loads(json.dumps(replace(an_incident(), fingerprint=fingerprint).to_json()))  # as it arrives
    return EventKind.INCIDENT, {**data, "repository": vars(repository) if repository else None, "base_commit": "b" * 40}


def claimed(server: Server, run: str) -> Claim:
    return server.claimed(server.taken(run_id=run))


def session(server: Server, claim: Claim) -> Session:
    return server.service.get(claim.session.id, ANNA)


def test_a_second_session_of_the_cause_ends_as_duplicate_and_its_failure_is_the_firsts(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    told = server.append(second, incident())

    assert [event.kind for event in told] == [EventKind.INCIDENT, EventKind.FINISHED]
    ended = session(server, second)
    assert (ended.state, ended.outcome, ended.verdict) == (State.DONE, Outcome.DUPLICATE, "code")
    assert first.session.id in (ended.summary or "")
    assert session(server, first).state is State.RUNNING
    attached = server.store.events(first.session.id)[-1]
    assert (attached.kind, attached.actor) == (EventKind.OCCURRENCE, "server")
    assert (attached.data["run_id"], attached.data["session_id"]) == ("tuesday", second.session.id)
    assert server.taken(run_id="tuesday") == first.session.id
    assert [server.store.broken_link(one.session.id) for one in (first, second)] == [None, None]


def test_what_only_waited_behind_a_duplicate_gets_a_session_of_its_own(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.airflow.fail(DAG, "tuesday", TASK, map_index=4)
    server.taken(run_id="tuesday", map_index=4)
    server.append(first, incident())
    server.append(second, incident())
    assert server.store.failures(first.session.id) == [
        TaskRef(DAG, RUN, TASK, 1),
        TaskRef(DAG, "tuesday", TASK, 1),
    ]
    third = server.taken(run_id="tuesday", map_index=4)
    assert third not in (first.session.id, second.session.id)
    assert server.store.failures(third) == [TaskRef(DAG, "tuesday", TASK, 1, 4)]


def test_what_waited_behind_a_duplicate_and_is_of_its_cause_becomes_the_firsts_too(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.airflow.fail(DAG, "tuesday", TASK, map_index=4)
    server.taken(run_id="tuesday", map_index=4)
    server.append(first, incident())
    server.append(second, incident())
    third = server.claimed(server.taken(run_id="tuesday", map_index=4))
    server.append(third, incident())
    assert server.taken(run_id="tuesday", map_index=4) == first.session.id


def test_the_other_tasks_of_a_run_that_failed_of_the_same_cause_run_again_with_the_first(server: Server) -> None:
    for task in ("load_more", "unlike"):
        server.airflow.fail(DAG, RUN, task)
    first, second, third = (server.claimed(server.taken(task_id=task)) for task in (TASK, "load_more", "unlike"))
    server.append(first, incident())
    server.append(second, incident())
    server.append(third, incident(fingerprint="fp1:another"))
    rerun(server, first)
    assert [(pin.task_id, pin.also) for pin in server.airflow.pins] == [(TASK, (("load_more", -1),))]


def test_a_session_that_reran_its_part_of_the_run_does_not_take_what_is_found_of_it_later(server: Server) -> None:
    server.airflow.fail(DAG, RUN, "load_more")
    first, second = claimed(server, RUN), server.claimed(server.taken(task_id="load_more"))
    server.append(first, incident())
    rerun(server, first)
    server.append(second, incident())
    assert session(server, second).state is State.RUNNING


def rerun(server: Server, claim: Claim) -> None:
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    server.approval(claim)
    server.service.reply(claim.session.id, ANNA, decision="approve")
    server.rerun(claim)


@pytest.mark.parametrize(
    "other",
    [{"fingerprint": "fp1:other"}, {"repository": replace(SHOP, url="https://git.example/other.git")}, {"repository": None}],
)
def test_another_cause_or_repository_is_no_duplicate(server: Server, other: dict[str, Any]) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    server.append(second, incident(**other))
    assert session(server, second).state is State.RUNNING


def test_a_dag_whose_repository_nobody_knows_has_duplicates_too(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident(repository=None))
    server.append(second, incident(repository=None))
    assert session(server, second).outcome is Outcome.DUPLICATE


def test_a_session_that_has_ended_makes_no_duplicates(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    end = {"outcome": Outcome.REPORTED, "summary": "Told.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(first.session.id, WORKER, lease=first.lease, **end)
    server.append(second, incident())
    assert session(server, second).state is State.RUNNING


def test_a_session_nobody_works_on_any_more_makes_no_duplicates(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    server.airflow.runs["agentfix_fix", fix_run_id(first.session.id, 1)] = "failed"
    server.append(second, incident())
    assert session(server, second).state is State.RUNNING
    assert session(server, first).outcome is Outcome.FAILED


def test_the_older_one_goes_on_though_the_younger_knew_the_cause_first(server: Server) -> None:
    older, younger = claimed(server, RUN), claimed(server, "tuesday")
    server.append(younger, incident())
    told = server.append(older, incident())
    assert [event.kind for event in told] == [EventKind.INCIDENT, EventKind.OCCURRENCE]
    assert (session(server, older).state, session(server, younger).outcome) == (State.RUNNING, Outcome.DUPLICATE)
    with pytest.raises(InvalidTransition, match="duplicate"):
        server.append(younger, (EventKind.MODEL, model_data()))
    assert server.append(younger, after=4)[0].kind is EventKind.FINISHED


def test_a_younger_one_that_has_asked_its_model_is_not_interrupted(server: Server) -> None:
    older, younger = claimed(server, RUN), claimed(server, "tuesday")
    server.append(younger, incident())
    server.append(younger, (EventKind.MODEL, model_data()))
    server.append(older, incident())
    assert (session(server, older).outcome, session(server, younger).state) == (Outcome.DUPLICATE, State.RUNNING)


def test_a_duplicate_from_another_run_does_not_widen_what_is_rerun(server: Server) -> None:
    for run in (RUN, "tuesday"):
        server.airflow.fail(DAG, run, TASK, map_index=1 if run == RUN else 2)
    first = server.claimed(server.taken(map_index=1))
    second = server.claimed(server.taken(run_id="tuesday", map_index=2))
    server.append(first, incident(), (EventKind.FIX, fix_data()))
    server.append(second, incident())
    assert session(server, second).outcome is Outcome.DUPLICATE
    server.approval(first)
    server.service.reply(first.session.id, ANNA, decision="approve")
    server.rerun(first)
    assert [request.map_index for request in server.airflow.pins] == [1]


def test_an_incident_that_arrives_twice_is_attached_once(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    told = [server.append(second, incident(), after=3) for _ in range(2)]
    assert told[0] == told[1]
    assert server.kinds(first.session.id).count("occurrence") == 1


def test_a_worker_that_died_before_others_were_looked_for_is_followed_by_one_that_learns_of_them(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    kind, data = incident()
    desk = Desk(
        server.store,
        server.airflow,
        server.settings,
        policies=server.policies,
        commits=server.commits,
        keys=(),
        clock=server.clock,
        new_id=lambda: "unused",
    )
    stored = server.store.get(second.session.id)
    assert stored is not None
    desk.save(stored, Draft(kind, "worker", data))
    again = server.claimed(second.session.id, try_number=2)
    assert (again.session.state, again.session.outcome) == (State.DONE, Outcome.DUPLICATE)


def test_a_person_may_have_a_duplicate_go_on_by_itself(server: Server) -> None:
    first, second = claimed(server, RUN), claimed(server, "tuesday")
    server.append(first, incident())
    server.append(second, incident())
    server.service.message(second.session.id, ANNA, "Look at this one too.")
    again = server.claimed(second.session.id, number=2)
    assert again.session.state is State.RUNNING


def test_of_sessions_that_learn_their_cause_at_once_the_oldest_goes_on(server: Server) -> None:
    claims = [claimed(server, run) for run in (RUN, "tuesday", "wednesday")]
    go = threading.Barrier(len(claims))
    wrong: list[Exception] = []

    def learn(claim: Claim) -> None:
        go.wait()
        try:
            server.append(claim, incident(), after=3)
        except Exception as error:  # a thread's error is the test's
            wrong.append(error)

    threads = [threading.Thread(target=learn, args=(claim,)) for claim in reversed(claims)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # one that was ended while it wrote is told so
    assert all(isinstance(error, InvalidTransition) for error in wrong), wrong
    assert [session(server, claim).state for claim in claims] == [State.RUNNING, State.DONE, State.DONE]
    runs = [event.data["run_id"] for event in server.store.events(claims[0].session.id) if event.kind is EventKind.OCCURRENCE]
    assert sorted(runs) == ["tuesday", "wednesday"]


# --- other indexes of a mapped task ----------------------------------------------------------------------------------


def mapped(server: Server, *indexes: int) -> list[str]:
    """The sessions that the failed indexes were given to, in order."""
    for index in indexes:
        server.airflow.fail(DAG, RUN, TASK, map_index=index)
    return [server.taken(map_index=index) for index in indexes]


def report(server: Server, claim: Claim) -> None:
    end = {"summary": "No code.", "verdict": "infra", "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.REPORTED, **end)


def test_an_index_that_waited_behind_a_session_gets_one_of_its_own_when_that_ends(server: Server) -> None:
    (first, same, too) = mapped(server, 0, 1, 2)
    assert first == same == too
    claim = server.claimed(first)
    server.append(claim, incident())
    report(server, claim)
    second = server.taken(map_index=1)
    assert second != first
    assert server.service.get(second, ANNA).map_index == 1
    assert server.taken(map_index=2) == second
    assert server.airflow.run_state("agentfix_fix", fix_run_id(second, 1)) == "running"


def test_an_index_that_airflow_has_not_marked_failed_yet_gets_its_session_all_the_same(server: Server) -> None:
    (first, _) = mapped(server, 0, 1)
    claim = server.claimed(first)
    server.append(claim, incident())
    server.airflow.tasks[DAG, RUN, TASK, 1] = replace(server.airflow.tasks[DAG, RUN, TASK, 1], state="running")
    report(server, claim)
    assert server.taken(map_index=1) != first


def test_an_index_that_is_green_by_then_gets_none(server: Server) -> None:
    (first, _) = mapped(server, 0, 1)
    claim = server.claimed(first)
    server.append(claim, incident())
    server.airflow.tasks[DAG, RUN, TASK, 1] = replace(server.airflow.tasks[DAG, RUN, TASK, 1], state="success")
    report(server, claim)
    assert [one.id for one in server.service.list(ANNA, Wanted(dag_id=DAG)).sessions] == [first]


def test_the_same_cause_in_the_same_run_is_not_worked_on_again_once_it_was_left_as_it_is(server: Server) -> None:
    (first, *_) = mapped(server, 0, 1, 2)
    claim = server.claimed(first)
    server.append(claim, incident())
    report(server, claim)
    second = server.claimed(server.taken(map_index=1))
    server.append(second, incident())
    assert session(server, second).outcome is Outcome.DUPLICATE
    assert {ref.map_index for ref in server.store.failures(first)} == {0, 1}
    third = server.claimed(server.taken(map_index=2))
    server.append(third, incident(fingerprint="fp1:another"))
    assert session(server, third).state is State.RUNNING  # of another cause: it is not lost behind the two


def test_a_person_who_asks_again_gets_a_session_though_the_cause_was_left_as_it_is(server: Server) -> None:
    claim = claimed(server, RUN)
    server.append(claim, incident())
    report(server, claim)
    asked = Failure(DAG, RUN, TASK)
    again = server.claimed(server.service.create(asked, ANNA).id)
    server.append(again, incident())
    assert session(server, again).state is State.RUNNING


def test_one_failure_reported_by_two_at_once_is_one_occurrence(server: Server) -> None:
    (first, _) = mapped(server, 0, 1)
    server.service.intake(Failure(DAG, RUN, TASK, 1), WORKER)
    assert server.kinds(first).count("occurrence") == 1

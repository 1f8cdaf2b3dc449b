"""Answers that come twice, late, for another question, from someone without the right, or not at all: one effect or none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.errors import InvalidRequest, InvalidTransition, NotAllowed, SessionNotFound
from airflow_agentfix.ports import Answer, Claim, Rerun, WaitRun
from airflow_agentfix.service import SessionService
from airflow_agentfix.settings import Settings
from tests.fakes.databases import new_database
from tests.fakes.death import Killed, Mortal, Reaper
from tests.fakes.server import ANNA, READER, STRANGER, WORKER, Server, approved
from tests.fakes.server_airflow import ASK_DAG

DAY = 24 * 3600.0


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Server] = []

    def make(settings: Settings | None = None) -> Server:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Server(new_database("sqlite", folder), settings or Settings()))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make: Any) -> Server:
    return make()


def ask(server: Server, claim: Claim, call_id: str = "call-1") -> Any:
    return server.service.worker.ask(
        claim.session.id, WORKER, lease=claim.lease, call_id=call_id, subject=f"{call_id}?", body="A or B", options=["A", "B"]
    )


def park(server: Server, claim: Claim, wait: WaitRun) -> None:
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=wait)


def end(server: Server, claim: Claim, outcome: Outcome = Outcome.PROPOSED) -> None:
    server.service.worker.finish(
        claim.session.id, WORKER, lease=claim.lease, outcome=outcome, summary="s", verdict=None, report=None, error=None
    )


def answers(server: Server, claim: Claim) -> list[tuple[str, str]]:
    events = server.store.events(claim.session.id)
    return [(event.actor, event.data["decision"]) for event in events if event.kind is EventKind.ANSWER]


# --- twice -----------------------------------------------------------------------------------------------------------


def test_of_an_answer_under_required_actions_and_a_later_one_through_the_api_the_first_counts(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    server.airflow.required_action(wait.run_id, "B", user="ben")
    with pytest.raises(InvalidTransition, match="by 'ben' with 'B'"):
        server.service.reply(claim.session.id, ANNA, message="A")
    again = server.claimed(claim.session.id)
    assert ask(server, again) == Answer("q4", "answer", "B", "ben")
    assert answers(server, claim) == [("ben", "answer")]


def test_a_session_is_asking_since_its_newest_question_however_often_it_parks(server: Server) -> None:
    claim = server.claimed()
    park(server, claim, ask(server, claim))
    question = next(e for e in server.store.events(claim.session.id) if e.kind is EventKind.QUESTION)
    again = server.claimed(claim.session.id)
    park(server, again, ask(server, again))
    assert server.service.get(claim.session.id, ANNA).asked_at == question.at
    server.service.reply(claim.session.id, ANNA, message="A")
    last = server.claimed(claim.session.id)
    ask(server, last)
    end(server, last)
    assert server.service.get(claim.session.id, ANNA).asked_at is None


def test_a_second_answer_is_told_whose_was_first_and_of_no_tool_that_was_not_used(make: Any) -> None:
    server = make(Settings(answer_hours=0))
    claim = server.claimed()
    ask(server, claim)
    asked = server.store.events(claim.session.id)[-1].data["question_id"]
    server.service.reply(claim.session.id, ANNA, message="A")
    for question_id in (None, asked):
        with pytest.raises(InvalidTransition) as refused:
            server.service.reply(claim.session.id, ANNA, message="B", question_id=question_id)
        assert "by 'anna' with 'answer'; that one counts. A message tells it something" in str(refused.value)
        assert "agentfix " not in str(refused.value)


def test_a_rejection_under_required_actions_is_not_overruled_through_the_api(server: Server) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    server.airflow.required_action(wait.run_id, "Reject", user="ben")
    with pytest.raises(InvalidTransition, match="that one counts"):
        server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim).decision == "reject"
    with pytest.raises(NotAllowed):
        server.rerun(claim)
    assert server.airflow.pins == []


def test_an_approval_after_the_click_that_only_says_so_counts(server: Server) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    server.airflow.required_action(wait.run_id, "Approved through Agent Fix", user="ben")
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")
    assert [one.person for one in server.store.approvals(claim.session.id)] == ["anna"]


def test_the_same_yes_in_both_places_is_one_approval(make: Any) -> None:
    server = make(Settings(approvers=("anna",)))
    claim = server.with_fix()
    wait = server.approval(claim)
    server.airflow.required_action(wait.run_id, "Approve", user="anna")
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")
    assert len(server.store.approvals(claim.session.id)) == 1


def test_an_answer_whose_record_failed_is_given_again_and_recorded_once(server: Server) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    question = server.airflow.questions[wait.run_id]
    server.airflow.give_answer(wait.run_id, option=question.options[0], message="", user=ANNA)  # then the API server died
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")
    assert answers(server, claim) == [("anna", "approve")]


@pytest.mark.parametrize("decision", ["approve", "reject"])
@pytest.mark.parametrize("at", range(1, 5))
def test_an_api_server_that_died_while_it_took_an_answer_has_one_or_none_and_takes_it_again(
    server: Server, at: int, decision: str
) -> None:
    claim = server.with_fix()
    server.approval(claim)
    reaper = Reaper(at)
    with pytest.raises(Killed):
        mortal(server, reaper).reply(claim.session.id, ANNA, decision=decision)
    is_on_record = reaper.deaths == ["after store.write"]
    assert answers(server, claim) == ([("anna", decision)] if is_on_record else [])
    if is_on_record:
        with pytest.raises(InvalidTransition, match="asks nothing"):
            server.service.reply(claim.session.id, ANNA, decision=decision)
    else:
        server.service.reply(claim.session.id, ANNA, decision=decision)
    assert answers(server, claim) == [("anna", decision)]
    assert [one.decision for one in server.store.approvals(claim.session.id)] == [decision]


def mortal(server: Server, reaper: Reaper) -> SessionService:
    """The same service in an API server that may die."""
    store, airflow = Mortal(server.store, reaper, "store", "write"), Mortal(server.airflow, reaper, "airflow", "give_answer")
    return SessionService(
        store,
        airflow,
        server.settings,
        policies=server.policies,
        commits=server.commits,
        clock=server.clock,
        new_id=server.new_id,
    )  # type: ignore[arg-type]


# --- late ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["ended", "stopped", "erased"])
def test_an_answer_after_the_session_is_over_is_refused_and_runs_nothing(server: Server, how: str) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    if how == "ended":
        end(server, claim)
    else:
        park(server, claim, wait)
        {"stopped": server.service.stop, "erased": server.service.erase}[how](claim.session.id, ANNA)
    with pytest.raises(InvalidTransition, match="is done and asks nothing"):
        server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.store.approvals(claim.session.id) == []
    assert server.airflow.pins == []


def test_an_approval_under_required_actions_after_a_stop_opens_nothing_when_the_session_goes_on(make: Any) -> None:
    server = make(Settings(approvers=("boss",)))
    claim = server.with_fix()
    wait = server.approval(claim)
    park(server, claim, wait)
    server.service.stop(claim.session.id, ANNA)  # the question's run ends; Airflow takes an answer to it still
    server.airflow.required_action(wait.run_id, "Approve", user="boss")
    server.service.message(claim.session.id, ANNA, "go on")
    again = server.claimed(claim.session.id, number=2)
    second = server.approval(again)
    assert isinstance(second, WaitRun)
    assert second.run_id != wait.run_id


def test_an_answer_after_days_is_taken_in(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    server.clock.pass_seconds(9 * DAY)
    server.service.reply(claim.session.id, ANNA, message="B")
    again = server.claimed(claim.session.id)
    assert ask(server, again) == Answer("q4", "answer", "B", "anna")


# --- for another question, from another person -----------------------------------------------------------------------


def test_an_approval_that_names_a_question_does_not_decide_another(server: Server) -> None:
    claim = server.with_fix()
    ask(server, claim)
    approval = server.approval(claim, call_id="call-2")
    with pytest.raises(InvalidRequest, match="not an approval"):
        server.service.reply(claim.session.id, ANNA, decision="approve", question_id="q6")
    with pytest.raises(InvalidRequest, match="No question 'q9'"):
        server.service.reply(claim.session.id, ANNA, decision="approve", question_id="q9")
    assert server.store.approvals(claim.session.id) == []
    assert server.airflow.answer(approval.run_id) is None


def test_an_answer_to_another_sessions_question_is_none(server: Server) -> None:
    server.airflow.fail("orders", "tuesday", "load")
    claim = server.with_fix()
    server.approval(claim)
    other = server.claimed(server.taken(run_id="tuesday"))
    with pytest.raises(InvalidTransition, match="asks nothing"):
        server.service.reply(other.session.id, ANNA, decision="approve", question_id="q6")
    assert server.store.approvals(claim.session.id) == []


@pytest.mark.parametrize(("who", "error"), [(READER, NotAllowed), (STRANGER, SessionNotFound)])
def test_who_may_not_edit_the_dags_runs_answers_nothing(server: Server, who: Any, error: type[Exception]) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    for decision in ("approve", "reject"):
        with pytest.raises(error):
            server.service.reply(claim.session.id, who, decision=decision)
    assert answers(server, claim) == []
    assert server.airflow.answer(wait.run_id) is None


# --- while the worker is dead, several, cleared or retried -----------------------------------------------------------


def test_an_answer_while_the_worker_is_dead_reaches_the_next_one(server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)  # then it died before it could park
    server.service.reply(claim.session.id, ANNA, decision="approve")
    again = server.claimed(claim.session.id, try_number=2)
    assert server.approval(again) == approved("anna")
    assert isinstance(server.rerun(again), Rerun)
    assert len(server.airflow.pins) == 1


@pytest.mark.parametrize("order", [("q4", "q5"), ("q5", "q4")])
def test_several_questions_are_each_answered_once_in_any_order(server: Server, order: tuple[str, str]) -> None:
    claim = server.claimed()
    first = ask(server, claim, "call-1")
    ask(server, claim, "call-2")
    park(server, claim, first)
    for question_id in order:
        server.service.reply(claim.session.id, ANNA, message=f"to {question_id}", question_id=question_id)
        server.clock.pass_seconds(2 * DAY)
    again = server.claimed(claim.session.id)
    assert [ask(server, again, call_id).message for call_id in ("call-1", "call-2")] == ["to q4", "to q5"]
    assert len(server.airflow.questions) == 2


@pytest.mark.parametrize("try_number", [1, 2], ids=["cleared", "retried"])
def test_a_fix_task_that_was_cleared_or_retried_while_a_question_waits_asks_it_once(server: Server, try_number: int) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    again = server.claimed(claim.session.id, try_number=try_number)
    assert ask(server, again) == wait
    park(server, again, wait)
    server.service.reply(claim.session.id, ANNA, message="B")
    assert ask(server, server.claimed(claim.session.id, try_number=try_number)).message == "B"
    assert server.kinds(claim.session.id).count("question") == 1


# --- not at all ------------------------------------------------------------------------------------------------------


def test_a_question_that_nobody_answers_in_time_says_so(make: Any) -> None:
    server = make(Settings(answer_hours=48))
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    assert server.airflow.questions[wait.run_id].hours == 48
    server.clock.pass_seconds(2 * DAY)
    server.airflow.time_out(wait.run_id)
    again = server.claimed(claim.session.id)
    assert ask(server, again) == Answer("q4", "nobody", "Nobody answered within 48 hours.", "server")


def test_an_approval_that_nobody_gives_in_time_decides_nothing_and_runs_nothing(make: Any) -> None:
    server = make(Settings(answer_hours=48))
    claim = server.with_fix()
    wait = server.approval(claim)
    server.clock.pass_seconds(2 * DAY)
    server.airflow.time_out(wait.run_id)
    for _ in range(2):
        assert server.approval(claim) == Answer("q6", "nobody", "Nobody answered within 48 hours.", "server")
    assert server.store.approvals(claim.session.id) == []
    with pytest.raises(NotAllowed):
        server.rerun(claim)
    with pytest.raises(InvalidTransition, match="asks nothing"):
        server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.airflow.pins == []


def test_an_approval_nobody_gave_is_asked_for_anew_when_a_person_wants_to_go_on(make: Any) -> None:
    server = make(Settings(answer_hours=48))
    claim = server.with_fix()
    first = server.approval(claim)
    server.airflow.time_out(first.run_id)
    server.approval(claim)
    end(server, claim)
    server.service.message(claim.session.id, ANNA, "I am back")
    again = server.claimed(claim.session.id, number=2)
    second = server.approval(again)
    assert isinstance(second, WaitRun)
    assert second.run_id != first.run_id
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(again) == approved("anna")


def test_a_run_somebody_ended_by_hand_is_not_called_a_timeout(make: Any) -> None:
    server = make(Settings(answer_hours=48))
    claim = server.claimed()
    wait = ask(server, claim)
    server.airflow.runs[ASK_DAG, wait.run_id] = "failed"
    assert ask(server, claim) == Answer("q4", "nobody", "The question's run ended without an answer.", "server")


def test_a_question_keeps_the_time_it_was_asked_with(make: Any) -> None:
    server = make()
    claim = server.claimed()
    wait = ask(server, claim)
    later = Server(server.url, Settings(answer_hours=1), server.airflow, server.clock)  # the option was set meanwhile
    again = later.claimed(claim.session.id, try_number=2)
    assert ask(later, again) == wait
    later.close()

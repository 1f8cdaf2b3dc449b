"""The use cases of sessions, as a person, a callback and a worker see them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.core.policy import Autonomy, Policy
from airflow_agentfix.core.session import EventKind, Outcome, State, WaitFor, fix_run_id
from airflow_agentfix.errors import (
    AirflowNotFound,
    DecisionRequired,
    InvalidRequest,
    InvalidTransition,
    NotAllowed,
    RerunImpossible,
    SessionConflict,
    SessionNotFound,
)
from airflow_agentfix.ports import Answer, PinRequest, Rerun, WaitRun
from airflow_agentfix.service import Failure
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.wire import Page
from tests.fakes.databases import new_database
from tests.fakes.server import (
    ANNA,
    COMMIT,
    DAG,
    OTHER_COMMIT,
    READER,
    RUN,
    STRANGER,
    TASK,
    WORKER,
    Server,
    approved,
    facts,
    fix_data,
    model_data,
    patch_data,
    worker_of,
)
from tests.fakes.server_airflow import ASK_DAG, ORIGINAL, Person

FAILURE = Failure(DAG, RUN, TASK)
WAIVED = Settings(allow_unreviewed_reruns=True)
BOSSES = Settings(approvers=("boss",))
PERSON_FINDING = {
    "rule": "deleted-test",
    "severity": "person",
    "path": "tests/test_load.py",
    "reason": "deletes a test",
    "line": 3,
}


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


def park(server: Server, claim: Any, wait: WaitRun) -> None:
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=wait)


def finish(server: Server, claim: Any, outcome: Outcome = Outcome.REPORTED) -> Any:
    return server.service.worker.finish(
        claim.session.id, WORKER, lease=claim.lease, outcome=outcome, summary="Told.", verdict="code", report=None, error=None
    )


# --- intake ----------------------------------------------------------------------------------------------------------


def test_a_failure_becomes_a_session_with_a_run_of_the_fix_dag(server: Server) -> None:
    taken = server.service.intake(FAILURE, WORKER)
    assert (taken.state, taken.created, taken.warning) == (State.OPEN, True, None)
    assert server.airflow.confs == {fix_run_id(taken.id, 1): {"session_id": taken.id}}
    assert server.service.get(taken.id, ANNA).try_number == 1


def test_the_same_failure_reported_again_is_the_same_session(server: Server) -> None:
    first, second = (server.service.intake(FAILURE, WORKER) for _ in range(2))
    assert (second.id, second.created) == (first.id, False)
    assert server.kinds(first.id) == ["created"]


def test_another_failure_of_a_task_in_work_is_its_occurrence(server: Server) -> None:
    first = server.taken()
    server.airflow.fail(DAG, RUN, TASK, try_number=2)
    assert server.taken() == first
    assert server.taken() == first
    assert server.kinds(first) == ["created", "occurrence"]


def test_a_failure_after_the_session_ended_gets_a_session_of_its_own(server: Server) -> None:
    claim = server.claimed()
    finish(server, claim)
    assert server.taken() == claim.session.id
    server.airflow.fail(DAG, RUN, TASK, try_number=2)
    assert server.taken() != claim.session.id


def test_failures_reported_at_once_make_one_session(server: Server) -> None:
    ids: list[str] = []
    for index in range(6):
        server.airflow.fail(DAG, RUN, TASK, map_index=index)
    reports = [threading.Thread(target=lambda n=n: ids.append(server.taken(map_index=n % 6))) for n in range(12)]
    for report in reports:
        report.start()
    for report in reports:
        report.join()
    assert (len(ids), len(set(ids))) == (12, 1)
    assert sorted(server.kinds(ids[0])) == ["created"] + ["occurrence"] * 5


def test_a_paused_fix_dag_keeps_the_failure_and_says_so_and_a_later_report_starts_it(server: Server) -> None:
    server.airflow.paused.add("agentfix_fix")
    taken = server.service.intake(FAILURE, WORKER)
    assert "airflow dags unpause agentfix_fix" in (taken.warning or "")
    assert server.service.get(taken.id, ANNA).summary == taken.warning
    assert server.service.intake(FAILURE, WORKER).warning == taken.warning
    assert server.kinds(taken.id) == ["created", "note"]
    server.airflow.paused.clear()
    assert server.service.intake(FAILURE, WORKER).warning is None
    assert server.airflow.runs["agentfix_fix", fix_run_id(taken.id, 1)] == "running"


def test_a_session_whose_run_died_for_good_goes_on_in_a_new_one(server: Server) -> None:
    claim = server.claimed()
    server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 1)] = "failed"
    server.taken()
    assert server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 2)] == "running"
    assert server.claimed(claim.session.id, number=2).lease != claim.lease


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_session_whose_run_ended_without_a_word_is_ended_as_failed_when_it_is_read(server: Server, state: str) -> None:
    claim = server.claimed()
    run_id = fix_run_id(claim.session.id, 1)
    assert server.service.get(claim.session.id, ANNA).state is State.RUNNING
    server.airflow.runs["agentfix_fix", run_id] = state
    (listed,) = server.service.list(READER).sessions
    read = server.service.get(claim.session.id, READER)
    assert (read.state, read.outcome) == (State.DONE, Outcome.FAILED)
    assert listed == read
    assert f"Run {run_id!r} of agentfix_fix ended before the session did; its log says why." in (read.summary or "")
    assert server.kinds(claim.session.id) == ["created", "claimed", "policy", "finished"]


def test_a_waiting_session_whose_run_was_killed_is_noticed_and_goes_on_with_a_message(server: Server) -> None:
    claim = server.claimed()
    park(server, claim, ask(server, claim))
    server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 1)] = "failed"
    assert server.service.get(claim.session.id, ANNA).outcome is Outcome.FAILED
    server.service.message(claim.session.id, ANNA, "Try again.")
    assert server.service.get(claim.session.id, ANNA).state is State.OPEN
    assert server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 2)] == "running"


def test_a_session_another_dag_drives_is_not_ended_because_its_own_run_gave_up(server: Server) -> None:
    """A user's DAG with an AgentFixOperator has it; the run of agentfix_fix was refused the lease until its tries were over."""
    session_id = server.taken()
    server.airflow.runs["my_dag", "monday"] = "running"
    claim = server.service.worker.claim(session_id, WORKER, worker="my_dag/monday/drive/1")
    server.airflow.runs["agentfix_fix", fix_run_id(session_id, 1)] = "failed"
    assert server.service.get(session_id, ANNA).state is State.RUNNING
    park(server, claim, WaitRun(ASK_DAG, "q", WaitFor.PERSON))
    assert server.service.get(session_id, ANNA).state is State.WAITING
    server.airflow.runs["my_dag", "monday"] = "failed"
    assert server.service.get(session_id, ANNA).outcome is Outcome.FAILED


def test_a_session_that_waits_for_its_run_to_be_startable_is_not_ended(server: Server) -> None:
    server.airflow.paused.add("agentfix_fix")
    session_id = server.taken()
    assert server.service.get(session_id, ANNA).state is State.OPEN


@pytest.mark.parametrize("what", [{"task_id": "lod"}, {"run_id": "tuesday"}, {"map_index": 3}])
def test_what_airflow_does_not_know_is_not_taken(server: Server, what: dict[str, Any]) -> None:
    with pytest.raises(AirflowNotFound):
        server.service.intake(replace(FAILURE, **what), WORKER)


def test_a_try_that_has_not_been_made_is_refused(server: Server) -> None:
    with pytest.raises(InvalidRequest, match="expected 1 to 1"):
        server.service.intake(replace(FAILURE, try_number=2), WORKER)


def test_a_task_that_went_well_is_no_failure(server: Server) -> None:
    server.airflow.tasks[DAG, RUN, TASK, -1] = TaskFacts(TASK, -1, 2, "success")
    with pytest.raises(InvalidRequest, match="Try 2 of 'load' is success: it did not fail"):
        server.taken()
    assert server.taken(try_number=1)


def test_nobody_is_asked_to_approve_a_rerun_that_cannot_be(server: Server) -> None:
    claim = server.with_fix()
    server.airflow.unversioned.add((DAG, RUN))
    with pytest.raises(RerunImpossible, match="has no versions"):
        server.approval(claim)
    assert server.airflow.questions == {}


def test_a_victim_that_never_ran_is_refused_with_what_to_name(server: Server) -> None:
    server.airflow.fail(DAG, RUN, "report", try_number=0)
    with pytest.raises(InvalidRequest, match="name the task that failed"):
        server.service.intake(replace(FAILURE, task_id="report"), WORKER)


def test_agentfixs_own_dags_are_not_worked_on(server: Server) -> None:
    with pytest.raises(InvalidRequest, match="own DAGs"):
        server.service.intake(replace(FAILURE, dag_id="agentfix_fix"), WORKER)


@pytest.mark.parametrize(("asked", "given"), [("propose", "propose"), ("recover", "rerun"), (None, "rerun")])
def test_a_request_may_lower_the_autonomy_and_never_raise_it(server: Server, asked: str | None, given: str) -> None:
    claim = server.claimed(server.taken(autonomy=asked))
    assert Policy.from_json(claim.policy).autonomy is Autonomy(given)


def test_a_person_who_asks_after_the_session_ended_gets_a_new_one(server: Server) -> None:
    ended = finish(server, server.claimed())
    taken = server.service.create(replace(FAILURE, source="cli", message="Look at the join."), ANNA)
    assert (taken.created, taken.id != ended.id) == (True, True)
    assert server.service.get(taken.id, ANNA).requested_by == "anna"
    assert server.store.events(taken.id)[-1].data == {"message": "Look at the join."}
    assert server.service.create(FAILURE, ANNA).id == taken.id


# --- rights ----------------------------------------------------------------------------------------------------------


def test_who_may_not_read_the_dag_does_not_learn_of_the_session(server: Server) -> None:
    session_id = server.taken()
    with pytest.raises(SessionNotFound):
        server.service.get(session_id, STRANGER)
    assert server.service.list(STRANGER) == Page((), 0)
    assert [one.id for one in server.service.list(READER).sessions] == [session_id]


def test_who_may_only_read_cannot_stop(server: Server) -> None:
    with pytest.raises(NotAllowed):
        server.service.stop(server.taken(), READER)


# --- leases ----------------------------------------------------------------------------------------------------------


def test_a_second_worker_is_refused_while_the_first_has_the_session(server: Server) -> None:
    claim = server.claimed()
    with pytest.raises(SessionConflict, match="in work by"):
        server.service.worker.claim(claim.session.id, WORKER, worker="mine/manual/fix/1")


@pytest.mark.parametrize(("number", "try_number"), [(1, 1), (1, 2), (2, 1)])
def test_the_same_task_resumed_retried_or_run_again_takes_the_session_over(server: Server, number: int, try_number: int) -> None:
    old = server.claimed()
    new = server.claimed(old.session.id, number=number, try_number=try_number)
    with pytest.raises(SessionConflict):
        server.append(old, (EventKind.MODEL, model_data()))
    server.append(new, (EventKind.MODEL, model_data()))


def test_an_older_try_does_not_take_the_session_back(server: Server) -> None:
    server.claimed(try_number=2)
    with pytest.raises(SessionConflict):
        server.claimed(try_number=1)


def test_a_silent_worker_loses_the_session_after_the_lease(server: Server) -> None:
    old = server.claimed()
    server.clock.pass_seconds(server.settings.lease_seconds - 10)
    server.append(old, (EventKind.MODEL, model_data()))
    server.clock.pass_seconds(server.settings.lease_seconds - 10)
    with pytest.raises(SessionConflict):
        server.service.worker.claim(old.session.id, WORKER, worker="other")
    server.clock.pass_seconds(20)
    server.service.worker.claim(old.session.id, WORKER, worker="other")
    with pytest.raises(SessionConflict):
        server.append(old, (EventKind.MODEL, model_data()))


def test_two_workers_that_claim_at_once_leave_one_lease(server: Server) -> None:
    session_id, won = server.taken(), []

    def claim(name: str) -> None:
        with suppress(SessionConflict):
            won.append(server.service.worker.claim(session_id, WORKER, worker=name))

    workers = [threading.Thread(target=claim, args=(f"worker-{n}",)) for n in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(won) == 1
    assert server.kinds(session_id) == ["created", "claimed", "policy"]


def test_a_worker_killed_between_intent_and_result_is_followed_by_one_that_sees_the_intent(server: Server) -> None:
    old = server.claimed()
    server.append(old, (EventKind.INTENT, {"call_id": "c1", "tool": "open_fix", "input": {}}))
    new = server.claimed(old.session.id, try_number=2)
    assert [event.kind for event in new.events][-2:] == [EventKind.INTENT, EventKind.CLAIMED]
    assert new.session.state is State.RUNNING


# --- events ----------------------------------------------------------------------------------------------------------


def test_append_gives_what_the_server_wrote_meanwhile_too(server: Server) -> None:
    claim = server.claimed()
    seen = claim.session.last_event
    server.service.message(claim.session.id, ANNA, "Mind the currency.")
    written = server.append(claim, (EventKind.MODEL, model_data()), after=seen)
    assert [(event.kind, event.actor) for event in written] == [(EventKind.NOTE, "anna"), (EventKind.MODEL, "worker")]


def test_a_batch_that_arrives_twice_is_appended_once(server: Server) -> None:
    claim = server.claimed()
    seen = claim.session.last_event
    first, second = (server.append(claim, (EventKind.MODEL, model_data()), after=seen) for _ in range(2))
    assert first == second
    assert server.service.get(claim.session.id, ANNA).usage.turns == 1


def test_another_batch_after_the_same_event_is_a_conflict(server: Server) -> None:
    claim = server.claimed()
    seen = claim.session.last_event
    server.append(claim, (EventKind.MODEL, model_data()), after=seen)
    with pytest.raises(SessionConflict):
        server.append(claim, (EventKind.MODEL, model_data(tokens=99)), after=seen)


@pytest.mark.parametrize("kind", [EventKind.APPROVAL, EventKind.ANSWER, EventKind.RERUN, EventKind.NOTE, EventKind.FINISHED])
def test_a_worker_cannot_write_what_the_server_alone_writes(server: Server, kind: EventKind) -> None:
    claim = server.claimed()
    with pytest.raises(InvalidRequest):
        server.append(claim, (kind, {"commit": COMMIT, "decision": "approve", "via": "api", "question_id": None}))


def test_malformed_event_data_is_refused_and_not_half_written(server: Server) -> None:
    claim = server.claimed()
    with pytest.raises(InvalidRequest, match="fix"):
        server.append(claim, (EventKind.MODEL, model_data()), (EventKind.FIX, {"no": "branch"}))
    assert server.kinds(claim.session.id) == ["created", "claimed", "policy"]


# --- questions -------------------------------------------------------------------------------------------------------


def ask(server: Server, claim: Any, call_id: str = "call-1") -> Any:
    return server.service.worker.ask(
        claim.session.id, WORKER, lease=claim.lease, call_id=call_id, subject="Which?", body="A or B", options=["A", "B"]
    )


@pytest.mark.parametrize("options", [["Approve", "Reject"], ["reject"], ["Approved by anna", "no"]])
def test_a_workers_question_that_passes_for_an_approval_is_refused(server: Server, options: list[str]) -> None:
    claim = server.claimed()
    with pytest.raises(InvalidRequest, match="the server alone asks for approvals"):
        server.service.worker.ask(
            claim.session.id, WORKER, lease=claim.lease, call_id="c", subject="Run it?", body="It is fine.", options=options
        )
    assert server.airflow.questions == {}


def test_a_question_is_shown_as_the_agents_words_without_links_pictures_or_headings(server: Server) -> None:
    claim = server.claimed()
    body = "# Approved\nSee [this](http://evil.example) ![](http://evil.example/x.png) <img src=x>"
    worker = server.service.worker
    worker.ask(claim.session.id, WORKER, lease=claim.lease, call_id="c", subject="Which?", body=body, options=["A"])
    (question,) = server.airflow.questions.values()
    assert question.body == (
        "*The agent asks, in its own words. No answer to this approves a fix.*\n\n"
        "\\# Approved\nSee \\[this\\](http://evil.example) !\\[\\](http://evil.example/x.png) \\<img src=x>"
    )


def test_a_question_is_asked_once_and_answered_under_required_actions(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    assert wait == ask(server, claim)
    assert (wait.dag_id, wait.waiting_for, len(server.airflow.questions)) == (ASK_DAG, WaitFor.PERSON, 1)
    park(server, claim, wait)
    server.airflow.required_action(wait.run_id, "B", user="ben", message="because")
    again = server.claimed(claim.session.id)
    assert ask(server, again) == Answer("q4", "answer", "B: because", "ben")
    assert server.store.events(claim.session.id)[-1].data["via"] == "required_actions"


def test_an_answer_through_the_api_ends_the_questions_run(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    server.service.reply(claim.session.id, ANNA, message="B")
    assert server.airflow.runs[ASK_DAG, wait.run_id] == "success"
    again = server.claimed(claim.session.id)
    assert ask(server, again) == Answer("q4", "answer", "B", "anna")


def test_a_question_is_answered_once(server: Server) -> None:
    claim = server.claimed()
    ask(server, claim)
    server.service.reply(claim.session.id, ANNA, message="B")
    with pytest.raises(InvalidTransition, match="asks nothing; q4 was answered before, by 'anna' with 'answer'; that one counts"):
        server.service.reply(claim.session.id, ANNA, message="A")
    assert server.kinds(claim.session.id).count("answer") == 1


def test_of_two_questions_the_answer_must_name_one(server: Server) -> None:
    claim = server.claimed()
    ask(server, claim, "call-1")
    ask(server, claim, "call-2")
    with pytest.raises(InvalidRequest, match="q4, q5"):
        server.service.reply(claim.session.id, ANNA, message="B")
    server.service.reply(claim.session.id, ANNA, message="B", question_id="q5")
    with pytest.raises(InvalidRequest, match="q4"):
        server.service.reply(claim.session.id, ANNA, message="B", question_id="q9")


def test_a_question_whose_run_was_never_started_is_shown_by_the_next_call(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    del server.airflow.questions[wait.run_id], server.airflow.runs[ASK_DAG, wait.run_id]
    assert ask(server, claim) == wait
    assert wait.run_id in server.airflow.questions


def test_a_question_whose_run_ended_unanswered_does_not_wait_for_ever(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    server.airflow.runs[ASK_DAG, wait.run_id] = "failed"
    answer = ask(server, claim)
    assert (answer.actor, answer.message) == ("server", "The question's run ended without an answer.")


# --- approvals -------------------------------------------------------------------------------------------------------


def test_a_question_about_a_commit_leads_to_the_sessions_page_where_there_is_one(make: Any) -> None:
    address = "https://air.example/x"
    for settings, leads in ((Settings(base_url=address), True), (Settings(base_url=address, ui=False), False)):
        server = make(settings)
        claim = server.with_fix()
        body = server.airflow.questions[server.approval(claim).run_id].body
        page = f"Approve on [the session's page]({address}/agentfix/sessions/{claim.session.id}), or run"
        assert (page in body, f"un `agentfix continue {claim.session.id} --approve`: your right on the DAG" in body) == (
            leads,
            True,
        )


def test_an_approval_through_the_api_lets_that_commit_run(server: Server) -> None:
    claim = server.with_fix()
    wait = server.approval(claim)
    assert "agentfix continue" in server.airflow.questions[wait.run_id].body
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")
    assert facts(server.rerun(claim)) == ("pin", DAG, RUN, COMMIT, (TASK,), -1)
    (row,) = server.store.approvals(claim.session.id)
    assert (row.person, row.commit, row.decision, row.via) == ("anna", COMMIT, "approve", "api")


def test_an_approval_pending_needs_a_decision(server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    for decision in (None, "answer"):
        with pytest.raises(DecisionRequired):
            server.service.reply(claim.session.id, ANNA, decision=decision, message="fine")


def test_an_approval_of_one_commit_does_not_count_for_another(server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, ANNA, decision="approve")
    server.append(claim, (EventKind.FIX, fix_data(OTHER_COMMIT)))
    with pytest.raises(NotAllowed):
        server.rerun(claim)
    assert isinstance(server.approval(claim, commit=OTHER_COMMIT), WaitRun)
    assert server.airflow.pins == []


def test_a_question_about_an_older_commit_can_no_longer_be_approved(server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    server.append(claim, (EventKind.FIX, fix_data(OTHER_COMMIT)))
    with pytest.raises(InvalidTransition, match=COMMIT):
        server.service.reply(claim.session.id, ANNA, decision="approve")


def test_only_the_recorded_fix_commit_can_be_put_to_approval(server: Server) -> None:
    claim = server.with_fix()
    with pytest.raises(InvalidRequest, match="recorded fix"):
        server.approval(claim, commit=OTHER_COMMIT)


def test_a_rerun_without_approval_is_refused(server: Server) -> None:
    claim = server.with_fix()
    with pytest.raises(NotAllowed, match=COMMIT):
        server.rerun(claim)
    assert server.airflow.pins == []


def test_a_deployment_may_waive_the_approval_and_it_is_on_record(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    approved = server.approval(claim)
    assert approved == server.approval(claim)
    assert approved.by == "waived: [agentfix] allow_unreviewed_reruns is True"
    assert [row.via for row in server.store.approvals(claim.session.id)] == ["waived"]
    assert isinstance(server.rerun(claim), Rerun)


def test_a_rerun_clears_the_index_that_failed_alone(make: Any) -> None:
    server = make(WAIVED)
    server.airflow.fail(DAG, RUN, TASK, map_index=3)
    claim = server.claimed(server.taken(map_index=3))
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    server.airflow.fail(DAG, RUN, TASK, map_index=3, try_number=2)
    server.taken(map_index=3)
    server.rerun(claim)
    assert [request.map_index for request in server.airflow.pins] == [3]


def test_a_rerun_clears_every_failed_index_where_others_of_the_run_failed_too(make: Any) -> None:
    server = make(WAIVED)
    server.airflow.fail(DAG, RUN, TASK, map_index=3)
    claim = server.claimed(server.taken(map_index=3))
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    server.airflow.fail(DAG, RUN, TASK, map_index=5)
    assert server.taken(map_index=5) == claim.session.id
    server.rerun(claim)
    assert [request.map_index for request in server.airflow.pins] == [-1]


@pytest.mark.parametrize("settings", [WAIVED, Settings(approve_before=())])
def test_a_finding_for_a_person_is_never_waived(make: Any, settings: Settings) -> None:
    server = make(settings)
    claim = server.with_fix(findings=(PERSON_FINDING,))
    wait = server.approval(claim)
    assert "deletes a test" in server.airflow.questions[wait.run_id].body
    with pytest.raises(NotAllowed):
        server.rerun(claim)


def test_named_approvers_approve_under_required_actions(make: Any) -> None:
    server = make(BOSSES)
    claim = server.with_fix()
    wait = server.approval(claim)
    question = server.airflow.questions[wait.run_id]
    assert (question.options, question.assigned_users) == (("Approve", "Reject"), ("boss",))
    server.airflow.required_action(wait.run_id, "Approve", user="boss")
    assert server.approval(claim) == approved("boss")
    (row,) = server.store.approvals(claim.session.id)
    assert (row.person, row.via, row.question_id) == ("boss", "required_actions", "q6")


def test_where_approvers_are_named_nobody_else_decides_through_the_api(make: Any) -> None:
    server = make(BOSSES)
    claim = server.with_fix()
    server.approval(claim)
    with pytest.raises(NotAllowed, match="boss"):
        server.service.reply(claim.session.id, ANNA, decision="approve")


def test_without_named_approvers_required_actions_alone_approves_nothing(server: Server) -> None:
    claim = server.with_fix()
    first = server.approval(claim)
    assert server.airflow.questions[first.run_id].options == ("Approved through Agent Fix", "Reject")
    server.airflow.required_action(first.run_id, "Approved through Agent Fix", user="mallory")
    second = server.approval(claim)
    assert isinstance(second, WaitRun)
    assert second.run_id != first.run_id
    assert server.store.approvals(claim.session.id) == []
    with pytest.raises(NotAllowed):
        server.rerun(claim)


def test_a_rejection_counts_wherever_it_is_given(make: Any) -> None:
    here, there = make(), make()
    claim = here.with_fix()
    here.approval(claim)
    here.service.reply(claim.session.id, ANNA, decision="reject", message="Wrong table.")
    assert here.approval(claim, call_id="call-2") == Answer("q6", "reject", "Wrong table.", "anna")
    claim = there.with_fix()
    there.airflow.required_action(there.approval(claim).run_id, "Reject", user="ben")
    assert there.approval(claim).decision == "reject"
    with pytest.raises(NotAllowed):
        there.rerun(claim)


def test_a_rejected_commit_is_asked_for_anew_when_a_person_reopens_the_session(server: Server) -> None:
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, ANNA, decision="reject")
    finish(server, claim, Outcome.REJECTED)
    server.service.message(claim.session.id, ANNA, "I was wrong, run it.")
    claim = server.claimed(claim.session.id, number=2)
    assert isinstance(server.approval(claim), WaitRun)


def test_a_session_that_may_only_propose_reruns_nothing(make: Any) -> None:
    server = make(replace(WAIVED, autonomy=Autonomy.PROPOSE))
    claim = server.with_fix()
    with pytest.raises(NotAllowed, match="propose"):
        server.approval(claim)
    with pytest.raises(NotAllowed, match="propose"):
        server.rerun(claim)


# --- the rerun -------------------------------------------------------------------------------------------------------


def test_a_rerun_asked_for_twice_or_by_a_second_worker_is_one_rerun(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    first = server.rerun(claim)
    second = server.rerun(server.claimed(claim.session.id, try_number=2), call_id="call-2")
    assert first == second
    assert len(server.airflow.pins) == 1
    assert server.kinds(claim.session.id).count("rerun") == 1


def test_a_worker_killed_after_the_pin_and_before_its_record_reruns_nothing_twice(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.airflow.pin(PinRequest(claim.session.id, DAG, RUN, TASK, -1, COMMIT))
    assert facts(server.rerun(claim)) == ("pin", DAG, RUN, COMMIT, (TASK,), -1)
    assert len(server.airflow.pins) == 1


def test_a_worker_that_has_given_the_session_back_reruns_nothing(make: Any) -> None:
    server = make(Settings(allow_unreviewed_reruns=True))
    claim = server.with_fix()
    finish(server, claim, Outcome.PROPOSED)
    with pytest.raises(InvalidTransition, match="needs it running"):
        server.rerun(claim)
    assert server.airflow.pins == []


def test_a_rerun_waits_for_a_failed_run_that_is_still_going(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.airflow.runs[DAG, RUN] = "running"
    assert server.rerun(claim) == WaitRun(DAG, RUN, WaitFor.TASK, "call-1")
    server.airflow.runs[DAG, RUN] = "failed"
    assert isinstance(server.rerun(claim), Rerun)


def test_a_pin_is_told_the_pull_request_for_the_runs_note(make: Any) -> None:
    server, pull = make(WAIVED), "https://github.example/acme/dags/pull/7"
    claim = server.claimed()
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, {**fix_data(), "pull_request": pull}))
    server.rerun(claim)
    assert [one.pull_request for one in server.airflow.pins] == [pull]


def test_a_rerun_is_impossible_without_a_fix(make: Any) -> None:
    server = make(WAIVED)
    with pytest.raises(InvalidTransition, match="open_fix"):
        server.rerun(server.claimed())


# --- ends ------------------------------------------------------------------------------------------------------------


def test_a_message_to_a_done_session_starts_a_follow_up_run(server: Server) -> None:
    claim = server.claimed()
    finish(server, claim)
    taken = server.service.message(claim.session.id, ANNA, "Try the other column.")
    assert taken.state is State.OPEN
    assert server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 2)] == "running"
    follow_up = server.claimed(claim.session.id, number=2)
    assert follow_up.session.worker_run_id == fix_run_id(claim.session.id, 2)


def test_a_finish_that_arrives_twice_ends_the_session_once(server: Server) -> None:
    claim = server.claimed()
    assert finish(server, claim).version == finish(server, claim).version
    assert server.kinds(claim.session.id).count("finished") == 1


def test_a_done_session_is_given_without_a_lease(server: Server) -> None:
    claim = server.claimed()
    finish(server, claim)
    late = server.claimed(claim.session.id, try_number=2)
    assert (late.lease, late.session.state) == ("", State.DONE)
    assert server.kinds(claim.session.id)[-1] == "finished"


def test_a_stop_ends_a_session_nobody_works_on_at_once(server: Server) -> None:
    session = server.service.stop(server.taken(), ANNA, "not now")
    assert (session.state, session.outcome, session.summary) == (State.DONE, Outcome.STOPPED, "Stopped by anna: not now")


def test_a_stop_reaches_the_worker_with_its_next_append(server: Server) -> None:
    claim = server.claimed()
    assert server.service.stop(claim.session.id, ANNA).state is State.RUNNING
    written = server.append(claim, (EventKind.MODEL, model_data()), after=claim.session.last_event)
    assert written[0].kind is EventKind.STOP
    with pytest.raises(InvalidTransition, match="stopped"):
        park(server, claim, WaitRun(DAG, RUN, WaitFor.TASK))
    assert finish(server, claim, Outcome.STOPPED).outcome is Outcome.STOPPED


def test_stopping_a_waiting_session_ends_its_questions_run(server: Server) -> None:
    claim = server.claimed()
    wait = ask(server, claim)
    park(server, claim, wait)
    assert server.service.stop(claim.session.id, ANNA).state is State.DONE
    assert server.airflow.runs[ASK_DAG, wait.run_id] == "success"


@pytest.mark.parametrize("verb", ["stop", "erase"])
def test_the_end_of_a_session_by_a_person_ends_its_pin(make: Any, verb: str) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    park(server, claim, WaitRun(DAG, server.rerun(claim).run_id, WaitFor.RERUN))
    server.airflow.runs[DAG, RUN] = "failed"
    getattr(server.service, verb)(claim.session.id, ANNA)
    assert server.airflow.versions[DAG, RUN] == ORIGINAL
    ended = {"run_id": RUN, "version": ORIGINAL, "reason": "ended"}
    assert server.store.events(claim.session.id)[-1].data == ended


def test_a_pin_is_not_ended_under_a_run_that_is_going(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    park(server, claim, WaitRun(DAG, server.rerun(claim).run_id, WaitFor.RERUN))
    server.service.stop(claim.session.id, ANNA)
    assert server.airflow.versions[DAG, RUN] == COMMIT
    server.airflow.runs[DAG, RUN] = "success"
    server.service.end_pin(claim.session.id, ANNA)
    assert server.airflow.versions[DAG, RUN] == ORIGINAL


def test_erasing_takes_the_content_and_leaves_the_chain(server: Server) -> None:
    claim = server.with_fix()
    server.service.message(claim.session.id, ANNA, "a secret")
    session = server.service.erase(claim.session.id, ANNA)
    assert (session.state, session.summary, session.cause) == (State.DONE, None, None)
    left = {event.kind.value: dict(event.data) for event in server.store.events(claim.session.id) if event.data}
    assert left.pop("policy")["policy"]["autonomy"] == "rerun"
    assert left == {"claimed": {"worker": worker_of(claim.session.id), "login": "agentfix-worker"}}
    assert server.store.broken_link(claim.session.id) is None
    with pytest.raises(SessionConflict):
        server.append(claim, (EventKind.MODEL, model_data()))
    with pytest.raises(InvalidTransition, match="erased"):
        server.service.message(claim.session.id, ANNA, "again")


def test_nothing_left_to_rerun_is_no_endless_wait(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.rerun(claim)
    server.airflow.runs[DAG, RUN] = "success"
    server.append(claim, (EventKind.FIX, fix_data(OTHER_COMMIT)))
    server.airflow.nothing_failed = True
    with pytest.raises(RerunImpossible, match="Nothing is left"):
        server.rerun(claim)


def test_another_persons_name_is_on_what_they_said(server: Server) -> None:
    server.airflow.rights["ben", DAG] = "edit"
    session_id = server.taken()
    server.service.message(session_id, Person("ben"), "hello")
    assert server.store.events(session_id)[-1].actor == "ben"


def test_a_worker_that_has_parked_takes_no_lease_by_asking_what_is_new_so_a_stop_ends_the_session_at_once(server: Server) -> None:
    claim = server.with_fix()
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=server.approval(claim))
    assert server.append(claim) == []
    assert server.service.stop(claim.session.id, ANNA).state is State.DONE

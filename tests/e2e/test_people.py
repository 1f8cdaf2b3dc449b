"""Talk to it: people of different rights answer, approve, reject and stop, while tasks are cleared and Airflow is restarted.

Four sessions at once, so that their waits cost their time once. Fixtures are the steps of the story, in the order of the tests.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from airflow_agentfix.core.questions import question_body
from airflow_agentfix.core.session import EventKind, Outcome, State, WaitFor
from airflow_agentfix.demo.shop import DAG_ID
from airflow_agentfix.errors import AirflowConflict, AirflowForbidden, InvalidTransition, NotAllowed, SessionNotFound
from tests.e2e.production import production
from tests.e2e.talks import DAGS, FILES, OPTIONS, REASON, SUMMARY, Talks, scripted

pytestmark = pytest.mark.e2e

SERVICE = "robot"
USERS = {"admin": "admin", "olga": "op", "uma": "user", SERVICE: "user", "vic": "viewer", "nora": ""}
APPROVERS = f"olga,{SERVICE}"
"""the service login too: what AgentFix wrote it may not approve, named or not"""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    """Four failed runs, four sessions that wait for a person."""
    with (
        scripted() as api,
        production(
            tmp_path_factory.mktemp("people"),
            users=USERS,
            worker=SERVICE,
            files=FILES,
            config={"AGENTFIX__APPROVERS": APPROVERS},
            environment={"ANTHROPIC_API_KEY": api.key, "ANTHROPIC_BASE_URL": api.url},
        ) as here,
    ):
        talks = Talks(here, api)
        for run_id, dag_id in DAGS.items():
            here.until(lambda dag_id=dag_id: here.is_parsed(dag_id), f"{dag_id} is parsed")
            here.deployment.airflow.trigger(dag_id, run_id=run_id, conf={})
        for name in DAGS:
            talks.until_asked(name, times=1)
            talks.until_parked(name)
        yield talks


def test_the_question_is_under_required_actions_word_for_word(asked: Talks):
    shown = asked.here.shown(asked.question("talk"), user="uma")
    assert (shown["subject"], shown["body"], shown["options"]) == (REASON, question_body(SUMMARY), OPTIONS)
    assert shown["body"].endswith(f"\n\n{SUMMARY}")
    assert (asked.session("talk").state, asked.session("talk").waiting_for) == (State.WAITING, WaitFor.PERSON)


def test_while_questions_wait_no_worker_slot_is_held(asked: Talks):
    pool = asked.get("pools", "default_pool")
    assert (pool["occupied_slots"], pool["running_slots"], pool["queued_slots"]) == (0, 0, 0)
    for state in ("running", "queued", "scheduled"):
        assert asked.get("dags", "~", "dagRuns", "~", "taskInstances", state=state)["total_entries"] == 0


@pytest.mark.parametrize(
    ("user", "reads", "acts"), [("vic", 200, 403), ("nora", 404, 404), (None, 401, 401)], ids=["viewer", "no right", "no login"]
)
def test_who_lacks_a_right_is_refused_and_nothing_happens(asked: Talks, user: str | None, reads: int, acts: int):
    before = len(asked.events("talk"))
    assert [asked.status("GET", "talk", route, user=user) for route in ("", "/events", "/audit")] == [reads] * 3
    bodies = {"/continue": {"message": "Rename it"}, "/message": {"message": "Rename it"}, "/stop": {}, "/end-pin": {}}
    assert [asked.status("POST", "talk", route, body, user=user) for route, body in bodies.items()] == [acts] * 4
    assert asked.status("DELETE", "talk", "", user=user) == acts
    assert len(asked.events("talk")) == before


def test_a_viewer_answers_nothing_under_required_actions(asked: Talks):
    with pytest.raises(AirflowForbidden):
        asked.here.answer(asked.question("talk"), OPTIONS[0], user="vic")


def test_who_may_read_no_dag_sees_no_session(asked: Talks):
    assert asked.here.sessions("nora").list() == []
    assert len(asked.here.sessions("vic").list()) == len(DAGS)


def test_who_is_no_approver_stops_a_waiting_session_and_it_is_done_at_once_with_its_question(asked: Talks):
    question = asked.question("stopped")
    assert [one["id"] for one in asked.here.shown(question)["assigned_users"]] == ["olga", SERVICE]
    stopped = asked.here.sessions("uma").stop(asked.session("stopped").id, reason="not today")
    assert (stopped.state, stopped.outcome) == (State.DONE, Outcome.STOPPED)
    assert [(one.actor, one.data["reason"]) for one in asked.events("stopped", EventKind.STOP)] == [("uma", "not today")]
    assert asked.here.ask_state(question) == "success"
    assert asked.here.shown(question)["response_received"] is False


@pytest.fixture(scope="module")
def answered(asked: Talks) -> Talks:
    """One is rejected; the task of one is cleared; all of Airflow is restarted; only then both that asked are answered."""
    asked.here.answer(asked.question("rejected"), "Reject", "not on a Friday", user="olga")
    asked.clear_worker("cleared", user="uma")
    asked.until_parked("cleared", try_number=2)
    asked.here.sessions("uma").message(asked.session("talk").id, "The report is due at nine.")
    asked.here.restart()
    asked.here.answer(asked.question("talk"), OPTIONS[0], "only the call, please", user="uma")
    done = asked.here.agentfix("continue", asked.session("cleared").id, "--answer", OPTIONS[0], user="olga")
    assert done.returncode == 0, done.stderr
    for name in ("talk", "cleared"):
        asked.until_asked(name, times=2)
    return asked


def test_the_answer_who_gave_it_and_what_was_said_meanwhile_reach_the_model_after_a_restart_of_all_of_airflow(answered: Talks):
    before, after = answered.asked_of_model("talk")[:2]
    assert after[: len(before)] == before
    assert after[-1]["content"] == [
        {
            "type": "tool_result",
            "tool_use_id": "t1",
            "content": "uma answered (answer): Rename it: only the call, please",
            "is_error": False,
        },
        {"type": "text", "text": "Note from uma: The report is due at nine."},
    ]
    (answer,) = answered.events("talk", EventKind.ANSWER)
    assert (answer.actor, answer.data["via"]) == ("uma", "required_actions")


def test_a_rejection_under_required_actions_ends_the_session_and_nothing_runs(answered: Talks):
    session = answered.here.done("rejected")
    assert session.outcome is Outcome.REJECTED
    assert "not on a Friday" in str(session.summary)
    assert answered.here.run_state("rejected", DAGS["rejected"]) == "failed"
    assert answered.here.tasks("rejected", DAGS["rejected"])["halve"].try_number == 1
    assert answered.events("rejected", EventKind.RERUN) == []


def test_a_session_whose_task_was_cleared_while_it_waited_asks_nothing_twice(answered: Talks):
    assert [one.data["about"] for one in answered.events("cleared", EventKind.QUESTION)] == ["question", "approval"]
    (answer,) = answered.events("cleared", EventKind.ANSWER)
    assert (answer.actor, answer.data["via"]) == ("olga", "api")
    assert len(answered.asked_of_model("cleared")) == 4


def test_a_second_answer_changes_nothing(answered: Talks):
    question = answered.events("talk", EventKind.QUESTION)[0].data
    with pytest.raises(AirflowConflict):
        answered.here.answer(question, OPTIONS[1], user="olga")
    assert len(answered.events("talk", EventKind.ANSWER)) == 1


def test_only_an_approver_approves_and_the_service_login_does_not_though_it_is_one(answered: Talks):
    session, question = answered.session("talk"), answered.question("talk")
    for name in ("vic", "uma", "admin", SERVICE):
        with pytest.raises(NotAllowed):
            answered.here.sessions(name).reply(session.id, decision="approve", message="fine")
    with pytest.raises(SessionNotFound):
        answered.here.sessions("nora").reply(session.id, decision="approve", message="fine")
    with pytest.raises(AirflowForbidden):
        answered.here.answer(question, "Approve", user="uma")
    assert answered.events("talk", EventKind.APPROVAL) == []
    assert answered.here.run_state("talk") == "failed"


def test_the_approval_under_required_actions_shows_the_commit_and_its_diff(answered: Talks):
    question, session = answered.question("cleared"), answered.session("cleared")
    shown = answered.here.shown(question)
    assert (shown["subject"], shown["body"]) == (question["subject"], question["body"])
    assert str(session.fix_commit) in shown["body"]
    assert "+    return value / 2" in shown["body"]


@pytest.fixture(scope="module")
def approved(answered: Talks) -> Talks:
    """Olga approves one commit over REST and one under Required Actions, and the sessions end."""
    answered.here.sessions("olga").reply(answered.session("talk").id, decision="approve", message="looks right")
    answered.here.answer(answered.question("cleared"), "Approve", user="olga")
    for name in ("talk", "cleared"):
        answered.here.done(name)
    return answered


@pytest.mark.parametrize(("name", "via"), [("talk", "api"), ("cleared", "required_actions")])
def test_an_approvers_yes_runs_that_commit_and_the_run_is_green(approved: Talks, name: str, via: str):
    session = approved.here.done(name)
    assert session.outcome is Outcome.FIXED
    assert approved.here.run_state(name, DAGS[name]) == "success"
    (approval,) = approved.events(name, EventKind.APPROVAL)
    assert (approval.actor, approval.data["via"]) == ("olga", via)
    assert (approval.data["decision"], approval.data["commit"]) == ("approve", session.fix_commit)
    with pytest.raises(InvalidTransition):
        approved.here.sessions("olga").reply(session.id, decision="reject", message="no, wait")
    questions = [one.data for one in approved.events(name, EventKind.QUESTION)]
    assert [approved.here.ask_state(question) for question in questions] == ["success", "success"]


def test_nothing_was_done_twice(approved: Talks):
    fixes = {name: str(approved.session(name).fix_branch) for name in DAGS}
    assert sorted(approved.here.branches()) == sorted(["main", *fixes.values()])
    for branch in fixes.values():
        assert approved.here.origin.git("rev-list", "--count", f"main..{branch}") == "1"
    for name, turns in (("talk", 5), ("cleared", 5), ("stopped", 3), ("rejected", 3)):
        assert len(approved.asked_of_model(name)) == approved.session(name).usage.turns == turns
    assert {name: approved.worker(name)["state"] for name in DAGS} == dict.fromkeys(DAGS, "success")
    for name in ("talk", "cleared"):
        assert [len(approved.events(name, kind)) for kind in (EventKind.FIX, EventKind.RERUN, EventKind.FINISHED)] == [1, 1, 1]
    assert {name: task.try_number for name, task in approved.here.tasks("talk").items()} == {
        "extract_orders": 1,
        "sum_revenue": 2,
        "publish_report": 1,
    }


def test_the_events_name_who_did_what(approved: Talks):
    persons = [(event.kind, event.actor) for event in approved.events("talk") if event.actor not in ("worker", "server")]
    assert persons == [
        (EventKind.NOTE, "uma"),
        (EventKind.ANSWER, "uma"),
        (EventKind.ANSWER, "olga"),
        (EventKind.APPROVAL, "olga"),
    ]
    assert {event.data["login"] for event in approved.events("talk", EventKind.CLAIMED)} == {SERVICE}


def test_the_rerun_left_its_mark_in_airflows_audit_log_and_on_the_run(approved: Talks):
    session = approved.session("talk")
    (logged,) = approved.get("eventLogs", dag_id=DAG_ID, run_id="talk", event="agentfix_pin")["event_logs"]
    extra = json.loads(logged["extra"])
    assert (extra["session_id"], extra["commit"]) == (session.id, session.fix_commit)
    note = approved.get("dags", DAG_ID, "dagRuns", "talk")["note"]
    assert session.id in note
    assert str(session.fix_commit)[:12] in note


def test_a_message_continues_the_finished_session_in_a_new_run_with_the_same_history(approved: Talks):
    session, before = approved.here.done("talk"), approved.asked_of_model("talk")[-1]
    told = approved.here.agentfix("continue", session.id, "--message", "Does anybody else call it?", user="uma")
    assert told.returncode == 0, told.stderr
    approved.here.until(lambda: len(approved.events("talk", EventKind.FINISHED)) == 2, "it ended again")

    again = approved.session("talk")
    assert (again.outcome, again.usage.turns) == (Outcome.FIXED, 6)
    assert again.worker_run_id != session.worker_run_id
    after = approved.asked_of_model("talk")[-1]
    assert after[: len(before)] == before
    assert after[-1]["content"][-1] == {"type": "text", "text": "Note from uma: Does anybody else call it?"}


def test_audit_verify_says_ok_and_names_an_event_that_was_changed_in_the_database(approved: Talks):
    session = approved.session("cleared")
    whole = approved.here.agentfix("audit", "verify", session.id, user="vic")
    assert (whole.returncode, whole.stdout.split(",")[0]) == (0, f"{session.id}  ok")
    (approval,) = approved.events("cleared", EventKind.APPROVAL)
    with closing(sqlite3.connect(approved.here.deployment.standalone.database)) as database, database:
        changed = database.execute(
            "update agentfix_event set data = replace(data, 'approve', 'reject') where session_id = ? and number = ?",
            (session.id, approval.number),
        )
        assert changed.rowcount == 1
    broken = approved.here.agentfix("audit", "verify", session.id, user="vic")
    assert broken.returncode == 3
    assert f"BROKEN at event {approval.number} of" in broken.stdout

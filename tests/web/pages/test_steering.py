"""What people do on a session's page, over HTTP: the use cases' refusals are notices, and the page is brought up to date."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.session import EventKind, State
from tests.fakes.api_server import ApiServer
from tests.fakes.server import ANNA, COMMIT, DAG, RUN, Server
from tests.web.pages import world
from tests.web.pages.test_session import numbers, parts_of, tag_of
from tests.web.pages.world import Browser


def question_of(server: Server, session_id: str) -> str:
    return str(server.store.events(session_id, kinds=(EventKind.QUESTION,))[-1].data["question_id"])


def test_approving_approves_the_commit_and_the_next_poll_tells_the_others(api: ApiServer, server: Server):
    session_id = world.waiting_for_approval(server).session.id
    own, other = Browser(api, session_id), Browser(api, session_id, "agentfix-worker")
    page = other.get()
    html = own.post("/reply", question_id=question_of(server, session_id), decision="approve", message="Looks right.")
    assert "anna approved it." in html
    assert "It was answered, and goes on" in own.get()
    (approval,) = server.store.approvals(session_id)
    assert (approval.person, approval.commit, approval.decision) == ("anna", COMMIT, "approve")
    told = other.get("/live", after=numbers(page)[-1], etag=tag_of(page))
    assert "asks" in parts_of(told)
    assert "anna approved it." in told
    assert "What you had typed" in told
    assert "What you had typed" not in html


def test_of_two_people_the_first_answer_counts_and_the_second_is_told_so(api: ApiServer, server: Server):
    server.airflow.rights["ben", DAG] = "edit"
    session_id = world.waiting_for_approval(server).session.id
    question_id = question_of(server, session_id)
    Browser(api, session_id).post("/reply", question_id=question_id, decision="reject")
    told = Browser(api, session_id, "ben").post("/reply", question_id=question_id, decision="approve", status=409)
    assert "that one counts" in told
    assert "notice" in told
    assert [one.decision for one in server.store.approvals(session_id)] == ["reject"]


def test_an_option_is_the_answer_and_what_was_written_beside_it_goes_with_it(api: ApiServer, server: Server):
    session_id = world.waiting_for_answer(server).session.id
    Browser(api, session_id).post("/reply", question_id=question_of(server, session_id), option="Net", message="since June")
    (answer,) = server.store.events(session_id, kinds=(EventKind.ANSWER,))
    assert (answer.actor, answer.data["message"]) == ("anna", "Net: since June")
    (given,) = server.airflow.answers.values()
    assert given.option == "Net"


def test_an_answer_without_words_is_refused(api: ApiServer, server: Server):
    session_id = world.waiting_for_answer(server).session.id
    told = Browser(api, session_id).post("/reply", question_id=question_of(server, session_id), status=422)
    assert "answer it with a message" in told


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/reply", {"question_id": "q1", "decision": "approve"}),
        ("/message", {"message": "hello"}),
        ("/stop", {"reason": "no"}),
        ("/end-pin", {}),
        ("/recover", {}),
    ],
)
def test_who_may_only_read_is_refused(api: ApiServer, server: Server, path: str, form: dict[str, str]):
    session_id = world.waiting_for_approval(server).session.id
    before = server.store.get(session_id)
    assert "may not edit runs" in Browser(api, session_id, "reader").post(path, status=403, **form)
    Browser(api, session_id, "stranger").post(path, status=404, **form)
    assert server.store.get(session_id) == before


def test_a_message_is_a_note_and_empties_the_box(api: ApiServer, server: Server):
    claim = world.at_work(server)
    html = Browser(api, claim.session.id).post("/message", message=" The column was renamed. ")
    assert "with its next step" in html
    assert '<textarea id="tell"' in html
    (note,) = server.store.events(claim.session.id, kinds=(EventKind.NOTE,))
    assert (note.actor, note.data["message"]) == ("anna", "The column was renamed.")
    assert "nothing to tell" in Browser(api, claim.session.id).post("/message", message="  ", status=422)


def test_a_message_to_a_done_session_goes_on_in_a_new_run(api: ApiServer, server: Server):
    session_id = world.reported(server).session.id
    assert "new run" in Browser(api, session_id).post("/message", message="Look again.")
    stored = server.store.get(session_id)
    assert stored is not None
    assert (stored.session.state, stored.runs) == (State.OPEN, 2)


def test_stopping_ends_a_session_that_waits(api: ApiServer, server: Server):
    session_id = world.waiting_for_approval(server).session.id
    assert "It is stopped." in Browser(api, session_id).post("/stop", reason="rolled back")
    assert server.service.get(session_id, ANNA).outcome == "stopped"
    html = Browser(api, session_id).get()
    assert "Stop the session" not in html
    assert 'id="asks"' in html
    assert "Approve running" not in html


def test_a_pin_is_ended_where_there_is_one(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    browser = Browser(api, session_id)
    assert "Take the run off the fix commit" in browser.get()
    assert "off the fix commit" in browser.post("/end-pin")
    assert server.airflow.versions[DAG, RUN] != COMMIT
    html = browser.get()
    assert "Take the run off the fix commit" not in html
    assert "a person wanted it" in html
    assert "keeps no run" in browser.post("/end-pin", status=409)


def test_the_failed_runs_of_a_merged_fix_are_recovered(api: ApiServer, server: Server):
    session_id = world.fixed(server).session.id
    browser = Browser(api, session_id)
    browser.post("/end-pin")
    server.airflow.fail(DAG, RUN, "load", try_number=1)
    assert RUN in browser.post("/recover")

"""The tab of a DAG run, asked over HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import SERVER, EventKind, Outcome, State, WaitFor
from airflow_agentfix.store.record import Change, Draft
from airflow_agentfix.web.pages.run import RECOVERIES
from tests.fakes.api_server import ApiServer
from tests.fakes.server import COMMIT, DAG, RUN, TASK, WORKER, Server
from tests.store.test_listing import FIXED, put
from tests.web.pages.test_inbox import plain, tag_in
from tests.web.pages.visitor import HTMX, Visitor


@pytest.fixture
def anna(api: ApiServer) -> Visitor:
    return Visitor(api, "anna")


def tab(visitor: Visitor, dag_id: str = DAG, run_id: str = RUN, **headers: str) -> Any:
    return visitor.get("/run", params={"dag_id": dag_id, "run_id": run_id}, headers=headers)


def rows(text: str) -> list[str]:
    return [plain(row) for row in re.findall(r"<tr>.*?</tr>", text, re.S)][1:]


def done(server: Server, session_id: str, *drafts: tuple[EventKind, Mapping[str, Any]]) -> None:
    """What the server would have written into the session."""
    stored = server.store.get(session_id)
    assert stored is not None
    server.service.desk.save(stored, *(Draft(kind, SERVER, data) for kind, data in drafts))


def rerun_data(**changes: Any) -> dict[str, Any]:
    own = {"way": "pin", "reason": "", "dag_id": DAG, "run_id": RUN, "commit": COMMIT, "task_ids": [TASK], "map_index": -1}
    return {**own, "original_version": "0" * 40, **changes}


def recovery_data(state: RunState, reason: str = "") -> dict[str, Any]:
    return {"run_id": RUN, "state": state.value, "task_ids": [TASK], "reason": reason, "by": "triage"}


# --- whose each failed task is ---------------------------------------------------------------------------------------


def test_a_failed_task_leads_to_its_session_or_to_where_one_is_started(server: Server, anna: Visitor) -> None:
    server.airflow.fail(DAG, RUN, "publish")
    session_id = server.taken()
    text = tab(anna).text
    mine, nobodys = rows(text)
    assert (mine.split()[:2], "Looking for the cause" in mine) == ([TASK, "failed"], True)
    assert f'href="/agentfix/sessions/{session_id}"' in text
    assert ("no session" in nobodys, "start one" in nobodys) == (True, True)
    assert f'href="/dags/{DAG}/runs/{RUN}/tasks/publish/plugin/agentfix_task" data-out' in text
    assert "2 failed tasks" in plain(text)


def test_instances_of_a_mapped_task_that_stand_alike_are_one_row(server: Server, anna: Visitor) -> None:
    for index in range(114):
        server.airflow.fail(DAG, RUN, "rows", map_index=index)
    server.taken(task_id="rows", map_index=7)
    told = rows(tab(anna).text)
    assert len(told) == 3  # the unmapped task of the fixture, too
    assert any("rows 113 of its instances: 0, 1, 2, 3, 4, 5 …" in row and "no session" in row for row in told)
    assert any(row.startswith("rows [7] failed") for row in told)
    assert f"/runs/{RUN}/tasks/rows/mapped/0/plugin/agentfix_task" in tab(anna).text


def test_a_failure_that_was_given_to_a_session_of_another_run_leads_there_and_to_the_duplicate(
    server: Server, anna: Visitor
) -> None:
    other = put(server, "elsewhere", run_id="sunday", cause="KeyError: 'amount'")
    put(server, "duplicate", run_id=RUN, state=State.DONE, outcome=Outcome.DUPLICATE)
    server.store.write(Change(other, other, failures=[TaskRef(DAG, RUN, TASK, 1)]))
    text = tab(anna).text
    (row,) = rows(text)
    for words in ("KeyError: 'amount'", "Same cause as in run sunday", "first looked at here"):
        assert words in row
    assert ('href="/agentfix/sessions/elsewhere"' in text, 'href="/agentfix/sessions/duplicate"' in text) == (True, True)


def test_a_task_that_is_mended_is_still_told_and_comes_last(server: Server, anna: Visitor) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, **FIXED)
    server.airflow.tasks[DAG, RUN, TASK, -1] = TaskFacts(TASK, -1, 2, "success")
    server.airflow.fail(DAG, RUN, "later")
    first, last = rows(tab(anna).text)
    assert (first.split()[0], last.split()[:2]) == ("later", [TASK, "success"])


# --- rerun, pin, recovery --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "words"), [("running", "is running"), ("success", "is green"), ("failed", "failed")])
def test_while_the_run_is_on_a_fix_commit_the_tab_says_so_and_what_ends_it(
    server: Server, anna: Visitor, state: str, words: str
) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, **FIXED)
    done(server, "s1", (EventKind.RERUN, rerun_data()))
    server.airflow.runs[DAG, RUN] = state
    told = plain(tab(anna).text)
    assert f"This run is on fix commit {COMMIT[:12]}" in told
    assert "To have that at once, take it off on the session's page." in told
    assert f"rerun on the fix {words}" in told
    done(server, "s1", (EventKind.PIN_ENDED, {"run_id": RUN, "version": "0" * 40, "reason": "merged"}))
    assert "is on fix commit" not in plain(tab(anna).text)


def test_a_rerun_in_a_run_of_its_own_is_linked(server: Server, anna: Visitor) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, **FIXED)
    preview = {"way": "preview", "dag_id": "orders.fix-a", "run_id": "agentfix__s1__rerun_cc"}
    done(server, "s1", (EventKind.RERUN, rerun_data(**preview)))
    text = tab(anna).text
    assert 'href="/dags/orders.fix-a/runs/agentfix__s1__rerun_cc" data-out' in text
    assert "rerun on the fix is gone" in plain(text)
    assert "is on fix commit" not in plain(text)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (RunState.STARTED, "recovery is going"),
        (RunState.GREEN, "recovered with the merged fix"),
        (RunState.FAILED, "recovery failed"),
        (RunState.LEFT, "left alone by the recovery"),
    ],
)
def test_what_the_recovery_did_to_the_run_is_told_with_its_reason(
    server: Server, anna: Visitor, state: RunState, words: str
) -> None:
    put(server, "s1", run_id="sunday", task_id=TASK, **FIXED)
    stored = server.store.get("s1")
    assert stored is not None
    server.store.write(Change(stored, stored, failures=[TaskRef(DAG, RUN, TASK, 1)]))
    done(server, "s1", (EventKind.RECOVERY, recovery_data(state, "because <b>so</b>")))
    (row,) = rows(tab(anna).text)
    assert words in row
    assert "because <b>so</b>" in row


def test_every_state_of_a_recovery_that_is_written_down_has_its_words() -> None:
    assert set(RunState) - set(RECOVERIES) == {RunState.DUE, RunState.WAITING}


# --- AgentFix's own runs ---------------------------------------------------------------------------------------------


def test_a_run_of_agentfixs_own_dags_says_what_it_is_and_whose(server: Server, anna: Visitor, api: ApiServer) -> None:
    session_id = server.taken()
    for dag_id, run_id, words in (
        ("agentfix_fix", f"agentfix__{session_id}__1", "works in this run"),
        ("agentfix_ask", f"agentfix__{session_id}__q7", "shows a question"),
        ("agentfix_triage", "scheduled__1", "The triage of Agent Fix"),
    ):
        server.airflow.rights |= {("anna", dag_id): "read", ("outsider", dag_id): "read"}
        text = tab(anna, dag_id, run_id).text
        assert words in plain(text)
        assert (f"/sessions/{session_id}" in text) is (session_id in run_id)
        assert f"/sessions/{session_id}" not in tab(Visitor(api, "outsider"), dag_id, run_id).text


def test_a_previews_run_leads_to_the_session_only_where_that_has_it_on_record(server: Server, anna: Visitor) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, **FIXED)
    dag_id, run_id = "orders.fix-a", "agentfix__s1__rerun_cc"
    done(server, "s1", (EventKind.RERUN, rerun_data(way="preview", dag_id=dag_id, run_id=run_id)))
    server.airflow.rights["anna", dag_id] = "read"
    server.airflow.tags[dag_id] = ("agentfix", f"agentfix:{COMMIT}")
    for run, is_linked in ((run_id, True), ("agentfix__s1__rerun_dd", False), ("manual__1", False)):
        server.airflow.fail(dag_id, run, TASK)
        text = tab(anna, dag_id, run).text
        assert "is the preview of a fix" in plain(text)
        assert ('href="/agentfix/sessions/s1"' in text) is is_linked


def test_a_rerun_in_the_dag_itself_says_what_it_is(server: Server, anna: Visitor) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, **FIXED)
    run_id = "agentfix__s1__rerun_cc"
    done(server, "s1", (EventKind.RERUN, rerun_data(way="conf", run_id=run_id, original_version=None)))
    assert "This run is the rerun of a fix" in plain(tab(anna, run_id=run_id).text)
    assert "rerun of a fix" not in plain(tab(anna, run_id="agentfix__s1__rerun_dd").text)


# --- states, rights, liveness ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "words"),
    [("success", "Nothing failed in this run"), ("running", "Nothing has failed so far"), (None, "Airflow has no such run")],
)
def test_a_run_without_failures_says_so(server: Server, anna: Visitor, state: str | None, words: str) -> None:
    if state:
        server.airflow.runs[DAG, "fine"] = state
    assert words in plain(tab(anna, run_id="fine").text)


def test_without_the_right_to_read_the_dag_nothing_of_the_run_is_told(server: Server, api: ApiServer) -> None:
    server.taken()
    answer = tab(Visitor(api, "stranger"))
    assert (answer.status_code, "may not read runs" in plain(answer.text), rows(answer.text)) == (403, True, [])


def test_the_tab_follows_the_run_and_the_sessions_and_is_silent_meanwhile(server: Server, anna: Visitor) -> None:
    session_id = server.taken()
    text = tab(anna).text
    assert 'hx-trigger="agentfix:poll from:body"' in text
    known = {**HTMX, "If-None-Match": tag_in(text)}
    assert (tab(anna, **known).status_code, tab(anna, **known).text) == (304, "")
    server.airflow.tasks[DAG, RUN, TASK, -1] = TaskFacts(TASK, -1, 2, "running")
    told = tab(anna, **known)
    assert (told.status_code, "<html" in told.text) == (200, False)
    known = {**HTMX, "If-None-Match": tag_in(told.text)}
    server.service.stop(session_id, WORKER)
    told = tab(anna, **known)
    assert "stopped" in plain(told.text)
    assert 'hx-trigger="agentfix:slow from:body"' in told.text


def test_a_session_that_waits_for_a_person_is_told_so_on_the_tab(server: Server, anna: Visitor) -> None:
    put(server, "s1", run_id=RUN, task_id=TASK, state=State.WAITING, waiting_for=WaitFor.PERSON)
    assert "waits for a person" in rows(tab(anna).text)[0]


def test_names_that_others_chose_are_text(server: Server, anna: Visitor) -> None:
    run_id, task_id = "r<script>alert(1)</script>", "t\"'><img src=x>"
    server.airflow.fail(DAG, run_id, task_id)
    put(server, "s1", run_id=run_id, task_id=task_id, cause="<svg onload=alert(1)>")
    text = tab(anna, run_id=run_id).text
    assert len(rows(text)) == 1
    for evil in ("<script>alert", "<img", "<svg"):
        assert evil not in text

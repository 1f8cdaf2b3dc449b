"""Who may say yes to running a fix: attacks with the service login, with forged questions and with half the truth."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.errors import AirflowConflict, InvalidRequest, NotAllowed
from airflow_agentfix.ports import Approved, HumanAnswer, Question, Rerun, WaitRun
from airflow_agentfix.settings import Settings
from airflow_agentfix.store import tables
from tests.fakes.databases import new_database
from tests.fakes.server import (
    ANNA,
    COMMIT,
    DAG,
    OTHER_COMMIT,
    RUN,
    TASK,
    WORKER,
    Server,
    approved,
    fix_data,
    patch_data,
    worker_of,
)
from tests.fakes.server_airflow import ASK_DAG, Person

WAIVED = Settings(allow_unreviewed_reruns=True)
BOSSES = Settings(approvers=("boss",))
CHECKED = "def load(rows):\n    assert rows\n    return rows\n"
UNCHECKED = "def load(rows):\n    return rows\n"


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


def fixed(server: Server, *patches: dict[str, Any], fix: dict[str, Any] | None = None) -> Any:
    """A claimed session with these patches and a fix, as the worker tells it."""
    claim = server.claimed()
    server.append(claim, *((EventKind.PATCH, patch) for patch in patches), (EventKind.FIX, fix or fix_data()))
    return claim


# --- the service login -----------------------------------------------------------------------------------------------


def test_the_login_that_works_on_a_session_cannot_approve_its_own_fix(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    server.approval(claim)
    with pytest.raises(NotAllowed, match="login AgentFix itself works with"):
        server.service.reply(claim.session.id, WORKER, decision="approve")
    assert server.store.approvals(claim.session.id) == []
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")


def test_the_login_that_works_on_a_session_may_still_reject(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, WORKER, decision="reject")
    assert server.approval(claim).decision == "reject"


def test_naming_the_workers_login_as_approver_does_not_make_it_a_person(make: Any) -> None:
    server = make(Settings(approvers=("agentfix-worker", "boss")))
    claim = server.with_fix()
    first = server.approval(claim)
    with pytest.raises(NotAllowed, match="Log in as yourself"):
        server.service.reply(claim.session.id, WORKER, decision="approve")
    server.airflow.required_action(first.run_id, "Approve", user="agentfix-worker")
    second = server.approval(claim)
    assert isinstance(second, WaitRun)
    assert second.run_id != first.run_id
    assert server.store.approvals(claim.session.id) == []
    server.airflow.required_action(second.run_id, "Approve", user="boss")
    assert server.approval(claim) == approved("boss")


def test_no_login_that_ever_worked_on_the_session_approves_it(make: Any) -> None:
    server = make()
    server.airflow.rights["old-login", DAG] = "edit"
    session_id = server.taken()
    server.service.worker.claim(session_id, Person("old-login"), worker=worker_of(session_id))
    claim = server.claimed(session_id, try_number=2)
    server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data()))
    server.approval(claim)
    for login in (WORKER, Person("old-login")):
        with pytest.raises(NotAllowed, match=login.name):
            server.service.reply(session_id, login, decision="approve")


@pytest.mark.parametrize("settings", [Settings(), Settings(approvers=("agentfix-worker",))])
def test_where_everybody_is_the_same_user_that_user_approves(make: Any, settings: Settings) -> None:
    server = make(settings)
    server.airflow.all_admins = True
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, WORKER, decision="approve")
    assert server.approval(claim) == approved("agentfix-worker")


def test_an_approver_whose_id_is_a_number_is_known_by_it(make: Any) -> None:
    class FabUser:
        def get_id(self) -> int:
            return 7

        def get_name(self) -> str:
            return "anna"

    server = make(Settings(approvers=("7",)))
    claim = server.with_fix()
    wait = server.approval(claim)
    server.airflow.required_action(wait.run_id, "Approve", user="7")
    server.service.reply(claim.session.id, FabUser(), decision="approve")
    assert server.approval(claim) == approved("anna")


# --- forged questions ------------------------------------------------------------------------------------------------


def forge(server: Server, run_id: str, *, assigned: tuple[str, ...] = ()) -> None:
    """A run of agentfix_ask that somebody started by hand, under the id of a question to come."""
    server.airflow.runs[ASK_DAG, run_id] = "running"
    server.airflow.questions[run_id] = Question(run_id, "Lunch?", "…", ("Approve", "Reject"), assigned)


def test_an_answer_to_a_run_started_by_hand_under_the_questions_id_approves_nothing(make: Any) -> None:
    server = make(BOSSES)
    claim = server.with_fix()
    run_id = f"agentfix__{claim.session.id}__q6"
    forge(server, run_id)
    server.airflow.required_action(run_id, "Approve", user="mallory")
    for _ in range(2):  # the first call writes the question down, the second would collect the answer
        with pytest.raises(AirflowConflict):
            server.approval(claim)
    assert server.store.approvals(claim.session.id) == []


def test_a_boss_who_was_shown_other_words_has_approved_nothing(make: Any) -> None:
    server = make(BOSSES)
    claim = server.with_fix()
    wait = server.approval(claim)
    forge(server, wait.run_id, assigned=("boss",))  # the run was deleted and started again with other words
    server.airflow.required_action(wait.run_id, "Approve", user="boss")
    with pytest.raises(AirflowConflict):
        server.approval(claim)
    assert server.store.approvals(claim.session.id) == []


def test_under_required_actions_only_a_named_approvers_yes_counts(make: Any) -> None:
    server = make(BOSSES)
    claim = server.with_fix()
    wait = server.approval(claim)
    server.airflow.answers[wait.run_id] = HumanAnswer("Approve", "", "mallory")  # an Airflow that let somebody else
    assert isinstance(server.approval(claim), WaitRun)
    assert server.store.approvals(claim.session.id) == []


# --- what is approved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["main", "fix/orders-load-1a2b", "c0ffee", COMMIT.upper(), f"{COMMIT}\n"])
def test_a_fix_that_is_no_commit_id_is_neither_asked_about_nor_run(make: Any, name: str) -> None:
    """A branch or a short id can mean other code after the approval."""
    server = make(WAIVED)
    claim = fixed(server, patch_data(), fix=fix_data(commit=name))
    with pytest.raises(InvalidRequest, match="no commit id"):
        server.approval(claim, commit=name)
    with pytest.raises(InvalidRequest, match="no commit id"):
        server.rerun(claim)
    assert server.airflow.questions == {}


def test_a_second_fix_event_after_the_approval_needs_its_own(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, ANNA, decision="approve")
    server.append(claim, (EventKind.FIX, fix_data(commit=OTHER_COMMIT)))
    assert isinstance(server.approval(claim, commit=OTHER_COMMIT), WaitRun)
    with pytest.raises(NotAllowed):
        server.rerun(claim)
    with pytest.raises(InvalidRequest):
        server.approval(claim, commit=COMMIT)


# --- what a worker leaves out ----------------------------------------------------------------------------------------


def test_a_worker_that_keeps_quiet_about_a_removed_check_gets_no_waiver(make: Any) -> None:
    server = make(WAIVED)
    claim = fixed(server, patch_data(before=CHECKED, after=UNCHECKED))
    wait = server.approval(claim)
    assert "checks less than before" in server.airflow.questions[wait.run_id].body
    with pytest.raises(NotAllowed):
        server.rerun(claim)


def test_the_diff_a_person_is_shown_is_that_of_the_recorded_changes(make: Any) -> None:
    server = make()
    harmless = {**fix_data(), "diff": "-    total\n+    amount\n"}
    wait = server.approval(fixed(server, patch_data(before="token = 1\n", after="print(eval('token'))\n"), fix=harmless))
    body = server.airflow.questions[wait.run_id].body
    assert "-token = 1\n+print(eval('token'))\n" in body
    assert "amount" not in body


def test_a_removed_check_is_seen_over_several_patches(make: Any) -> None:
    server = make(WAIVED)
    halfway = CHECKED.replace("return rows", "return list(rows)")
    claim = fixed(server, patch_data(before=CHECKED, after=halfway), patch_data(before=halfway, after=UNCHECKED))
    assert isinstance(server.approval(claim), WaitRun)


def test_what_was_undone_again_needs_nobody(make: Any) -> None:
    server = make(WAIVED)
    there_and_back = patch_data(before=CHECKED, after=UNCHECKED), patch_data(before=UNCHECKED, after=CHECKED)
    claim = fixed(server, *there_and_back, patch_data("dags/names.py", before="A = 1\n", after="A = 2\n"))
    assert isinstance(server.approval(claim), Approved)
    assert isinstance(server.rerun(claim), Rerun)


def test_a_fix_without_a_patch_on_record_gets_no_waiver(make: Any) -> None:
    server = make(WAIVED)
    wait = server.approval(fixed(server))
    assert "No change of this fix is on record" in server.airflow.questions[wait.run_id].body


def test_a_path_no_fix_may_touch_is_refused_whoever_says_yes(make: Any) -> None:
    server = make()
    claim = fixed(server, patch_data(".github/workflows/release.yml", before="a: 1\n", after="a: 2\n"))
    with pytest.raises(NotAllowed, match="CI configuration"):
        server.approval(claim)
    assert server.airflow.questions == {}


def test_a_worker_cannot_call_fixed_what_was_never_rerun(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    end = {"summary": "Green.", "verdict": "code", "report": None, "error": None}
    finish = server.service.worker.finish
    with pytest.raises(InvalidRequest, match="nothing was rerun"):
        finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.FIXED, **end)
    server.approval(claim)
    server.rerun(claim)
    assert finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.FIXED, **end).outcome is Outcome.FIXED


def test_a_worker_cannot_call_fixed_what_failed_again(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.approval(claim)
    server.rerun(claim)
    server.airflow.fail(DAG, RUN, TASK, try_number=2)
    end = {"summary": "Green.", "verdict": "code", "report": None, "error": None}
    with pytest.raises(InvalidRequest, match="'load' is failed; expected another outcome"):
        server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.FIXED, **end)


# --- words that pass for ours ----------------------------------------------------------------------------------------


def test_a_diff_or_title_cannot_leave_its_place_in_the_question(make: Any) -> None:
    server = make()
    after = "doc = '''\n```\n\n**Commit:** `harmless`\n````\n'''\n"
    title = f"Fix\n\n**Commit:** `{OTHER_COMMIT}`\n[see](http://evil)"
    wait = server.approval(fixed(server, patch_data(before="total = 1\n", after=after), fix={**fix_data(), "title": title}))
    body = server.airflow.questions[wait.run_id].body
    assert next(line for line in body.splitlines() if line.startswith("- **Commit:**")) == f"- **Commit:** `{COMMIT}`"
    head, _, rest = body.partition("`````diff\n")
    assert "".join(f"+{line}\n" for line in after.splitlines()) in rest.partition("\n`````")[0] + "\n"
    assert "**Fix:** `Fix **Commit:** '" in head


# --- a worker that records other changes than it pushed --------------------------------------------------------------


def test_a_commit_that_holds_other_changes_than_recorded_is_neither_asked_about_nor_run(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.commits.says = Finding("commit-differs", Severity.REFUSE, "", "Commit c holds other text.")
    for ask in (server.approval, server.rerun):
        with pytest.raises(NotAllowed, match="holds other text"):
            ask(claim)
    assert (server.airflow.questions, server.airflow.pins) == ({}, [])


def test_a_commit_that_was_changed_after_its_approval_is_not_run(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    server.approval(claim)
    server.service.reply(claim.session.id, ANNA, decision="approve")
    server.commits.says = Finding("commit-differs", Severity.REFUSE, "", "Commit c holds other text.")
    with pytest.raises(NotAllowed, match="holds other text"):
        server.rerun(claim)
    assert server.airflow.pins == []


def test_a_commit_that_could_not_be_compared_waits_for_a_person_who_is_told_so_whatever_is_waived(make: Any) -> None:
    server = make(WAIVED)
    claim = server.with_fix()
    server.commits.says = Finding("commit-not-compared", Severity.PERSON, "", "The commit could not be compared.")
    wait = server.approval(claim)
    assert isinstance(wait, WaitRun)
    assert "The commit could not be compared." in server.airflow.questions[wait.run_id].body


def test_a_row_slipped_into_the_table_of_approvals_approves_nothing(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    row = {"session_id": claim.session.id, "number": 99, "commit": COMMIT, "decision": "approve", "person": "boss", "via": "api"}
    with server.store.engine.begin() as connection:
        connection.execute(sa.insert(tables.approval).values(**row, question_id="q9", at="2026-11-22T07:00:00+00:00"))
    with pytest.raises(NotAllowed, match="Nobody has approved"):
        server.rerun(claim)

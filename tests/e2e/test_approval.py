"""The default policy asks a person before unmerged code runs: answered under Required Actions, by REST, or not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, State, WaitFor
from airflow_agentfix.demo.shop import DAG_ID
from airflow_agentfix.errors import AirflowForbidden, NotAllowed, SessionNotFound
from tests.e2e.production import Production, production

pytestmark = pytest.mark.e2e
USERS = {"admin": "admin", "lena": "op", "rob": "op", "vic": "viewer"}


POLICY = """
version: 1
approvers: [lena]
denied_paths: ["infra/**"]
checks:
  - {name: compiles, run: [python, -m, compileall, -q, dags]}
dags:
  - {tag: nobody-has-this, autonomy: report}
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("approval")
    with production(folder, users=USERS, config={"AGENTFIX__APPROVERS": "lena,rob"}) as one:
        one.commit(".agentfix.yaml", lambda _: POLICY)
        yield one


def test_what_the_repository_allows_is_read_on_its_base_branch_and_told_with_its_source(here: Production):
    found = here.sessions("vic").policy(DAG_ID)
    source = f".agentfix.yaml of {here.origin.path} at main ({here.origin.head()[:10]})"
    assert found.problems == ()
    assert (found.policy.approvers, found.sources["approvers"]) == (("lena",), ("[agentfix]", source))
    assert (found.policy.denied_paths, found.sources["denied_paths"]) == ((("infra/**",),), (source,))


def test_an_assigned_users_approval_under_required_actions_lets_that_commit_run(here: Production):
    here.fail("approved")
    session = here.session("approved")
    question = here.question(session)
    waiting = here.deployment.sessions.get(session.id)
    assert (waiting.state, waiting.waiting_for) == (State.WAITING, WaitFor.PERSON)
    assert question["commit"] == waiting.fix_commit
    shown = next(one for one in here.required_actions() if one["task_instance"]["dag_run_id"] == question["ask_run"]["run_id"])
    assert (shown["subject"], shown["body"]) == (question["subject"], question["body"])
    assert "to_euros" in shown["body"]
    assert here.run_state("approved") == "failed"

    with pytest.raises(AirflowForbidden):
        here.answer(question, "Approve", user="rob")
    here.answer(question, "Approve", user="lena")

    assert here.done("approved").outcome is Outcome.FIXED
    assert here.run_state("approved") == "success"
    approvals = here.events(session, EventKind.APPROVAL)
    assert [(one.actor, one.data["decision"], one.data["commit"]) for one in approvals] == [
        ("lena", "approve", waiting.fix_commit)
    ]
    in_force = here.events(session, EventKind.POLICY)
    assert [one.data["policy"]["approvers"] for one in in_force] == [["lena"]]
    rerun = next(one for one in here.events(session, EventKind.RESULT) if one.data["tool"] == "rerun")
    assert "the repository's checks passed: compiles" in rerun.data["text"]


def test_a_rejection_under_required_actions_ends_the_session_and_nothing_runs(here: Production):
    here.fail("rejected")
    session = here.session("rejected")
    here.answer(here.question(session), "Reject", user="lena")
    assert here.done("rejected").outcome is Outcome.REJECTED
    assert here.run_state("rejected") == "failed"
    assert here.tasks("rejected")["sum_revenue"].try_number == 1
    assert here.events(session, EventKind.RERUN) == []


def test_an_approval_over_the_api_counts_for_whoever_may_edit_the_dags_runs_and_ends_the_question(here: Production):
    here.fail("by_api")
    session = here.session("by_api")
    question = here.question(session)
    with pytest.raises((NotAllowed, SessionNotFound, AirflowForbidden)):
        here.sessions("vic").reply(session.id, decision="approve", message="", question_id=None)
    here.sessions("lena").reply(session.id, decision="approve", message="looks right", question_id=None)
    assert here.done("by_api").outcome is Outcome.FIXED
    assert here.run_state("by_api") == "success"
    assert here.deployment.airflow.run("agentfix_ask", question["ask_run"]["run_id"]).state == "success"

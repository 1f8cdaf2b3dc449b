"""A repository's policy on a real Airflow: it narrows the approvers, and its check runs between approval and rerun."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, State, WaitFor
from airflow_agentfix.demo.shop import DAG_ID
from airflow_agentfix.errors import AirflowForbidden
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
    looked = {stage["name"]: stage for one in here.events(session, EventKind.VERIFIED) for stage in one.data["stages"]}
    assert looked["repository checks"]["detail"] == "passed: compiles"
    assert {looked[name]["state"] for name in ("gates", "compiled", "DAG imports", "shape kept", "rerun")} == {"passed"}

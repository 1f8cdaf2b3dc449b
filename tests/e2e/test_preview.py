"""Reruns as previews on a real Airflow whose DAGs come from a plain folder, as git-sync leaves them: no run can be pinned."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_agentfix.core.previews import preview_id
from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.demo.shop import BASE_BRANCH, DAG_ID
from tests.e2e.production import Production, from_a_folder

pytestmark = pytest.mark.e2e
USERS = {"admin": "admin", "lena": "op"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("preview").resolve()
    with from_a_folder(folder, users=USERS, config={"AGENTFIX__APPROVERS": "lena"}) as one:
        yield one


def test_a_run_that_cannot_be_pinned_is_proved_by_a_dag_of_its_own_and_stays_as_it_is(here: Production) -> None:
    here.fail("monday")
    session = here.session("monday")
    question = here.question(session)
    assert "**Rerun:** preview" in question["body"]
    branch = question_branch(here)
    preview = preview_id(DAG_ID, branch)
    assert not here.is_parsed(preview), "nothing of a fix is imported before its approval"

    here.answer(question, "Approve", user="lena")
    done = here.done("monday")

    assert (done.outcome, here.run_state("monday")) == (Outcome.FIXED, "failed")
    (rerun,) = here.events(session, EventKind.RERUN)
    assert (rerun.data["way"], rerun.data["dag_id"], rerun.data["commit"]) == ("preview", preview, done.fix_commit)
    assert "has no versions" in rerun.data["reason"]
    tasks = here.tasks(rerun.data["run_id"], preview)
    assert {task.state for task in tasks.values()} == {"success"}
    assert here.run_state(rerun.data["run_id"], preview) == "success"
    assert here.branches() == sorted([branch, BASE_BRANCH])


def test_a_preview_is_gone_when_its_branch_is(here: Production) -> None:
    branch = question_branch(here)
    preview = preview_id(DAG_ID, branch)
    assert here.is_parsed(preview)
    here.origin.git("update-ref", "-d", f"refs/heads/{branch}")
    here.until(lambda: preview not in here.deployment.airflow.dag_ids(), "the preview is gone")
    assert DAG_ID in here.deployment.airflow.dag_ids()


def question_branch(here: Production) -> str:
    (branch,) = [one for one in here.branches() if one.startswith("fix/")]
    return branch

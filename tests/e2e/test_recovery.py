"""After the merge, on a real Airflow: the triage DAG has the other runs of the cause go on, and leaves a mended one alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_agentfix.airflow_http import path_of
from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.demo.shop import DAG_ID, Origin
from airflow_agentfix.triage_run import TRIAGE_DAG
from tests.e2e.production import Production, production

pytestmark = pytest.mark.e2e
USERS = {"admin": "admin", "lena": "op"}
FIRST, RED, MENDED = "monday", ("tuesday", "wednesday"), "thursday"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("recovery")
    with production(folder, users=USERS, config={"AGENTFIX__AUTONOMY": "recover"}) as one:
        yield one


def test_after_the_merge_the_runs_of_the_cause_go_green_and_a_mended_one_is_left_alone(here: Production) -> None:
    here.fail(FIRST)
    session = here.session(FIRST)
    here.question(session)  # while it waits for its approval, further failures of the cause are its occurrences
    for run_id in (*RED, MENDED):
        here.deployment.airflow.trigger(DAG_ID, run_id=run_id, conf={})
    assert [here.done(run_id).outcome for run_id in (*RED, MENDED)] == [Outcome.DUPLICATE] * 3
    here.sessions("lena").reply(session.id, decision="approve")
    assert here.done(FIRST).outcome is Outcome.FIXED
    failed_at = {run_id: here.tasks(run_id) for run_id in RED}
    assert {run_id: here.run_state(run_id) for run_id in RED} == dict.fromkeys(RED, "failed")

    mend(here, MENDED)
    merged = merge(here, str(here.deployment.sessions.get(session.id).fix_branch))
    here.until(lambda: here.deployment.airflow.dag(DAG_ID).bundle_version == merged, "Airflow serves the merged fix")
    triage(here, "first")
    here.until(lambda: all(here.run_state(run_id) == "success" for run_id in RED), "the runs of the cause are green")

    for run_id in RED:
        assert here.deployment.airflow.run(DAG_ID, run_id).bundle_version == merged
        again = {task for task, now in here.tasks(run_id).items() if now.try_number > failed_at[run_id][task].try_number}
        assert again == {task for task, was in failed_at[run_id].items() if was.state in ("failed", "upstream_failed")}
    triage(here, "second")
    assert {run_id: states(here, session.id, run_id) for run_id in (*RED, MENDED)} == {
        **{run_id: ["started", "green"] for run_id in RED},
        MENDED: ["left"],
    }
    assert "green already" in said(here, session.id, MENDED)
    assert here.deployment.sessions.page(unsettled=True).total == 0
    assert here.run_state(FIRST) == "success"
    assert here.deployment.airflow.run(DAG_ID, FIRST).bundle_version == merged


def mend(here: Production, run_id: str) -> None:
    """Somebody marks the run as success by hand."""
    path = path_of("/api/v2/dags", DAG_ID, "dagRuns", run_id)
    here.deployment.http("lena").json("PATCH", path, body={"state": "success", "note": "done by hand"})


def merge(here: Production, branch: str) -> str:
    """A person merges the fix; the base branch's commit then."""
    clone = Origin(here.deployment.folder / "merging")
    Origin(here.deployment.folder).git("clone", "-q", str(here.origin.path), str(clone.path))
    clone.git("merge", "-q", "--no-ff", "-m", "Merge the fix", f"origin/{branch}")
    clone.git("push", "-q", "origin", "main")
    return clone.head()


def triage(here: Production, run_id: str) -> None:
    """One run of the triage DAG."""
    here.deployment.http("admin").json("PATCH", path_of("/api/v2/dags", TRIAGE_DAG), body={"is_paused": False})
    here.deployment.airflow.trigger(TRIAGE_DAG, run_id=run_id, conf={})
    here.until(lambda: here.run_state(run_id, TRIAGE_DAG) == "success", f"triage {run_id} is done")


def recoveries(here: Production, session_id: str) -> list[dict[str, Any]]:
    events = here.deployment.sessions.events(session_id)
    return [dict(event.data) for event in events if event.kind is EventKind.RECOVERY]


def states(here: Production, session_id: str, run_id: str) -> list[str]:
    return [one["state"] for one in recoveries(here, session_id) if one["run_id"] == run_id]


def said(here: Production, session_id: str, run_id: str) -> str:
    return " ".join(one["reason"] for one in recoveries(here, session_id) if one["run_id"] == run_id)

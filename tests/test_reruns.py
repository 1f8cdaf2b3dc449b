"""The ways of a rerun at the server: which is taken, what is started, and what a session waits for until then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.previews import commit_tag, loader_name, preview_id
from airflow_agentfix.core.session import EventKind, Outcome, WaitFor
from airflow_agentfix.errors import InvalidRequest, PreviewBroken, RerunImpossible
from airflow_agentfix.ports import Claim, Preview, Rerun, WaitRun
from airflow_agentfix.service import Failure
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Wanted
from tests.fakes.incidents import an_incident
from tests.fakes.server import COMMIT, DAG, RUN, TASK, WORKER, Server, fix_data, patch_data

URL = "https://git.example.com/acme/dags.git"
BRANCH = fix_data()["branch"]
PREVIEW_DAG = preview_id(DAG, BRANCH)
PREVIEW = Preview("previews", PREVIEW_DAG, loader_name(BRANCH), COMMIT)
SHAPE = ("Task 'load' was added.",)
WAIVED = Settings(allow_unreviewed_reruns=True)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Server] = []

    def one(settings: Settings = WAIVED, *, pinnable: bool = False, previews: bool = True) -> Server:
        server = Server(f"sqlite:///{tmp_path}/{len(made)}.db", settings)
        server.airflow.preview_bundles = {URL: "previews"} if previews else {}
        server.airflow.unversioned = set() if pinnable else {(DAG, RUN)}
        made.append(server)
        return server

    yield one
    for server in made:
        server.close()


def with_fix(server: Server, *, path: str = "dags/orders.py", map_index: int = -1) -> Claim:
    """A claimed session whose worker found its repository, and opened a fix."""
    claim = server.claimed(server.taken(map_index=map_index))
    repository = {"url": URL, "base_branch": "main", "subdir": "dags"}
    incident = (EventKind.INCIDENT, {**an_incident().to_json(), "repository": repository, "base_commit": "b" * 40})
    server.append(claim, incident, (EventKind.PATCH, patch_data(path)), (EventKind.FIX, fix_data()))
    return claim


def served(server: Server) -> Server:
    server.airflow.previews.append(PREVIEW)
    return server


def test_a_run_that_cannot_be_pinned_is_rerun_as_a_preview_once_its_dag_is_there(make: Any) -> None:
    server = make()
    claim = with_fix(server)
    waits = server.rerun(claim)
    assert (waits.dag_id, waits.waiting_for) == (PREVIEW_DAG, WaitFor.PREVIEW)
    assert server.airflow.new_runs == []
    rerun = served(server) and server.rerun(claim)
    assert (rerun.way, rerun.dag_id, rerun.run_id, rerun.task_ids) == ("preview", PREVIEW_DAG, waits.run_id, (TASK,))
    assert "has no versions" in rerun.reason


def test_the_preview_runs_like_the_failed_run_with_the_scope_that_is_configured(make: Any) -> None:
    server = served(make(replace(WAIVED, preview_scope="downstream")))
    server.rerun(with_fix(server))
    (run,) = server.airflow.new_runs
    assert (run.like_dag_id, run.like_run_id, run.conf, run.task_ids, run.scope) == (DAG, RUN, {}, (TASK,), "downstream")


def test_a_preview_is_judged_by_the_index_that_failed_however_often_it_was_reported(make: Any) -> None:
    server = served(make())
    server.airflow.fail(DAG, RUN, TASK, map_index=3)
    claim = with_fix(server, map_index=3)
    server.airflow.fail(DAG, RUN, TASK, map_index=3, try_number=2)
    server.taken(map_index=3)
    assert server.rerun(claim).map_index == 3


def test_a_fix_that_changes_the_shape_of_a_run_that_could_be_pinned_is_a_preview(make: Any) -> None:
    server = served(make(pinnable=True))
    rerun = server.rerun(with_fix(server), shape_changes=SHAPE)
    assert (rerun.way, server.airflow.pins) == ("preview", [])
    assert SHAPE[0] in rerun.reason


def test_without_previews_a_change_of_shape_is_refused_with_what_to_configure(make: Any) -> None:
    server = make(pinnable=True, previews=False)
    with pytest.raises(RerunImpossible, match=r"AgentFixPreviews.*dag_bundle_config_list"):
        server.rerun(with_fix(server), shape_changes=SHAPE)


def test_a_preview_that_does_not_import_says_its_error(make: Any) -> None:
    server = make()
    server.airflow.broken[PREVIEW.loader] = "ModuleNotFoundError: no module named 'shop.monney'"
    with pytest.raises(PreviewBroken, match="no module named"):
        server.rerun(with_fix(server))


def test_a_preview_of_another_commit_is_not_started(make: Any) -> None:
    server = make()
    server.airflow.previews.append(replace(PREVIEW, commit="d" * 40))
    assert isinstance(server.rerun(with_fix(server)), WaitRun)
    assert server.airflow.new_runs == []


def test_a_preview_that_never_appears_is_waited_for_as_long_as_is_configured(make: Any) -> None:
    server = make()
    claim = with_fix(server)
    waits = server.rerun(claim)
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=waits)
    server.clock.pass_seconds(60 * 14)
    claim = server.claimed(claim.session.id)
    assert isinstance(server.rerun(claim), WaitRun)
    server.clock.pass_seconds(120)
    with pytest.raises(RerunImpossible, match=r"did not appear within 15 minutes.*refresh_interval"):
        server.rerun(claim)


def test_a_rerun_asked_for_twice_starts_one_run(make: Any) -> None:
    server = served(make())
    claim = with_fix(server)
    assert server.rerun(claim) == server.rerun(claim)
    assert len(server.airflow.new_runs) == 1
    assert server.kinds(claim.session.id).count("rerun") == 1


def test_a_preview_needs_the_approval_of_its_commit_as_a_pin_does(make: Any) -> None:
    server = served(make(Settings()))
    claim = with_fix(server)
    waits = server.approval(claim)
    assert waits.waiting_for is WaitFor.PERSON
    (question,) = server.airflow.questions.values()
    assert "**Rerun:** preview" in question.body
    assert server.airflow.new_runs == []


def test_nobody_is_asked_where_no_way_applies(make: Any) -> None:
    server = make(Settings(), previews=False)
    claim = with_fix(server)
    with pytest.raises(RerunImpossible, match="No way to rerun this fix"):
        server.approval(claim)
    assert server.airflow.questions == {}


def test_a_way_that_policy_forbids_is_not_taken(make: Any) -> None:
    server = served(make(replace(WAIVED, rerun_ways=("preview",)), pinnable=True))
    assert server.rerun(with_fix(server)).way == "preview"


def test_a_dag_that_takes_its_branch_from_a_param_is_run_on_the_fix_branch(make: Any) -> None:
    server = make(pinnable=True)
    server.airflow.dag_params[DAG] = {"branch": "main", "day": 1}
    rerun = server.rerun(with_fix(server, path="dbt/models/orders.sql"))
    (run,) = server.airflow.new_runs
    assert (rerun.way, rerun.dag_id, run.conf) == ("conf", DAG, {"branch": BRANCH})
    assert server.airflow.pins == []


def test_no_run_is_told_a_branch_that_ends_elsewhere_than_in_the_approved_commit(make: Any) -> None:
    server = make(pinnable=True)
    server.airflow.dag_params[DAG] = {"branch": "main"}
    claim = with_fix(server, path="dbt/models/orders.sql")
    server.commits.tips[BRANCH] = "e" * 40
    with pytest.raises(RerunImpossible, match=r"ends at eeee.*Only the approved commit may be run"):
        server.rerun(claim)
    assert server.airflow.new_runs == []
    assert "rerun" not in server.kinds(claim.session.id)


def test_a_run_of_its_own_is_named_after_its_commit(make: Any) -> None:
    server = served(make())
    assert server.rerun(with_fix(server)).run_id.endswith(f"__rerun_{COMMIT[:12]}")


def test_a_fix_of_dag_code_is_not_run_by_a_param(make: Any) -> None:
    server = make(pinnable=True)
    server.airflow.dag_params[DAG] = {"branch": "main"}
    assert server.rerun(with_fix(server)).way == "pin"


def test_the_failure_of_a_preview_is_no_failure_to_work_on(make: Any) -> None:
    server = make()
    server.airflow.fail(PREVIEW_DAG, "r1", TASK)
    server.airflow.tags[PREVIEW_DAG] = ("agentfix", commit_tag(COMMIT))
    server.airflow.rights["agentfix-worker", PREVIEW_DAG] = "edit"
    with pytest.raises(InvalidRequest, match="is the preview of a fix"):
        server.service.intake(Failure(PREVIEW_DAG, "r1", TASK), WORKER)


def test_a_rerun_that_somebody_ended_by_hand_says_who(make: Any) -> None:
    server = served(make())
    claim = with_fix(server)
    server.airflow.by_hand[PREVIEW_DAG, server.rerun(claim).run_id] = "anna (patch_dag_run)"
    assert server.rerun(claim).ended_by_hand == "anna (patch_dag_run)"


def finish(server: Server, claim: Claim) -> Any:
    end: dict[str, Any] = {"summary": "Green.", "verdict": "code", "report": None, "error": None}
    return server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.FIXED, **end)


def test_fixed_needs_the_previews_task_not_red(make: Any) -> None:
    server = served(make())
    claim = with_fix(server)
    rerun = server.rerun(claim)
    task = (PREVIEW_DAG, rerun.run_id, TASK, -1)
    server.airflow.tasks[task] = replace(server.airflow.tasks[task], state="failed")
    with pytest.raises(InvalidRequest, match="'load' is failed"):
        finish(server, claim)
    server.airflow.tasks[task] = replace(server.airflow.tasks[task], state="success")
    assert finish(server, claim).outcome is Outcome.FIXED


def test_a_fix_without_the_failed_task_is_judged_by_its_whole_run(make: Any) -> None:
    server = served(make())
    claim = with_fix(server)
    rerun: Rerun = server.rerun(claim)
    del server.airflow.tasks[PREVIEW_DAG, rerun.run_id, TASK, -1]
    server.airflow.runs[PREVIEW_DAG, rerun.run_id] = "failed"
    with pytest.raises(InvalidRequest, match="is failed"):
        finish(server, claim)
    server.airflow.runs[PREVIEW_DAG, rerun.run_id] = "success"
    assert finish(server, claim).outcome is Outcome.FIXED


def test_a_preview_keeps_no_run_on_a_fix_commit(make: Any) -> None:
    server = served(make())
    claim = with_fix(server)
    server.rerun(claim)
    server.airflow.runs[PREVIEW_DAG, server.airflow.new_runs[0].run_id] = "success"
    finish(server, claim)
    assert server.service.list(WORKER, Wanted(pinned=True)).total == 0

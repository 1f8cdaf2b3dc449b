"""The rerun tool by its ways: what is waited for, what is left open, and what judges a preview."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_agentfix.agent.rerunning import PREVIEW_LOOKS
from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.errors import PreviewBroken, RepositoryUnreachable, RerunImpossible
from airflow_agentfix.ports import WaitRun
from tests.agent.world import EDIT, World, report, story, use
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.session_client import SIGNATURE

FIX = call("open_fix", title="Call to_euros", summary="to_euro was renamed.")
SHAPE = {"tasks": {"new_task": {"downstream": [], "group": None, "attributes": {}}}, "groups": {}}


@pytest.fixture
def preview(make_world: Callable[..., World]) -> World:
    """A world whose fixes are rerun as previews."""
    world = make_world()
    world.client.way, world.client.rerun_dag = "preview", "shop_daily_revenue.fix-shop"
    return world


def work(world: World, *turns: Any) -> WaitRun | Session:
    return world.work(ScriptedModel(*turns))


def test_a_preview_that_appears_soon_is_waited_for_without_a_sleep_of_the_session(preview: World) -> None:
    preview.client.previews = iter([False, False, True])
    waits = work(preview, *story()[:4])
    assert isinstance(waits, WaitRun)
    assert (waits.waiting_for, waits.dag_id) == (WaitFor.RERUN, "shop_daily_revenue.fix-shop")
    assert len(preview.slept) == 2


def test_the_word_that_previews_wait_for_is_given_once_and_the_checks_run_once(preview: World) -> None:
    preview.client.previews = iter([False] * (PREVIEW_LOOKS + 1))
    waits = work(preview, *story()[:4])
    assert isinstance(waits, WaitRun)
    assert waits.waiting_for is WaitFor.PREVIEW
    preview.client.previews = iter([False, True])
    assert isinstance(work(preview), WaitRun)
    (fix,) = preview.client.of(EventKind.FIX)
    assert preview.host.approved == [(fix.data["commit"], SIGNATURE)]
    assert preview.imports == ["fix"]


def test_the_change_of_shape_is_told_to_the_server_before_and_after_a_sleep(preview: World) -> None:
    preview.fix_import = ImportResult(SHAPE, None)
    preview.client.previews = iter([False] * (PREVIEW_LOOKS + 1))
    work(preview, *story()[:4])
    preview.client.previews = iter([True])
    work(preview)
    assert set(preview.client.shape_changes) == {("Task 'new_task' was added.",)}


def test_a_pin_gives_no_word_to_previews(world: World) -> None:
    work(world, *story()[:4])
    assert world.host.approved == []


@pytest.mark.parametrize(("shape", "error"), [
    ({"tasks": {}, "groups": {}}, PreviewBroken("The preview of fix/shop does not import: NameError: revnue")),
    (SHAPE, RerunImpossible("No way to rerun this fix. pin: the fix changes the DAG's shape")),
])  # fmt: skip
def test_what_another_fix_could_mend_may_be_amended(preview: World, shape: dict[str, Any], error: RerunImpossible) -> None:
    preview.fix_import = ImportResult(shape, None)
    preview.client.impossible = error
    more = {**EDIT, "old": "to_euros(row)", "new": "to_euros(int(row))"}
    again = (call("change_files", edits=[more]), call("open_fix", title="B", summary="B"))
    *_, refused, _, second = use(preview, call("change_files", edits=[EDIT]), FIX, call("rerun"), *again)
    assert refused["text"] == f"check failed: {error}"
    assert not second["is_error"]
    assert len(preview.host.fixes) == 2


def test_a_worker_that_only_goes_on_watching_a_rerun_makes_no_model(world: World) -> None:
    work(world, *story()[:4])
    assert isinstance(world.work(None), WaitRun)


def test_a_rerun_that_is_still_running_after_the_limit_is_reported(world: World) -> None:
    world.client.is_overdue = True
    ended = work(world, *story()[:4])
    assert isinstance(ended, Session)
    assert (ended.state, ended.outcome) == (State.DONE, Outcome.PROPOSED)
    assert "is still queued and is not watched any longer" in str(ended.summary)


def test_a_rerun_that_a_person_ended_by_hand_is_reported_and_proves_nothing(world: World) -> None:
    work(world, *story()[:4])
    world.airflow.end_rerun(green=True)
    world.client.ended_by_hand = "anna (patch_dag_run)"
    ended = work(world, turn(report(outcome="fixed")))
    assert isinstance(ended, Session)
    assert ended.outcome is Outcome.PROPOSED
    assert "ended by hand, by anna (patch_dag_run)" in str(ended.summary)


def test_a_preview_without_the_failed_task_is_green_when_its_run_is(preview: World) -> None:
    work(preview, *story()[:4])
    preview.airflow.end_rerun(green=True)
    preview.airflow.tasks = [TaskFacts("publish_report", -1, 1, "success")]
    work(preview, turn(report(outcome="fixed")))
    assert preview.results("rerun")[0]["text"].startswith("rerun green: publish_report success")


def test_a_preview_whose_run_failed_without_the_failed_task_is_not_green(preview: World) -> None:
    work(preview, *story()[:4])
    preview.airflow.end_rerun(green=False)
    preview.airflow.tasks = [TaskFacts("publish_report", -1, 1, "upstream_failed")]
    work(preview, turn(report(outcome="gave_up")))
    assert preview.results("rerun")[0]["text"].startswith("rerun failed: publish_report upstream_failed")


@pytest.mark.parametrize("state", ["skipped", "removed"])
def test_a_rerun_in_which_the_failed_task_did_not_run_is_not_green(preview: World, state: str) -> None:
    work(preview, *story()[:4])
    preview.airflow.end_rerun(green=True)
    preview.airflow.tasks = [TaskFacts("sum_revenue", -1, 1, state), TaskFacts("publish_report", -1, 1, "success")]
    work(preview, turn(report(outcome="gave_up")))
    assert preview.results("rerun")[0]["text"].startswith(f"rerun failed: sum_revenue {state}")


def test_a_run_by_conf_on_a_branch_that_moved_meanwhile_proves_nothing(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.client.way = "conf"
    work(world, *story()[:4])
    world.airflow.end_rerun(green=True)
    world.host.delete_branch(world.host.fixes[0])
    work(world, turn(report(outcome="gave_up")))
    assert "is gone or is not at" in world.results("rerun")[0]["text"]


MORE = {**EDIT, "old": "to_euros(row)", "new": "to_euros(int(row))"}


def amended(world: World) -> None:
    """A fix whose preview does not import, and the one after it."""
    world.host.pull_requests = "https://git.example/pull"
    world.client.impossible = PreviewBroken("The preview does not import")
    again = (call("change_files", edits=[MORE]), call("open_fix", title="B", summary="B"))
    use(world, call("change_files", edits=[EDIT]), FIX, call("rerun"), *again)


def test_the_pull_request_of_a_fix_that_was_amended_says_that_it_is_not_the_one_to_merge(world: World) -> None:
    amended(world)
    first, second = (event.data["pull_request"] for event in world.client.of(EventKind.FIX))
    told = "Not the one to merge: its rerun or its checks failed."
    assert world.host.said == [(first, f"{told} {second} is the amended fix.")]


def test_a_fix_is_amended_though_its_earlier_pull_request_cannot_be_told(world: World) -> None:
    world.host.away = RepositoryUnreachable("GitHub is away")
    amended(world)
    assert len(world.client.of(EventKind.FIX)) == 2

"""Two sessions whose fix is the very same commit, on a real repository, with and without pull requests: each decides about its
own run, and neither unsays what the other one saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core import questions
from airflow_agentfix.core.session import EventKind, Outcome, Session
from airflow_agentfix.service import Failure
from tests.agent.real_world import RealWorld, RepeatingModel, real_world, story
from tests.agent.world import report
from tests.fakes.incidents import REF
from tests.fakes.models import call, turn
from tests.fakes.server import ANNA
from tests.fakes.server_airflow import ORIGINAL

LATER = "later"


def another(world: RealWorld, *, outcome: str = "fixed") -> str:
    """The session that goes on: one on a later run, which fails of the same cause before the fix is merged."""
    before = world.session_id
    world.server.airflow.fail(REF.dag_id, LATER, REF.task_id)
    world.session_id = world.server.service.create(Failure(REF.dag_id, LATER, REF.task_id), ANNA).id
    world.worker_model = RepeatingModel([*story()[:-1], turn(report(outcome=outcome))])
    return before


def rejected(world: RealWorld) -> Session:
    """The session to its end, where a person rejects its commit."""
    while not isinstance(given := world.drive(), Session):
        for question in questions.waiting(world.events()):
            approval = question.data["about"] == "approval"
            said: dict[str, Any] = {"decision": "reject"} if approval else {"message": "euro"}
            world.server.service.reply(world.session_id, ANNA, question_id=question.data["question_id"], **said)
    return given


def remarks(world: RealWorld) -> list[str]:
    """What is written under the first pull request."""
    return [one["body"] for one in world.github.people.issue_comments.get(1, [])]


def live_later(world: RealWorld) -> Session:
    """The session to its end, its rerun being of the later run."""
    while not isinstance(given := world.drive(), Session):
        if given.run_id == LATER:
            green = world.reruns.pop(0) if world.reruns else True
            world.airflow.end_rerun(green=green)
            world.server.airflow.runs[REF.dag_id, LATER] = "success" if green else "failed"
        else:
            world.happen(given)
    return given


@pytest.mark.parametrize("plain_git", [False, True], ids=["github", "plain git"])
def test_who_rejects_a_commit_for_one_run_takes_nothing_from_the_run_that_another_session_fixed_with_it(
    origin: Path, tmp_path: Path, plain_git: bool
) -> None:
    with real_world(tmp_path / "w", origin, plain_git=plain_git) as world:
        fixed = world.live()
        pulls = [dict(pull) for pull in world.github.pulls]
        first = another(world)
        second = rejected(world)

        assert (fixed.outcome, second.outcome) == (Outcome.FIXED, Outcome.REJECTED)
        assert (second.fix_branch, second.fix_commit) == (fixed.fix_branch, fixed.fix_commit)
        assert world.branches() == [fixed.fix_branch, "main"]
        (opened,) = [event for event in world.events() if event.kind is EventKind.FIX]
        assert opened.data["made_by"] == first
        # its run stays on the fix, the other one was never moved
        assert world.server.airflow.versions[REF.dag_id, REF.run_id] == fixed.fix_commit
        assert world.server.airflow.versions.get((REF.dag_id, LATER), ORIGINAL) == ORIGINAL
        assert [(p["body"], p["draft"], p["state"]) for p in world.github.pulls] == [
            (p["body"], p["draft"], p["state"]) for p in pulls
        ]
        asked = next(event for event in world.events() if event.data.get("about") == "approval")
        assert f"- **Made by:** session `{first}`, for the same cause" in asked.data["body"]
        if not plain_git:
            (said,) = remarks(world)
            assert said.startswith(f"AgentFix session `{second.id}` took this fix for {REF.dag_id}/{LATER}/")
            assert "No rerun: anna rejected running the commit" in said


def test_who_proves_a_commit_that_an_earlier_session_only_proposed_says_so_beside_it_and_makes_it_ready(
    origin: Path, tmp_path: Path
) -> None:
    with real_world(tmp_path / "w", origin) as world:
        refused = rejected(world)
        body = world.github.pulls[0]["body"]
        another(world)
        fixed = live_later(world)

        assert (refused.outcome, fixed.outcome) == (Outcome.REJECTED, Outcome.FIXED)
        (pull,) = world.github.pulls
        assert (pull["body"], pull["draft"]) == (body, False)
        (said,) = remarks(world)
        assert "rerun" in said.partition("Verified: ")[2].partition(".")[0]


def test_who_amends_a_shared_commit_does_not_say_that_nobody_should_merge_it(origin: Path, tmp_path: Path) -> None:
    with real_world(tmp_path / "w", origin) as world:
        world.live()
        another(world)
        more = {"path": "dags/shop/money.py", "old": "100", "new": "100.0"}
        amends = [turn(call("change_files", edits=[more])), turn(call("open_fix", title="B", summary="B")), turn(call("rerun"))]
        world.worker_model = RepeatingModel([*story()[:-1], *amends, turn(report(outcome="fixed"))])
        world.reruns = [False, True]
        assert live_later(world).outcome is Outcome.FIXED

        said = remarks(world)
        assert [one for one in said if "Not the one to merge" in one] == []
        assert f"AgentFix session `{world.session_id}` goes on without this fix" in said[-1]
        assert [pull["state"] for pull in world.github.pulls] == ["open", "open"]


def test_a_fix_whose_pull_request_a_person_closed_is_made_anew_by_the_next_session(origin: Path, tmp_path: Path) -> None:
    with real_world(tmp_path / "w", origin) as world:
        first = rejected(world)
        world.github.pulls[0]["state"] = "closed"
        another(world)
        second = rejected(world)
        assert second.fix_branch == f"{first.fix_branch}-{second.id[:8]}"
        assert [pull["state"] for pull in world.github.pulls] == ["closed", "open"]

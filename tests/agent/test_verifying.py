"""The repository's checks between approval and rerun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow_agentfix.core.policy import Policy, RepoCheck
from airflow_agentfix.core.stages import Stage, failed, not_run, passed
from airflow_agentfix.core.verification import record
from tests.agent.world import World, report, story
from tests.fakes.models import ScriptedModel, turn

UNIT, LINT = RepoCheck("unit", ("pytest",)), RepoCheck("lint", ("ruff", "check"))


def fixed_with(make_world: Callable[..., World], *failing: str, **policy: Any) -> World:
    """A world in which the fix was opened, approved and asked to be rerun."""
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, **{"checks": (UNIT, LINT), **policy}))
    world.failing = set(failing)
    world.work(ScriptedModel(*story()[:4], turn(report(outcome="gave_up"))))
    return world


def checks_of(world: World) -> Stage:
    """What is on record of them."""
    (found,) = [stage for stage in record(world.client.events) if stage.name == "repository checks"]
    return found


def test_a_rerun_follows_the_repositorys_checks_and_names_those_that_passed(make_world: Callable[..., World]) -> None:
    world = fixed_with(make_world)
    assert world.checked == [("fix", "unit"), ("fix", "lint")]
    world.airflow.end_rerun(green=True)
    world.work(ScriptedModel(turn(report(outcome="fixed"))))
    assert checks_of(world) == passed("repository checks", "passed: unit, lint")


def test_a_check_that_passes_on_the_base_and_fails_on_the_fix_keeps_it_from_being_rerun(make_world: Callable[..., World]) -> None:
    world = fixed_with(make_world, "unit on fix")
    assert world.checked == [("fix", "unit"), ("base", "unit")]
    result = world.results("rerun")[0]
    assert result["text"].startswith("check failed: the repository's check 'unit' passes on the base and fails on the fix")
    assert "unit printed this" in result["text"]
    assert world.client.reruns == []


def test_a_check_that_was_broken_before_is_no_fault_of_the_fix(make_world: Callable[..., World]) -> None:
    world = fixed_with(make_world, "unit on fix", "unit on base")
    world.airflow.end_rerun(green=True)
    world.work(ScriptedModel(turn(report(outcome="fixed"))))
    assert checks_of(world) == failed("repository checks", "passed: lint; fails on the base as on the fix: unit")
    assert "Failed: repository checks." in world.results("rerun")[0]["text"]


def test_where_the_deployment_forbids_checks_none_is_run_and_that_is_said(make_world: Callable[..., World]) -> None:
    world = fixed_with(make_world, run_checks=False)
    world.airflow.end_rerun(green=True)
    world.work(ScriptedModel(turn(report(outcome="fixed"))))
    assert world.checked == []
    assert checks_of(world) == not_run("repository checks", "this deployment forbids them: unit, lint")

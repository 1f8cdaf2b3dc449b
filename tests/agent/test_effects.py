"""What each tool says it reads, changes and needs is so: the table of docs/policy-and-safety.md is made of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_agentfix.agent.effects import EFFECT_OF, NOTHING
from airflow_agentfix.agent.skills import Skill, Skills
from airflow_agentfix.agent.toolbox import EFFECTS, READING
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.core.policy import Autonomy, Policy
from airflow_agentfix.core.session import EventKind, WaitFor
from airflow_agentfix.ports import WaitRun
from tests.agent.world import EDIT, World, report, use
from tests.fakes.models import ScriptedModel, call, turn

FILE = "dags/shop/revenue.py"
CALLS = {
    "read_log": call("read_log", grep="Error"),
    "list_files": call("list_files", glob="dags/**"),
    "read_file": call("read_file", path=FILE),
    "search_code": call("search_code", regex="to_euro"),
    "get_history": call("get_history", of="task"),
    "load_skill": call("load_skill", name="shop"),
    "change_files": call("change_files", edits=[EDIT]),
    "open_fix": call("open_fix", title="Call to_euros", summary="It was renamed."),
    "rerun": call("rerun"),
    "pause_for_human": call("pause_for_human", reason="Gross or net?", summary_for_human="Both are there."),
    "submit_report": report(outcome="gave_up"),
}
SKILLS = Skills({"shop": Skill("shop", "The shop's ways", "Amounts are in cents.", Path("no-companions"))})
BEFORE = {"open_fix": ["change_files"], "rerun": ["change_files", "open_fix"]}
"""what has to be done before a tool can do anything"""


def calls_to(name: str) -> list[dict]:
    return [*(CALLS[earlier] for earlier in BEFORE.get(name, ())), CALLS[name]]


def test_every_tool_has_its_effect_told_and_an_example_here() -> None:
    assert EFFECT_OF.keys() == CALLS.keys() == {tool.name for tool in TOOLS}
    assert {name for name, effect in EFFECT_OF.items() if effect.changes == NOTHING} == READING.keys()


@pytest.mark.parametrize("name", [name for name, effect in EFFECT_OF.items() if effect.changes == NOTHING])
def test_a_tool_that_changes_nothing_records_its_result_and_no_more(world: World, name: str) -> None:
    world.skills = SKILLS
    branches = dict(world.host.branches)
    (result,) = use(world, CALLS[name])
    assert not result["is_error"]
    assert world.client.kinds() == ["created", "claimed", "incident", "model", "result", "model", "finished"]
    assert world.case is not None
    assert world.case.tree().copy.changes() == ()
    assert (world.host.branches, world.client.reruns, world.imports) == (branches, [], [])


@pytest.mark.parametrize("name", CALLS)
def test_what_changes_the_world_outside_the_session_is_written_down_before(world: World, name: str) -> None:
    world.work(ScriptedModel(*(turn(one) for one in calls_to(name)), turn(report(outcome="gave_up"))))
    intents = {event.data["tool"] for event in world.client.of(EventKind.INTENT)}
    assert (name in intents) is (name in EFFECTS)


@pytest.mark.parametrize("name", [name for name, effect in EFFECT_OF.items() if effect.autonomy is not Autonomy.REPORT])
def test_a_tool_is_refused_below_the_autonomy_it_needs_and_not_with_it(make_world: Callable[..., World], name: str) -> None:
    needed = EFFECT_OF[name].autonomy
    below = list(Autonomy)[needed.rank - 1]
    for autonomy, refused in ((below, True), (needed, False)):
        world = make_world(policy=Policy(autonomy=autonomy, allow_unreviewed_reruns=True))
        use(world, *calls_to(name))
        assert any(f"autonomy is {autonomy}" in result["text"] for result in world.results(name)) is refused


@pytest.mark.parametrize("name", [name for name, effect in EFFECT_OF.items() if effect.autonomy is Autonomy.REPORT])
def test_every_other_tool_works_with_the_least_autonomy(make_world: Callable[..., World], name: str) -> None:
    world = make_world(policy=Policy(autonomy=Autonomy.REPORT))
    world.skills = SKILLS
    assert [result for result in use(world, *calls_to(name)) if result["is_error"]] == []


def test_what_needs_the_approval_waits_for_it_and_executes_nothing_before(make_world: Callable[..., World]) -> None:
    (name,) = [name for name, effect in EFFECT_OF.items() if "approval" in effect.needs]
    world = make_world(approve=None)
    waits = world.work(ScriptedModel(*(turn(one) for one in calls_to(name))))
    assert isinstance(waits, WaitRun)
    assert (waits.waiting_for, world.client.reruns, world.imports) == (WaitFor.PERSON, [], [])

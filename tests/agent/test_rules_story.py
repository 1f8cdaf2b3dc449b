"""The offline model drives the real tools: the formats both rely on are the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airflow_agentfix.core.incident import Frame
from airflow_agentfix.core.session import EventKind, Outcome, Session
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import WaitRun
from tests.agent.world import World
from tests.fakes.incidents import an_incident


def test_the_offline_model_fixes_a_misspelled_attribute_and_reports_it_green(make_world: Callable[..., World]) -> None:
    frame = Frame("/home/airflow/bundles/shop/versions/abc/dags/shop/revenue.py", 5, "total", True)
    world = make_world(cause=replace(an_incident().cause, frames=(frame,)))

    assert isinstance(world.work(RulesModel()), WaitRun)
    world.airflow.end_rerun(green=True)
    done = world.work(RulesModel())

    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED
    (branch,) = world.host.fixes
    request = world.host.branches[branch]
    assert request is not None
    assert [(change.path, change.content.decode().count("to_euros")) for change in request.changes] == [
        ("dags/shop/revenue.py", 1)
    ]
    report = world.client.of(EventKind.FINISHED)[0].data["report"]
    assert (report["confidence"], report["ungrounded"]) == (0.95, [])


def test_a_session_that_is_done_is_given_back_and_no_model_is_asked(world: World) -> None:
    world.work(RulesModel())
    finished = len(world.client.events)
    done = world.work(RulesModel())
    assert isinstance(done, Session)
    assert done.outcome is Outcome.REPORTED
    assert len(world.client.events) == finished

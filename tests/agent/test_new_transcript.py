"""A session that wakes with another model, other tools or another policy: it goes on from a summary, and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anthropic
import pytest

from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.cli.render import event_line
from airflow_agentfix.core.budget import usage_of
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import EventKind, Outcome, Session, State
from airflow_agentfix.errors import ModelUnavailable
from airflow_agentfix.models.claude import ClaudeModel
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import ModelRequest, ToolSchema, WaitRun
from tests.agent.world import World, report, story
from tests.fakes.messages_api import MessagesApi
from tests.fakes.models import ScriptedModel, call, say, turn

OTHER = "other-model"
NEWER_TOOLS = (*TOOLS[:-1], ToolSchema(TOOLS[-1].name, "End the session, in other words.", TOOLS[-1].input_schema))
ASK = {"reason": "Which currency?", "summary_for_human": "Two are possible."}


def breaks(world: World) -> list[Any]:
    return [event.data for event in world.client.of(EventKind.NEW_TRANSCRIPT)]


def opening(request: ModelRequest) -> str:
    (message,) = request.messages
    return "\n".join(block["text"] for block in message["content"])


def test_woken_with_another_model_the_rerun_is_still_watched_and_its_result_reaches_the_new_transcript(world: World) -> None:
    world.work(ScriptedModel(*story()[:4]))
    world.airflow.end_rerun(green=True)
    other = ScriptedModel(turn(report(outcome="fixed")), name=OTHER)
    done = world.work(other)

    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED
    assert (len(world.host.fixes), len(world.client.reruns), len(world.results("rerun"))) == (1, 1, 1)
    assert "rerun green: sum_revenue success (try 2)" in opening(other.requests[0])
    assert world.host.fixes[0] in opening(other.requests[0])


def test_a_session_says_that_its_transcript_is_new_and_why(world: World) -> None:
    world.work(ScriptedModel(*story()[:4]))
    world.airflow.end_rerun(green=True)
    world.work(ScriptedModel(turn(report(outcome="fixed")), name=OTHER))
    (event,) = world.client.of(EventKind.NEW_TRANSCRIPT)
    assert event.data["because"] == ["model"]
    assert (event.data["before"]["model"], event.data["basis"]["model"]) == ("scripted", OTHER)
    assert "new_transcript from a summary; changed: model (scripted, now other-model)" in event_line(event)


def test_after_a_rerun_that_failed_the_other_model_has_the_new_evidence_and_the_one_amendment(world: World) -> None:
    world.work(ScriptedModel(*story()[:4]))
    world.airflow.end_rerun(green=False)
    again = turn(
        call("change_files", edits=[{"path": "dags/shop/revenue.py", "old": "to_euros(row)", "new": "to_euros(row or 0)"}])
    )
    other = ScriptedModel(again, turn(call("open_fix", title="Read 0", summary="s")), turn(call("rerun")), name=OTHER)
    assert isinstance(world.work(other), WaitRun)
    assert "L3\tstill broken" in opening(other.requests[0])
    assert (len(world.host.fixes), len(world.client.reruns)) == (2, 2)


def test_tools_that_changed_while_a_question_waits_leave_the_question_and_its_answer(world: World) -> None:
    world.work(ScriptedModel(turn(call("list_files"), call("pause_for_human", **ASK))))
    world.client.answers[ASK["reason"]] = "euro, says the ledger"
    newer = ScriptedModel(turn(report()))
    world.work(newer, tools=NEWER_TOOLS)
    assert len(world.client.of(EventKind.QUESTION)) == 1
    assert breaks(world)[0]["because"] == ["tools"]
    assert newer.requests[0].tools == NEWER_TOOLS
    assert "anna answered (answer): euro, says the ledger" in opening(newer.requests[0])


def test_a_question_whose_input_a_newer_schema_refuses_still_gets_its_answer(world: World) -> None:
    asked = call("pause_for_human", **ASK, urgency="high")  # as an earlier version's tool took it
    claim = world.client.claim("s1", worker="earlier-version")
    data = {**world.incident.to_json(), "repository": None, "base_commit": "b" * 40}
    turned = {"content": [asked], "stop_reason": "tool_use", "model": "scripted", "usage": {}, "dollars": 0.0, "after": 3}
    begun = {"call_id": asked["id"], "tool": asked["name"], "input": asked["input"]}
    events = [(EventKind.INCIDENT, data), (EventKind.MODEL, turned), (EventKind.INTENT, begun)]
    world.client.append("s1", lease=claim.lease, after=len(world.client.events), events=events)
    world.client.ask("s1", lease=claim.lease, call_id=asked["id"], subject=ASK["reason"], body="", options=["OK"])
    world.client.answers[ASK["reason"]] = "euro"
    world.work(ScriptedModel(turn(report())))
    assert world.results("pause_for_human")[0]["text"] == "anna answered (answer): euro"
    assert len(world.client.of(EventKind.QUESTION)) == 1


def test_a_follow_up_on_a_finished_session_with_another_model_has_the_summary_and_every_note(world: World) -> None:
    world.client.note("it began on Monday")
    world.work(ScriptedModel(turn(call("list_files")), turn(report())))
    reopen(world, "and what of the tests?")
    other = ScriptedModel(turn(call("read_file", path="tests/test_money.py")), turn(report()), name=OTHER)
    done = world.work(other)
    assert isinstance(done, Session)
    assert done.outcome is Outcome.REPORTED
    text = opening(other.requests[0])
    assert "- the session ended as reported" in text
    assert text.endswith("Note from anna: it began on Monday\nNote from anna: and what of the tests?")
    assert other.requests[1].messages[:1] == other.requests[0].messages


def reopen(world: World, message: str) -> None:
    """What the server does with a message to a done session."""
    world.client.note(message)
    world.client.session = replace(world.client.session, state=State.OPEN, outcome=None)


def test_a_policy_that_changed_meanwhile_begins_a_new_transcript_under_the_new_one(world: World) -> None:
    world.work(ScriptedModel(turn(call("pause_for_human", **ASK))))
    world.client.answers[ASK["reason"]] = "euro"
    world.client.policy = Policy(allow_unreviewed_reruns=True, denied_paths=(("dags/shop/**",),))
    model = ScriptedModel(turn(report()))
    world.work(model)
    assert breaks(world)[0]["because"] == ["prompt"]
    assert "It may not touch dags/shop/**." in model.requests[0].system


def test_where_nothing_changed_the_transcript_goes_on(world: World) -> None:
    model = ScriptedModel(*story())
    world.work(model)
    world.airflow.end_rerun(green=True)
    world.work(model)
    assert breaks(world) == []
    assert model.requests[-1].messages[: len(model.requests[-2].messages)] == model.requests[-2].messages


def test_a_worker_that_died_before_the_new_transcripts_first_turn_begins_it_once(world: World) -> None:
    world.work(ScriptedModel(turn(call("pause_for_human", **ASK))))
    world.client.answers[ASK["reason"]] = "euro"
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(ModelUnavailable("away"), name=OTHER))
    world.work(ScriptedModel(turn(report()), name=OTHER))
    assert len(breaks(world)) == 1


def test_every_further_change_begins_another_transcript(world: World) -> None:
    world.work(ScriptedModel(turn(call("pause_for_human", **ASK))))
    world.client.answers[ASK["reason"]] = "euro"
    second = {"reason": "Sure?", "summary_for_human": "One is left."}
    world.work(ScriptedModel(turn(call("pause_for_human", **second)), name=OTHER))
    world.client.answers["Sure?"] = "yes"
    third = ScriptedModel(turn(report()), name="third")
    world.work(third)
    assert [one["basis"]["model"] for one in breaks(world)] == [OTHER, "third"]
    assert "anna answered (answer): euro" in opening(third.requests[0])


def test_budgets_count_over_the_break(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, max_turns=3))
    world.work(ScriptedModel(turn(call("list_files")), turn(call("pause_for_human", **ASK))))
    world.client.answers[ASK["reason"]] = "euro"
    done = world.work(ScriptedModel(turn(call("list_files")), name=OTHER))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.OVER_BUDGET
    assert usage_of(world.client.events).turns == 3


def test_the_one_reminder_holds_over_the_break(world: World) -> None:
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(say("It was renamed."), ModelUnavailable("away")))
    other = ScriptedModel(say("As said."), name=OTHER)
    done = world.work(other)
    assert "without a tool call" in opening(other.requests[0])
    assert isinstance(done, Session)
    assert done.outcome is Outcome.GAVE_UP


# --- the models that there are ---------------------------------------------------------------------------------------


def test_the_rules_bring_another_models_fix_to_its_end(world: World) -> None:
    world.work(ScriptedModel(*story()[:4]))
    world.airflow.end_rerun(green=True)
    done = world.work(RulesModel())
    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED
    assert f"Fixed before on {world.host.fixes[0]}" in (done.summary or "")


def test_the_rules_rerun_a_fix_that_another_model_only_opened(world: World) -> None:
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(*story()[:3], ModelUnavailable("away")))
    assert isinstance(world.work(RulesModel()), WaitRun)
    world.airflow.end_rerun(green=False)
    done = world.work(RulesModel())
    assert isinstance(done, Session)
    assert (done.outcome, len(world.client.reruns)) == (Outcome.PROPOSED, 1)
    assert "still broken" in (done.summary or "")


def test_the_rules_do_not_open_what_another_model_left_half_done(world: World) -> None:
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(*story()[:2], ModelUnavailable("away")))
    done = world.work(RulesModel())
    assert isinstance(done, Session)
    assert (done.outcome, world.host.fixes) == (Outcome.GAVE_UP, [])
    assert "dags/shop/revenue.py" in (done.summary or "")


def test_a_call_whose_id_was_used_before_is_run_and_not_taken_for_answered(world: World) -> None:
    """The rules count their calls per conversation, some gateways per answer."""
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(turn({**call("list_files"), "id": "call_1_1"}), ModelUnavailable("away")))
    again = {**call("search_code", regex="to_euro"), "id": "call_1_1"}
    world.work(ScriptedModel(turn(again), turn(report()), name=OTHER))
    assert [event.data["tool"] for event in world.client.of(EventKind.RESULT)] == ["list_files", "search_code"]


def test_the_messages_api_takes_the_new_conversation_of_another_claude(world: World) -> None:
    turns = [list(one.content) for one in story()]
    with MessagesApi(turns) as api:
        client = anthropic.Anthropic(base_url=api.url, api_key=api.key)
        world.work(ClaudeModel(client, model="claude-opus-5-5", effort="medium"))
        world.airflow.end_rerun(green=True)
        done = world.work(ClaudeModel(client, model="claude-sonnet-5-5", effort="medium"))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED
    assert [request["model"] for request in api.requests] == [*["claude-opus-5-5"] * 4, "claude-sonnet-5-5"]

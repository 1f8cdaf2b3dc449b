"""The loop: whole stories, crashes at every boundary, waits, ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from airflow_agentfix.core.budget import usage_of
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import EventKind, Outcome, Session, Usage, WaitFor
from airflow_agentfix.errors import ConfigurationError, ModelRefused, ModelUnavailable, SessionConflict
from airflow_agentfix.ports import ModelRequest, Turn, WaitRun
from tests.agent.world import EDIT, World, report, story
from tests.fakes.models import ScriptedModel, call, say, turn
from tests.fakes.session_client import NOBODY

BRANCH = "fix/shop-daily-revenue-call-to-euros-the-helper-s-new-name-01234567"


class Killed(BaseException):
    """The worker process is gone."""


def test_a_failed_run_is_read_fixed_rerun_and_reported(world: World) -> None:
    model = ScriptedModel(*story())
    waited = world.work(model)
    assert isinstance(waited, WaitRun)
    assert (waited.waiting_for, waited.run_id) == (WaitFor.RERUN, world.incident.ref.run_id)
    assert world.client.parked == waited

    world.airflow.end_rerun(green=True)
    done = world.work(model)

    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED
    assert done.summary == (
        f"to_euro was renamed to to_euros. Fix on {BRANCH}: Call to_euros, the helper's new name; rerun green. "
        "Verified: gates, compiled, DAG imports, shape kept, rerun. "
        "Not run: reproduced, static checks, repository checks, output checks."
    )
    assert world.host.fixes == [BRANCH]
    request = world.host.branches[BRANCH]
    assert request is not None
    assert [(change.path, change.content) for change in request.changes] == [
        ("dags/shop/revenue.py", b"from shop import money\n\n\ndef total(row):\n    return money.to_euros(row)\n")
    ]
    assert "AgentFix session `s1`; 3 model calls, 3,300 tokens, $0.03 so far." in request.body
    assert request.message.endswith(
        "\n\nAgentfix-Session: s1\nAgentfix-Dag: shop_daily_revenue\nAgentfix-File: dags/shop_daily_revenue.py\n"
        "Agentfix-Fingerprint: fp1:0123456789abcdef\n"
    )
    assert world.results("rerun")[0]["text"].startswith(
        "rerun green: sum_revenue success (try 2) in 1.5 s; publish_report success"
    )
    report = world.client.of(EventKind.FINISHED)[0].data["report"]
    assert report["confidence"] == 0.9
    assert set(report["shown_in"].values()) <= {event.number for event in world.client.of(EventKind.RESULT)}


def test_each_request_begins_with_the_whole_request_before_it(world: World) -> None:
    model = ScriptedModel(*story())
    world.work(model)
    world.client.note("look at the helper")
    world.airflow.end_rerun(green=True)
    world.work(model)
    for earlier, later in zip(model.requests, model.requests[1:], strict=False):
        assert later.messages[: len(earlier.messages)] == earlier.messages
        assert (later.system, later.tools) == (earlier.system, earlier.tools)


def _run_with_kill(world: World, model: ScriptedModel, at: int, *, before: bool) -> bool:
    """Work until done, killed once at the `at`-th append; tells whether there was such an append."""
    seen = 0

    def kill(kinds: list[EventKind]) -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Killed

    if before:
        world.client.before_append = kill
    else:
        world.client.after_append = kill
    for _ in range(5):
        try:
            given = world.work(model)
        except Killed:
            continue
        if isinstance(given, Session):
            return seen >= at
        world.airflow.end_rerun(green=True)
    raise AssertionError("the session did not end")


class Repeating(ScriptedModel):
    """Says the same turn again when the conversation is where it was: an answer that was lost is given again."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = story()

    def reply(self, request: ModelRequest) -> Turn:
        return self.turns[sum(message["role"] == "assistant" for message in request.messages)]


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, 12))
def test_a_worker_killed_at_any_event_leaves_one_branch_and_one_rerun(world: World, at: int, before: bool) -> None:
    model = Repeating()
    was_killed = _run_with_kill(world, model, at, before=before)

    assert world.client.session.outcome is Outcome.FIXED
    assert world.host.fixes == [BRANCH]
    assert len(world.client.reruns) == 1
    assert [len(world.client.of(kind)) for kind in (EventKind.FIX, EventKind.RERUN, EventKind.PATCH)] == [1, 1, 1]
    assert len(world.client.of(EventKind.MODEL)) == 5
    assert was_killed


@pytest.mark.parametrize("verb", ["approval", "rerun", "park", "finish"])
def test_a_worker_killed_after_the_server_acted_is_followed_by_one_that_goes_on(world: World, verb: str) -> None:
    real, killed = getattr(world.client, verb), []

    def act_then_die(*args, **kwargs):
        answer = real(*args, **kwargs)
        if not killed:
            killed.append(verb)
            raise Killed
        return answer

    setattr(world.client, verb, act_then_die)
    model = Repeating()
    for _ in range(4):
        try:
            given = world.work(model)
        except Killed:
            if world.client.session.outcome:
                break
            continue
        if isinstance(given, Session):
            break
        world.airflow.end_rerun(green=True)
    assert killed
    assert world.client.session.outcome is Outcome.FIXED
    assert (len(world.host.fixes), len(world.client.reruns), len(world.client.of(EventKind.FINISHED))) == (1, 1, 1)


def test_a_worker_killed_after_the_branch_was_made_finds_it_again(world: World) -> None:
    real = world.host.open_fix

    def make_then_die(request):
        real(request)
        world.host.open_fix = real
        raise Killed

    world.host.open_fix = make_then_die
    model = ScriptedModel(*story())
    with pytest.raises(Killed):
        world.work(model)
    world.work(model)
    assert world.host.fixes == [BRANCH]
    assert len(world.client.of(EventKind.INTENT)) == 2  # open_fix and rerun, once each


def test_several_calls_of_a_turn_are_answered_in_order_in_one_message(world: World) -> None:
    calls = [call("list_files", glob="dags/**"), call("search_code", regex="to_euro"), call("read_file", path="nowhere.py")]
    world.work(ScriptedModel(turn(*calls), turn(report())))
    answers = world.messages()[2]
    assert [block["tool_use_id"] for block in answers["content"]] == [block["id"] for block in calls]
    assert [block["is_error"] for block in answers["content"]] == [False, False, True]


def test_a_waiting_call_in_the_middle_parks_and_only_unanswered_calls_run_after(world: World) -> None:
    ask = call("pause_for_human", reason="Which currency?", summary_for_human="Two are possible.")
    model = ScriptedModel(turn(call("list_files"), ask, call("search_code", regex="def ")), turn(report()))
    waited = world.work(model)
    assert isinstance(waited, WaitRun)
    assert waited.call_id == ask["id"]
    assert [event.data["tool"] for event in world.client.of(EventKind.RESULT)] == ["list_files"]

    world.client.answers["Which currency?"] = "euro"
    world.work(model)
    assert [event.data["tool"] for event in world.client.of(EventKind.RESULT)] == ["list_files", "pause_for_human", "search_code"]
    assert world.results("pause_for_human")[0]["text"] == "anna answered (answer): euro"
    assert len(world.client.of(EventKind.QUESTION)) == 1


def test_a_session_that_wakes_too_early_waits_again(world: World) -> None:
    model = ScriptedModel(*story())
    first = world.work(model)
    assert world.work(model) == first
    assert len(world.client.reruns) == 1


def test_a_rerun_runs_after_a_person_approved_it(make_world: Callable[..., World]) -> None:
    world = make_world(approve=None, policy=Policy())
    model = ScriptedModel(*story())
    asked = world.work(model)
    assert isinstance(asked, WaitRun)
    assert asked.waiting_for is WaitFor.PERSON
    assert world.imports == []  # nothing of the fix is executed before the approval
    assert world.client.reruns == []

    world.client.approve = "approve"
    assert isinstance(world.work(model), WaitRun)
    assert world.imports == ["fix"]
    assert len(world.client.reruns) == 1


def test_a_rejected_rerun_ends_the_session_and_runs_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(approve="reject", policy=Policy())
    done = world.work(ScriptedModel(*story()))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.REJECTED
    assert done.verdict == "code"
    assert "anna rejected" in (done.summary or "")
    assert (world.client.reruns, world.imports) == ([], [])


def test_an_approval_nobody_gave_in_time_leaves_the_fix_proposed_and_runs_nothing(make_world: Callable[..., World]) -> None:
    world = make_world(approve="nobody", policy=Policy())
    done = world.work(ScriptedModel(*story()))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.PROPOSED
    assert "Nobody answered within 24 hours. Nothing was rerun;" in (done.summary or "")
    assert (world.client.reruns, world.imports) == ([], [])


def test_a_question_nobody_answered_is_told_to_the_model_as_that(world: World) -> None:
    world.client.answers["Which currency?"] = NOBODY
    model = ScriptedModel(turn(call("pause_for_human", reason="Which currency?", summary_for_human="Two.")), turn(report()))
    world.work(model)
    assert world.results("pause_for_human")[0]["text"].startswith("Nobody answered within 24 hours. Go on without an answer")


@pytest.mark.parametrize(
    ("limit", "named"),
    [({"max_turns": 2}, "max_turns"), ({"max_tokens": 2000}, "max_tokens"), ({"max_dollars": 0.015}, "max_dollars")],
)
def test_a_used_up_budget_ends_the_session_with_its_findings(make_world: Callable[..., World], limit: dict, named: str) -> None:
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, **limit))
    done = world.work(ScriptedModel(turn(call("list_files"), text="money.py lost to_euro"), turn(call("read_log"))))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.OVER_BUDGET
    assert named in (done.summary or "")
    assert "Findings so far: money.py lost to_euro" in (done.summary or "")
    assert usage_of(world.client.events).turns == 2


def test_the_budget_counts_what_earlier_workers_used(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, max_turns=4))
    world.work(ScriptedModel(*story()))
    world.airflow.end_rerun(green=True)
    done = world.work(ScriptedModel())
    assert isinstance(done, Session)
    assert done.outcome is Outcome.OVER_BUDGET
    assert "rerun green" in (done.summary or "")


def test_a_session_that_worked_too_long_ends_with_its_findings_before_the_next_call(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, max_minutes=30))

    def slow(request: ModelRequest) -> Turn:
        world.now += timedelta(minutes=31)
        return turn(call("list_files"), text="money.py lost to_euro")

    done = world.work(ScriptedModel(slow))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.OVER_BUDGET
    assert "31 of 30 minutes at work are used up (max_minutes)." in (done.summary or "")
    assert "Findings so far: money.py lost to_euro" in (done.summary or "")


def test_the_time_a_rerun_takes_is_not_the_sessions(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(allow_unreviewed_reruns=True, max_minutes=30))
    model = ScriptedModel(*story())
    world.work(model)
    world.now += timedelta(hours=5)
    world.airflow.end_rerun(green=True)
    done = world.work(model)
    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED


def unavailable(**used: int) -> ModelUnavailable:
    error = ModelUnavailable("the stream of password=hunter2secret9 was cut")
    error.usage, error.dollars = used, 0.4
    return error


def test_what_a_failed_call_used_is_on_record_and_counted(world: World) -> None:
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(unavailable(input_tokens=900)))
    (spent,) = world.client.of(EventKind.SPENT)
    assert (spent.data["model"], spent.data["usage"], spent.data["dollars"]) == ("scripted", {"input_tokens": 900}, 0.4)
    assert "hunter2" not in spent.data["reason"]
    assert usage_of(world.client.events) == Usage(turns=1, input_tokens=900, dollars=0.4)


def test_calls_that_only_fail_end_the_session_however_often_it_is_taken_up(make_world: Callable[..., World]) -> None:
    world = make_world(policy=Policy(max_dollars=1.0))
    for _ in range(3):
        with pytest.raises(ModelUnavailable):
            world.work(ScriptedModel(unavailable()))
    done = world.work(ScriptedModel())
    assert isinstance(done, Session)
    assert done.outcome is Outcome.OVER_BUDGET
    assert "max_dollars" in (done.summary or "")


def test_after_a_failed_call_the_conversation_is_what_it_was(world: World) -> None:
    model = ScriptedModel(turn(call("list_files")), unavailable(), turn(report()))
    with pytest.raises(ModelUnavailable):
        world.work(model)
    world.work(model)
    assert model.requests[2].messages == model.requests[1].messages


def test_a_session_its_day_has_no_dollars_for_ends_before_a_model_that_costs_some_is_asked(world: World) -> None:
    world.client.unpaid = "The dollars of the day do not suffice."
    model = ScriptedModel(*story())
    done = world.work(model)
    assert isinstance(done, Session)
    assert (done.outcome, model.requests) == (Outcome.OVER_BUDGET, [])
    assert (done.summary or "").startswith("No model was asked. The dollars of the day do not suffice.")
    assert len(world.client.of(EventKind.INCIDENT)) == 1


def test_a_model_that_costs_nothing_works_whatever_the_day_has_left(world: World) -> None:
    world.client.unpaid = "The dollars of the day do not suffice."
    model = ScriptedModel(*story())
    model.costs = False
    world.work(model)
    assert world.host.fixes != []


def test_a_rerun_that_was_approved_runs_though_there_are_no_dollars_any_more(make_world: Callable[..., World]) -> None:
    world = make_world(approve=None, policy=Policy())
    model = ScriptedModel(*story())
    world.work(model)
    world.client.approve, world.client.unpaid = "approve", "The dollars of the day do not suffice."
    world.work(model)
    world.airflow.end_rerun(green=True)
    done = world.work(model)
    assert isinstance(done, Session)
    assert (done.outcome, len(world.client.reruns)) == (Outcome.OVER_BUDGET, 1)
    assert "rerun green" in (done.summary or "")


def test_a_stop_seen_while_saving_ends_the_session_before_the_tool_acts(world: World) -> None:
    world.client.before_append = lambda kinds: world.client.stop("wrong DAG") if EventKind.INTENT in kinds else None
    done = world.work(ScriptedModel(*story()))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.STOPPED
    assert "Stopped by anna: wrong DAG" in (done.summary or "")
    assert world.host.fixes == []


def test_a_stop_given_while_the_session_waited_ends_it_at_once(world: World) -> None:
    world.work(ScriptedModel(*story()))
    world.client.stop()
    done = world.work(ScriptedModel())
    assert isinstance(done, Session)
    assert done.outcome is Outcome.STOPPED


def test_a_stop_that_came_just_before_the_session_would_wait_ends_it(world: World) -> None:
    real = world.client.rerun

    def start_while_someone_stops(*args, **kwargs):
        started = real(*args, **kwargs)
        world.client.stop("too risky")
        return started

    world.client.rerun = start_while_someone_stops
    done = world.work(ScriptedModel(*story()))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.STOPPED
    assert "rerun started" in (done.summary or "")


def test_a_note_is_read_before_the_next_model_call(world: World) -> None:
    model = ScriptedModel(turn(call("list_files")), turn(report()))
    world.client.after_append = lambda kinds: world.client.note("it began on Monday") if kinds == [EventKind.RESULT] else None
    world.work(model)
    assert model.requests[1].messages[-1]["content"][-1] == {"type": "text", "text": "Note from anna: it began on Monday"}


def test_a_note_that_came_while_the_model_was_thinking_follows_that_turn(world: World) -> None:
    def think(request):
        world.client.note("while you think")
        return turn(call("list_files"))

    model = ScriptedModel(think, turn(report()))
    world.work(model)
    assert model.requests[1].messages[: len(model.requests[0].messages)] == model.requests[0].messages
    assert model.requests[1].messages[-1]["content"][-1]["text"] == "Note from anna: while you think"


def test_a_turn_without_a_call_is_reminded_once_and_then_ends_the_session(world: World) -> None:
    model = ScriptedModel(say("I think to_euro was renamed."), say("As I said."))
    done = world.work(model)
    assert "submit_report" in model.requests[1].messages[-1]["content"][-1]["text"]
    assert isinstance(done, Session)
    assert done.outcome is Outcome.GAVE_UP
    assert "Findings so far: As I said." in (done.summary or "")


def test_a_turn_that_was_cut_is_not_run_and_goes_on_after_a_reminder(world: World) -> None:
    cut = call("change_files")
    model = ScriptedModel(turn(cut, stop_reason="max_tokens"), turn(report()))
    world.work(model)
    assert world.results("change_files") == []
    answer = model.requests[1].messages[-1]["content"][0]
    assert (answer["type"], answer["tool_use_id"], answer["is_error"]) == ("tool_result", cut["id"], True)


def test_a_paused_turn_is_sent_again_as_it_is(world: World) -> None:
    model = ScriptedModel(say("let me think", stop_reason="pause_turn"), turn(report()))
    world.work(model)
    assert model.requests[1].messages[-1] == {"role": "assistant", "content": [{"type": "text", "text": "let me think"}]}


@pytest.mark.parametrize("refusal", [say("I cannot help.", stop_reason="refusal"), ModelRefused("the model declined: policy")])
def test_a_refusal_ends_the_session_as_given_up(world: World, refusal: object) -> None:
    done = world.work(ScriptedModel(refusal))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.GAVE_UP
    assert "declined" in (done.summary or "")


def test_a_missing_setting_ends_the_session_as_failed_with_its_message(world: World) -> None:
    done = world.work(ScriptedModel(ConfigurationError("no model 'x'")))
    assert isinstance(done, Session)
    assert done.outcome is Outcome.FAILED
    assert world.client.of(EventKind.FINISHED)[0].data["error"] == "ConfigurationError: no model 'x'"


def test_a_model_that_is_away_is_left_to_whoever_tries_again(world: World) -> None:
    with pytest.raises(ModelUnavailable):
        world.work(ScriptedModel(ModelUnavailable("overloaded")))
    assert world.client.session.outcome is None


def test_a_bug_of_ours_is_no_tool_result(world: World) -> None:
    def broken(path: str) -> str:
        raise ZeroDivisionError

    def read(request):
        assert world.case is not None
        world.case.tree().copy.read = broken
        return turn(call("read_file", path="dags/shop/money.py"))

    with pytest.raises(ZeroDivisionError):
        world.work(ScriptedModel(read))
    assert world.results("read_file") == []


def test_a_lost_lease_is_raised_and_not_shown_to_the_model(world: World) -> None:
    def taken_over(request):
        world.client.claim("s1", worker="another")
        return turn(call("list_files"))

    with pytest.raises(SessionConflict):
        world.work(ScriptedModel(taken_over))


def test_a_rerun_is_green_though_what_is_below_waits_for_a_failure_of_another_cause(world: World) -> None:
    model = ScriptedModel(*story())
    world.work(model)
    world.airflow.end_rerun(green=True)
    world.airflow.run_state = "failed"
    world.airflow.tasks[-1] = replace(world.airflow.tasks[-1], state="upstream_failed")
    world.work(model)
    (told,) = world.results("rerun")
    assert told["text"].startswith("rerun green: sum_revenue success")
    assert "Still waiting for a task that failed of another cause: publish_report." in told["text"]


def test_a_fix_whose_branch_was_deleted_before_the_approval_is_not_rerun(make_world: Callable[..., World]) -> None:
    world = make_world(approve=None)
    model = ScriptedModel(*story()[:4], turn(report(outcome="gave_up")))
    assert isinstance(world.work(model), WaitRun)
    world.host.delete_branch(world.host.fixes[0])
    world.client.approve = "approve"
    world.work(model)
    assert "is gone or is not at" in world.results("rerun")[0]["text"]
    assert world.client.reruns == []


def test_one_amendment_follows_a_rerun_that_failed_again(world: World) -> None:
    again = turn(call("change_files", edits=[{**EDIT, "old": "to_euros(row)", "new": "to_euros(row or 0)"}]))
    second = turn(call("open_fix", title="Read missing rows as 0", summary="Rows may be missing."))
    third = turn(call("open_fix", title="Another", summary="Again."))
    more = turn(call("change_files", edits=[{**EDIT, "old": "row or 0", "new": "row or 0.0"}]))
    model = ScriptedModel(*story()[:4], again, second, turn(call("rerun")), more, third, turn(report(outcome="gave_up")))
    world.work(model)
    world.airflow.end_rerun(green=False)
    world.work(model)
    assert "the same cause again (fingerprint fp1:0123456789abcdef). Amendments left: 1." in world.results("rerun")[0]["text"]
    assert "L3\tstill broken" in world.results("rerun")[0]["text"]
    assert len(world.host.fixes) == 2
    assert world.host.fixes[1].endswith("-01234567-a2")

    world.next_incident = replace(world.incident, fingerprint="fp1:ffff")
    world.airflow.end_rerun(green=False)
    done = world.work(model)
    assert "another cause (fingerprint fp1:ffff). No amendment is left" in world.results("rerun")[1]["text"]
    assert "2 fixes were opened" in world.results("open_fix")[2]["text"]
    assert isinstance(done, Session)
    assert (done.outcome, len(world.host.fixes), len(world.client.reruns)) == (Outcome.GAVE_UP, 2, 2)

"""Claude over the real SDK against a Messages API that refuses what the real one refuses."""

from __future__ import annotations

from collections.abc import Sequence

import anthropic
import pytest

from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.errors import AgentFixError, ConfigurationError, ModelError, ModelKeyError, ModelUnavailable
from airflow_agentfix.models.claude import ClaudeModel, build_claude
from airflow_agentfix.models.prices import dollars
from airflow_agentfix.ports import Json, ModelRequest
from airflow_agentfix.settings import Price, Settings
from tests.fakes.incidents import an_incident
from tests.fakes.messages_api import Fault, MessagesApi, Refusal, call, text

QUESTION: list[Json] = [{"role": "user", "content": [{"type": "text", "text": "What failed?"}]}]


def ask(api: MessagesApi, messages: Sequence[Json] = QUESTION, *, key: str = "test-key", prices: Sequence[Price] = ()):
    client = anthropic.Anthropic(api_key=key, base_url=api.url)
    model = ClaudeModel(client, model="claude-opus-5-5", effort="low", prices=prices, max_wait=0.01)
    return model.reply(ModelRequest("You are an engineer.", TOOLS, messages, an_incident()))


def test_a_turn_with_tool_calls_is_kept_verbatim_and_its_calls_can_be_run():
    with MessagesApi([[text("I read the log."), call("read_log", grep="Error")]]) as api:
        turn = ask(api)
    assert [block["type"] for block in turn.content] == ["text", "tool_use"]
    assert [(one.name, one.input) for one in turn.calls] == [("read_log", {"grep": "Error"})]
    assert turn.usage == {
        "input_tokens": 900,
        "output_tokens": 120,
        "cache_read_input_tokens": 400,
        "cache_creation_input_tokens": 100,
    }
    assert turn.dollars == dollars("claude-opus-5-5", turn.usage) > 0


def test_the_next_request_replays_the_turn_so_that_the_api_accepts_the_history():
    with MessagesApi([[call("read_log")], [text("done")]]) as api:
        first = ask(api)
        answer = {"type": "tool_result", "tool_use_id": first.calls[0].id, "content": "L1\tboom", "is_error": False}
        turn = ask(api, [*QUESTION, {"role": "assistant", "content": list(first.content)}, {"role": "user", "content": [answer]}])
    assert turn.stop_reason == "end_turn"


def test_tools_system_and_the_newest_message_carry_the_cache_points_and_the_callers_messages_stay_as_they_were():
    with MessagesApi([[text("ok")]]) as api:
        ask(api)
        body = api.requests[0]
    assert "cache_control" in body["tools"][-1]
    assert "cache_control" in body["system"][0]
    assert "cache_control" in body["messages"][-1]["content"][-1]
    assert "cache_control" not in QUESTION[-1]["content"][-1]


def test_an_overloaded_answer_and_a_cut_stream_on_the_way_cost_nothing_but_time():
    with MessagesApi([Fault(529, headers={"retry-after": "0"}), Fault(cut=True), [text("here")]]) as api:
        turn = ask(api)
    assert turn.content[0]["text"] == "here"


CUT = {"input_tokens": 900, "output_tokens": 1, "cache_read_input_tokens": 400, "cache_creation_input_tokens": 100}


@pytest.mark.parametrize("how", [{}, {"broken": True}, {"overloaded": True}], ids=["clean", "broken", "error event"])
def test_a_turn_after_a_cut_stream_has_the_usage_of_both(how: dict[str, bool]):
    with MessagesApi([Fault(cut=True, **how), [text("here")]]) as api:
        turn = ask(api)
    assert turn.content[0]["text"] == "here"
    assert turn.usage == {**CUT, "input_tokens": 1800, "output_tokens": 121} | {
        "cache_read_input_tokens": 800,
        "cache_creation_input_tokens": 200,
    }
    assert turn.dollars == pytest.approx(dollars("claude-opus-5-5", turn.usage))


def test_what_a_stream_said_before_it_was_cut_counts_as_output():
    with MessagesApi([Fault(cut=True, said="word " * 80), [text("here")]]) as api:
        assert ask(api).usage["output_tokens"] == 120 + 100


def test_the_error_after_the_last_cut_stream_has_the_usage_of_all():
    attempts = [Fault(cut=True), Fault(cut=True, broken=True), Fault(529, headers={"retry-after": "0"}), Fault(cut=True)]
    with MessagesApi(attempts) as api, pytest.raises(ModelUnavailable) as caught:
        ask(api)
    assert caught.value.usage == {key: 3 * value for key, value in CUT.items()}
    assert caught.value.dollars == pytest.approx(3 * dollars("claude-opus-5-5", CUT))


def test_a_call_that_was_never_answered_used_nothing():
    with MessagesApi([Fault(413, "request_too_large")]) as api, pytest.raises(ModelError) as caught:
        ask(api)
    assert (caught.value.usage, caught.value.dollars) == (None, 0.0)


def test_a_stream_that_is_always_cut_ends_as_unavailable_and_never_as_a_turn():
    with MessagesApi([Fault(cut=True)] * 3) as api, pytest.raises(ModelUnavailable, match="ended before the turn"):
        ask(api)


def test_tool_calls_of_a_turn_that_did_not_stop_for_them_are_not_run():
    with MessagesApi([Refusal("max_tokens", (call("open_fix"),))]) as api:
        turn = ask(api)
    assert turn.stop_reason == "max_tokens"
    assert turn.calls == ()


def test_a_refusal_is_a_turn_with_its_reason():
    with MessagesApi([Refusal("refusal", (text("I will not."),))]) as api:
        turn = ask(api)
    assert (turn.stop_reason, turn.usage["input_tokens"], turn.dollars > 0) == ("refusal", 900, True)


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (401, "authentication_error", ModelKeyError),
        (403, "permission_error", ModelKeyError),
        (404, "not_found_error", ConfigurationError),
        (400, "invalid_request_error", ModelError),
        (413, "request_too_large", ModelError),
    ],
)
def test_each_refusal_of_the_api_is_one_of_our_errors_and_says_what_to_do(status: int, kind: str, expected: type[AgentFixError]):
    with MessagesApi([Fault(status, kind)]) as api, pytest.raises(expected) as caught:
        ask(api)
    assert "claude-opus-5-5" in str(caught.value)
    assert "test-key" not in str(caught.value)


def test_a_wrong_key_is_a_key_error():
    with MessagesApi([[text("never")]]) as api, pytest.raises(ModelKeyError):
        ask(api, key="wrong")


def test_an_api_that_is_away_is_unavailable():
    with MessagesApi([]) as api:
        url = api.url
    client = anthropic.Anthropic(api_key="k", base_url=url)
    model = ClaudeModel(client, model="claude-opus-5-5", effort="low", max_wait=0.01)
    model._client = client.with_options(max_retries=0)
    with pytest.raises(ModelUnavailable):
        model.reply(ModelRequest("s", TOOLS, QUESTION, an_incident()))


def test_without_connection_and_key_there_is_no_claude(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert build_claude(Settings(), find_connection=lambda _: None) is None


def test_the_environments_key_is_used_without_a_connection(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    model = build_claude(Settings(model="claude-haiku-5-5"), find_connection=lambda _: None)
    assert model is not None
    assert model.name == "claude-haiku-5-5"


def test_a_turn_costs_what_the_deployment_says():
    with MessagesApi([[text("ok")]]) as api:
        turn = ask(api, prices=[Price("claude-*", input=1000.0, output=0.0, cache_read=10.0, cache_write=2000.0)])
    assert turn.dollars == pytest.approx((900 * 1000 + 400 * 10 + 100 * 2000) / 1e6)

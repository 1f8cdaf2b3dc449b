"""The demo's story with Claude's side played over HTTP by a scripted Messages API that the real SDK talks to."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_agentfix.core.session import EventKind, Outcome
from tests.e2e.production import FIX_FILE, Production, production
from tests.fakes.messages_api import Fault, MessagesApi, call, text

pytestmark = pytest.mark.e2e
RUN = "friday"
EDIT = {"path": FIX_FILE, "old": "money.to_euro(amount)", "new": "money.to_euros(amount)"}
REPORT = {
    "verdict": "code",
    "root_cause": "revenue.py calls money.to_euro, which was renamed to to_euros",
    "outcome": "fixed",
    "causal_chain": [{"claim": "the call uses the old name", "cites": [f"{FIX_FILE}:15"]}],
}
SCRIPT = [
    [text("I look at the log and the file."), call("read_log", "t1", grep="to_euro"), call("read_file", "t2", path=FIX_FILE)],
    Fault(529, headers={"retry-after": "0"}),
    [call("change_files", "t3", edits=[EDIT])],
    Fault(cut=True),
    [call("open_fix", "t4", title="Call money.to_euros by its new name", summary="The helper was renamed.")],
    [call("rerun", "t5")],
    [call("submit_report", "t6", **REPORT)],
]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Production, MessagesApi]]:
    with MessagesApi(SCRIPT) as api:
        key = {"ANTHROPIC_API_KEY": api.key, "ANTHROPIC_BASE_URL": api.url}
        config = {"AGENTFIX__ALLOW_UNREVIEWED_RERUNS": "True"}
        with production(tmp_path_factory.mktemp("claude"), config=config, environment=key) as here:
            here.fail(RUN)
            here.done(RUN)
            yield here, api


def test_the_run_is_green_after_an_overloaded_answer_and_a_cut_stream(played):
    here, api = played
    assert here.done(RUN).outcome is Outcome.FIXED
    assert here.run_state(RUN) == "success"
    assert api.script == []


def test_only_the_failed_task_and_its_downstream_ran_again_and_upstream_kept_its_xcom(played):
    here, _ = played
    assert {name: task.try_number for name, task in here.tasks(RUN).items()} == {
        "extract_orders": 1,
        "sum_revenue": 2,
        "publish_report": 1,
    }
    assert len(here.xcom(RUN, "extract_orders")) == 4
    assert here.xcom(RUN, "sum_revenue") == {"DE": 59.8, "FR": 12.5, "PL": 229.0}


def test_the_transcript_replays_to_what_the_model_was_last_sent(played):
    here, api = played
    from airflow_agentfix.core import transcript

    events = [event for event in here.events(here.session(RUN)) if event.kind is not EventKind.FINISHED]
    turns = [event for event in events if event.kind is EventKind.MODEL]
    before_last = tuple(event for event in events if event.number < turns[-1].number)
    replayed = json.loads(json.dumps(transcript.messages(before_last)))
    sent = [
        {**message, "content": [{k: v for k, v in block.items() if k != "cache_control"} for block in message["content"]]}
        for message in api.requests[-1]["messages"]
    ]
    assert replayed == sent


def test_what_it_cost_is_on_record(played):
    here, api = played
    usage = here.done(RUN).usage
    assert usage.turns == len(api.requests)
    assert usage.dollars > 0
    assert usage.cache_read_tokens == 400 * (usage.turns + 1)  # the stream that was cut is paid for too


def test_the_models_key_is_nowhere_in_the_story(played):
    here, api = played
    assert api.key not in json.dumps([dict(event.data) for event in here.events(here.session(RUN))])

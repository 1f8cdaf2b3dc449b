"""The offline model's way from failure to report."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.core.transcript import ENDED
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import ModelRequest
from airflow_agentfix.resources import dags_folder
from tests.fakes.incidents import an_incident
from tests.models.conversation import converse, fail, failed, write

MONEY = "def to_euros(cents):\n    return cents / 100\n\n\ndef to_text(euros):\n    return f'{euros} EUR'\n"
DAG = "import money\n\ndef total(cents):\n    return money.to_euro(cents)\n\ntotal(4)\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write(tmp_path, dags__dag_py=DAG, dags__money_py=MONEY)


@pytest.fixture
def incident(shop: Path) -> Incident:
    return fail(shop)


def test_the_demos_failure_is_fixed(tmp_path: Path) -> None:
    shutil.copytree(dags_folder() / "demo", tmp_path, dirs_exist_ok=True)
    story = converse(tmp_path, an_incident())
    assert story.outcome == "fixed"
    assert list(story.changed) == ["dags/shop/revenue.py"]
    assert "money.to_euros(amount)" in story.changed["dags/shop/revenue.py"]


def test_a_fix_is_changed_opened_rerun_and_reported(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident)
    assert story.tools[-4:] == ["change_files", "open_fix", "rerun", "submit_report"]
    assert story.changed == {"dags/dag.py": DAG.replace("to_euro(", "to_euros(")}
    assert story.outcome == "fixed"
    assert story.report["verdict"] == "code"


def test_the_report_cites_the_log_and_the_lines_it_read(shop: Path, incident: Incident) -> None:
    cites = [link["cites"] for link in converse(shop, incident).report["causal_chain"]]
    assert cites == [["L42"], ["dags/dag.py:4"], ["dags/money.py:1"]]


def test_the_reviewer_is_told_cause_change_and_why(shop: Path, incident: Incident) -> None:
    summary = converse(shop, incident).summary
    assert summary.startswith("Use to_euros instead of to_euro in dag.py\nCause: dags/dag.py:4 uses `to_euro`")
    assert "Change: `to_euro` becomes `to_euros` at dags/dag.py:4" in summary
    assert "Why this one: `to_euros` is the only attribute of module money (dags/money.py) that is near `to_euro`" in summary


def test_call_ids_are_unique_and_the_same_for_the_same_conversation(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident)
    ids = [
        block["id"]
        for message in story.messages
        if message["role"] == "assistant"
        for block in message["content"]
        if "id" in block
    ]
    assert len(ids) == len(set(ids)) == len(story.tools)
    request = ModelRequest("", (), story.messages[:3], incident)
    assert RulesModel().reply(request) == RulesModel().reply(request)


def test_a_turn_costs_nothing(incident: Incident) -> None:
    turn = RulesModel().reply(ModelRequest("", (), [{"role": "user", "content": "hello"}], incident))
    assert (turn.model, turn.stop_reason, turn.dollars, set(turn.usage.values())) == ("rules", "tool_use", 0.0, {0})


def test_a_failed_rerun_is_reported_as_proposed_with_its_cause_and_no_second_guess(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident, rerun="rerun failed: KeyError: 'tax'")
    assert story.outcome == "proposed"
    assert "KeyError: 'tax'" in story.report["root_cause"]
    assert story.tools.count("change_files") == 1


def test_a_rerun_that_is_impossible_is_reported_as_proposed(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident, refuse={"rerun": "no way to rerun applies: configure a git bundle"})
    assert story.outcome == "proposed"
    assert "configure a git bundle" in story.report["owner_action"]


@pytest.mark.parametrize("tool", ["change_files", "open_fix"])
def test_a_refused_change_is_reported_with_its_diff(shop: Path, incident: Incident, tool: str) -> None:
    story = converse(shop, incident, refuse={tool: "autonomy is report"})
    assert story.outcome == "reported"
    assert "autonomy is report" in story.report["root_cause"]
    assert "+    return money.to_euros(cents)" in story.report["owner_action"]
    assert "rerun" not in story.tools


def test_an_unknown_failure_is_reported_with_the_judgement_and_no_change(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py="def run():\n    raise ValueError('2024-31-03')\n\nrun()\n")
    story = converse(tmp_path, fail(tmp_path))
    assert (story.tools, story.outcome, story.changed) == (["submit_report"], "reported", {})
    assert "ValueError: 2024-31-03" in story.report["root_cause"]
    assert "no recipe knows this kind of failure" in story.report["root_cause"]


def test_a_repository_that_cannot_be_read_is_reported_and_said(shop: Path, incident: Incident) -> None:
    advice = " End with submit_report and say so in owner_action."
    story = converse(shop, incident, refuse={"list_files": f"the repository did not answer.{advice}"})
    assert story.outcome == "reported"
    assert "could not look: the repository did not answer" in story.report["root_cause"]
    assert "submit_report" not in str(story.report)


def test_a_failure_without_frames_is_reported(shop: Path) -> None:
    story = converse(shop, failed(shop, "AttributeError", "module 'money' has no attribute 'to_euro'"))
    assert story.outcome == "reported"
    assert "names no line" in story.report["root_cause"]


def test_a_refused_report_is_handed_in_as_given_up_once(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident, refuse={"submit_report": "there is no green rerun"})
    assert story.tools.count("submit_report") == 2
    assert story.outcome == "gave_up"
    assert "The report was refused as fixed: there is no green rerun" in story.report["root_cause"]


def test_a_session_that_goes_on_after_its_report_ends_in_the_same_report(shop: Path, incident: Incident) -> None:
    story = converse(shop, incident)
    use = story.messages[-1]["content"][-1]
    ended = {"type": "tool_result", "tool_use_id": use["id"], "content": ENDED, "is_error": True}
    noted = {"role": "user", "content": [ended, {"type": "text", "text": "Note from ada: and now?"}]}
    (call,) = RulesModel().reply(ModelRequest("", (), [*story.messages, noted], incident)).calls
    assert (call.name, call.input) == ("submit_report", use["input"])
    assert call.id != use["id"]


def test_a_long_file_is_read_in_parts(tmp_path: Path) -> None:
    write(tmp_path, dags__dag_py="# filler\n" * 200 + DAG, dags__money_py=MONEY)
    refusal = (
        "The result has 20000 characters; at most 16000 are shown. 'dags/dag.py' has 206 lines. Read a part with start and end."
    )
    story = converse(tmp_path, fail(tmp_path), too_long={"dags/dag.py": refusal})
    assert story.outcome == "fixed"
    assert story.changed["dags/dag.py"].endswith("return money.to_euros(cents)\n\ntotal(4)\n")

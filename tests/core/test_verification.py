"""The record of a fix: every stage in its order, and of each that was not run the reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from airflow_agentfix.core.session import Event, EventKind, Session, State, fold
from airflow_agentfix.core.stages import AT_OPEN, EXECUTED, ORDER, RERUN_AND_AFTER, Stage, StageState, failed, not_run, passed
from airflow_agentfix.core.verification import record, record_at_open, told
from tests.fakes.session_client import AT

COMMIT, OTHER = "c" * 40, "d" * 40
COMPILED = passed("compiled", "with Python 3.12.4: a.py")
Given = tuple[EventKind, Mapping[str, Any]]


def events(*given: Given, actor: str = "anna") -> list[Event]:
    return [Event(number, kind, actor, AT, data) for number, (kind, data) in enumerate(given, 1)]


def fix(commit: str = COMMIT) -> Given:
    return EventKind.FIX, {"branch": "fix/a", "commit": commit, "pull_request": None, "findings": []}


def verified(*stages: Stage, commit: str = COMMIT) -> Given:
    return EventKind.VERIFIED, {"commit": commit, "stages": [stage.to_json() for stage in stages], "call_id": "c1"}


def approval(decision: str = "approve", commit: str = COMMIT) -> Given:
    return EventKind.APPROVAL, {"question_id": "q1", "commit": commit, "decision": decision, "via": "api"}


def policy(autonomy: str) -> Given:
    return EventKind.POLICY, {"policy": {"autonomy": autonomy}, "sources": {}, "problems": []}


def result(text: str, *, is_error: bool = True) -> Given:
    return EventKind.RESULT, {"call_id": "c2", "tool": "rerun", "text": text, "is_error": is_error}


RERUN: Given = EventKind.RERUN, {"way": "pin", "dag_id": "d", "run_id": "r", "commit": COMMIT, "task_ids": ["t"]}
ENDED: Given = EventKind.FINISHED, {"outcome": "over_budget", "summary": ""}
QUESTION: Given = EventKind.QUESTION, {"question_id": "q1", "about": "approval"}
NOBODY: Given = EventKind.ANSWER, {"question_id": "q1", "decision": "nobody", "message": ""}


def why_not(name: str, *given: Given) -> str:
    (stage,) = [stage for stage in record(events(*given)) if stage.name == name]
    assert stage.state is StageState.NOT_RUN
    return stage.detail


def test_without_a_fix_there_is_no_record() -> None:
    assert record(events(policy("rerun"))) == ()
    assert record(events((EventKind.FIX, {}))) == ()  # erased


def test_every_stage_is_there_in_its_order_whatever_was_recorded() -> None:
    assert (*AT_OPEN, *EXECUTED, *RERUN_AND_AFTER) == ORDER
    for given in ((), (verified(COMPILED),), (verified(passed("rerun", "t success"), COMPILED),)):
        assert tuple(stage.name for stage in record(events(fix(), *given))) == ORDER


def test_what_was_recorded_last_of_a_stage_counts_and_only_of_the_newest_fix() -> None:
    given = record(
        events(
            fix(OTHER), verified(failed("rerun", "red"), COMPILED, commit=OTHER), fix(), verified(failed("gates", "1"), COMPILED),
            verified(passed("gates", "2")),
        )
    )  # fmt: skip
    by_name = {stage.name: stage for stage in given}
    assert (by_name["gates"], by_name["compiled"]) == (passed("gates", "2"), COMPILED)
    assert by_name["rerun"].state is StageState.NOT_RUN


def test_what_nobody_wrote_down_at_the_opening_is_not_claimed() -> None:
    assert {why_not(name, fix(), approval(), RERUN) for name in (*AT_OPEN, *EXECUTED)} == {"it was not recorded"}


@pytest.mark.parametrize("name", [*EXECUTED, *RERUN_AND_AFTER])
@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([policy("rerun")], "nobody has approved running the commit yet, and nothing of it is executed before"),
        ([approval(commit=OTHER)], "nobody has approved running the commit yet, and nothing of it is executed before"),
        ([policy("propose")], "autonomy is propose: nothing of the fix is executed"),
        ([approval()], "the commit is approved, and it was not run yet"),
        ([approval("reject")], "anna rejected running the commit"),
        ([approval("reject"), approval()], "the commit is approved, and it was not run yet"),
        ([QUESTION, NOBODY], "nobody approved running the commit before the question ended"),
        ([approval(), result("The DAG is\npaused.")], "no rerun: The DAG is paused."),
        ([approval(), ENDED], "the session ended before (over_budget)"),
    ],
)
def test_what_was_not_run_has_its_reason(name: str, given: list[Given], why: str) -> None:
    assert why_not(name, fix(), *given) == why


@pytest.mark.parametrize("name", RERUN_AND_AFTER)
def test_a_rerun_that_was_started_has_not_ended_until_it_is_judged(name: str) -> None:
    assert why_not(name, fix(), approval(), RERUN) == "the rerun was started and has not ended"
    assert why_not(name, fix(), approval(), RERUN, ENDED) == "the session ended before (over_budget)"


@pytest.mark.parametrize("name", [*EXECUTED, "output checks"])
def test_after_a_check_that_failed_nothing_was_run_and_the_rerun_says_which(name: str) -> None:
    given = (fix(), approval(), result("check failed: branch fix/a is gone."))
    assert why_not(name, *given) == "a check before it failed"
    assert why_not("rerun", *given) == "no rerun: check failed: branch fix/a is gone."


def test_a_rerun_that_was_left_open_has_its_reason_and_nothing_is_said_of_the_outputs() -> None:
    left = not_run("rerun", "it was ended by hand, by anna")
    assert why_not("rerun", fix(), approval(), RERUN, verified(left), ENDED) == left.detail
    assert why_not("output checks", fix(), approval(), RERUN, verified(left), ENDED) == "the rerun gave no result"
    given = (fix(), approval(), RERUN, verified(passed("rerun", "t success")))
    assert why_not("output checks", *given) == "it was not recorded"


def test_a_reason_is_never_as_long_as_what_a_rerun_was_told() -> None:
    assert len(why_not("rerun", fix(), result("x" * 5_000))) < 320


def test_what_is_about_to_be_recorded_counts_before_it_is() -> None:
    (stage,) = [s for s in record(events(fix()), now=[passed("rerun", "green")], because="no") if s.name == "rerun"]
    assert stage == passed("rerun", "green")
    assert {s.detail for s in record(events(fix()), because="anna said no") if s.name in EXECUTED} == {"anna said no"}


def test_a_fix_is_opened_with_a_record_that_claims_nothing_of_what_is_executed() -> None:
    opened = record_at_open(events(policy("propose")), [COMPILED])
    assert COMPILED in opened
    assert {stage.detail for stage in opened if stage.name in EXECUTED} == {"autonomy is propose: nothing of the fix is executed"}
    assert {stage.state for stage in record_at_open([], []) if stage.name in RERUN_AND_AFTER} == {StageState.NOT_RUN}


def test_a_pull_request_that_is_behind_is_told_of_until_it_is_not() -> None:
    behind, caught_up = not_run("pull request", "GitHub is away"), passed("pull request", "")
    assert record(events(fix(), verified(behind)))[-1] == behind
    assert [stage.name for stage in record(events(fix(), verified(behind), verified(caught_up)))] == [*ORDER]


def test_a_record_is_told_in_three_lists() -> None:
    stages = [COMPILED, failed("rerun", ""), not_run("gates", ""), passed("DAG imports", "")]
    assert told(stages) == "Verified: compiled, DAG imports. Failed: rerun. Not run: gates."
    assert told([]) == ""


@pytest.mark.parametrize(
    "data",
    [
        {"commit": COMMIT},
        {"commit": None, "stages": []},
        {"commit": COMMIT, "stages": [{"name": "rerun"}]},
        {"commit": COMMIT, "stages": [{"name": "rerun", "state": "green", "detail": ""}]},
        {"commit": COMMIT, "stages": [{"name": 1, "state": "passed", "detail": ""}]},
        {"commit": COMMIT, "stages": ["rerun"]},
    ],
)
def test_what_is_no_stage_is_refused_when_it_is_written(data: dict[str, Any]) -> None:
    session = Session("s1", "d", "r", "t", -1, 1, State.RUNNING, "rerun", "cli", AT, AT)
    with pytest.raises((KeyError, TypeError, ValueError)):
        fold(session, Event(1, EventKind.VERIFIED, "worker", AT, data))

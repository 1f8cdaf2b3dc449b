"""Each event as a person reads it."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.core.session import WORKER, Event, EventKind, Outcome
from airflow_agentfix.views.sentences import AUTONOMIES, ENDS, PIN_ENDS
from airflow_agentfix.views.timeline import PART_CHARS, WORDS_CHARS, entry, fold
from tests.web.pages import world
from tests.web.pages.world import K

REF = "orders/tuesday/load try 1"
COMMIT = "c" * 40
SAMPLES: dict[EventKind, tuple[dict[str, Any], str]] = {
    K.CREATED: ({"source": "ui", "autonomy": "rerun", "requested_by": "anna"}, "Asked for it (ui)"),
    K.CLAIMED: ({"worker": "agentfix_fix/r/fix/1", "login": "olga"}, "A worker took it"),
    K.POLICY: ({"policy": {"autonomy": "propose"}, "sources": {}, "problems": ["no file"]}, "autonomy propose"),
    K.INCIDENT: (world.incident(), "evidence was collected"),
    K.NEW_TRANSCRIPT: ({"because": ["tools"], "text": "so far"}, "tools changed"),
    K.MODEL: (world.turn(world.says("hm"), world.calls("read_log"))[1], "Calls a tool"),
    K.SPENT: ({"model": "claude", "usage": {}, "dollars": 0.5, "reason": "cut off"}, "gave no turn: cut off"),
    K.INTENT: ({"call_id": "c", "tool": "open_fix", "input": {}}, "Begins open_fix"),
    K.RESULT: (world.result("read_log", "a\nb")[1], "read_log answered"),
    K.PATCH: ({"files": [{"path": "a.py", "before": "x\n", "after": "y\n"}], "findings": []}, "Changed a.py"),
    K.FIX: (world.fix(), "Opened a fix on fix/orders-load-1a2b"),
    K.VERIFIED: ({"commit": COMMIT, "stages": [world.stage("gates", "failed", "no")]}, "gates failed"),
    K.NOTE: ({"message": "look at main"}, "Told it"),
    K.QUESTION: ({"question_id": "q1", "about": "approval", "subject": "Run it?", "body": "b"}, "Asks for approval: Run it?"),
    K.ANSWER: ({"question_id": "q1", "decision": "nobody", "message": "", "via": "required_actions"}, "Nobody answered"),
    K.APPROVAL: ({"commit": COMMIT, "decision": "reject", "via": "api"}, f"Rejected running commit {COMMIT[:12]}"),
    K.RERUN: (
        {"way": "pin", "reason": "r", "dag_id": "d", "run_id": "r1", "commit": COMMIT, "task_ids": ["t"]},
        "Reruns t in run r1",
    ),
    K.PARKED: ({"waiting_for": "rerun", "dag_id": "d", "run_id": "r1"}, "Waits for the rerun"),
    K.PIN_ENDED: ({"run_id": "r1", "version": "b" * 40, "reason": "merged"}, "as the fix is merged"),
    K.RECOVERY: ({"run_id": "r2", "state": "left", "task_ids": [], "reason": "gone"}, "Run r2 was left alone: gone"),
    K.OCCURRENCE: ({"ref": REF, "run_id": "tuesday"}, f"failed again: {REF}"),
    K.STOP: ({"reason": "enough"}, "Stopped it"),
    K.FINISHED: ({"outcome": "fixed", "summary": "green", "error": None}, "the rerun on the fix is green"),
    K.ERASED: ({}, "Erased what the session held"),
}


def an_event(kind: EventKind, data: dict[str, Any], *, actor: str = WORKER, number: int = 1) -> Event:
    return Event(number, kind, actor, "2026-11-22T07:00:00.000+00:00", data)


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_has_a_sentence_of_its_own(kind: EventKind):
    data, expected = SAMPLES[kind]
    assert expected in entry(an_event(kind, data)).says
    assert sum(expected in entry(an_event(other, given)).says for other, (given, _) in SAMPLES.items()) == 1


KEPT = {K.ERASED, K.CLAIMED, K.POLICY, K.APPROVAL, K.RERUN, K.PIN_ENDED, K.RECOVERY}


@pytest.mark.parametrize("kind", [kind for kind in EventKind if kind not in KEPT])
def test_an_event_whose_content_was_erased_says_so(kind: EventKind):
    told = entry(an_event(kind, {}))
    assert told.says.endswith(": erased.")
    assert told.says != "None: erased."
    assert (told.words, told.items, told.folds) == ("", (), ())


def test_every_outcome_autonomy_and_end_of_a_pin_has_its_words():
    from airflow_agentfix.core.policy import Autonomy
    from airflow_agentfix.core.session import PinEnd

    assert set(ENDS) == {one.value for one in Outcome}
    assert set(AUTONOMIES) == {one.value for one in Autonomy}
    assert set(PIN_ENDS) == {one.value for one in PinEnd}


def test_a_long_result_has_its_first_part_and_the_whole_of_it_is_there_when_opened():
    event = an_event(K.RESULT, world.result("read_log", "x" * 5_000)[1])
    (part,) = entry(event).folds
    assert (len(part.text), part.left) == (PART_CHARS, 5_000 - PART_CHARS)
    whole = fold(event, 0)
    assert whole is not None
    assert (len(whole.text), whole.left) == (5_000, 0)
    assert fold(event, 2) is None


def test_long_words_are_cut_and_are_whole_in_their_fold():
    event = an_event(*world.turn(world.says("word " * 2_000), world.calls("read_log")))
    told = entry(event)
    assert len(told.words) <= WORDS_CHARS + 1
    whole = fold(event, len(told.folds) - 1)
    assert whole is not None
    assert (whole.form, len(whole.text)) == ("words", len("word " * 2_000) - 1)


def test_a_change_is_made_a_diff_when_it_is_opened_and_holds_no_secret():
    secret = 'password = "hunter2hunter2"\n'
    event = an_event(K.PATCH, {"files": [{"path": "a.py", "before": "x\n", "after": secret}], "findings": []})
    (part,) = entry(event).folds
    assert (part.text, part.form, part.left > 0) == ("", "diff", True)
    whole = fold(event, 0)
    assert whole is not None
    assert "-x" in whole.text
    assert "hunter2" not in whole.text


ODD: tuple[Any, ...] = (None, 7, "text", ["a"], {"a": 1}, [None], [[1]])


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_what_a_worker_writes_in_odd_shapes_is_told_all_the_same(odd: Any):
    """The fields that the store asks nothing of."""
    told = [
        an_event(K.MODEL, {**SAMPLES[K.MODEL][0], "content": odd, "stop_reason": odd}),
        an_event(K.MODEL, world.turn({"type": "text", "text": odd}, {"type": "tool_use", "name": odd, "input": odd})[1]),
        an_event(K.RESULT, {"call_id": odd, "tool": odd, "text": odd, "is_error": odd}),
        an_event(K.INTENT, {"tool": odd, "input": odd, "call_id": odd}),
        an_event(K.SPENT, {**SAMPLES[K.SPENT][0], "reason": odd, "model": odd}),
        an_event(K.FIX, world.fix(title=odd, summary=odd, paths=odd, diff=odd)),
        an_event(K.INCIDENT, {**world.incident(), "judgement": {"verdict": "code", "confidence": odd, "reason": odd}}),
    ]
    assert all(entry(event).says for event in told)

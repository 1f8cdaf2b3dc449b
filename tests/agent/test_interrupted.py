"""People who speak up or stop at any moment of a session's work, days that pass, and a fix that needs its amendment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_agentfix.core import questions, transcript
from airflow_agentfix.core.session import EventKind, Outcome, Session
from airflow_agentfix.ports import WaitRun
from tests.agent.real_world import RealWorld, real_world
from tests.agent.undisturbed import Live, Undisturbed, assert_whole
from tests.agent.world import EDIT, report
from tests.fakes.models import call, turn
from tests.fakes.server import ANNA

DAY = 24 * 3600.0
NOTE = "The ledger is in euros."


def until_the_end(before: Undisturbed, names: Sequence[str]) -> list[int]:
    """Moments before the session's end is on record."""
    return [at for at in before.deaths(*names) if at < before.moments.index("before client.finish")]


# --- at any moment ---------------------------------------------------------------------------------------------------


def test_a_note_at_any_moment_is_kept_and_read_by_the_next_model_call(undisturbed: Live, origin: Path, tmp_path: Path) -> None:
    before = undisturbed()
    for at in until_the_end(before, ("store", "model", "airflow"))[::2]:  # every second one: half a minute less
        with real_world(tmp_path / f"w{at}", origin) as world:
            world.reaper.when(at, lambda world=world: world.server.service.message(world.session_id, ANNA, NOTE))
            assert_whole(world, world.live())
            assert world.kinds() == before.kinds + Counter(note=1), before.moments[at - 1]
            (note,) = transcript.of_kind(world.events(), EventKind.NOTE)
            later = [e for e in transcript.of_kind(world.events(), EventKind.MODEL) if e.data["after"] >= note.number]
            told = [request for request in world.model.requests if NOTE in str(request.messages)]
            assert len(told) == len(later)


def test_a_note_between_a_workers_look_and_its_write_loses_neither(undisturbed: Live, origin: Path, tmp_path: Path) -> None:
    before = undisturbed()
    writes = [number for number, name in enumerate(before.moments, 1) if name == "before store.write"][:-1:2]
    for at in writes:
        with real_world(tmp_path / f"w{at}", origin) as world:
            world.reaper.when(at, lambda world=world: world.server.service.message(world.session_id, ANNA, NOTE))
            assert_whole(world, world.live())
            assert world.kinds() == before.kinds + Counter(note=1), at


def test_after_a_stop_at_any_moment_nothing_is_begun_any_more(undisturbed: Live, origin: Path, tmp_path: Path) -> None:
    before = undisturbed()
    for at in until_the_end(before, ("store", "model", "airflow", "POST")):
        with real_world(tmp_path / f"w{at}", origin) as world:
            world.reaper.when(at, lambda world=world: world.server.service.stop(world.session_id, ANNA, "enough"))
            done = world.live()
            assert done.outcome is Outcome.STOPPED, before.moments[at - 1]
            assert _begun_after_the_stop(world) == []
            assert world.server.store.broken_link(world.session_id) is None
            assert len(world.github.pulls) == len(world.branches()) - 1 == world.kinds()["fix"]
            assert len(world.server.airflow.pins) == world.kinds()["rerun"]


def _begun_after_the_stop(world: RealWorld) -> list[EventKind]:
    """Effects that were not under way when the stop was written."""
    events = world.events()
    (stop,) = transcript.of_kind(events, EventKind.STOP)
    begins = (EventKind.INTENT, EventKind.MODEL, EventKind.PATCH)
    return [event.kind for event in events if event.number > stop.number + 1 and event.kind in begins]


# --- several questions, days between ---------------------------------------------------------------------------------


def ask(question: str) -> dict[str, Any]:
    return call("pause_for_human", reason=question, summary_for_human="Two are possible.")


def test_questions_of_one_turn_and_of_a_later_one_are_answered_over_days_by_tasks_that_were_cleared_and_retried(
    origin: Path, tmp_path: Path
) -> None:
    turns = [
        turn(ask("First?"), call("list_files"), ask("Second?")),
        turn(ask("Third?")),
        turn(report(outcome="reported")),
    ]
    with real_world(tmp_path / "w", origin, turns=turns) as world:
        for tries in (1, 2, 2, 3):
            given = world.drive(try_number=tries)
            if isinstance(given, Session):
                break
            assert world.drive(try_number=tries) == given  # the task was cleared while it waited
            (question,) = questions.waiting(world.events())
            world.server.clock.pass_seconds(3 * DAY)
            message = f"to {question.data['subject']}"
            world.server.service.reply(world.session_id, ANNA, message=message)
        assert isinstance(given, Session)
        assert given.outcome is Outcome.REPORTED
        answers = [e.data["text"] for e in world.events() if e.data.get("tool") == "pause_for_human" and "text" in e.data]
        assert answers == [f"anna answered (answer): to {name}?" for name in ("First", "Second", "Third")]
        assert len(world.server.airflow.questions) == 3
        assert world.server.store.broken_link(world.session_id) is None


# --- the amendment ---------------------------------------------------------------------------------------------------


def amended() -> list[Any]:
    again = {**EDIT, "old": "to_euros(row)", "new": "to_euros(row or 0)"}
    return [
        turn(call("change_files", edits=[EDIT])),
        turn(call("open_fix", title="Call to_euros", summary="Renamed.")),
        turn(call("rerun")),
        turn(call("change_files", edits=[again])),
        turn(call("open_fix", title="Read missing rows as 0", summary="Rows may be missing.")),
        turn(call("rerun")),
        turn(report(outcome="fixed")),
    ]


def test_a_worker_killed_at_any_effect_of_an_amended_fix_leaves_two_branches_two_reruns_and_two_approvals(
    origin: Path, tmp_path: Path
) -> None:
    turns = amended()
    with real_world(tmp_path / "undisturbed", origin, turns=turns, reruns=[False]) as world:
        assert world.live().outcome is Outcome.FIXED
        before = Undisturbed(world.reaper.moments, world.kinds(), world.model.calls, None)
    deaths = [at for at in before.deaths("POST", "airflow") if at > before.moments.index("after airflow.pin")]
    assert len(deaths) > 5
    for at in deaths:
        with real_world(tmp_path / f"w{at}", origin, at=at, turns=turns, reruns=[False]) as world:
            done = world.live()
            assert done.outcome is Outcome.FIXED
            assert world.kinds() == before.kinds, world.reaper.deaths
            assert (len(world.branches()), len(world.github.pulls), len(world.server.airflow.pins)) == (3, 2, 2)
            assert len(world.server.store.approvals(world.session_id)) == 2


def test_waiting_again_is_all_that_a_worker_woken_too_early_does(origin: Path, tmp_path: Path) -> None:
    with real_world(tmp_path / "w", origin) as world:
        first = world.drive()
        kinds = world.kinds()
        assert isinstance(first, WaitRun)
        assert world.drive() == first
        assert world.kinds() == kinds

"""Two workers on one session: the lease decides, at whatever moment the first one is overtaken."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_agentfix.core.session import Outcome, Session, State
from airflow_agentfix.errors import SessionConflict
from airflow_agentfix.ports import WaitRun
from tests.agent.real_world import RealWorld, real_world
from tests.agent.undisturbed import Live, assert_whole
from tests.fakes.incidents import REF
from tests.fakes.server import ANNA, WORKER
from tests.fakes.server_airflow import ORIGINAL

SECOND = "my_dag/monday/drive/1"
"""a task of a user's own DAG that drives the same session"""


def overtake(world: RealWorld) -> None:
    """The first worker is silent for longer than its lease, and a second one takes the session as far as it goes."""
    world.reaper.watches_requests = False
    world.server.clock.pass_seconds(world.settings.lease_seconds + 1)
    world.drive(SECOND)


def test_a_second_worker_is_refused_while_the_lease_lives_and_nothing_is_lost(origin: Path, tmp_path: Path) -> None:
    with real_world(tmp_path / "w", origin) as world:
        refused: list[str] = []

        def second() -> None:
            with pytest.raises(SessionConflict, match="is in work by") as error:
                world.drive(SECOND)
            refused.append(str(error.value))

        world.reaper.when("before model.reply", second)
        assert_whole(world, world.live())
        assert len(refused) == 1


@pytest.mark.parametrize("part", range(2))
def test_a_worker_that_was_overtaken_at_any_moment_is_refused_and_leaves_nothing_more(
    undisturbed: Live,
    origin: Path,
    tmp_path: Path,
    part: int,
) -> None:
    before = undisturbed()
    moments = before.deaths("client", "store", "airflow", "POST")[part::2]
    assert len(moments) > 15
    for at in moments:
        with real_world(tmp_path / f"w{at}", origin) as world:
            world.reaper.when(at, lambda world=world: overtake(world))
            was_its_last_call = before.moments[at] in ("after client.park", "after client.finish")
            assert _refused(world) or was_its_last_call or _is_done(world), (at, before.moments[at - 1])
            assert_whole(world, world.live(SECOND))
            assert world.kinds() == before.kinds, (at, before.moments[at - 1])
            assert world.model.calls <= before.calls + 1


def _is_done(world: RealWorld) -> bool:
    """Whether the second one brought it to its end: then there is nothing left to be refused."""
    stored = world.server.store.get(world.session_id)
    return stored is not None and stored.session.state is State.DONE


def _refused(world: RealWorld) -> bool:
    """Whether the first worker, overtaken while it does something, is refused when it goes on."""
    try:
        while isinstance(given := world.drive(), WaitRun) and world.reaper.waits_for_a_moment:
            world.happen(given)
        return False
    except SessionConflict:
        return True


# --- ended while a worker was on its way to Airflow ------------------------------------------------------------------


def erase(world: RealWorld) -> None:
    world.server.service.erase(world.session_id, ANNA)


def to_the_rerun(world: RealWorld) -> None:
    """Up to where the next worker makes the rerun."""
    for _ in range(2):
        given = world.drive()
        assert isinstance(given, WaitRun)
        world.happen(given)


def test_a_session_that_was_ended_just_before_its_run_is_pinned_pins_nothing(origin: Path, tmp_path: Path) -> None:
    with real_world(tmp_path / "w", origin) as world:
        to_the_rerun(world)
        world.reaper.when("before client.rerun", lambda: world.reaper.when("before store.write", lambda: erase(world)))
        with pytest.raises(SessionConflict):
            world.drive()
        assert world.server.airflow.pins == []
        assert world.kinds()["rerun"] == 0


@pytest.mark.parametrize("how", ["erased", "stopped", "overtaken"])
def test_a_pin_that_was_made_while_the_session_ended_is_on_record_and_can_be_taken_off(
    origin: Path, tmp_path: Path, how: str
) -> None:
    def end() -> None:
        if how == "erased":
            erase(world)
            return
        world.server.clock.pass_seconds(world.settings.lease_seconds + 1)
        if how == "stopped":
            world.server.service.stop(world.session_id, ANNA)
        else:
            world.server.service.worker.claim(world.session_id, WORKER, worker=SECOND)

    with real_world(tmp_path / "w", origin) as world:
        to_the_rerun(world)
        world.reaper.when("before airflow.pin", end)
        if how == "stopped":
            done = world.drive()
            assert isinstance(done, Session)
            assert done.outcome is Outcome.STOPPED
        else:
            with pytest.raises(SessionConflict):
                world.drive()
        assert (len(world.server.airflow.pins), world.kinds()["rerun"]) == (1, 1)
        assert world.server.store.broken_link(world.session_id) is None
        world.end_rerun()
        if how == "overtaken":
            assert_whole(world, world.live(SECOND))
        else:
            world.server.service.end_pin(world.session_id, ANNA)
            assert world.server.airflow.versions[REF.dag_id, REF.run_id] == ORIGINAL

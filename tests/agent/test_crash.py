"""A process killed at any moment: after resume there is one branch, one pull request, one rerun, and every event once.

Between two calls to the world nothing changes but the dead process's memory, so dying after each innermost call is dying at every
boundary: before an event reached the server, after it did and before the worker heard, and between any two requests of a tool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.agent.real_world import RealWorld, real_world
from tests.agent.undisturbed import Live, Undisturbed, assert_whole


@pytest.fixture
def dying_at(origin: Path, tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def dying_at(at: int, **more: Any) -> Iterator[RealWorld]:
        with real_world(tmp_path / f"w{at}", origin, at=at, **more) as world:
            yield world

    return dying_at


def assert_all_survived(dying_at: Callable[..., Any], before: Undisturbed, deaths: Sequence[int], **more: Any) -> None:
    for at in deaths:
        with dying_at(at, **more) as world:
            done = world.live()
            assert world.reaper.deaths == [before.moments[at - 1]], "died elsewhere than meant"
            assert_whole(world, done)
            assert world.kinds() == before.kinds, world.reaper.deaths
            assert done.summary == before.summary
            assert world.model.calls <= before.calls + 1, world.reaper.deaths


def test_a_worker_killed_before_or_after_any_event_loses_nothing_and_repeats_at_most_one_model_call(
    undisturbed: Live, dying_at: Callable[..., Any]
) -> None:
    before = undisturbed()
    deaths = [1, *before.deaths("store", "client", "model")]
    assert len(deaths) > 30
    assert_all_survived(dying_at, before, deaths)


def test_a_worker_killed_between_any_two_requests_to_github_leaves_one_branch_and_one_pull_request(
    undisturbed: Live, dying_at: Callable[..., Any]
) -> None:
    before = undisturbed()
    deaths = before.deaths("GET", "POST")
    names = [before.moments[at - 1] for at in deaths]
    assert [name.rpartition("/")[2] for name in names if "POST" in name] == ["trees", "commits", "refs", "pulls", "labels"]
    assert_all_survived(dying_at, before, deaths)


def test_a_worker_killed_between_any_two_calls_of_plain_git_leaves_one_branch(
    undisturbed: Live, dying_at: Callable[..., Any]
) -> None:
    before = undisturbed(plain_git=True)
    deaths = before.deaths("git")
    assert "after git push" in [before.moments[at - 1] for at in deaths]
    assert_all_survived(dying_at, before, deaths, plain_git=True)


def test_a_worker_killed_around_a_pull_requests_update_leaves_it_up_to_date(
    undisturbed: Live, dying_at: Callable[..., Any]
) -> None:
    before = undisturbed()
    deaths = before.deaths("host.update_request")
    assert len(deaths) == 2
    assert_all_survived(dying_at, before, deaths)


def test_an_api_server_killed_between_airflow_and_its_own_record_asks_once_and_pins_once(
    undisturbed: Live, dying_at: Callable[..., Any]
) -> None:
    before = undisturbed()
    deaths = before.deaths("airflow")
    assert {before.moments[at - 1] for at in deaths} == {"after airflow.ask", "after airflow.pin"}
    assert_all_survived(dying_at, before, deaths)


def test_it_is_the_same_on_postgres_around_every_effect(undisturbed: Live, dying_at: Callable[..., Any]) -> None:
    before = undisturbed()
    effects = [before.moments.index(f"after {name}") + 1 for name in ("airflow.ask", "client.ask", "airflow.pin", "client.rerun")]
    ends = [before.moments.index("after client.finish") + 1, before.deaths("POST")[-2]]
    assert_all_survived(dying_at, before, [*effects, *ends], database="postgres")


def test_two_deaths_on_the_way_are_survived_like_one(undisturbed: Live, dying_at: Callable[..., Any]) -> None:
    before = undisturbed()
    first = next(at for at in before.deaths("POST") if before.moments[at - 1].endswith("git/refs"))
    with dying_at(first) as world:
        world.reaper.when("after airflow.pin", world.reaper.kill)
        done = world.live()
        assert world.reaper.deaths == [before.moments[first - 1], "after airflow.pin"]
        assert_whole(world, done)
        assert world.kinds() == before.kinds

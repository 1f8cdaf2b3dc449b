"""A world per test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.real_world import make_origin, real_world
from tests.agent.undisturbed import Live, Undisturbed, assert_whole
from tests.agent.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One failed run; reruns are allowed without a person."""
    return World(tmp_path)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """A world with another policy, person or incident."""
    return lambda **given: World(tmp_path, **given)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_origin(tmp_path_factory.mktemp("origin"))


@pytest.fixture(scope="module")
def undisturbed(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Live:
    """Tells of a world in which nobody dies; told once for each kind of world."""
    told: dict[str, Undisturbed] = {}

    def tell(**more: Any) -> Undisturbed:
        key = str(sorted(more.items()))
        if key not in told:
            with real_world(tmp_path_factory.mktemp("undisturbed"), origin, **more) as world:
                done = world.live()
                assert_whole(world, done)
                told[key] = Undisturbed(world.reaper.moments, world.kinds(), world.model.calls, done.summary)
        return told[key]

    return tell

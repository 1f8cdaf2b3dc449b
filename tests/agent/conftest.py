"""A world per test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One failed run; reruns are allowed without a person."""
    return World(tmp_path)


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """A world with another policy, person or incident."""
    return lambda **given: World(tmp_path, **given)

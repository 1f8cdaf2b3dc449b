"""Airflow, where a test imports it, has a home of its own and not the developer's; end to end, who runs beside whom."""

from __future__ import annotations

import os

import pytest

from tests.once import shared

os.environ.setdefault("AIRFLOW_HOME", str(shared() / "home"))
HANG_SECONDS = 1800
"""of an end-to-end test with the steps before it; each of its waits gives up earlier and says what it saw"""


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """End to end, what shares an Airflow runs in one process and in order: a file's tests, and the pages' files."""
    for item in items:
        if item.get_closest_marker("e2e"):
            item.add_marker(pytest.mark.timeout(HANG_SECONDS))
            if not item.get_closest_marker("xdist_group"):
                item.add_marker(pytest.mark.xdist_group("pages" if item.path.parent.name == "browser" else item.path.stem))

"""Airflow, where a test imports it, has a home of its own and not the developer's; end to end, who runs beside whom."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests.once import shared
from tests.witnesses import testimony

os.environ.setdefault("AIRFLOW_HOME", str(shared() / "home"))
HANG_SECONDS = 1800
"""of an end-to-end test with the steps before it; each of its waits gives up earlier and says what it saw"""
PAGES = "tests/browser/"
END_TO_END = (PAGES, "tests/e2e/")
ON_ANOTHER = ("test_away_and_below_a_path.py",)
"""files in there that start an Airflow of their own"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("e2e"):
            if not item.nodeid.startswith(END_TO_END):
                raise pytest.UsageError(f"{item.nodeid} is marked e2e, and make test-e2e looks into {END_TO_END} alone")
            item.add_marker(pytest.mark.timeout(HANG_SECONDS))


@pytest.hookimpl(optionalhook=True)  # there where pytest-xdist is
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from xdist.scheduler import LoadFileScheduling

    class ByAirflow(LoadFileScheduling):
        """Tests of a file run in one process and in order, those of all pages too: they share an Airflow."""

        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return PAGES if file.startswith(PAGES) and Path(file).name not in ON_ANOTHER else file

    return ByAirflow(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        report.sections += testimony()
    return report

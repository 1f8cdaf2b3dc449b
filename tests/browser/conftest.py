"""One Airflow for the files of this folder, a browser for each of them, visitors that fail their test by what they complain of.

What is done to the stories' runs is done in the order of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import NoBrowser, chromium
from tests.browser.stories import Shop, shop
from tests.browser.visitor import Visitor
from tests.standins import missing

Visit = Callable[..., Visitor]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except NoBrowser as error:
            missing(str(error))
        yield browser


@pytest.fixture(scope="package")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with shop(tmp_path_factory.mktemp("browser")) as made:
        yield made


@pytest.fixture
def shown(browser: Browser, request: pytest.FixtureRequest) -> Shop:
    """The Airflow; it is not started where there is no browser to look at it."""
    made: Shop = request.getfixturevalue("airflow")
    return made


@pytest.fixture
def visit(browser: Browser, shown: Shop) -> Iterator[Visit]:
    """`visit(user, theme=…, width=…)`: a visitor, who leaves when the test ends."""
    with ExitStack() as stack:

        def come(user: str | None = None, **how: Any) -> Visitor:
            return stack.enter_context(Visitor(browser, shown.url, user, **how))

        yield come

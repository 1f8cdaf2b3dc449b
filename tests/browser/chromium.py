"""The browser of these tests: the machine's own Chromium, driven by Playwright. Its processes end with it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NO_BROWSER = f"no browser is installed: none of {', '.join(PROGRAMS)}; install one with: apt-get install chromium"


class NoBrowser(Exception):
    """None is installed; the message says what to do."""


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. NoBrowser where none is installed."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program_of(playwright), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


def program_of(playwright: Playwright) -> str:
    """The browser's path. NoBrowser where none is installed."""
    found = filter(None, map(shutil.which, PROGRAMS))
    if (own := Path(playwright.chromium.executable_path)).exists():
        return next(found, str(own))
    try:
        return next(found)
    except StopIteration:
        raise NoBrowser(NO_BROWSER) from None

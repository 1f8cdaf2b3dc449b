"""What is measured of a page that keeps itself up to date."""

from __future__ import annotations

import time

from playwright.sync_api import Page

from tests.e2e.production import Production


def seconds_to_show(here: Production, page: Page, session_id: str, message: str) -> float:
    """From an event's being in the store to its being on the session's open page."""
    here.sessions("admin").message(session_id, message)
    stored = time.monotonic()
    number = here.deployment.sessions.get(session_id).last_event
    page.locator(f"#event-{number}").wait_for(state="attached")
    return time.monotonic() - stored

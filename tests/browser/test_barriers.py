"""Nobody is kept out: axe finds nothing serious on any page, wide and narrow, in both themes; the switch between them works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.conftest import Visit
from tests.browser.stories import INBOX, TASK, Shop, task_tab
from tests.browser.visitor import barriers, is_wider_than_seen, switch_theme, theme_of

pytestmark = pytest.mark.e2e
LOOKS = [(theme, width) for theme in ("light", "dark") for width in (1440, 640)]

PAGES: dict[str, Callable[[Shop], str]] = {
    "inbox": lambda _: "/",
    "task before a session": lambda _: f"/task?dag_id=light&run_id=light&task_id={TASK}&map_index={{MAP_INDEX}}",
    "run": lambda _: "/run?dag_id=kept&run_id=kept",
    "session that asks": lambda shown: shown.page("kept"),
    "session of hostile text": lambda shown: shown.page("hostile"),
    "nothing there": lambda _: "/sessions/unknown",
}


@pytest.mark.parametrize(("theme", "width"), LOOKS)
def test_axe_finds_nothing_serious_and_no_page_scrolls_sideways(shown: Shop, visit: Visit, theme: str, width: int):
    shown.until_asked("kept")
    shown.until_asked("hostile")
    shown.fails("light")
    admin = visit("admin", theme=theme, width=width)
    found: dict[str, list[str]] = {}
    for name, path in PAGES.items():
        page = admin.our(path(shown))
        admin.settles()
        assert theme_of(page) == theme
        found[name] = [*barriers(page), *(["scrolls sideways"] if is_wider_than_seen(page) else [])]
    admin.takes_refusal(404)
    assert {name: told for name, told in found.items() if told} == {}


def test_airflows_switch_changes_our_page_at_once_and_without_a_reload(visit: Visit):
    admin = visit("admin")
    tab = admin.tab(INBOX)
    tab.locator("main").wait_for()
    tab.locator("html").evaluate("(html) => { html.dataset.seen = 'yes' }")
    for theme in ("dark", "light"):
        switch_theme(admin.page, theme)
        tab.locator(f"html[data-theme={theme}][data-seen=yes]").wait_for()
        assert theme_of(tab) == theme
    assert barriers(tab) == []


def test_a_frame_that_opens_in_the_dark_is_dark(visit: Visit):
    tab = visit("admin", theme="dark").tab(task_tab("light"))
    tab.locator("html[data-theme=dark]").wait_for()
    assert barriers(tab) == []

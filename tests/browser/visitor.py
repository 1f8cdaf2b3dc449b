"""A person at a browser of their own: logged in, in one theme; what the pages complain of is kept and fails the test."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, ConsoleMessage, FrameLocator, Page, expect

from tests.witnesses import witness

View = Page | FrameLocator
"""one of our pages: a page of its own, or in Airflow's frame"""

WATCH = """
document.addEventListener('securitypolicyviolation', (event) =>
  __violated(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""
THEME = "if (location.protocol !== 'about:') localStorage.getItem('theme') ?? localStorage.setItem('theme', '%s')"
HAS_SETTLED = "() => document.readyState === 'complete' && !document.querySelector('[aria-busy=true], .htmx-request')"
SANDBOX = "An iframe which has both allow-scripts and allow-same-origin"
"""what Chromium says of the frame that Airflow puts every plugin's page into"""
SERIOUS = ("serious", "critical")
PATIENCE = 240_000
"""milliseconds that only a hang takes: pages show what Airflow did, on a machine that may be slow and do much else"""
TELLING = 10_000
"""milliseconds for what is only asked of a page because a test has failed"""
expect.set_options(timeout=PATIENCE)


class Visitor:
    """`complaints`: errors on the console, refusals of the content-security policy, dialogs, calls of `__pwned` by what was
    meant as text. Used as a context manager, it fails where there are any."""

    def __init__(
        self, browser: Browser, url: str, user: str | None = None, *, theme: str = "light", width: int = 1440, height: int = 900
    ) -> None:
        self.url, self.user, self.complaints = url, user, list[str]()
        size = {"width": width, "height": height}
        self.context = browser.new_context(viewport=size, reduced_motion="reduce")  # type: ignore[arg-type]
        self.context.set_default_timeout(PATIENCE)
        self.context.expose_binding("__pwned", lambda source, how="": self._complain(f"executed: {how}", source))
        self.context.expose_binding("__violated", lambda source, told: self._complain(f"policy: {told}", source))
        self.context.add_init_script(WATCH + THEME % theme)
        self.context.on("console", self._heard)
        self.context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.context.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        if user:
            self.context.add_cookies([{"name": "_token", "value": token_of(url, user), "url": url + "/"}])
        self.page = self.context.new_page()
        self._there = ExitStack()

    def __enter__(self) -> Self:
        self._there.callback(self.context.close)
        self._there.enter_context(witness(f"The browser of {self.user or 'somebody'}", self.sees))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None and self.complaints:
            with self._there:
                raise AssertionError("The browser complains:\n" + "\n".join(self.complaints))
        self._there.__exit__(kind, error, trace)

    def sees(self) -> str:
        """What is to know where a test failed: the address, the complaints, the text of the page and of our frames, a picture."""
        picture = Path(tempfile.mkdtemp(prefix="agentfix-page-"), "page.png")
        self.page.screenshot(path=picture, timeout=TELLING)
        texts = [
            f"{frame.url}\n{frame.locator('body').inner_text(timeout=TELLING)[:4000]}"
            for frame in self.page.frames
            if frame is self.page.main_frame or "/agentfix/" in frame.url
        ]
        return "\n".join([str(picture), *self.complaints, *texts])

    def our(self, path: str) -> Page:
        """One of our pages by itself. `path`: below /agentfix."""
        self.page.goto(f"{self.url}/agentfix{path}")
        return self.page

    def tab(self, path: str) -> FrameLocator:
        """One of our pages as Airflow shows it. `path`: of Airflow's own page."""
        self.page.goto(self.url + path)
        return self.page.frame_locator("iframe[src*='agentfix/']")

    def settles(self) -> None:
        """Wait until what our pages asked for is there. When the network is idle is up to Airflow's own page, which polls."""
        for frame in self.page.frames:
            if "/agentfix/" in frame.url:
                frame.wait_for_function(HAS_SETTLED)

    def takes_refusal(self, status: int) -> None:
        """That the browser told of one answer with this status was meant."""
        told = [one for one in self.complaints if f"status of {status}" in one]
        assert told, f"no answer had status {status}: {self.complaints}"
        self.complaints.remove(told[0])

    def forgives(self, *words: str) -> None:
        """That what the browser told so far with one of these words was meant to happen."""
        self.complaints[:] = [one for one in self.complaints if not any(word in one for word in words)]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error" and SANDBOX not in message.text:
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _complain(self, told: str, source: dict[str, Any]) -> None:
        self.complaints.append(f"{told} ({source['frame'].url})")


def token_of(url: str, user: str) -> str:
    answer = requests.post(f"{url}/auth/token", json={"username": user, "password": user}, timeout=PATIENCE / 1000)
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def theme_of(view: View) -> str:
    return str(view.locator("html").get_attribute("data-theme"))


def barriers(view: View) -> list[str]:
    """What axe finds that keeps people out of the page: serious and critical violations."""
    page = view.locator("html")
    page.evaluate(AXE_SCRIPT)
    found = page.evaluate("() => axe.run({ resultTypes: ['violations'] })")["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


def is_wider_than_seen(view: View) -> bool:
    """Whether the page as a whole scrolls sideways."""
    return bool(view.locator("html").evaluate("(html) => html.scrollWidth > html.clientWidth"))


def switch_theme(page: Page, theme: str) -> None:
    """By Airflow's own switch, which is in the menu of the user."""
    page.get_by_role("button", name="User").click()
    appearance = page.get_by_role("menuitem", name="Appearance")
    if appearance.count():
        appearance.click()
    page.locator("[role^=menuitem]", has_text=f"{theme.title()} Mode").click()


def log_in(person: Visitor, user: str) -> None:
    """By the form that Airflow shows to strangers; the browser tells of the refusal that led to it."""
    person.page.goto(person.url)
    person.page.locator("input[name=username]").fill(user)
    person.page.locator("input[name=password]").fill(user)
    person.page.get_by_role("button", name="Sign in").click()
    person.page.get_by_role("button", name="User").wait_for()
    person.forgives("status of 401")

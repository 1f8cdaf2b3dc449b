"""Nothing is asked of Airflow while nobody looks: in a browser whose tabs hide each other, as a person's do.

Playwright keeps every page visible, so this browser is spoken to in its own protocol.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import sync_playwright
from websockets.sync.client import ClientConnection, connect

from tests.browser.chromium import FLAGS, NoBrowser, program_of
from tests.fakes.api_server import COOKIE, ApiServer
from tests.standins import missing
from tests.web.conftest import server_in
from tests.web.pages import world

HANG_SECONDS = 240


class Protocol:
    """A connection to the browser, or to one of its tabs."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket, self._sent, self.events = socket, 0, list[dict[str, Any]]()

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while (answer := json.loads(self._socket.recv(timeout=HANG_SECONDS))).get("id") != self._sent:
            self.events.append(answer)
        return dict(answer["result"])

    def forget(self) -> None:
        """What the tab asked for so far."""
        self.value("0")  # an answer, and all that came before it
        self.events.clear()

    def listen(self, seconds: float) -> list[str]:
        """Addresses that the tab asked for since, and for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                self.events.append(json.loads(self._socket.recv(timeout=left)))
            except TimeoutError:
                break
        return [one["params"]["request"]["url"] for one in self.events if one["method"] == "Network.requestWillBeSent"]

    def value(self, expression: str) -> Any:
        return self("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """A browser that Playwright does not speak to; its host and port."""
    with sync_playwright() as playwright:
        try:
            program = program_of(playwright)
        except NoBrowser as error:
            missing(str(error))
    command = [program, *FLAGS, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stderr
        yield next(found[1] for line in process.stderr if (found := re.search(r"ws://([^/]+)/", line)))
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_a_tab_behind_another_asks_for_nothing_and_again_when_it_is_seen_again(tmp_path: Path):
    server = server_in(tmp_path)
    session_id = world.at_work(server).session.id
    with ExitStack() as stack:
        url = stack.enter_context(ApiServer(server.service)).url
        host = stack.enter_context(started(tmp_path / "profile"))
        addresses = {one["type"]: one for one in requests.get(f"http://{host}/json", timeout=HANG_SECONDS).json()}
        browser_at = requests.get(f"http://{host}/json/version", timeout=HANG_SECONDS).json()["webSocketDebuggerUrl"]
        browser = Protocol(stack.enter_context(connect(browser_at, max_size=None)))
        tab = Protocol(stack.enter_context(connect(addresses["page"]["webSocketDebuggerUrl"], max_size=None)))
        tab("Network.enable")
        tab("Network.setCookie", name=COOKIE, value="anna", url=url)
        tab("Page.navigate", url=f"{url}/agentfix/sessions/{session_id}")
        until(lambda: any("/live?" in one for one in tab.listen(0.5)))
        other = browser("Target.createTarget", url="about:blank")
        browser("Target.activateTarget", targetId=other["targetId"])
        until(lambda: tab.value("document.hidden"))
        tab.forget()
        assert tab.listen(5) == []
        browser("Target.activateTarget", targetId=addresses["page"]["id"])
        until(lambda: any("/live?" in one for one in tab.listen(0.5)))
    server.close()


def until(condition: Any) -> None:
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""Our pages without an Airflow around them: a real web server over a real store, for what needs sessions in a state, and many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser

from tests.browser.visitor import Visitor
from tests.fakes.api_server import COOKIE, ApiServer
from tests.fakes.server import Server
from tests.web.conftest import server_in

USER = "anna"


@dataclass(frozen=True)
class Alone:
    """`anna` has logged in, and may edit the one DAG that there is."""

    server: Server
    anna: Visitor

    def logs_in(self) -> None:
        self.anna.context.add_cookies([{"name": COOKIE, "value": USER, "url": self.anna.url + "/"}])

    def is_logged_out(self) -> None:
        self.anna.context.clear_cookies(name=COOKIE)


@contextmanager
def alone(browser: Browser, folder: Path) -> Iterator[Alone]:
    server = server_in(folder)
    with ApiServer(server.service) as api, Visitor(browser, api.url) as anna:
        made = Alone(server, anna)
        made.logs_in()
        try:
            yield made
        finally:
            anna.forgives("favicon.ico")  # which Airflow has, and this server has not
    server.close()

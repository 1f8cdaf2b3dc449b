"""A fake's HTTP side: routes, what was asked, and the faults a network has."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

Route = Callable[["Request"], "Answer"]


@dataclass(frozen=True)
class Request:
    """What was asked; `parts` are the path's variable pieces, unquoted."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    parts: tuple[str, ...] = ()
    lists: Mapping[str, list[str]] = field(default_factory=dict)
    """the query, with every value of a name that is given more than once"""


@dataclass
class Answer:
    """`body` is JSON, or lines of bytes to stream."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    lines: Iterable[bytes] | None = None


@dataclass
class Fault:
    """What happens to the next `times` requests whose path has `path` in it: a status, a wait, or a connection that is cut
    half-way (`cut`) or closed without an answer (`drop`)."""

    path: str = ""
    times: int = 1
    method: str | None = None
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b'{"detail": "out of order"}'
    delay: float = 0.0
    cut: bool = False
    drop: bool = False


def refuse(status: int, detail: Any) -> Answer:
    return Answer(status, {"detail": detail})


class HttpFake:
    """Start it with `with`; `url` is its base URL, `base_path` included; `requests` has what was asked."""

    def __init__(self, *, base_path: str = "") -> None:
        self.base_path = base_path
        self.url = ""
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self._routes: list[tuple[str, re.Pattern[str], Route, bool]] = []

    def fail_next(self, path: str = "", **fault: Any) -> None:
        self.faults.append(Fault(path, **fault))

    def mount(self, method: str, pattern: str, route: Route, *, login: bool = True) -> None:
        """Another endpoint, `{}` for each variable piece: a plugin's API, for example."""
        regex = re.compile("^" + re.escape(pattern).replace(re.escape("{}"), "([^/]+)") + "$")
        self._routes.append((method, regex, route, login))

    def asked(self, path: str, method: str = "GET") -> list[Request]:
        """The requests whose path has `path` in it."""
        return [request for request in self.requests if path in request.path and request.method == method]

    def __enter__(self) -> Self:
        fake: HttpFake = self

        class Handler(_Handler):
            server_of = fake

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}{self.base_path}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take_fault(self, method: str, path: str) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.path in path and fault.method in (None, method):
                fault.times -= 1
                return fault
        return None

    def logged_in(self, request: Request) -> bool:
        """Does the request carry a login?"""
        return True

    def may(self, request: Request) -> bool:
        """May whoever asks have this?"""
        return True

    def answer(self, request: Request) -> Answer:
        for method, pattern, route, login in self._routes:
            if method == request.method and (match := pattern.match(request.path)):
                if login and not self.logged_in(request):  # as Airflow says it
                    given = "authorization" in request.headers
                    return refuse(403, "Invalid JWT token") if given else refuse(401, "Not authenticated")
                routed = replace(request, parts=tuple(unquote(part) for part in match.groups()))
                return route(routed) if self.may(routed) else refuse(403, "Forbidden")
        return refuse(404, "Not Found")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: HttpFake

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET

    def _serve(self) -> None:
        url = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lists = parse_qs(url.query)
        query = {key: values[-1] for key, values in lists.items()}
        headers = {key.lower(): value for key, value in self.headers.items()}
        path = url.path.removeprefix(self.server_of.base_path) if url.path.startswith(self.server_of.base_path) else "/outside"
        request = Request(self.command, path, query, headers, json.loads(raw) if raw else None, lists=lists)
        self.server_of.requests.append(request)
        fault = self.server_of.take_fault(self.command, path)
        if fault and fault.delay:
            time.sleep(fault.delay)
        if fault and fault.drop:
            self.close_connection = True
            return
        if fault and fault.status:
            self._send_bytes(fault.status, fault.body, {"Content-Type": "application/json", **fault.headers})
            return
        self._send(self.server_of.answer(request), cut=bool(fault and fault.cut))

    def _send(self, answer: Answer, *, cut: bool) -> None:
        if answer.lines is not None and not cut:
            self._send_lines(answer)
            return
        body = (
            b"".join(answer.lines)
            if answer.lines is not None
            else b""
            if answer.body is None
            else json.dumps(answer.body).encode()
        )
        self._send_bytes(answer.status, body, {"Content-Type": "application/json", **answer.headers}, cut=cut)

    def _send_bytes(self, status: int, body: bytes, headers: Mapping[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if cut else body)
        self.close_connection = self.close_connection or cut

    def _send_lines(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in answer.lines or ():
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

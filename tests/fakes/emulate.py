"""An independently written GitHub, npm's `emulate`, behind a shim that mends what it is known to answer unlike GitHub.

Mended: a ref's own address (`git/ref/` for `git/refs/`), and a branch's commit, which it gives without its content.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TOKENS = {"gh-token": "octo-bot", "person-token": "anna"}
REPOSITORIES = 60
"""acme/dags0 and so on: one for each test"""
SEED: dict[str, Any] = {
    "tokens": {token: {"login": login, "scopes": ["repo", "user"]} for token, login in TOKENS.items()},
    "github": {
        "users": [{"login": login, "email": f"{login}@acme.example"} for login in TOKENS.values()],
        "orgs": [{"login": "acme", "members": [{"login": login, "role": "admin"} for login in TOKENS.values()]}],
        "repos": [
            {"owner": "acme", "name": f"dags{n}", "auto_init": True, "default_branch": "main"} for n in range(REPOSITORIES)
        ],
    },
}


@contextlib.contextmanager
def emulated(command: Path, folder: Path) -> Iterator[str]:
    """The API's address, while `command` (the package's own program) serves the repositories."""
    seed, upstream = folder / "seed.json", _free_port()
    seed.write_text(json.dumps(SEED))
    with _shim(upstream) as server:
        address = f"http://127.0.0.1:{server.server_port}"
        arguments = ["start", "--service", "github", "--port", str(upstream), "--base-url", address, "--seed", str(seed)]
        with open(folder / "emulate.log", "wb") as log:
            process = subprocess.Popen([str(command), *arguments], stdout=log, stderr=log, cwd=folder, start_new_session=True)
        try:
            _wait_for(upstream, process)
            yield address
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(timeout=20)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"emulate did not start (exit code {process.poll()}).")


@contextlib.contextmanager
def _shim(upstream: int) -> Iterator[ThreadingHTTPServer]:
    class Handler(_Shim):
        port = upstream

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


class _Shim(BaseHTTPRequestHandler):
    port: int
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _pass_on(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path if self.command == "GET" else self.path.replace("/git/ref/", "/git/refs/")
        status, headers, body = self._ask(self.command, path, content)
        parts = urlsplit(path).path.split("/")
        if status == 200 and self.command == "GET" and parts[4:5] == ["branches"] and len(parts) > 5:
            body = self._with_commit(json.loads(body), "/".join(parts[:4]))
        body = body.replace(b"/git/ref/heads/", b"/git/refs/heads/")
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("transfer-encoding", "connection", "keep-alive", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def _with_commit(self, branch: dict[str, Any], repository: str) -> bytes:
        _, _, commit = self._ask("GET", f"{repository}/git/commits/{branch['commit']['sha']}", b"")
        facts = json.loads(commit)
        branch["commit"] |= {"commit": facts, "parents": facts["parents"]}
        return json.dumps(branch).encode()

    def _ask(self, method: str, path: str, content: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            passed = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
            connection.request(method, path, content, {**passed, "Content-Length": str(len(content))})
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

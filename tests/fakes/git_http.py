"""A git server over smart HTTP on loopback: git's own http-backend behind a stdlib server, with an optional token."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class GitHttpServer:
    """Serves the bare repositories below `root`; `answer`, if set, may take a request over (path -> status)."""

    def __init__(self, root: Path, *, token: str | None = None, answer: Callable[[str], int | None] | None = None) -> None:
        self.root = root
        self.token = token
        self.answer = answer
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def __enter__(self) -> GitHttpServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(GitHandler):
            server_of_git = outer

        return Handler


class GitHandler(BaseHTTPRequestHandler):
    server_of_git: GitHttpServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        server = self.server_of_git
        self.serve_git(server.root, token=server.token, answer=server.answer)

    def serve_git(self, root: Path, *, token: str | None, answer: Callable[[str], int | None] | None = None) -> None:
        """Answer as git, of the repositories below `root`."""
        body = self._body()
        if not self._let_in(token):
            self._reply(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
            return
        if answer and (status := answer(self.path)):
            self._reply(status, [], b"")
            return
        path, _, query = self.path.partition("?")
        output = subprocess.run(
            ["git", "http-backend"], input=body, env=self._cgi(root, path, query, body), capture_output=True, check=False
        ).stdout
        head, _, data = output.partition(b"\r\n\r\n")
        fields = [line.decode().split(": ", 1) for line in head.split(b"\r\n") if b": " in line]
        status = next((int(value.split()[0]) for name, value in fields if name.lower() == "status"), 200)
        self._reply(status, [(name, value) for name, value in fields if name.lower() != "status"], data)

    def _let_in(self, token: str | None) -> bool:
        given = self.headers.get("authorization", "")
        return token is None or (given.startswith("Basic ") and base64.b64decode(given[6:]).decode().endswith(":" + token))

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length", "0")))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _cgi(self, root: Path, path: str, query: str, body: bytes) -> dict[str, str]:
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("content-type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "bot",
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_PROTOCOL": self.headers.get("git-protocol", ""),
        }
        if encoding := self.headers.get("content-encoding"):
            env["HTTP_CONTENT_ENCODING"] = encoding
        return env

    def _reply(self, status: int, fields: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in fields:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

"""A small GitHub over a real bare repository, behind real HTTP: the Git Data API, archives and pull requests.

It answers with GitHub's status codes and messages, and keeps what it was asked. `faults` are functions that may take a
request over before it acts, or lose the answer after it did.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    body: Any


def problem(status: int, message: str, *errors: Any, **headers: str) -> Reply:
    body = {
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        **({"errors": list(errors)} if errors else {}),
    }
    return Reply(status, body, headers)


NOT_FOUND = problem(404, "Not Found")


class FakeGitHub:
    """One repository `owner/name`, kept in the bare git repository `folder`."""

    def __init__(self, folder: Path, *, full_name: str = "acme/dags", token: str = "gh-token", drafts: bool = True) -> None:
        self.folder = folder
        self.full_name = full_name
        self.token = token
        self.drafts = drafts
        self.pulls: list[dict[str, Any]] = []
        self.asked: list[Asked] = []
        self.before: Callable[[Asked], Reply | None] = lambda _: None
        self.lose_answer: Callable[[Asked], bool] = lambda _: False
        outer = self

        class Handler(_Handler):
            fake = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def repo_url(self) -> str:
        return f"{self.api_url}/{self.full_name}.git"

    def __enter__(self) -> FakeGitHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def git(self, *arguments: str, stdin: bytes = b"") -> bytes | None:
        done = subprocess.run(["git", f"--git-dir={self.folder}", *arguments], input=stdin, capture_output=True, check=False)
        return done.stdout if done.returncode == 0 else None

    def text(self, *arguments: str, stdin: bytes = b"") -> str | None:
        out = self.git(*arguments, stdin=stdin)
        return None if out is None else out.decode().removesuffix("\n")

    def answer(self, asked: Asked) -> Reply:
        root = f"/repos/{self.full_name}"
        if asked.path == root:
            return Reply(200, {"full_name": self.full_name, "name": self.full_name.partition("/")[2], "url": self.api_url + root})
        if not asked.path.startswith(root + "/"):
            return NOT_FOUND
        rest = asked.path.removeprefix(root + "/")
        for method, prefix, serve in self._routes():
            if method == asked.method and rest.startswith(prefix):
                return serve(rest.removeprefix(prefix), asked)
        return NOT_FOUND

    def _routes(self) -> list[tuple[str, str, Callable[[str, Asked], Reply]]]:
        return [
            ("GET", "git/ref/", self._ref),
            ("GET", "git/commits/", self._commit),
            ("GET", "git/trees/", self._tree),
            ("GET", "git/blobs/", self._blob),
            ("GET", "compare/", self._compare),
            ("GET", "commits", self._commits),
            ("GET", "tarball/", self._tarball_link),
            ("GET", "pulls/", self._pull),
            ("GET", "pulls", self._list_pulls),
            ("POST", "git/blobs", self._make_blob),
            ("POST", "git/trees", self._make_tree),
            ("POST", "git/commits", self._make_commit),
            ("POST", "git/refs", self._make_ref),
            ("POST", "pulls", self._make_pull),
            ("DELETE", "git/refs/", self._delete_ref),
        ]

    def _url(self, path: str) -> str:
        return f"{self.api_url}/repos/{self.full_name}/{path}"

    def _ref(self, ref: str, _: Asked) -> Reply:
        sha = self.text("rev-parse", "--verify", "--quiet", f"refs/{ref}")
        if not sha:
            return NOT_FOUND
        return Reply(
            200, {"ref": f"refs/{ref}", "url": self._url(f"git/refs/{ref}"), "object": {"sha": sha, "type": "commit", "url": ""}}
        )

    def _commit_json(self, sha: str) -> dict[str, Any] | None:
        raw = self.text("show", "-s", "--format=%T%x00%P%x00%an%x00%ae%x00%aI%x00%B", f"{sha}^{{commit}}")
        if raw is None or len(sha) != 40:
            return None
        tree, parents, name, email, date, message = raw.split("\0")
        person = {"name": name, "email": email, "date": date}
        return {
            "sha": sha,
            "url": self._url(f"git/commits/{sha}"),
            "tree": {"sha": tree, "url": self._url(f"git/trees/{tree}")},
            "parents": [{"sha": parent, "url": self._url(f"git/commits/{parent}")} for parent in parents.split()],
            "author": person,
            "committer": person,
            "message": message.rstrip("\n"),
        }

    def _commit(self, sha: str, _: Asked) -> Reply:
        found = self._commit_json(sha)
        return Reply(200, found) if found else NOT_FOUND

    def _tree(self, sha: str, asked: Asked) -> Reply:
        recursive = ["-r", "-t"] if asked.query.get("recursive") else []
        listing = self.git("ls-tree", "-z", *recursive, sha)
        if listing is None:
            return NOT_FOUND
        entries = []
        for line in listing.split(b"\0")[:-1]:
            facts, _, path = line.decode().partition("\t")
            mode, kind, blob = facts.split(" ")
            entries.append({"path": path, "mode": mode, "type": kind, "sha": blob, "url": self._url(f"git/{kind}s/{blob}")})
        return Reply(200, {"sha": sha, "url": self._url(f"git/trees/{sha}"), "tree": entries, "truncated": False})

    def _blob(self, sha: str, _: Asked) -> Reply:
        content = self.git("cat-file", "blob", sha)
        if content is None:
            return NOT_FOUND
        body = {"sha": sha, "encoding": "base64", "content": base64.encodebytes(content).decode(), "size": len(content)}
        return Reply(200, {**body, "url": self._url(f"git/blobs/{sha}")})

    def _compare(self, span: str, _: Asked) -> Reply:
        base, _, head = span.partition("...")
        log = self.text("rev-list", "--reverse", f"{base}..{head}")
        names = self.text("diff", "--name-only", "--no-renames", f"{base}...{head}")
        if log is None or names is None:
            return NOT_FOUND
        commits = [{"sha": sha, "url": self._url(f"commits/{sha}"), "commit": self._commit_json(sha)} for sha in log.split()]
        files = [{"filename": name, "sha": "", "status": "modified"} for name in names.splitlines()]
        return Reply(
            200,
            {
                "status": "ahead",
                "total_commits": len(commits),
                "commits": commits,
                "files": files,
                "url": self._url(f"compare/{span}"),
            },
        )

    def _commits(self, _: str, asked: Asked) -> Reply:
        until = [f"--until={asked.query['until']}"] if "until" in asked.query else []
        paths = [f":(literal){asked.query['path']}"] if "path" in asked.query else []
        log = self.text("log", "--format=%H", *until, asked.query["sha"], "--", *paths)
        if log is None:
            return NOT_FOUND
        found = [{"sha": sha, "url": self._url(f"commits/{sha}"), "commit": self._commit_json(sha)} for sha in log.split()]
        start = (int(asked.query.get("page", 1)) - 1) * int(asked.query.get("per_page", 30))
        return Reply(200, found[start : start + int(asked.query.get("per_page", 30))])

    def _tarball_link(self, ref: str, _: Asked) -> Reply:
        if self.git("cat-file", "-e", f"{ref}^{{commit}}") is None:
            return NOT_FOUND
        return Reply(302, None, {"Location": f"{self.api_url}/_codeload/{ref}?token=short-lived"})

    def archive(self, ref: str) -> bytes:
        prefix = self.full_name.replace("/", "-")
        return self.git("archive", "--format=tar.gz", f"--prefix={prefix}-{ref}/", ref) or b""

    def _make_blob(self, _: str, asked: Asked) -> Reply:
        sha = self.text("hash-object", "-w", "--stdin", stdin=base64.b64decode(asked.body["content"]))
        return Reply(201, {"sha": sha, "url": self._url(f"git/blobs/{sha}")})

    def _make_tree(self, _: str, asked: Asked) -> Reply:
        if not asked.body["tree"]:
            return problem(422, "Invalid tree info")
        listing = self.git("ls-tree", "-r", "-z", asked.body["base_tree"]) or b""
        entries = {line.partition("\t")[2]: line for line in listing.decode().split("\0")[:-1]}
        for element in asked.body["tree"]:
            if element["sha"] is None and element["path"] not in entries:
                return problem(422, "GitRPC::BadObjectState")
            line = f"{element['mode']} blob {element['sha']}\t{element['path']}"
            entries.update({element["path"]: line})
            if element["sha"] is None:
                del entries[element["path"]]
        sha = self._write_tree(list(entries.values()))
        return Reply(201, {"sha": sha, "url": self._url(f"git/trees/{sha}"), "tree": [], "truncated": False})

    def _write_tree(self, lines: list[str]) -> str:
        """Nested trees from flat `ls-tree -r` lines."""
        here, below = [], dict[str, list[str]]()
        for line in lines:
            facts, _, path = line.partition("\t")
            folder, slash, rest = path.partition("/")
            if slash:
                below.setdefault(folder, []).append(f"{facts}\t{rest}")
            else:
                here.append(line)
        here += [f"040000 tree {self._write_tree(inner)}\t{folder}" for folder, inner in below.items()]
        return self.text("mktree", "-z", "--missing", stdin="".join(line + "\0" for line in here).encode()) or ""

    def _make_commit(self, _: str, asked: Asked) -> Reply:
        parents = [part for sha in asked.body["parents"] for part in ("-p", sha)]
        identity = ["-c", "user.name=octo-bot", "-c", "user.email=bot@acme.example"]
        sha = self.text(*identity, "commit-tree", asked.body["tree"], *parents, "-F", "-", stdin=asked.body["message"].encode())
        return Reply(201, self._commit_json(sha or ""))

    def _make_ref(self, _: str, asked: Asked) -> Reply:
        ref, sha = asked.body["ref"], asked.body["sha"]
        if self.git("cat-file", "-e", f"{sha}^{{commit}}") is None:
            return problem(422, "Object does not exist")
        if self.git("update-ref", ref, sha, "0" * 40) is None:
            return problem(422, "Reference already exists")
        return Reply(201, {"ref": ref, "url": self._url(f"git/{ref}"), "object": {"sha": sha, "type": "commit", "url": ""}})

    def _delete_ref(self, ref: str, _: Asked) -> Reply:
        if self.text("rev-parse", "--verify", "--quiet", f"refs/{ref}") is None:
            return problem(422, "Reference does not exist")
        self.git("update-ref", "-d", f"refs/{ref}")
        return Reply(204)

    def _list_pulls(self, _: str, asked: Asked) -> Reply:
        state, base, head = asked.query.get("state", "open"), asked.query.get("base"), asked.query.get("head")
        found = [
            pull
            for pull in self.pulls
            if state in ("all", pull["state"]) and base in (None, pull["base"]["ref"]) and head in (None, pull["head"]["label"])
        ]
        return Reply(200, found)

    def _pull(self, number: str, _: Asked) -> Reply:
        return next((Reply(200, pull) for pull in self.pulls if str(pull["number"]) == number), NOT_FOUND)

    def _make_pull(self, _: str, asked: Asked) -> Reply:
        head, base = asked.body["head"], asked.body["base"]
        label = f"{self.full_name.partition('/')[0]}:{head}"
        if asked.body.get("draft") and not self.drafts:
            return problem(422, "Draft pull requests are not supported in this repository.")
        if any(pull["state"] == "open" and (pull["head"]["label"], pull["base"]["ref"]) == (label, base) for pull in self.pulls):
            return problem(422, "Validation Failed", {"message": f"A pull request already exists for {label}."})
        if not self.text("rev-list", f"refs/heads/{base}..refs/heads/{head}"):
            return problem(422, "Validation Failed", {"message": f"No commits between {base} and {head}"})
        number = len(self.pulls) + 1
        pull = {
            "number": number,
            "state": "open",
            "title": asked.body["title"],
            "body": asked.body["body"],
            "draft": asked.body.get("draft", False),
            "merged": False,
            "merge_commit_sha": None,
            "html_url": f"https://github.test/{self.full_name}/pull/{number}",
            "url": self._url(f"pulls/{number}"),
            "head": {"ref": head, "label": label},
            "base": {"ref": base},
        }
        self.pulls.append(pull)
        return Reply(201, pull)


class _Handler(BaseHTTPRequestHandler):
    fake: FakeGitHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("content-length") or 0))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        asked = Asked(self.command, unquote(parts.path), query, json.loads(content) if content else None)
        self.fake.asked.append(asked)
        if asked.path.startswith("/_codeload/"):
            self._send_archive(asked)
            return
        reply = self._login() or self.fake.before(asked) or self.fake.answer(asked)
        if self.fake.lose_answer(asked):
            self.close_connection = True
            return
        self._send(reply)

    def _login(self) -> Reply | None:
        given = (self.headers.get("authorization") or "").partition(" ")[2]
        return None if given == self.fake.token else problem(401, "Bad credentials")

    def _send_archive(self, asked: Asked) -> None:
        if self.headers.get("authorization") or asked.query.get("token") != "short-lived":
            self._send(NOT_FOUND)
            return
        data = self.fake.archive(asked.path.rpartition("/")[2])
        self.send_response(200)
        self.send_header("Content-Type", "application/x-gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _send(self, reply: Reply) -> None:
        data = b"" if reply.body is None else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

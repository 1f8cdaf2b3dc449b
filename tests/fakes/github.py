"""A small GitHub over a real bare repository, behind real HTTP: the Git Data API, archives, pull requests, logins, git itself.

It answers with GitHub's status codes, messages and whole documents, keeps what it was asked, and knows what a login may do.
`before` may take a request over before it acts; `lose_answer` and `cut_answer` take or break the answer after it did.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt

from tests.fakes.git_http import GitHandler
from tests.fakes.github_http import NOT_FOUND, Asked, Exchange, Reply, paged, problem
from tests.fakes.github_json import Documents, Json
from tests.fakes.github_pulls import FakePulls

__all__ = ["Asked", "FakeGitHub", "Reply", "problem"]

Route = tuple[str, str, str, Callable[[str, Asked], Reply]]
INSTALLATION_TOKEN = "ghs_installation"


class FakeGitHub:
    """One repository `owner/name`, kept in the bare git repository `folder`, whose path ends in `owner/name.git`.

    :param prefix: path of the API, `/api/v3` for an Enterprise server.
    """

    def __init__(
        self,
        folder: Path,
        *,
        full_name: str = "acme/dags",
        token: str = "gh-token",
        drafts: bool = True,
        prefix: str = "",
        login: str = "octo-bot",
    ) -> None:
        self.folder = folder
        self.token = token
        self.prefix = prefix
        self.asked: list[Asked] = []
        self.exchanges: list[Exchange] = []
        self.tokens: dict[str, str] = {}
        """of other people: token -> login"""
        self.rights: dict[str, str] | None = None
        """of a fine-grained token: permission -> read or write; None may do everything"""
        self.archived = False
        self.app_key: str | None = None
        """public key of the GitHub App 7 with the installation 9"""
        self.before: Callable[[Asked], Reply | None] = lambda _: None
        self.lose_answer: Callable[[Asked], bool] = lambda _: False
        self.cut_answer: Callable[[Asked], bool] = lambda _: False
        self._former: set[str] = set()
        outer = self

        class Handler(_Handler):
            fake = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.documents = Documents(self.api_url, "https://github.test", full_name)
        self.people = FakePulls(self.documents, login=login, drafts=drafts)

    @property
    def root(self) -> Path:
        return self.folder.parent.parent

    @property
    def pulls(self) -> list[Json]:
        return self.people.pulls

    @property
    def full_name(self) -> str:
        return self.documents.name

    @property
    def drafts(self) -> bool:
        return self.people.drafts

    @drafts.setter
    def drafts(self, supported: bool) -> None:
        self.people.drafts = supported

    @property
    def site(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def api_url(self) -> str:
        return self.site + self.prefix

    @property
    def repo_url(self) -> str:
        """Where git finds it, and GitHub's pages would be."""
        return f"{self.site}/{self.full_name}.git"

    def rename(self, name: str) -> None:
        """Give the repository another owner or name; the old one is redirected."""
        self._former.add(self.documents.name)
        self.people.pulls = json.loads(json.dumps(self.pulls).replace(f"/{self.documents.name}", f"/{name}"))
        self.documents.name = name

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

    # --- routing ---

    def answer(self, asked: Asked) -> Reply:
        for root in (f"/repos/{self.full_name}", f"/repositories/{self.documents.number}"):
            if asked.path == root:
                return Reply(200, self.documents.repository(archived=self.archived))
            if asked.path.startswith(root + "/"):
                return self._serve(asked.path.removeprefix(root + "/"), asked)
        for former in self._former:
            if f"{asked.path}/".startswith(f"/repos/{former}/"):
                return self._redirect(asked.path.removeprefix(f"/repos/{former}"), asked)
        return NOT_FOUND

    def _redirect(self, rest: str, asked: Asked) -> Reply:
        query = f"?{urlencode(asked.query)}" if asked.query else ""
        location = f"{self.api_url}/repositories/{self.documents.number}{rest}{query}"
        body = {"message": "Moved Permanently", "url": location, "documentation_url": "https://docs.github.com/rest"}
        return Reply(301 if asked.method == "GET" else 307, body, {"Location": location})

    def _serve(self, rest: str, asked: Asked) -> Reply:
        for method, prefix, permission, serve in self._routes():
            if method == asked.method and rest.startswith(prefix):
                return self._refusal(permission, writes=method != "GET") or serve(rest.removeprefix(prefix), asked)
        return NOT_FOUND

    def _refusal(self, permission: str, *, writes: bool) -> Reply | None:
        level = "write" if writes else "read"
        if self.rights is not None and self.rights.get(permission) not in (level, "write"):
            words = "Resource not accessible by personal access token"
            return problem(403, words, **{"X-Accepted-GitHub-Permissions": f"{permission}={level}"})
        if writes and self.archived:
            return problem(403, "Repository was archived so is read-only.")
        return None

    def _routes(self) -> list[Route]:
        people = self.people
        return [
            ("GET", "branches/", "contents", self._branch),
            ("GET", "git/ref/", "contents", self._ref),
            ("GET", "git/matching-refs/", "contents", self._matching_refs),
            ("GET", "git/commits/", "contents", self._commit),
            ("GET", "git/trees/", "contents", self._tree),
            ("GET", "git/blobs/", "contents", self._blob),
            ("GET", "compare/", "contents", self._compare),
            ("GET", "commits", "contents", self._commits),
            ("GET", "tarball/", "contents", self._tarball_link),
            ("GET", "pulls/", "pull_requests", people.get),
            ("GET", "pulls", "pull_requests", people.list),
            ("GET", "issues/", "pull_requests", people.get_issue),
            ("GET", "collaborators/", "metadata", people.permission),
            ("POST", "git/blobs", "contents", self._make_blob),
            ("POST", "git/trees", "contents", self._make_tree),
            ("POST", "git/commits", "contents", self._make_commit),
            ("POST", "git/refs", "contents", self._make_ref),
            ("POST", "pulls/", "pull_requests", people.post),
            ("POST", "pulls", "pull_requests", self._make_pull),
            ("POST", "issues/", "pull_requests", people.post_issue),
            ("PATCH", "pulls/", "pull_requests", people.edit),
            ("PATCH", "git/refs/", "contents", self._move_ref),
            ("DELETE", "git/refs/", "contents", self._delete_ref),
        ]

    def app_token(self, asked: Asked, authorization: str) -> Reply:
        """What a GitHub App's signed word is changed into."""
        try:
            claims = jwt.decode(authorization.partition(" ")[2], self.app_key or "", algorithms=["RS256"])
        except jwt.PyJWTError:
            return problem(401, "A JSON web token could not be decoded")
        if (str(claims["iss"]), asked.path) != ("7", "/app/installations/9/access_tokens"):
            return NOT_FOUND
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Reply(201, {"token": INSTALLATION_TOKEN, "expires_at": until, "permissions": {"contents": "write"}})

    # --- git's data ---

    def _branch(self, name: str, _: Asked) -> Reply:
        sha = self.text("rev-parse", "--verify", "--quiet", f"refs/heads/{name}")
        return Reply(200, self.documents.branch(name, self._facts(sha) or {})) if sha else problem(404, "Branch not found")

    def _ref(self, ref: str, _: Asked) -> Reply:
        sha = self.text("rev-parse", "--verify", "--quiet", f"refs/{ref}")
        return Reply(200, self.documents.ref(f"refs/{ref}", sha)) if sha else NOT_FOUND

    def _matching_refs(self, ref: str, asked: Asked) -> Reply:
        listing = self.text("for-each-ref", "--format=%(refname) %(objectname)") or ""
        pairs = [line.split(" ") for line in listing.splitlines() if line.startswith(f"refs/{ref}")]
        return paged([self.documents.ref(name, sha) for name, sha in pairs], asked)

    def _facts(self, sha: str) -> Json | None:
        raw = self.text(
            "show", "-s", "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B", f"{sha}^{{commit}}"
        )
        if raw is None or len(sha) != 40:
            return None
        sha, tree, parents, *people, message = raw.split("\0")
        author, committer = (_person(*people[start : start + 3]) for start in (0, 3))
        facts = {"sha": sha, "tree": tree, "parents": parents.split(), "author": author, "committer": committer}
        return {**facts, "message": message.rstrip("\n")}

    def _commit(self, sha: str, _: Asked) -> Reply:
        found = self._facts(sha)
        return Reply(200, self.documents.git_commit(found)) if found else NOT_FOUND

    def _tree(self, sha: str, asked: Asked) -> Reply:
        recursive = ["-r", "-t"] if asked.query.get("recursive") else []
        listing = self.git("ls-tree", "-z", "-l", *recursive, sha)
        if listing is None:
            return NOT_FOUND
        entries = []
        for line in listing.split(b"\0")[:-1]:
            facts, _, path = line.decode().partition("\t")
            mode, kind, blob, size = facts.split()
            sized = {"size": int(size)} if size.isdecimal() else {}
            entry = {"path": path, "mode": mode, "type": kind, "sha": blob, **sized}
            entries.append({**entry, "url": self.documents.url(f"git/{kind}s/{blob}")})
        return Reply(200, {"sha": sha, "url": self.documents.url(f"git/trees/{sha}"), "tree": entries, "truncated": False})

    def _blob(self, sha: str, _: Asked) -> Reply:
        content = self.git("cat-file", "blob", sha)
        if content is None:
            return NOT_FOUND
        body = {"sha": sha, "encoding": "base64", "content": base64.encodebytes(content).decode(), "size": len(content)}
        return Reply(200, {**body, "node_id": f"B_{sha}", "url": self.documents.url(f"git/blobs/{sha}")})

    def _compare(self, span: str, asked: Asked) -> Reply:
        base, _, head = span.partition("...")
        base_facts, head_facts = self._facts(base), self._facts(head)
        meets = self.text("merge-base", base, head)
        if not base_facts or not head_facts or not meets:
            return NOT_FOUND
        ahead = (self.text("rev-list", "--reverse", f"{base}..{head}") or "").split()
        behind = (self.text("rev-list", f"{head}..{base}") or "").split()
        names = (self.text("diff", "--name-only", "--no-renames", "-z", f"{base}...{head}") or "").split("\0")[:-1]
        status = {(True, True): "diverged", (True, False): "ahead", (False, True): "behind"}.get((bool(ahead), bool(behind)))
        page = paged([self.documents.commit(self._facts(sha) or {}) for sha in ahead], asked)
        at, shown = self.documents.url(f"compare/{span}"), self.documents.page(f"compare/{span}")
        body = {
            "url": at,
            "html_url": shown,
            "permalink_url": shown,
            "diff_url": f"{shown}.diff",
            "patch_url": f"{shown}.patch",
            "base_commit": self.documents.commit(base_facts),
            "merge_base_commit": self.documents.commit(self._facts(meets) or {}),
            "status": status or "identical",
            "ahead_by": len(ahead),
            "behind_by": len(behind),
            "total_commits": len(ahead),
            "commits": page.body,
            "files": [self.documents.file(name, head) for name in names],
        }
        return Reply(200, body, page.headers)

    def _commits(self, _: str, asked: Asked) -> Reply:
        until = [f"--until={asked.query['until']}"] if "until" in asked.query else []
        paths = [f":(literal){asked.query['path']}"] if "path" in asked.query else []
        log = self.text("log", "--format=%H", *until, asked.query["sha"], "--", *paths)
        if log is None:
            return NOT_FOUND
        return paged([self.documents.commit(self._facts(sha) or {}) for sha in log.split()], asked)

    def _tarball_link(self, ref: str, _: Asked) -> Reply:
        if self.git("cat-file", "-e", f"{ref}^{{commit}}") is None:
            return NOT_FOUND
        return Reply(302, None, {"Location": f"{self.site}/_codeload/{ref}?token=short-lived"})

    def archive(self, ref: str) -> bytes:
        prefix = self.full_name.replace("/", "-")
        return self.git("archive", "--format=tar.gz", f"--prefix={prefix}-{ref}/", ref) or b""

    def _make_blob(self, _: str, asked: Asked) -> Reply:
        sha = self.text("hash-object", "-w", "--stdin", stdin=base64.b64decode(asked.body["content"]))
        return Reply(201, {"sha": sha, "url": self.documents.url(f"git/blobs/{sha}")})

    def _make_tree(self, _: str, asked: Asked) -> Reply:
        if not asked.body["tree"]:
            return problem(422, "Invalid tree info")
        listing = self.git("ls-tree", "-r", "-z", asked.body["base_tree"]) or b""
        entries = {line.partition("\t")[2]: line for line in listing.decode().split("\0")[:-1]}
        for element in asked.body["tree"]:
            sha = self._content_of(element)
            if sha is None and entries.pop(element["path"], None) is None:
                return problem(422, "GitRPC::BadObjectState")
            if sha is not None:
                entries[element["path"]] = f"{element['mode']} blob {sha}\t{element['path']}"
        return Reply(201, self._tree(self._write_tree(list(entries.values())), asked).body)

    def _content_of(self, element: Json) -> str | None:
        """An element names its blob, or brings a text along."""
        if "content" in element:
            return self.text("hash-object", "-w", "--stdin", stdin=element["content"].encode())
        sha: str | None = element["sha"]
        return sha

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
        identity = ["-c", f"user.name={self.people.login}", "-c", "user.email=bot@acme.example"]
        sha = self.text(*identity, "commit-tree", asked.body["tree"], *parents, "-F", "-", stdin=asked.body["message"].encode())
        return Reply(201, self.documents.git_commit(self._facts(sha or "") or {}))

    def _make_ref(self, _: str, asked: Asked) -> Reply:
        ref, sha = asked.body["ref"], asked.body["sha"]
        if self.git("cat-file", "-e", f"{sha}^{{commit}}") is None:
            return problem(422, "Object does not exist")
        if self.git("update-ref", ref, sha, "0" * 40) is None:
            return problem(422, "Reference already exists")
        return Reply(201, self.documents.ref(ref, sha))

    def _move_ref(self, ref: str, asked: Asked) -> Reply:
        """A person's push; never a forced one."""
        sha = asked.body["sha"]
        if self.git("merge-base", "--is-ancestor", f"refs/{ref}", sha) is None:
            return problem(422, "Update is not a fast forward")
        self.git("update-ref", f"refs/{ref}", sha)
        return Reply(200, self.documents.ref(f"refs/{ref}", sha))

    def _delete_ref(self, ref: str, _: Asked) -> Reply:
        if self.text("rev-parse", "--verify", "--quiet", f"refs/{ref}") is None:
            return problem(422, "Reference does not exist")
        self.git("update-ref", "-d", f"refs/{ref}")
        return Reply(204)

    def _make_pull(self, _: str, asked: Asked) -> Reply:
        ends = [self.text("rev-parse", "--verify", "--quiet", f"refs/heads/{asked.body[end]}") for end in ("base", "head")]
        brings = all(ends) and bool(self.text("rev-list", f"{ends[0]}..{ends[1]}"))
        return self.people.make(asked, base=ends[0] or "", head=ends[1] or "", brings=brings)


def _person(name: str, email: str, at: str) -> Json:
    return {"name": name, "email": email, "date": datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


class _Handler(GitHandler):
    fake: FakeGitHub

    def do_PATCH(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        if parts.path.startswith(f"/{self.fake.full_name}.git/"):
            kept = self.fake.folder.relative_to(self.fake.root)
            self.path = self.path.replace(f"/{self.fake.full_name}.git", f"/{kept}", 1)
            self.serve_git(self.fake.root, token=self.fake.token)
            return
        content = self._body()
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path).removeprefix(self.fake.prefix)
        asked = Asked(
            self.command, path, query, json.loads(content) if content else None, self.fake.site + parts.path, self._who()
        )
        self.fake.asked.append(asked)
        if asked.path.startswith("/_codeload/"):
            self._send_archive(asked)
            return
        taken = self._login(asked) or self.fake.before(asked)
        reply = taken or self._answer(asked)
        if self.fake.lose_answer(asked):
            self.close_connection = True
            return
        data = b"" if reply.body is None else json.dumps(reply.body).encode()
        if taken is None and path != "/graphql":
            self.fake.exchanges.append(
                Exchange(self.command, self.path.removeprefix(self.fake.prefix), content.decode(), reply.status, data.decode())
            )
        self._send(reply, data, cut=self.fake.cut_answer(asked))

    def _answer(self, asked: Asked) -> Reply:
        if asked.path.endswith("/graphql"):
            return self.fake.people.graphql(asked)
        if asked.path.startswith("/app/"):
            return self.fake.app_token(asked, self.headers.get("authorization") or "")
        return self.fake.answer(asked)

    def _login(self, asked: Asked) -> Reply | None:
        if asked.path.startswith("/app/"):
            return None
        return None if self._who() else problem(401, "Bad credentials")

    def _who(self) -> str:
        given = (self.headers.get("authorization") or "").partition(" ")[2]
        ours = {self.fake.token, *([INSTALLATION_TOKEN] if self.fake.app_key else [])}
        return self.fake.people.login if given in ours else self.fake.tokens.get(given, "")

    def _send_archive(self, asked: Asked) -> None:
        if self.headers.get("authorization") or asked.query.get("token") != "short-lived":
            self._send(NOT_FOUND, json.dumps(NOT_FOUND.body).encode())
            return
        if taken := self.fake.before(asked):
            self._send(taken, json.dumps(taken.body).encode())
            return
        headers = {"Content-Type": "application/x-gzip"}
        data = self.fake.archive(asked.path.rpartition("/")[2])
        self._send(Reply(200, None, headers), data, cut=self.fake.cut_answer(asked))

    def _send(self, reply: Reply, data: bytes, *, cut: bool = False) -> None:
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut

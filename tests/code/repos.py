"""Real repositories for the tests of the code hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path

IDENTITY = ("-c", "user.name=Dana", "-c", "user.email=dana@acme.example")


def git(*arguments: str, cwd: Path) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=cwd, check=True, capture_output=True, text=True)
    return done.stdout.removesuffix("\n")


def make_origin(folder: Path) -> Path:
    """A bare repository `acme/dags.git` with what exports stumble over: CRLF, modes, links, attributes, binaries."""
    work = folder / "work"
    (work / "dags").mkdir(parents=True)
    git("init", "-q", "-b", "main", cwd=work)
    (work / "dags" / "shop.py").write_bytes(b"x = 1\r\ny = 2\r\n")
    (work / "dags" / "nö end.py").write_bytes("# ü\nz = 3".encode())
    (work / "run.sh").write_bytes(b"#!/bin/sh\n")
    (work / "run.sh").chmod(0o755)
    (work / "logo.bin").write_bytes(bytes(range(256)))
    (work / "link").symlink_to("run.sh")
    (work / "escape").symlink_to("/etc")
    (work / "up").symlink_to("../../secret")
    (work / ".gitattributes").write_text("hidden.py export-ignore\nversion.py export-subst\n*.bat text eol=crlf\n")
    (work / "hidden.py").write_text("hidden = True\n")
    (work / "version.py").write_text("commit = '$Format:%H$'\n")
    (work / "run.bat").write_bytes(b"echo 1\n")
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", "First", cwd=work)
    bare = folder / "acme" / "dags.git"
    bare.parent.mkdir()
    git("clone", "-q", "--bare", str(work), str(bare), cwd=folder)
    git("config", "http.receivepack", "true", cwd=bare)
    git("remote", "add", "origin", str(bare), cwd=work)
    return bare


def push(folder: Path, path: str, content: str | None, *, branch: str = "main", message: str = "By a person") -> str:
    """A person's commit on `branch`; gives its id."""
    work = folder / "work"
    git("fetch", "-q", "origin", cwd=work)
    exists = git("ls-remote", "origin", f"refs/heads/{branch}", cwd=work)
    git("checkout", "-q", "-B", branch, f"origin/{branch}" if exists else "origin/main", cwd=work)
    file = work / path
    if content is None:
        file.unlink()
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    git("add", "-A", cwd=work)
    git("commit", "-q", "-m", message, cwd=work)
    git("push", "-q", "origin", branch, cwd=work)
    return git("rev-parse", "HEAD", cwd=work)


def merge(folder: Path, branch: str, *, how: str = "--no-ff") -> str:
    """A person merges `branch` into main; `how` is git merge's option. Gives main's commit."""
    work = folder / "work"
    git("fetch", "-q", "origin", cwd=work)
    git("checkout", "-q", "-B", "main", "origin/main", cwd=work)
    git("merge", "-q", how, f"origin/{branch}", cwd=work)
    if how == "--squash":
        git("commit", "-q", "-m", "Squashed", cwd=work)
    git("push", "-q", "origin", "main", cwd=work)
    return git("rev-parse", "HEAD", cwd=work)

"""One call of the git command: bounded in time, never prompting, its errors in our words, no credentials in them.

Not GitPython's `kill_after_timeout`: it kills git alone, and a hanging `git-remote-https` child would keep the pipe open.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from airflow_agentfix.errors import (
    CodeError,
    CodeHostForbidden,
    CodeHostRefused,
    CommitNotFound,
    ConfigurationError,
    RepositoryNotFound,
    RepositoryUnreachable,
)

_ALWAYS = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "GCM_INTERACTIVE": "never",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
}
# A hook that runs us exports these; they would point git at another repository.
_NEVER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE")
_OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "push.gpgSign=false", "-c", "gc.auto=0", "-c", "protocol.version=2")

# What git and the hosts say, first match wins: the generic last lines stand at the end of many messages.
_ERRORS: tuple[tuple[re.Pattern[str], type[CodeError], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), error, advice)
    for pattern, error, advice in (
        (r"dubious ownership", CodeHostForbidden, "git does not trust the folder's owner; add it to safe.directory."),
        (
            r"authentication failed|could not read (username|password)|terminal prompts disabled|invalid username|error: 40[13]\b"
            r"|permission denied|host key verification failed|access denied|write access to repository not granted",
            CodeHostForbidden,
            "The login was refused or lacks the right; check the repository's git connection and its permissions.",
        ),
        (
            r"protected branch|GH006|GH013|not allowed to push|repository rule",
            CodeHostForbidden,
            "The host protects this branch name; allow the login to create fix/* branches.",
        ),
        (r"hook declined|remote rejected", CodeHostRefused, "A hook or rule of the repository refused the push."),
        (
            r"couldn't find remote ref|not our ref|bad object|unknown revision|invalid revision|not a valid object"
            r"|bad revision|not a tree object|remote error: upload-pack: not our ref",
            CommitNotFound,
            "The commit or branch is not in the repository.",
        ),
        (
            r"repository (.*)not found|error: 404|does not appear to be a git repository|does not exist|no such file or directory"
            r"|not a git repository|project you were looking for could not be found",
            RepositoryNotFound,
            "Check the repository's URL and that the login may see it.",
        ),
        (
            r"could not resolve|failed to connect|couldn't connect|connection (refused|reset|timed out|closed)|timed out"
            r"|early eof|hung up|error: 5\d\d|network is unreachable|no route to host|unable to access|empty reply"
            r"|could not read from remote repository",
            RepositoryUnreachable,
            "Try again later, or check the network from this worker.",
        ),
    )
)


_CREDENTIALS = re.compile(r"(?<=://)(?:[^/@\s:]*:(?!\d*(?:[/\s]|$))[^\s'\"]*@|[^/\s]+@)")
"""`user:anything@`, unless what follows the colon is a port; else `user@`"""


class Git:
    """Runs git in the bare repository `folder`."""

    def __init__(self, folder: Path, *, about: str, timeout: float) -> None:
        self.folder = folder
        self._about = about
        self._timeout = timeout

    def run(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> bytes:
        """What git wrote. Raises a CodeError by git's own words; RepositoryUnreachable when it took too long."""
        status, out, error = self._call(arguments, stdin, env or {})
        if status:
            raise self._mapped(arguments[0], error)
        return out

    def ask(self, *arguments: str) -> bool:
        """Whether git answers yes, for commands that answer by their exit code."""
        return self._call(arguments, b"", {})[0] == 0

    def text(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """What git wrote, as text without its last line end."""
        return self.run(*arguments, stdin=stdin, env=env).decode(errors="replace").removesuffix("\n")

    def _call(self, arguments: tuple[str, ...], stdin: bytes, env: Mapping[str, str]) -> tuple[int, bytes, str]:
        try:
            process = subprocess.Popen(
                ["git", *_OPTIONS, f"--git-dir={self.folder}", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(env),
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise ConfigurationError("No git command on the PATH of this process; install git (2.31 or newer).") from error
        try:
            out, err = process.communicate(stdin, timeout=self._timeout)
        except subprocess.TimeoutExpired as error:
            raise RepositoryUnreachable(
                f"git {arguments[0]} on {self._about} gave no answer within {self._timeout:g} s and was stopped; try again later."
            ) from error
        finally:
            _end(process)
        return process.returncode, out, err.decode(errors="replace")

    def _mapped(self, verb: str, stderr: str) -> CodeError:
        said = mask_credentials(" ".join(stderr.split()))[-600:]
        for pattern, error, advice in _ERRORS:
            if pattern.search(stderr):
                return error(f"git {verb} on {self._about} failed: {said!r}. {advice}")
        return CodeHostRefused(f"git {verb} on {self._about} failed: {said!r}.")


def mask_credentials(text: str) -> str:
    """`text` without the user and password of any URL in it, be the password one that no URL may hold unquoted."""
    return _CREDENTIALS.sub("", text)


def _environment(env: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in _NEVER}
    if "GIT_SSH" not in inherited:
        inherited.setdefault("GIT_SSH_COMMAND", "ssh -o BatchMode=yes -o ConnectTimeout=20")
    return {**inherited, **_ALWAYS, **env}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of git and its children; usually nothing is."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()
    process.wait()

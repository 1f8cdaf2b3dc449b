"""What is asked of GitHub again by itself, how often, and what never is.

Invariants: no wait is longer than `max_rate_limit_wait`; a comment is never sent again unseen, for GitHub would write it twice;
a redirect is told, never followed, for PyGithub would drop the query on its way and take a refused write for a done one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import requests  # noqa: TID253 - an adapter; only wiring.py imports it
from github import GithubException, GithubRetry  # noqa: TID253 - an adapter; only wiring.py imports it
from github.GithubException import RateLimitExceededExceedsMaxWait  # noqa: TID253 - an adapter; only wiring.py imports it
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential
from urllib3 import Retry
from urllib3.exceptions import MaxRetryError, ResponseError

from airflow_agentfix.errors import RepositoryMoved, RepositoryUnreachable

REDIRECTS = (301, 307, 308)
ATTEMPTS = 3
"""of a call whose answer broke off; what was refused or not reached was tried again below already"""
_METHODS = Retry.DEFAULT_ALLOWED_METHODS | {"GET", "POST", "PATCH"}

P = ParamSpec("P")
R = TypeVar("R")


class Retries(GithubRetry):
    """GithubRetry within our bounds. PATCH is tried again too: what we patch is a text, the same each time."""

    def __init__(self, **given: Any) -> None:
        given.setdefault("status_forcelist", [403, *range(500, 600), *REDIRECTS])
        super().__init__(**{"allowed_methods": _METHODS, **given})

    def increment(  # type: ignore[override]  # as GithubRetry does
        self,
        method: str | None = None,
        url: str | None = None,
        response: Any = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> Retry:
        """Raises what ends the trying."""
        if response is not None:
            self._end_at(response, url)
        if _writes_a_comment(method, url) and not (response is not None and response.status in (403, 429)):
            if error is not None:
                raise error
            raise MaxRetryError(_pool, url or "", ResponseError(f"answered {response.status}"))
        return super().increment(method, url, response, error, _pool, _stacktrace)

    def _end_at(self, response: Any, url: str | None) -> None:
        """A redirect, and a wait that is longer than anybody here waits."""
        status, headers = response.status, {name.lower(): value for name, value in response.headers.items()}
        if status in REDIRECTS:
            response.drain_conn()
            raise GithubException(status, {"message": "Moved Permanently"}, headers)
        wait = self.get_retry_after(response) or 0
        if self.max_rate_limit_wait is not None and wait > self.max_rate_limit_wait:
            raise RateLimitExceededExceedsMaxWait(status, self._told(response, url), headers, wait=wait)

    def _told(self, response: Any, url: str | None) -> dict[str, Any]:
        try:
            told = json.loads(self.get_content(response, url or ""))
        except ValueError:
            told = None
        return told if isinstance(told, dict) else {"message": f"answered {response.status}"}


def _writes_a_comment(method: str | None, url: str | None) -> bool:
    return method == "POST" and (url or "").partition("?")[0].endswith("/comments")


class Movable(Protocol):
    """What can follow its repository to another name."""

    def follow(self, moved: RepositoryMoved) -> None:
        """Go on at the new place, or raise."""


M = TypeVar("M", bound=Movable)


def patient(call: Callable[Concatenate[M, P], R]) -> Callable[Concatenate[M, P], R]:
    """A call that may be made twice, made again where its answer broke off, and at the repository's new place."""

    @wraps(call)
    def again(self: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return _once_more(call, self, *args, **kwargs)
        except RepositoryMoved as moved:
            self.follow(moved)
        return _once_more(call, self, *args, **kwargs)

    return again


def _once_more(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    retrying = Retrying(
        stop=stop_after_attempt(ATTEMPTS), wait=wait_exponential(0.1, max=2), retry=retry_if_exception(_broke_off), reraise=True
    )
    return retrying(call, *args, **kwargs)


def _broke_off(error: BaseException) -> bool:
    """Whether an answer began and did not end: urllib3 asks again only until it begins."""
    broken = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError)
    return isinstance(error, RepositoryUnreachable) and isinstance(error.__cause__, broken)

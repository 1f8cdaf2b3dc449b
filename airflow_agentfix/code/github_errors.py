"""PyGithub's and requests' errors in our words: one place, every class decided."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import jwt
import requests  # noqa: TID253 - an adapter; only wiring.py imports it
from github import GithubException, RateLimitExceededException  # noqa: TID253 - an adapter; only wiring.py imports it

from airflow_agentfix.errors import (
    CodeError,
    CodeHostForbidden,
    CodeHostRefused,
    ConfigurationError,
    RepositoryMoved,
    RepositoryNotFound,
    RepositoryUnreachable,
)

LOGIN_ADVICE = "Check the connection named by [agentfix] github_conn_id, or GITHUB_TOKEN."


@contextmanager
def mapped_errors(about: str, *, missing: type[CodeError] = RepositoryNotFound) -> Iterator[None]:
    """Errors of GitHub calls inside become ours; `missing` is what a 404 means here."""
    try:
        yield
    except GithubException as error:
        raise _mapped(error, about, missing) from error
    except requests.RequestException as error:
        raise RepositoryUnreachable(f"GitHub did not answer for {about} ({_reason(error)}); try again later.") from error
    except jwt.PyJWTError as error:
        raise ConfigurationError(
            f"The GitHub App's private key cannot be used for {about} ({type(error).__name__}); expected the PEM file that "
            "GitHub gave, in private_key or at key_path of the GitHub connection's extra."
        ) from error
    except RuntimeError as error:
        # how PyGithub says that the API redirected to another host or scheme
        raise CodeHostRefused(f"GitHub's API answered unexpectedly for {about}: {error}") from error


def said(error: GithubException) -> str:
    """GitHub's own words: the message and its list of errors."""
    data: Any = error.data if isinstance(error.data, dict) else {}
    details = [
        str(one.get("message") or one.get("code") or one) if isinstance(one, dict) else str(one)
        for one in data.get("errors") or []
    ]
    first = data.get("message") or error.message
    return "; ".join([str(first), *details] if first else details) or str(error.status)


def _mapped(error: GithubException, about: str, missing: type[CodeError]) -> CodeError:
    words = said(error)
    status = error.status
    if status in (301, 307, 308):
        location = _header(error, "location") or ""
        return RepositoryMoved(
            f"GitHub has {about} at another place now ({_place(location)}); correct the repository's URL where it is configured.",
            location=location,
        )
    if isinstance(error, RateLimitExceededException) or status == 429:
        return RepositoryUnreachable(f"GitHub's rate limit is used up for {about}: {words!r}.{_reset(error)}")
    if status == 401:
        return CodeHostForbidden(f"GitHub refused the login for {about}: {words!r}. {LOGIN_ADVICE}")
    if "archived" in words and status in (403, 422):
        return CodeHostForbidden(f"GitHub keeps {about} read-only: {words!r}. Unarchive it, or correct the repository's URL.")
    if status == 403 or "FORBIDDEN" in _types(error):
        return CodeHostForbidden(f"GitHub forbids this for {about}: {words!r}.{_permission(error)}")
    if "rule violations" in words or "protected" in words or "creations being restricted" in words:
        return CodeHostForbidden(f"GitHub protects this branch of {about}: {words!r}. Allow the login to create fix/* branches.")
    if status == 404 or (status in (409, 422) and ("No commit found" in words or "empty" in words.lower())):
        hint = " A token without access to a private repository gets the same answer." if missing is RepositoryNotFound else ""
        return missing(f"GitHub does not know {about}: {words!r}.{hint}")
    if status >= 500:
        return RepositoryUnreachable(f"GitHub answered {status} for {about}: {words!r}; try again later.")
    return CodeHostRefused(f"GitHub answered {status} for {about}: {words!r}.")


def _types(error: GithubException) -> set[str]:
    """What GraphQL calls its errors; it answers 200 with them."""
    errors = error.data.get("errors") if isinstance(error.data, dict) else None
    return {str(one.get("type")) for one in errors or [] if isinstance(one, dict)}


def _place(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.hostname}{parts.path}" if parts.hostname else "it does not say where"


def _reason(error: requests.RequestException) -> str:
    """Why, without the URL: an archive's carries a token."""
    cause = getattr(error.args[0], "reason", None) if error.args else None
    return f"{type(error).__name__}: {cause}" if type(cause).__name__ == "ResponseError" else type(error).__name__


def _permission(error: GithubException) -> str:
    wanted = _header(error, "x-accepted-github-permissions")
    return (
        f" The token needs {wanted.replace('=', ': ')}."
        if wanted
        else f" {LOGIN_ADVICE} It needs contents: write, pull_requests: write."
    )


def _reset(error: GithubException) -> str:
    wait = _header(error, "retry-after")
    if wait and wait.isdigit():
        return f" It asks to wait {wait} s."
    at = _header(error, "x-ratelimit-reset")
    return f" It resets at {datetime.fromtimestamp(int(at), UTC):%H:%M} UTC." if at and at.isdigit() else " Try again later."


def _header(error: GithubException, name: str) -> str | None:
    headers = {key.lower(): value for key, value in (error.headers or {}).items()}
    return headers.get(name)

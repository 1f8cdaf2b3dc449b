"""What the small GitHub is asked and answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True)
class Reply:
    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """`url` is the address without its query, `login` who asks."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    url: str = ""
    login: str = ""


@dataclass(frozen=True)
class Exchange:
    """As it went over the wire, for who judges it; `path` has its query."""

    method: str
    path: str
    request: str
    status: int
    response: str


def problem(status: int, message: str, *errors: Any, **headers: str) -> Reply:
    body = {
        "message": message,
        "documentation_url": "https://docs.github.com/rest",
        "status": str(status),
        **({"errors": list(errors)} if errors else {}),
    }
    return Reply(status, body, headers)


NOT_FOUND = problem(404, "Not Found")


def paged(found: list[Any], asked: Asked) -> Reply:
    """One page of a list, with GitHub's links to the others."""
    size, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
    last = max(1, -(-len(found) // size))
    pages = {"next": page + 1, "last": last} if page < last else {"first": 1, "prev": page - 1} if page > 1 else {}
    links = [f'<{asked.url}?{urlencode({**asked.query, "page": number})}>; rel="{name}"' for name, number in pages.items()]
    return Reply(200, found[(page - 1) * size : page * size], {"Link": ", ".join(links)} if links else {})

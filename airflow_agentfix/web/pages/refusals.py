"""A refusal as a person reads it: a page of its own, or a notice on the page that was open."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.web.pages import shell

_TITLES = {
    401: "You are not logged in",
    403: "You may not do this",
    404: "Nothing here",
    405: "Nothing here",
    409: "Not possible now",
    413: "Too much",
    422: "Something is missing or wrong",
    429: "Too fast",
    500: "Something broke",
}
_OTHER = "Not possible right now"
_IN_OTHER_WORDS = {
    401: "Your login to Airflow is missing or has expired. Log in again; you come back to this page.",
    405: "There is no such page.",
}
"""where Airflow's own words tell a person nothing"""


def is_for_people(request: Request) -> bool:
    """Whether the answer is read by a person: all but the API's. By the path alone: an address has the Host header in it."""
    return not str(request.scope["path"]).removeprefix(shell.root_of(request)).startswith("/api/")


def refusal(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """`message`: redacted, what was found, expected, to do."""
    shown = {"code": status, "title": _TITLES.get(status, _OTHER), "message": _IN_OTHER_WORDS.get(status, message)}
    if shell.is_fragment(request):
        told = shell.fragment(request, "notice.html.j2", status=status, **shown)
    else:
        told = shell.page(request, "error.html.j2", status=status, **shown)
    told.headers.update(headers or {})
    return told

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
    409: "Not possible now",
    413: "Too much",
    422: "Something is missing or wrong",
    429: "Too fast",
}


def is_for_people(request: Request) -> bool:
    """Whether the answer is read by a person: all but the API's."""
    return not request.url.path.startswith(f"{shell.root_of(request)}/api/")


def refusal(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """`message`: redacted, what was found, expected, to do."""
    title = _TITLES.get(status, "AgentFix cannot answer")
    if shell.is_fragment(request):
        told = shell.fragment(request, "notice.html.j2", status=status, code=status, title=title, message=message)
    else:
        told = shell.page(request, "error.html.j2", status=status, code=status, title=title, message=message)
    told.headers.update(headers or {})
    return told

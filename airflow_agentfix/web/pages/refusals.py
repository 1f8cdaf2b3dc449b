"""A refusal as a person reads it: a page of its own, or a notice on the page that was open."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.errors import AgentFixError, AirflowLoginRefused, SessionNotFound
from airflow_agentfix.web.pages import shell

_LOGIN = "You are not logged in"
_TITLES = {
    401: _LOGIN,
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
_IN_OTHER_WORDS: dict[type[AgentFixError], str] = {
    AirflowLoginRefused: "Your login to Airflow is missing or has expired. Log in again; you come back to this page.",
    SessionNotFound: "There is no such session, or it is one on a DAG that you may not see.",
}
"""where those of Airflow, or for the command line, tell a person nothing"""
_NO_ROUTE = {"Not Found", "Method Not Allowed"}
"""Starlette's words"""


def is_for_people(request: Request) -> bool:
    """Whether the answer is read by a person: all but the API's. By the path alone: an address has the Host header in it."""
    return not str(request.scope["path"]).removeprefix(shell.root_of(request)).startswith("/api/")


def refusal(request: Request, error: AgentFixError, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """`error`: redacted; its words are what was found, expected, to do."""
    is_login = isinstance(error, AirflowLoginRefused)
    title = _LOGIN if is_login else _TITLES.get(status, _OTHER)
    shown = {"code": status, "title": title, "message": _said(error), "is_login": is_login}
    if shell.is_fragment(request):
        told = shell.fragment(request, "notice.html.j2", status=status, **shown)
    else:
        told = shell.page(request, "error.html.j2", status=status, **shown)
    told.headers.update(headers or {})
    return told


def _said(error: AgentFixError) -> str:
    words = "There is no such page." if str(error) in _NO_ROUTE else str(error)
    return next((own for kind, own in _IN_OTHER_WORDS.items() if isinstance(error, kind)), words)

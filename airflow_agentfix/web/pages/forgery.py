"""Protection of what is changed with a cookie: a request that another site made the browser send is refused.

A double-submit token, by asgi-csrf: every request that changes something and is not logged in by a bearer token carries, in the
header x-csrftoken, what its cookie holds, signed. In the header alone, which no other site can make a browser send: a token in a
form's body could be one that somebody got for himself and planted with its cookie.

Where Airflow takes everybody for the same user (`simple_auth_manager_all_admins`), no cookie is needed, and so none checked. That
a page of another site starts nothing there either, every such request has to be one that no plain form can send: from htmx, or
JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from asgi_csrf import asgi_csrf
from fastapi import Request  # noqa: TID253 - the API server only
from starlette.requests import cookie_parser

from airflow_agentfix.errors import AgentFixError, InvalidRequest, NotAllowed
from airflow_agentfix.web.answers import told_of
from airflow_agentfix.web.pages import refusals, shell

COOKIE, HEADER = "agentfix_csrf", "x-csrftoken"
READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_AS_SENT = "agentfix.headers"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def protected(app: App, *, secret: str, base_url: str) -> App:
    """The ASGI app behind the check. `secret`: Airflow's, the same in every process of the API server; `base_url`: Airflow's
    address as people have it, so that the cookie goes to our pages alone, and over HTTPS alone where people come so."""
    own, base = hashlib.sha256(f"agentfix-csrf:{secret}".encode()).hexdigest(), urlsplit(base_url)
    checked = asgi_csrf(
        _as_sent(app),
        cookie_name=COOKIE,
        http_header=HEADER,
        signing_secret=own,
        cookie_secure=base.scheme == "https",
        cookie_path=base.path.rstrip("/") + shell.MOUNT,
        send_csrf_failed=_refuse,
    )

    async def check(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        request = Request(scope)
        problem = _could_be_a_form(request)
        if problem is not None:
            await told_of(request, problem)(scope, receive, send)
            return
        if request.method in READS and shell.is_fragment(request):  # a poll: nothing to check, and its page has the token
            await app(scope, receive, send)
            return
        await checked({**scope, "headers": _plain(request), _AS_SENT: scope["headers"]}, receive, send)

    return check


def _could_be_a_form(request: Request) -> AgentFixError | None:
    """Why the request might be another site's: its forms send neither this header nor this content type without asking first, and
    browsers say from where they send."""
    if request.method in READS or _is_bearer(request):
        return None
    if _one(request, "sec-fetch-site") in ("cross-site", "same-site"):
        return NotAllowed(_ELSEWHERE)
    if refusals.is_for_people(request):
        return None if shell.is_fragment(request) else NotAllowed(_NO_PAGE)
    is_json = _one(request, "content-type").partition(";")[0].strip().lower() == "application/json"
    return None if is_json or request.method == "DELETE" else InvalidRequest(_NO_JSON)


def _is_bearer(request: Request) -> bool:
    """As Airflow takes it: the scheme in any case, and a token."""
    scheme, _, token = _one(request, "authorization").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def _plain(request: Request) -> list[tuple[bytes, bytes]]:
    """What the check needs of the headers, in a form that it cannot stumble over: it reads one cookie header of several, and
    raises for a cookie, a token, a form or a boundary that is not as it expects."""
    jar = "; ".join(request.headers.getlist("cookie"))
    known = {COOKIE: cookie_parser(jar).get(COOKIE, ""), "any": "1"} if jar else {}
    cookies = "; ".join(f"{name}={value}" for name, value in known.items() if _is_token(value))
    token = _one(request, HEADER)
    found = {"cookie": cookies, HEADER: token if _is_token(token) else "", "authorization": "Bearer x" * _is_bearer(request)}
    return [(name.encode(), value.encode()) for name, value in found.items() if value]


def _one(request: Request, name: str) -> str:
    """A header that is there once; empty otherwise."""
    values = request.headers.getlist(name)
    return values[0] if len(values) == 1 else ""


def _is_token(text: str) -> bool:
    """As itsdangerous writes them."""
    return text.isascii() and text.replace("-", "").replace("_", "").replace(".", "").isalnum()


def _as_sent(app: App) -> App:
    """The app, given the headers as the client sent them."""

    async def given(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "headers": scope[_AS_SENT]}, receive, send)

    return given


async def _refuse(scope: Scope, send: Send, _: Any) -> None:
    async def nothing_more() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({**scope, "headers": scope[_AS_SENT]})
    await told_of(request, NotAllowed(_NO_TOKEN))(scope, nothing_more, send)


_NO_TOKEN = (
    f"The request has a cookie for a login but no valid CSRF token; expected it in the header {HEADER}, as our pages send it. "
    "Reload the page, or log in with Authorization: Bearer."
)
_ELSEWHERE = "The browser says that a page of another site sent this; only pages of Airflow's own address may change anything."
_NO_PAGE = "The request is not one of our pages'; expected the header HX-Request, as they send it. Use the buttons of the page."
_NO_JSON = "The body is not declared as JSON; expected Content-Type: application/json where there is no Authorization: Bearer."

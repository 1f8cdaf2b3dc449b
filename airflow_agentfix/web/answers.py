"""How the app answers: one shape for every error of the API, a page for people, a bound on every body, events as people may
read them.

An error is {"error": {"type": a class name of errors.py, "message": what was found, expected, to do}}.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request  # noqa: TID253 - the API server only
from fastapi.exceptions import RequestValidationError  # noqa: TID253 - as above
from fastapi.responses import JSONResponse, PlainTextResponse, Response  # noqa: TID253 - as above
from starlette.exceptions import HTTPException

from airflow_agentfix import errors
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.ports import Json
from airflow_agentfix.redaction import redact_code, told
from airflow_agentfix.store.wire import error_to_json
from airflow_agentfix.web.pages import refusals

log = logging.getLogger(__name__)

STATUS: dict[type[AgentFixError], int] = {
    errors.AirflowLoginRefused: 401,
    errors.NotAllowed: 403,
    errors.AirflowForbidden: 403,
    errors.SessionNotFound: 404,
    errors.AirflowNotFound: 404,
    errors.SessionConflict: 409,
    errors.InvalidTransition: 409,
    errors.AirflowConflict: 409,
    errors.BudgetExceeded: 409,
    errors.DecisionRequired: 422,
    errors.InvalidRequest: 422,
    errors.RerunImpossible: 422,
    errors.RateLimited: 429,
    errors.AgentFixError: 503,  # the deployment's own trouble: configuration, Airflow, database
}
_OF_STATUS: dict[int, type[AgentFixError]] = {
    401: errors.AirflowLoginRefused,
    403: errors.AirflowLoginRefused,  # Airflow's answer to a token it did not make; rights are refused by the use cases
    404: errors.AirflowNotFound,
}

KB = 1024
MAX_BODY = 4 * KB * KB
"""a patch event holds whole files, before and after"""
MAX_FAILURE = MAX_FORM = 64 * KB


def status_of(error: AgentFixError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def add_error_answers(app: FastAPI) -> None:
    """Every refusal in the one shape, or as a page; the server logs a bug of ours, whose 500 tells nothing of it."""
    app.add_exception_handler(AgentFixError, _ours)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _foreign)
    app.add_exception_handler(Exception, _bug)


def told_of(request: Request, error: AgentFixError, status: int | None = None) -> Response:
    """The answer that tells of it, redacted; also for what is refused before any route is reached."""
    status = status or status_of(error)
    if status == 503:
        log.warning("%s: %s", type(error).__name__, told(error))
    wait = {"Retry-After": str(error.retry_after)} if isinstance(error, errors.RateLimited) else None
    return _told(request, type(error)(told(error)), status, wait)


def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, AgentFixError)
    return told_of(request, error)


def _bug(request: Request, _: Exception) -> Response:
    if refusals.is_for_people(request):
        return refusals.refusal(request, AgentFixError(_BUG), 500)
    return PlainTextResponse("Internal Server Error", 500)


_BUG = (
    "This is an error in AgentFix itself; the log of Airflow's API server says what it was. Look whether what you did was done."
)


def _told(request: Request, error: AgentFixError, status: int, headers: Mapping[str, str] | None = None) -> Response:
    if refusals.is_for_people(request):
        return refusals.refusal(request, error, status, headers)
    return JSONResponse(error_to_json(error), status, headers=headers)


def _malformed(request: Request, error: Exception) -> Response:
    """Names the fields and what is wrong with them, never their values: they may hold what must not be logged."""
    assert isinstance(error, RequestValidationError)
    found = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10])
    return _told(request, errors.InvalidRequest(found), 422)


def _foreign(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = 422 if error.status_code == 400 else error.status_code  # a body that cannot be read is one that is wrong
    kind = _OF_STATUS.get(status, errors.InvalidRequest)
    return _told(request, kind(str(error.detail)), status, error.headers)


def readable(event: Event) -> Json:
    """An event for a person. A patch holds whole files as the repository has them, which the worker alone needs so."""
    told = event.to_json()
    if event.kind is EventKind.PATCH and "files" in event.data:  # an erased one has none
        told["data"]["files"] = [_redacted_file(file) for file in event.data["files"]]
    return told


def _redacted_file(file: Mapping[str, Any]) -> Json:
    return {name: redact_code(text) if isinstance(text, str) and name != "path" else text for name, text in file.items()}


Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class BodyLimit:
    """Refuses a body over its route's bound with 413, whatever Content-Length says. Of what only reads no route takes a body; to
    wait for one through all of Airflow's middleware would cost a poll a tenth of its time."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        limit = _most(request)
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return  # the client has gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > limit:
                refusal = errors.InvalidRequest(f"The body is over {limit // KB} KB; send less.")
                await told_of(request, refusal, 413)(scope, receive, send)  # type: ignore[arg-type]  # ASGI's dicts
                return
        await self.app(scope, _once(bytes(body), receive), send)


def _most(request: Request) -> int:
    if refusals.is_for_people(request):
        return MAX_FORM
    return MAX_FAILURE if request.scope["path"].endswith("/failures") else MAX_BODY


def _once(body: bytes, receive: Receive) -> Receive:
    """The body that was read, then what the client does next."""
    given = False

    async def again() -> dict[str, Any]:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again

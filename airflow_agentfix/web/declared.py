"""What a route says of itself: who may call it, what it reads and changes, what it answers and refuses.

It is in the OpenAPI document (`x-agentfix`) and in the tables of docs/. The tests walk every route of the app and hold it to
what it declares; one that declares nothing fails them.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from airflow_agentfix import errors
from airflow_agentfix.web.schemas import ErrorAnswer

KEY = "x-agentfix"


class Right(StrEnum):
    """What the caller needs on the session's DAG, in Airflow. Who may not read the DAG does not learn that the session exists."""

    NONE = "none"
    READ = "read"
    EDIT = "edit"
    LEASE = "edit + lease"
    """and the lease that `claim` gave"""
    APPROVER = "edit; to approve: an approver"
    """approving needs to be named in [agentfix] approvers where there are any, and never counts from a worker's login"""


REFUSALS: dict[int, tuple[type[errors.AgentFixError], str]] = {
    401: (errors.AirflowLoginRefused, "No login, or one that has expired."),
    403: (
        errors.NotAllowed,
        "The login has no right to it, Airflow did not make its token, or it is a cookie without a CSRF token.",
    ),
    404: (errors.SessionNotFound, "Not there, or not for this login to know of: a session, or the task that is named."),
    409: (errors.InvalidTransition, "State or budget do not allow it, another writer was first, or the lease is another's."),
    413: (errors.InvalidRequest, "The body is too large."),
    422: (errors.InvalidRequest, "A field is missing or wrong; the message names it, never its value."),
    429: (errors.RateLimited, "This login handed over too much within a minute; Retry-After says when to come again."),
    503: (errors.StoreUnavailable, "The deployment's own trouble: configuration, database, Airflow. Trying again may help."),
}
_OF_ALL = (401, 403, 422, 503)


def declared(
    summary: str,
    right: Right,
    *,
    answers: Any,
    reads: str,
    changes: str = "nothing",
    approval: str = "none",
    status: int = 200,
    also: dict[int, str] | None = None,
    refuses: tuple[int, ...] = (),
    tagged: bool = False,
) -> dict[str, Any]:
    """What a router's decorator takes. `answers`: the model of the answer; `also`: further statuses that answer so; `refuses`:
    beside what any route with a login may; `tagged`: with an ETag, and 304 for who knows it.

    The models only document: answers are served as the JSON that routes return by annotation (without one FastAPI would encode
    them in Python: 97 ms for 2,000 events in place of 9), and tests hold them to their schema."""
    refusals = (*_OF_ALL, *refuses) if right is not Right.NONE else refuses
    own = {"right": right.value, "reads": reads, "changes": changes, "approval": approval}
    return {
        "status_code": status,
        "summary": summary,
        "openapi_extra": {KEY: own},
        "responses": {
            status: {"model": answers, "description": "As asked.", **(_TAGGED if tagged else {})},
            **{code: {"model": answers, "description": told} for code, told in (also or {}).items()},
            **({304: _UNCHANGED} if tagged else {}),
            **{code: _refusal(code) for code in sorted(refusals)},
        },
    }


def page(right: Right, *, reads: str, changes: str = "nothing", approval: str = "none") -> dict[str, Any]:
    """The same of a page, or of a form on one, which the document leaves out: they are no interface to program against."""
    own = {"right": right.value, "reads": reads, "changes": changes, "approval": approval}
    return {"openapi_extra": {KEY: own}, "include_in_schema": False}


def _refusal(code: int) -> dict[str, Any]:
    kind, told = REFUSALS[code]
    example = {"error": {"type": kind.__name__, "message": " ".join((kind.__doc__ or "").split())}}
    answer = {"model": ErrorAnswer, "description": told, "content": {"application/json": {"example": example}}}
    return {**answer, "headers": _RETRY_AFTER} if code == 429 else answer


_ETAG = {"ETag": {"description": "Of this answer; send it as If-None-Match.", "schema": {"type": "string"}, "required": True}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}, "required": True}}
_TAGGED = {"headers": _ETAG}
_UNCHANGED = {"description": "Nothing has changed since the answer with that ETag; no body.", "headers": _ETAG}

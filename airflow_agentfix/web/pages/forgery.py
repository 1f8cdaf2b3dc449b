"""Protection of what is changed with a cookie: a request that another site made the browser send is refused.

A double-submit token, by asgi-csrf: every request that changes something and is not logged in by a bearer token carries, in a
header, what its cookie holds, signed. Other sites can read neither.
"""

from __future__ import annotations

import hashlib
from typing import Any

from asgi_csrf import asgi_csrf
from fastapi.responses import JSONResponse  # noqa: TID253 - the API server only

from airflow_agentfix.errors import NotAllowed
from airflow_agentfix.store.wire import error_to_json

COOKIE = "agentfix_csrf"


def protected(app: Any, *, secret: str, secure: bool) -> Any:
    """The ASGI app behind the check. `secret`: Airflow's, the same in every process of the API server; `secure`: whether people
    come over HTTPS."""
    own = hashlib.sha256(f"agentfix-csrf:{secret}".encode()).hexdigest()
    return asgi_csrf(app, cookie_name=COOKIE, signing_secret=own, cookie_secure=secure, send_csrf_failed=_refuse)


async def _refuse(scope: Any, send: Any, _: Any) -> None:
    error = NotAllowed(
        "The request has a cookie for a login but no valid CSRF token; expected it in the header x-csrftoken, as our pages send "
        "it. Reload the page, or log in with Authorization: Bearer."
    )

    async def nothing_more() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    await JSONResponse(error_to_json(error), 403)(scope, nothing_more, send)

"""The headers that no answer of the app goes without: what a browser may do with it, and that nobody keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.datastructures import MutableHeaders

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
        "base-uri 'none'",
    )
)
"""nothing inline, nothing from elsewhere; Airflow alone may frame it"""

OF_ALL = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
OF_PAGES = {"Content-Security-Policy": POLICY, **OF_ALL}
_DOCUMENT = ("/docs", "/redoc")
"""FastAPI's own pages: an inline script, and files from elsewhere. They show the document, which anybody may have."""

Message = MutableMapping[str, Any]


class Headers:
    """Gives every answer these headers where it has none of its own."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        wanted = OF_ALL if path.startswith(_DOCUMENT) else OF_PAGES

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in wanted.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, told)

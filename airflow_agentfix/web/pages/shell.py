"""How a page is made: one Jinja environment, the headers that every page has, addresses below whatever path Airflow is served on.

Invariant: templates escape whatever they are given; only `markup` makes HTML of text, and it sanitises it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request  # noqa: TID253 - the API server only
from fastapi.responses import HTMLResponse, Response  # noqa: TID253 - as above
from jinja2 import Environment, PackageLoader, StrictUndefined

from airflow_agentfix.web.headers import OF_PAGES
from airflow_agentfix.web.pages import markup, words
from airflow_agentfix.web.pages.static import address_of

MOUNT = "/agentfix"
"""where Airflow mounts the app"""


def page(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A whole page. `name`: of a template that extends base.html.j2."""
    return HTMLResponse(_rendered(request, name, values), status, headers=OF_PAGES)


def fragment(request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A part of a page, for htmx to put in its place."""
    return HTMLResponse(_rendered(request, name, values), status, headers=OF_PAGES)


def unchanged() -> Response:
    """The answer to a poll that knows everything: no body, nothing is put anywhere."""
    return Response(status_code=304, headers=OF_PAGES)


def is_fragment(request: Request) -> bool:
    """Whether htmx asks, and not the browser itself. Another site's form cannot send the header."""
    return request.headers.get("HX-Request") == "true"


def root_of(request: Request) -> str:
    """The path our pages are below, with whatever path Airflow is served on."""
    return str(request.scope.get("root_path", ""))


def airflow_of(request: Request) -> str:
    """The path Airflow's own pages are below; empty at the top of its host."""
    return root_of(request).removesuffix(MOUNT)


def login_of(request: Request) -> str:
    """Airflow's way to its login, and from there back to what was asked for; from a fragment to the page it belongs to, which
    scripts put in place of it."""
    path = request.scope["path"] if not is_fragment(request) else f"{root_of(request)}/"
    query = f"?{request.url.query}" if request.url.query and not is_fragment(request) else ""
    return f"{airflow_of(request)}/api/v2/auth/login?{urlencode({'next': quote(path) + query})}"


def _rendered(request: Request, name: str, values: dict[str, Any]) -> str:
    root = root_of(request)
    csrf = request.scope.get("csrftoken", str)
    common = {
        "root": root,
        "airflow": airflow_of(request),
        "login": login_of(request),
        "static": lambda file: root + address_of(file),
        "csrf": csrf,
    }
    return environment().get_template(name).render({**common, **values})


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=PackageLoader("airflow_agentfix.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(markup.FILTERS)
    made.filters.update(words.FILTERS)
    return made

"""A browser, as far as requests go: cookies are kept, pages are asked for as the browser or as htmx does, forms carry the token.

Every route of a page can be asked with an example of what it takes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
import requests
from fastapi.dependencies.utils import get_flat_dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from airflow_agentfix.web import examples
from airflow_agentfix.web.app import build_app
from tests.fakes.api_server import COOKIE, ApiServer
from tests.web.routes import BASE, Operation

HTMX = {"HX-Request": "true"}
EXAMPLES: Mapping[str, Any] = {
    "dag_id": examples.DAG,
    "run_id": examples.RUN,
    "task_id": examples.TASK,
    "map_index": -1,
    "try_number": 1,
    "autonomy": "report",
    "after": 0,
    "before": 5,
    "place": 0,
    "question_id": "q1",
    "message": "Look again.",
    "decision": "answer",
    "reason": "Not needed.",
    "number": 2,
}
"""by name, of what a page may require"""


class Visitor:
    """`user`: who has logged in, by cookie; nobody where None."""

    def __init__(self, api: ApiServer, user: str | None) -> None:
        self.root, self.http = f"{api.url}{BASE}", requests.Session()
        if user:
            self.http.cookies.set(COOKIE, user)

    def get(self, path: str, **request: Any) -> requests.Response:
        return self.send("GET", path, **request)

    def send(self, method: str, path: str, **request: Any) -> requests.Response:
        return self.http.request(method, self.root + path, timeout=20, allow_redirects=False, **request)

    @property
    def token(self) -> str:
        """What a page gives its scripts to send with each change."""
        found = re.search(r'<meta name="agentfix-csrf" content="([^"]+)">', self.get("/nowhere").text)
        assert found
        return found[1]

    def ask(self, one: Operation, session_id: str, **request: Any) -> requests.Response:
        """A page or a form of one, with an example of what it requires; a form as htmx sends it."""
        path, params, form = example_of(one, session_id)
        own: dict[str, Any] = {"params": params, **({} if one.method == "GET" else {"data": form, "headers": HTMX})}
        return self.send(one.method, path, **{**own, **request})


def example_of(one: Operation, session_id: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """Path, query and form."""
    flat = get_flat_dependant(_route(one).dependant)
    known = {"session_id": session_id, **{name: _example(one, name) for name in _names(flat.path_params) if name != "session_id"}}
    path = re.sub(r"{(\w+)(?::path)?}", lambda found: str(known[found[1]]), one.path)
    return path, *({name: _example(one, name) for name in _names(fields)} for fields in (flat.query_params, flat.body_params))


def _names(fields: list[Any]) -> list[str]:
    """Of what is required; of a form that is a model, its fields."""
    names = []
    for field in fields:
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            names += [one.alias or name for name, one in model.model_fields.items() if one.is_required()]
        elif field.field_info.is_required():
            names.append(field.alias)
    return names


def _example(one: Operation, name: str) -> Any:
    if name in ("digest", "name"):
        return "0"  # of a file that is not there; test_static.py has those that are
    assert name in EXAMPLES, f"{one} requires {name!r}, which EXAMPLES of this module has not: add it."
    return EXAMPLES[name]


@cache
def _routes() -> list[APIRoute]:
    app = build_app(lambda: pytest.fail("no service is needed"), secret="of the tests")
    return [route for route in app.routes if isinstance(route, APIRoute)]


def _route(one: Operation) -> APIRoute:
    return next(route for route in _routes() if route.path == one.path and one.method in route.methods)

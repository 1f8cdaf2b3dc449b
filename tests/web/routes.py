"""The session API as its own app and OpenAPI document have it: every operation, an example call of each, and a client that holds
every answer it gets to the document."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import requests
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator

from airflow_agentfix.web.app import build_app
from airflow_agentfix.web.declared import KEY
from tests.fakes.api_server import ApiServer

BASE = "/agentfix"
ROOT = "/api/v1"
API = BASE + ROOT
PAGES_OF_THE_DOCUMENT = {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}


@cache
def document() -> dict[str, Any]:
    return build_app(lambda: pytest.fail("no service is needed"), secret="of the tests").openapi()


@dataclass(frozen=True)
class Operation:
    """A method on a path below the API's root, with what it declares."""

    method: str
    path: str
    declared: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def right(self) -> str:
        return self.declared["right"]

    @property
    def of_session(self) -> bool:
        return "{session_id}" in self.path

    @property
    def told(self) -> dict[str, Any]:
        """What the document says of it."""
        operation: dict[str, Any] = document()["paths"][ROOT + self.path][self.method.lower()]
        return operation

    @property
    def body_schema(self) -> dict[str, Any] | None:
        body = self.told.get("requestBody")
        return resolved(body["content"]["application/json"]["schema"]) if body else None

    @property
    def body(self) -> dict[str, Any] | None:
        """Its first example."""
        return self.body_schema["examples"][0] if self.body_schema else None

    def needed(self, place: str) -> dict[str, Any]:
        """Its required parameters in path or query, as in their examples."""
        wanted = [one for one in self.told.get("parameters", ()) if one["in"] == place and one["required"]]
        return {one["name"]: one["schema"]["examples"][0] for one in wanted}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document()["components"]["schemas"][name] if name else schema


def operations(*, of_the_api: bool) -> list[Operation]:
    """Of every route that the app has: those of the API, or the pages. The pages that show the document are FastAPI's own."""
    found = []
    for route in build_app(lambda: pytest.fail("no service is needed"), secret="of the tests").routes:
        if getattr(route, "path", None) in PAGES_OF_THE_DOCUMENT:
            continue
        assert isinstance(route, APIRoute), f"{route!r} is no route of the API and has no right to declare."
        own = (route.openapi_extra or {}).get(KEY)
        assert own, f"{route.path} declares no right. Give its decorator `**declared(…)` or `**page(…)` of web/declared.py."
        if route.path.startswith(ROOT) is of_the_api:
            found += [Operation(method, route.path.removeprefix(ROOT), own) for method in sorted(route.methods)]
    return found


OPERATIONS = operations(of_the_api=True)
PAGES = operations(of_the_api=False)


def operation(name: str) -> Operation:
    return next(one for one in OPERATIONS if str(one) == name)


def errors_of(schema: dict[str, Any], value: Any) -> list[str]:
    """What does not fit a schema of the document."""
    validator = Draft202012Validator({**schema, "components": document()["components"]})
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def call(
    api: ApiServer, method: str, path: str, *, user: str | None = "anna", headers: Mapping[str, str] | None = None, **request: Any
) -> requests.Response:
    """Ask, and hold the answer to the document."""
    login = {"Authorization": f"Bearer {user}"} if user else {}
    answer = requests.request(method, f"{api.url}{API}{path}", headers={**login, **(headers or {})}, timeout=20, **request)
    hold_to_the_document(answer, method, path)
    return answer


def hold_to_the_document(answer: requests.Response, method: str, path: str) -> None:
    (one,) = [one for one in OPERATIONS if one.method == method and _fits(one, path.partition("?")[0])]
    told = one.told["responses"].get(str(answer.status_code))
    assert told, f"{one} answers {answer.status_code}, which it does not document: {answer.text}"
    if "content" not in told:
        assert answer.text == ""
        return
    assert errors_of(told["content"]["application/json"]["schema"], answer.json()) == []
    assert [name for name in told.get("headers", ()) if name not in answer.headers] == []


def _fits(one: Operation, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one.path), path) is not None


def example_call(
    api: ApiServer, one: Operation, session_id: str, *, dag_id: str | None = None, **request: Any
) -> requests.Response:
    """The operation's own example, on this session; on the DAG of the examples unless another one is named."""
    path = one.path.format(**{**one.needed("path"), "session_id": session_id, **({"dag_id": dag_id} if dag_id else {})})
    params = {**one.needed("query"), **request.pop("params", {})}
    body = {"json": one.body} if one.body is not None else {}
    return call(api, one.method, path, params=params, **{**body, **request})

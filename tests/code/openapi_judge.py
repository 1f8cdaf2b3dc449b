"""What goes over the wire to GitHub, held against GitHub's own description of its API (npm: @octokit/openapi)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.fakes.github_http import Exchange

_SPANNING = {"path", "ref", "branch", "basehead"}
"""parameters in which GitHub takes a slash, which a template of OpenAPI does not say"""
_PAGING = {"page", "per_page"}
"""which PyGithub asks of every list; where GitHub has no pages it does not mind"""
_REDIRECTS = (301, 307)
"""what GitHub answers anywhere once a repository was renamed"""
_HERE = "urn:github"


class Judge:
    """Finds what is not as described: routes, query parameters, statuses, bodies of requests and answers."""

    def __init__(self, file: Path) -> None:
        self._spec = json.loads(file.read_text())
        self._registry: Registry[Any] = Registry().with_resource(_HERE, DRAFT202012.create_resource(self._spec))
        self._routes = [(_pattern(path), path) for path in self._spec["paths"]]

    def faults(self, exchanges: Iterable[Exchange]) -> list[str]:
        """One line for each; exchanges that are alike but for their values are judged once."""
        unlike = {(one.method, self._route(one), one.status, _form(one)): one for one in exchanges}
        return [fault for one in unlike.values() for fault in self._of(one)]

    def _of(self, one: Exchange) -> Iterator[str]:
        about, path = f"{one.method} {one.path} {one.status}", self._route(one)
        operation = self._spec["paths"].get(path, {}).get(one.method.lower())
        if operation is None:
            yield f"{about}: GitHub has no such route"
            return
        known = {name for parameter in operation.get("parameters", []) if (name := self._query_name(parameter))}
        if unknown := {name for name, _ in parse_qsl(urlsplit(one.path).query)} - known - _PAGING:
            yield f"{about}: no parameter {', '.join(sorted(unknown))}"
        here = [path, one.method.lower()]
        if one.request and not _is_a_list_of_labels(one):
            yield from self._against(
                [*here, "requestBody", "content", "application/json", "schema"], one.request, f"{about} sent"
            )
        if one.status >= 400:
            yield from self._against_error(one, about)
        elif one.status not in _REDIRECTS and str(one.status) not in operation["responses"]:
            yield f"{about}: expected {', '.join(operation['responses'])}"
        elif one.response and one.status < 300:
            place = self._response(operation["responses"][str(one.status)], [*here, "responses", str(one.status)])
            yield from self._against([*place, "content", "application/json", "schema"], one.response, f"{about} answered")

    def _against_error(self, one: Exchange, about: str) -> Iterator[str]:
        if not isinstance(json.loads(one.response).get("message"), str):
            yield f"{about}: an error without a message"

    def _response(self, response: Any, place: list[str]) -> list[str]:
        """Where a response stands; many are references."""
        reference: str | None = response.get("$ref")
        return ["", *reference.removeprefix("#/").split("/")] if reference else place

    def _against(self, place: list[str], body: str, about: str) -> Iterator[str]:
        for error in self._validator(tuple(place)).iter_errors(json.loads(body)):
            yield f"{about}: {'/'.join(map(str, error.absolute_path)) or 'body'}: {error.message[:200]}"

    @cache  # noqa: B019 - a judge lives as long as the tests
    def _validator(self, place: tuple[str, ...]) -> Any:
        parts = place[1:] if place[0] == "" else ("paths", *place)
        pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
        pointer = pointer.replace("{", "%7B").replace("}", "%7D")
        return OAS30Validator({"$ref": f"{_HERE}#{pointer}"}, registry=self._registry)

    def _query_name(self, parameter: Any) -> str | None:
        if reference := parameter.get("$ref"):
            parameter = self._spec["components"]["parameters"][reference.rpartition("/")[2]]
        return parameter["name"] if parameter["in"] == "query" else None

    def _route(self, one: Exchange) -> str:
        """The template with the most literal text, as GitHub chooses."""
        path = re.sub(r"^/repositories/\d+", "/repos/by/number", unquote(urlsplit(one.path).path))
        fitting = [template for pattern, template in self._routes if pattern.fullmatch(path)]
        return max(fitting, key=lambda template: len(re.sub(r"\{\w+\}", "", template)), default="")


def _is_a_list_of_labels(one: Exchange) -> bool:
    """PyGithub sends the bare list, which GitHub takes and does not describe."""
    return one.path.endswith("/labels") and all(isinstance(label, str) for label in json.loads(one.request))


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", template)
    names = (".+" if part in _SPANNING else "[^/]+" for part in parts[1::2])
    return re.compile("".join(re.escape(part) + next(names, "") for part in parts[::2]))


def _form(one: Exchange) -> str:
    """The shape of both bodies: names, and what kind of value each has."""
    return json.dumps([_shape(json.loads(text)) if text else None for text in (one.request, one.response)], sort_keys=True)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(_shape(inner), sort_keys=True) for inner in value})
    return type(value).__name__

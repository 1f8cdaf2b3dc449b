"""The API's OpenAPI document, as FastAPI makes it of the routes, with what FastAPI cannot say."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI  # noqa: TID253 - the API server only
from fastapi.encoders import jsonable_encoder  # noqa: TID253 - as above
from pydantic import BaseModel

from airflow_agentfix.ports import Json
from airflow_agentfix.web import bodies, schemas

DESCRIPTION = """
Sessions of AgentFix: failed tasks that are diagnosed, fixed on a branch and rerun on it.

Log in as to Airflow's own API: `POST /auth/token`, then `Authorization: Bearer …`. Rights are those on the DAG that failed, as
Airflow's auth manager has them; each operation names its own in `x-agentfix`. Every refusal is one shape, `ErrorAnswer`.
"""
TAGS = [
    {"name": "people", "description": "For people, callbacks and scripts."},
    {"name": "worker", "description": "For the task of agentfix_fix that drives the session, with the lease that `claim` gives."},
]


class Documented(FastAPI):
    """An app whose operations are called as their functions are."""

    def __init__(self, *, version: str) -> None:
        about: dict[str, Any] = {"title": "AgentFix", "description": DESCRIPTION, "openapi_tags": TAGS}
        super().__init__(version=version, generate_unique_id_function=lambda route: route.name, **about)

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        _describe_answers(document)
        known = document["components"]["schemas"]
        for name, shown in _examples().items():
            known[name]["examples"] = jsonable_encoder(shown)  # as they are: FastAPI leaves out every null of an example
        return document


def _describe_answers(document: Json) -> None:
    """Each by its own schema alone, not by that of any JSON object too, which routes are declared to return."""
    operations = (operation for path in document["paths"].values() for operation in path.values())
    for answer in (answer for operation in operations for answer in operation["responses"].values()):
        for content in answer.get("content", {}).values():
            if "$ref" in content["schema"]:
                content["schema"] = {"$ref": content["schema"]["$ref"]}


def _examples() -> dict[str, list[Json]]:
    values = [value for module in (bodies, schemas) for value in vars(module).values()]
    models = [value for value in values if isinstance(value, type) and issubclass(value, BaseModel)]
    extras = {model.__name__: model.model_config.get("json_schema_extra") for model in models}
    return {name: extra["examples"] for name, extra in extras.items() if isinstance(extra, dict)}  # type: ignore[misc]  # as both write it

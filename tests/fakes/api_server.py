"""API and pages as Airflow mounts them, in a real web server; the token is who asks, with or without `token-of-`."""

from __future__ import annotations

import threading
import time
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI, HTTPException, Request

from airflow_agentfix.service import SessionService
from airflow_agentfix.web.app import build_app
from tests.fakes.server_airflow import Person

COOKIE = "_token"
"""Airflow's own, of a login in the browser"""


def user_of_token(request: Request) -> Person:
    """Stands in for Airflow's own check of the token: the header's, else the cookie's."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    said = token if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    name = said.removeprefix("token-of-")
    if not name:
        raise HTTPException(401, "Not authenticated")
    if name == "forged":
        raise HTTPException(403, "Invalid JWT token")
    return Person(name)


class ApiServer:
    """Serves until left. `url` is Airflow's base URL."""

    def __init__(self, service: Any, *, base_url: str = "", user: Any = user_of_token) -> None:
        self.app = build_app(service if callable(service) else lambda: service, secret="of the tests", base_url=base_url)
        self.app.dependency_overrides[get_user] = user
        airflow = FastAPI(root_path=urlsplit(base_url).path.rstrip("/"))
        airflow.mount("/agentfix", self.app)
        config = uvicorn.Config(airflow, host="127.0.0.1", port=0, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)

    def __enter__(self) -> ApiServer:
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"


def serving(service: SessionService) -> ApiServer:
    return ApiServer(service)

"""The session API as Airflow mounts it, in a real web server; the bearer token is who asks, with or without `token-of-`."""

from __future__ import annotations

import threading
import time
from typing import Any

import uvicorn
from airflow.api_fastapi.core_api.security import get_user
from fastapi import FastAPI, HTTPException, Request

from airflow_agentfix.service import SessionService
from airflow_agentfix.web.app import build_app
from tests.fakes.server_airflow import Person


def user_of_token(request: Request) -> Person:
    """Stands in for Airflow's own check of the token."""
    name = request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("token-of-")
    if not name:
        raise HTTPException(401, "Not authenticated")
    if name == "forged":
        raise HTTPException(403, "Invalid JWT token")
    return Person(name)


class ApiServer:
    """Serves until left. `url` is Airflow's base URL."""

    def __init__(self, service: Any) -> None:
        self.app = build_app(service if callable(service) else lambda: service, secret="of the tests")
        self.app.dependency_overrides[get_user] = user_of_token
        airflow = FastAPI()
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

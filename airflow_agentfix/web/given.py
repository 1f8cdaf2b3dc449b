"""What routes are given beside their body: the service, and parameters that several of them take."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, Header, Path, Request  # noqa: TID253 - the API server only
from fastapi.concurrency import run_in_threadpool  # noqa: TID253 - as above

from airflow_agentfix.service import SessionService
from airflow_agentfix.web import examples


async def _service(request: Request) -> SessionService:
    """Once it is built it is at hand: a thread of its own for that, of every request, would cost a poll a third of its time."""
    once = request.app.state.service
    service: SessionService = once.built or await run_in_threadpool(once)
    return service


Service = Annotated[SessionService, Depends(_service)]


def _within_rate(request: Request, user: GetUserDep, service: Service) -> None:
    request.app.state.intakes.require(str(user.get_id()), per_minute=service.settings.intake_per_minute)


MOST_EVENTS = 10_000_000
"""the highest number of an event that is asked for: a database takes none of any size"""
WithinRate = Depends(_within_rate)
"""one more intake of this login"""
SessionId = Annotated[str, Path(max_length=64, examples=[examples.ID])]
DagId = Annotated[str, Path(max_length=250, examples=[examples.DAG])]
Known = Annotated[str | None, Header(description="The ETag of the answer you have: 304 while it is the newest.")]

"""Requests that ask a code host, or wait for a question to be shown, which may take long: a few threads of their own do that.

FastAPI runs every plain function in the forty threads of a process, which Airflow's own routes share: were they all waiting for
a code host, Airflow's API would stand still, the heartbeats of tasks with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request  # noqa: TID253 - the API server only

AT_ONCE = 8
"""in one process of the API server; whoever comes later waits without a thread"""

Answer = TypeVar("Answer")


async def outward(request: Request, use_case: Callable[[], Answer]) -> Answer:
    """What the use case answers, from one of those threads."""
    state = request.app.state
    if not hasattr(state, "outward"):  # on the server's loop, which the limiter belongs to
        state.outward = CapacityLimiter(AT_ONCE)
    return await to_thread.run_sync(use_case, limiter=state.outward)

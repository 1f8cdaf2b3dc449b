"""Requests that ask a code host, or wait for a question to be shown, which may take long: a few threads of their own do that.

FastAPI runs every plain function in the forty threads of a process, which Airflow's own routes share: were they all waiting for
a code host, Airflow's API would stand still, the heartbeats of tasks with it.

Invariant: what a person decided waits behind other decisions alone, never behind slow looks or workers.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import Request  # noqa: TID253 - the API server only

AT_ONCE = 8
"""of each lane, in one process of the API server; whoever comes later waits without a thread"""

Answer = TypeVar("Answer")


class Lane(Enum):
    """Who waits with whom."""

    LOOKS = auto()
    """what is only read: parts of pages, a policy"""
    WORK = auto()
    """what workers ask for"""
    DECISIONS = auto()
    """what a person decided: an answer, an approval, a recovery"""


async def outward(request: Request, use_case: Callable[[], Answer], *, lane: Lane = Lane.LOOKS) -> Answer:
    """What the use case answers, from one of its lane's threads."""
    state = request.app.state
    if not hasattr(state, "outward"):  # on the server's loop, which the limiters belong to
        state.outward = {one: CapacityLimiter(AT_ONCE) for one in Lane}
    return await to_thread.run_sync(use_case, limiter=state.outward[lane])

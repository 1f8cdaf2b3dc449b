"""How fast one login may hand over failures and start sessions.

Counted in memory, so by each process of the API server for itself: it keeps a callback that went wild from filling the tables,
it is no quota.
"""

from __future__ import annotations

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from airflow_agentfix.errors import RateLimited


class IntakeRate:
    """At most `per_minute` intakes of each login in any sixty seconds."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def require(self, login: str, *, per_minute: int) -> None:
        """Count one intake. Raises RateLimited, and counts nothing, where it is one too many."""
        item = RateLimitItemPerMinute(per_minute)
        if self._limiter.hit(item, login):
            return
        wait = max(1, math.ceil(self._limiter.get_window_stats(item, login).reset_time - time.time()))
        error = RateLimited(
            f"{login!r} handed over {per_minute} failures within a minute; expected no more ([agentfix] intake_per_minute). Try "
            f"again in {wait} s; the triage DAG finds what nobody hands over."
        )
        error.retry_after = wait
        raise error

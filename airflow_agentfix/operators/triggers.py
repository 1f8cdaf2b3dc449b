"""The wait for another DAG's run, in the triggerer.

Airflow (3.3.2 too: apache/airflow#72716) fails or retries a deferred task that is resumed before the scheduler has heard that
the process which deferred it ended: "finished with state success, but the task instance's state attribute is running". The
supervisor may notice that end as late as its next heartbeat, so a rerun of a few seconds is enough to meet this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.triggers.base import TriggerEvent

QUIET_SECONDS = 8.0
"""[workers] min_heartbeat_interval is 5 s unless configured; then the executor's event and a loop of the scheduler"""


class RunEndedTrigger(DagStateTrigger):
    """DagStateTrigger that does not look before the deferred task has settled."""

    quiet_seconds = QUIET_SECONDS

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()
        return f"{__name__}.{type(self).__name__}", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(self.quiet_seconds)
        async for event in super().run():
            yield event

"""The waits of a session, in the triggerer: for another DAG's run, or for a while.

Airflow (3.3.2 too: apache/airflow#72716) fails or retries a deferred task that is resumed before the scheduler has heard that
the process which deferred it ended: "finished with state success, but the task instance's state attribute is running". The
supervisor may notice that end as late as its next heartbeat, so a rerun of a few seconds is enough to meet this.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.triggers.external_task import DagStateTrigger
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

QUIET_SECONDS = 8.0
"""[workers] min_heartbeat_interval is 5 s unless configured; then the executor's event and a loop of the scheduler"""


PARKED = frozenset({"awaiting_input", "deferred"})
"""states of a task that asks a person; the latter before Airflow 3.3"""
ENDED = frozenset({"success", "failed", "skipped", "removed", "upstream_failed"})


EAGER_LOOKS = 900
"""looks at a question at twice the pace before it slows down: who answers within a quarter of an hour is not kept waiting"""


class RunEndedTrigger(DagStateTrigger):
    """DagStateTrigger that does not look before the deferred task has settled."""

    quiet_seconds = QUIET_SECONDS

    def __init__(self, *, until: str | None = None, **arguments: Any) -> None:
        """`until` (ISO 8601): it fires then at the latest, whatever the run does."""
        super().__init__(**arguments)
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        _, arguments = super().serialize()
        return f"{__name__}.{type(self).__name__}", {**arguments, "until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(self.quiet_seconds)
        try:
            async with asyncio.timeout(_seconds_until(self.until)):
                async for event in super().run():
                    yield event
        except TimeoutError:
            yield TriggerEvent({"status": "timeout", "until": self.until})  # type: ignore[no-untyped-call]  # Airflow's


class AnsweredTrigger(RunEndedTrigger):
    """The wait for the answer to a question: over when its task parks no longer, some seconds before its run has ended."""

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(self.quiet_seconds)
        shown, looks = False, 0
        while not _is_over(state := await self.state(), shown=shown):
            shown = shown or state in PARKED
            looks += 1
            await asyncio.sleep(self.poll_interval * (0.5 if looks < EAGER_LOOKS else 2))
        yield TriggerEvent({"status": "answered", "state": state})  # type: ignore[no-untyped-call]  # Airflow's

    async def state(self) -> str | None:
        """Of the question's task; None where there is none, or it was not scheduled yet."""
        run_id = (self.run_ids or [""])[0]
        states = await sync_to_async(RuntimeTaskInstance.get_task_states)(dag_id=self.dag_id, run_ids=[run_id])
        return next(iter(states.get(run_id, {}).values()), None)


def _is_over(state: str | None, *, shown: bool) -> bool:
    """A task that has not parked yet looks like one that was answered: only once it was seen parked the two are told apart."""
    return state in ENDED or (shown and state not in PARKED)


class PauseTrigger(BaseTrigger):
    """Fires after `seconds`, no sooner than the deferred task has settled."""

    def __init__(self, *, seconds: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.seconds = seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", {"seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(max(self.seconds, QUIET_SECONDS))
        yield TriggerEvent({"status": "elapsed"})  # type: ignore[no-untyped-call]  # Airflow's


def _seconds_until(moment: str | None) -> float | None:
    if moment is None:
        return None
    return max(0.0, (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds())

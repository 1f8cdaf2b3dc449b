"""The wait for a run, as the triggerer has it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from airflow.utils.state import DagRunState

from airflow_agentfix.operators.triggers import AnsweredTrigger, PauseTrigger, RunEndedTrigger

WAIT: dict[str, Any] = {"dag_id": "shop", "run_ids": ["r1"], "states": [DagRunState.SUCCESS], "poll_interval": 2.0}


class EndedAlready(RunEndedTrigger):
    """The run it waits for has ended before it looks; when it looked is on record."""

    looks = 0

    async def validate_count_dags_af_3(self, runs_ids_or_dates_len: int = 0) -> dict[str, str]:
        type(self).looks += 1
        return dict.fromkeys(self.run_ids or (), "success")


async def first_event(trigger: BaseTrigger) -> Any:
    return await anext(trigger.run())


def test_the_triggerer_rebuilds_it_from_what_is_stored() -> None:
    classpath, arguments = RunEndedTrigger(**WAIT).serialize()
    module, name = classpath.rsplit(".", 1)
    rebuilt = getattr(import_module(module), name)(**arguments)
    assert type(rebuilt) is RunEndedTrigger
    assert rebuilt.serialize() == (classpath, arguments)
    assert {key: arguments[key] for key in WAIT} == WAIT


def test_a_run_that_has_ended_is_not_reported_before_the_deferred_task_has_settled() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first_event(EndedAlready(**WAIT)), timeout=0.3))
    assert EndedAlready.looks == 0


class NeverEnds(RunEndedTrigger):
    """The run it waits for goes on."""

    quiet_seconds = 0.0

    async def validate_count_dags_af_3(self, runs_ids_or_dates_len: int = 0) -> dict[str, str]:
        await asyncio.sleep(60)
        raise AssertionError("nobody stopped the look")


def test_a_run_that_goes_on_is_reported_when_its_time_is_up() -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=0.2)).isoformat()
    event = asyncio.run(asyncio.wait_for(first_event(NeverEnds(**WAIT, until=soon)), timeout=60))
    assert event.payload == {"status": "timeout", "until": soon}


def test_a_wait_that_was_stored_by_an_earlier_version_has_no_end() -> None:
    assert RunEndedTrigger(**WAIT).until is None


class Question(AnsweredTrigger):
    """A question whose task is in one state after the other; the last one stays."""

    quiet_seconds = 0.0

    def __init__(self, *states: str | None) -> None:
        super().__init__(**{**WAIT, "poll_interval": 0.01})
        self.states_seen = iter(states)
        self.last: str | None = None

    async def state(self) -> str | None:
        self.last = next(self.states_seen, self.last)
        return self.last


@pytest.mark.parametrize("parked", ["awaiting_input", "deferred"])
def test_an_answer_is_told_as_soon_as_the_questions_task_parks_no_longer(parked: str) -> None:
    event = asyncio.run(asyncio.wait_for(first_event(Question(None, "running", parked, parked, "scheduled")), timeout=60))
    assert event.payload == {"status": "answered", "state": "scheduled"}


def test_a_question_that_is_not_shown_yet_is_not_taken_for_answered() -> None:
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first_event(Question(None, "scheduled", "queued", "running")), timeout=0.3))


@pytest.mark.parametrize("state", ["success", "failed"])
def test_a_question_that_ended_before_it_was_seen_is_over(state: str) -> None:
    event = asyncio.run(asyncio.wait_for(first_event(Question(state)), timeout=60))
    assert event.payload["state"] == state


def test_a_question_whose_run_was_deleted_is_over() -> None:
    event = asyncio.run(asyncio.wait_for(first_event(Question("deferred", None)), timeout=60))
    assert event.payload == {"status": "answered", "state": None}


def test_a_pause_is_rebuilt_from_what_is_stored_and_never_ends_before_the_task_has_settled() -> None:
    classpath, arguments = PauseTrigger(seconds=0.1).serialize()
    module, name = classpath.rsplit(".", 1)
    rebuilt = getattr(import_module(module), name)(**arguments)
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(first_event(rebuilt), timeout=0.4))


def test_once_settled_the_end_is_reported_at_once() -> None:
    class Settled(EndedAlready):
        quiet_seconds = 0.0

    event = asyncio.run(asyncio.wait_for(first_event(Settled(**WAIT)), timeout=60))
    assert event.payload[1]["r1"] == "success"

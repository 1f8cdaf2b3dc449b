"""Earlier runs of a task."""

from __future__ import annotations

from dataclasses import replace

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.evidence.history import task_history, usual_duration
from tests.evidence.conftest import REF, RUN


def test_each_run_of_the_task_is_a_line_with_its_code_version(api: RestAirflowApi) -> None:
    head, *lines = task_history(api, REF, limit=3).splitlines()
    assert head == "The newest 3 of task 'transform', newest first:"
    assert lines[0].startswith(f"{RUN} (this run): failed try 1 start 2026-11-22T12:00:00Z took 1.5 s code bbbbbbbbbb")
    assert lines[1].startswith("scheduled__2026-11-20: success try 1")
    assert lines[1].endswith("took 20.0 s code aaaaaaaaaa")
    assert len(lines) == 3


def test_a_task_that_never_ran_says_so(api: RestAirflowApi) -> None:
    assert task_history(api, replace(REF, task_id="zzz")) == "Task 'zzz' of 'shop' has not run yet."


def test_the_usual_duration_counts_other_successes_only(api: RestAirflowApi) -> None:
    history = api.history("shop", "transform", limit=10)
    assert usual_duration(history, but=RUN) == "median 19.0 s of 3 other successes"
    assert usual_duration(history[:1], but="another") is None

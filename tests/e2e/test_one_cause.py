"""One cause, one session, on a real Airflow: two tasks broken by one helper, two indexes of a mapped task by two things."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_agentfix.core.session import Outcome, Session
from tests.e2e.production import Production, production

pytestmark = pytest.mark.e2e

DAG, RUN = "one_cause", "monday"
SOURCE = f'''"""A DAG for airflow."""
from airflow.sdk import DAG, task
from airflow_agentfix import agentfix_on_failure
from shop.halves import half

with DAG("{DAG}", schedule=None, is_paused_upon_creation=False, default_args={{"on_failure_callback": agentfix_on_failure()}}):

    @task
    def first() -> float:
        return half(2)

    @task
    def second() -> float:
        return half(4)

    @task
    def join(one: float, other: float) -> float:
        return one + other

    @task
    def handle(number: int) -> None:
        if number == 1:
            raise KeyError("country")
        if number == 2:
            raise ValueError("order 2 has no amount at all")

    join(first(), second())
    handle.expand(number=[0, 1, 2])
'''


FILES = {f"dags/{DAG}.py": SOURCE, "dags/shop/halves.py": "def half(value: int) -> float:\n    return valeu / 2\n"}


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    config = {"AGENTFIX__ALLOW_UNREVIEWED_RERUNS": "True"}
    with production(tmp_path_factory.mktemp("one-cause"), config=config, files=FILES) as one:
        yield one


@pytest.fixture(scope="module")
def sessions(here: Production) -> dict[str, Session]:
    """By task and index, once all are done."""
    here.until(lambda: here.is_parsed(DAG), f"{DAG} is parsed")
    here.deployment.airflow.trigger(DAG, run_id=RUN, conf={})
    wanted = {"first", "second", "handle[1]", "handle[2]"}

    def found() -> dict[str, Session]:
        listed = here.deployment.sessions.list(dag_id=DAG)
        return {f"{one.task_id}[{one.map_index}]".removesuffix("[-1]"): one for one in listed if one.outcome}

    here.until(lambda: wanted <= found().keys(), "a session on each of them is done")
    return found()


def test_two_tasks_broken_by_one_helper_are_one_session_with_one_branch(here: Production, sessions: dict[str, Session]) -> None:
    outcomes = {sessions["first"].outcome, sessions["second"].outcome}
    assert outcomes in ({Outcome.FIXED, Outcome.DUPLICATE}, {Outcome.FIXED})  # the later one may find the first at its rerun
    assert sessions["first"].fingerprint == sessions["second"].fingerprint
    assert len([branch for branch in here.branches() if branch.startswith("fix/")]) == 1


def test_both_tasks_and_what_is_below_them_are_green_though_the_run_failed_of_something_else(
    here: Production, sessions: dict[str, Session]
) -> None:
    states = {(task.task_id, task.map_index): task.state for task in here.deployment.airflow.task_instances(DAG, RUN)}
    assert [states[task, -1] for task in ("first", "second", "join")] == ["success"] * 3
    assert [states["handle", index] for index in range(3)] == ["success", "failed", "failed"]


def test_two_indexes_that_failed_of_different_causes_are_looked_at_both(sessions: dict[str, Session]) -> None:
    one, other = sessions["handle[1]"], sessions["handle[2]"]
    assert one.fingerprint != other.fingerprint
    assert (one.cause, other.cause) == ("KeyError: 'country'", "ValueError: order 2 has no amount at all")
    assert {one.outcome, other.outcome} == {Outcome.REPORTED}

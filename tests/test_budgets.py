"""The dollars of a day: reserved before work starts, spent as it goes, free again where it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.policy import Layer, Policy
from airflow_agentfix.core.session import EventKind, Outcome, State, WaitFor, fix_run_id
from airflow_agentfix.errors import BudgetExceeded
from airflow_agentfix.ports import Claim, Json, WaitRun
from airflow_agentfix.service import Failure
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.wire import Taken
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, DAG, RUN, WORKER, Server, model_data

TWO = Settings(max_dollars=5.0, daily_dollars=10.0)
"""the day has room for two sessions of a DAG"""
Make = Callable[..., Server]


@pytest.fixture(params=["sqlite", "postgres"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Server] = []

    def make(settings: Settings = TWO) -> Server:
        made.append(Server(new_database(request.param, tmp_path), settings))
        for dag_id in ("stock", "bills"):
            made[-1].airflow.rights |= {("anna", dag_id): "edit", ("agentfix-worker", dag_id): "edit"}
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture
def server(make: Make) -> Server:
    return make()


def take(server: Server, task_id: str, *, dag_id: str = DAG, asked: bool = False) -> Taken:
    server.airflow.fail(dag_id, RUN, task_id)
    failure = Failure(dag_id, RUN, task_id)
    return server.service.create(failure, ANNA) if asked else server.service.intake(failure, WORKER)


def work(server: Server, task_id: str, *, dollars: float = 0.0) -> Claim:
    """A session a worker has, with a model call behind it."""
    claim = server.claimed(take(server, task_id).id)
    server.append(claim, (EventKind.MODEL, {**model_data(), "dollars": dollars}))
    return claim


def park(server: Server, claim: Claim, waiting_for: WaitFor) -> None:
    server.service.worker.park(claim.session.id, WORKER, lease=claim.lease, wait=WaitRun(DAG, RUN, waiting_for))


def finish(server: Server, claim: Claim) -> None:
    end = {"outcome": Outcome.REPORTED, "summary": "Told.", "verdict": "code", "report": None, "error": None}
    server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, **end)


def day(server: Server, session_id: str) -> Json:
    return server.service.budget(session_id, ANNA).to_json()["day"]  # type: ignore[no-any-return]  # as it says


def refused(server: Server, session_id: str) -> str:
    """Why the session that is claimed now may ask no model."""
    claim = server.claimed(session_id)
    assert claim.lease
    return claim.unpaid or ""


# --- the way in


@pytest.mark.parametrize("asked", [False, True], ids=["failure", "person"])
def test_a_failure_the_day_has_no_dollars_for_is_looked_at_without_a_model(server: Server, asked: bool) -> None:
    for task_id in ("a", "b"):
        assert take(server, task_id).warning is None
    taken = take(server, "c", asked=asked)
    assert (taken.state, taken.created) == (State.OPEN, True)
    assert (taken.warning or "").startswith("No model is asked, only what is free is done.")
    assert "$0.00 spent and $10.00 reserved by other sessions, of $10.00 (daily_dollars)" in (taken.warning or "")
    assert server.airflow.confs[fix_run_id(taken.id, 1)] == {"session_id": taken.id}
    claim = server.claimed(taken.id)
    assert claim.lease
    assert "(daily_dollars)" in (claim.unpaid or "")
    assert day(server, taken.id)["reserved"] == 10.0


def test_a_session_without_dollars_has_them_from_the_claim_on_at_which_there_are_some(server: Server) -> None:
    first = work(server, "a")
    take(server, "b")
    taken = take(server, "c")
    assert server.claimed(taken.id).unpaid
    finish(server, first)
    again = server.claimed(taken.id, try_number=2)
    assert (again.unpaid, day(server, taken.id)["reserved"]) == (None, 10.0)


def test_the_budget_of_one_dag_is_not_another_ones(server: Server) -> None:
    for task_id in ("a", "b"):
        take(server, task_id)
    assert take(server, "c", dag_id="stock").warning is None


def test_the_budget_of_the_deployment_is_for_all_dags(make: Make) -> None:
    server = make(replace(TWO, daily_dollars_total=12.0))
    take(server, "a")
    take(server, "b", dag_id="stock")
    assert "(daily_dollars_total)" in refused(server, take(server, "c", dag_id="bills").id)


def test_what_one_dag_claims_to_have_spent_stops_no_other_dag(make: Make) -> None:
    server = make(replace(TWO, daily_dollars_total=30.0))
    claim = work(server, "a")
    server.append(claim, (EventKind.MODEL, {**model_data(), "dollars": 99_000_000.0}))
    assert refused(server, take(server, "b").id)
    assert take(server, "c", dag_id="stock").warning is None
    assert (day(server, claim.session.id)["used"], day(server, claim.session.id)["total_used"]) == (99_000_000.0, 10.0)


def test_a_session_that_ends_gives_back_what_it_did_not_spend(server: Server) -> None:
    claim = work(server, "a", dollars=1.5)
    take(server, "b")
    finish(server, claim)
    assert day(server, claim.session.id) == {
        "used": 1.5,
        "reserved": 5.0,
        "limit": 10.0,
        "total_used": 1.5,
        "total_limit": 200.0,
    }
    assert "$1.50 spent and $5.00 reserved" in refused(server, take(server, "c").id)


def test_what_is_spent_of_a_reservation_is_not_counted_twice(server: Server) -> None:
    claim = work(server, "a", dollars=1.5)
    assert (day(server, claim.session.id)["used"], day(server, claim.session.id)["reserved"]) == (1.5, 3.5)
    assert take(server, "b").warning is None


def test_calls_that_gave_no_turn_are_spent_money(server: Server) -> None:
    claim = work(server, "a")
    spent = {"model": "m", "usage": {"input_tokens": 9}, "dollars": 0.75, "reason": "cut"}
    server.append(claim, (EventKind.SPENT, spent))
    assert day(server, claim.session.id)["used"] == 0.75
    assert server.service.get(claim.session.id, ANNA).usage.dollars == 0.75


def test_the_next_day_has_its_own_dollars(server: Server) -> None:
    for task_id in ("a", "b"):
        finish(server, work(server, task_id, dollars=5.0))
    assert refused(server, take(server, "c").id)
    server.clock.pass_seconds(86_400)
    taken = take(server, "d")
    assert (taken.state, taken.warning) == (State.OPEN, None)
    assert day(server, taken.id)["used"] == 0.0


def test_nothing_is_reserved_where_no_model_is_called(make: Make) -> None:
    server = make(Settings(offline=True, max_dollars=5.0, daily_dollars=0.0))
    session_id = take(server, "a").id
    assert server.claimed(session_id).lease
    assert day(server, session_id)["reserved"] == 0.0


def test_a_session_may_spend_a_day_at_most_and_its_worker_is_told(make: Make) -> None:
    server = make(Settings(max_dollars=5.0, daily_dollars=3.0))
    claim = server.claimed(take(server, "a").id)
    assert Policy.from_json(claim.policy).max_dollars == 3.0
    assert server.service.budget(claim.session.id, ANNA).to_json()["dollars"] == {"used": 0.0, "limit": 3.0}


# --- going on


def leave_five(server: Server) -> None:
    """Others spend 4 dollars, and one reserves 5: of 10 there are no 4 left for one that has spent 1."""
    finish(server, work(server, "b", dollars=4.0))
    assert take(server, "c").warning is None


def test_a_session_that_waits_for_a_person_reserves_nothing_and_one_that_waits_for_a_rerun_does(server: Server) -> None:
    person, rerun = work(server, "a", dollars=1.0), work(server, "b", dollars=1.0)
    park(server, person, WaitFor.PERSON)
    park(server, rerun, WaitFor.RERUN)
    assert day(server, person.session.id)["reserved"] == 4.0


def test_a_session_that_goes_on_after_a_person_reserves_again_or_asks_no_model(server: Server) -> None:
    first = work(server, "a", dollars=1.0)
    park(server, first, WaitFor.PERSON)
    leave_five(server)
    told = refused(server, first.session.id)
    assert "$5.00 spent and $5.00 reserved by other sessions, of $10.00" in told
    assert "this session may need $4.00" in told


def test_a_message_reserves_before_it_starts_a_session_again_or_changes_nothing(server: Server) -> None:
    claim = work(server, "a", dollars=1.0)
    finish(server, claim)
    leave_five(server)
    before = server.service.get(claim.session.id, ANNA)
    with pytest.raises(BudgetExceeded, match=r"this session may need \$4\.00"):
        server.service.message(claim.session.id, ANNA, "Look again.")
    assert server.service.get(claim.session.id, ANNA) == before
    server.clock.pass_seconds(86_400)
    assert server.service.message(claim.session.id, ANNA, "Look again.").state is State.OPEN


def test_a_worker_that_claims_again_is_not_stopped_by_its_own_reservation(server: Server) -> None:
    claim = work(server, "a", dollars=2.0)
    take(server, "b")
    assert server.claimed(claim.session.id, try_number=2).lease


def test_a_repository_may_allow_its_dags_less_a_day(server: Server) -> None:
    server.policies.says = [Layer(".agentfix.yaml", max_dollars=2.0, daily_dollars=3.0)]
    first = server.claimed(take(server, "a").id)
    assert Policy.from_json(first.policy).max_dollars == 2.0
    assert day(server, first.session.id) == {"used": 0.0, "reserved": 2.0, "limit": 3.0, "total_used": 0.0, "total_limit": 200.0}
    told = refused(server, take(server, "b").id)
    assert "$2.00 reserved by other sessions, of $3.00 (daily_dollars); this session may need $2.00" in told


# --- two API servers


@pytest.mark.parametrize("verb", ["intake", "claim"])
def test_two_of_servers_that_reserve_at_once_get_the_dollars_that_are_there_for_two(make: Make, verb: str) -> None:
    first = make(replace(TWO, daily_dollars_total=10.0))
    dags = [f"dag{number}" for number in range(6)]
    for dag_id in dags:
        first.airflow.rights[WORKER.name, dag_id] = first.airflow.rights[ANNA.name, dag_id] = "edit"
        first.airflow.fail(dag_id, RUN, "load")
    ids = count_ids(first)
    servers = [replace_server(first, ids) for _ in dags]
    if verb == "claim":
        for dag_id in dags:  # each came to wait for a person while there was money
            claim = first.claimed(take(first, "load", dag_id=dag_id).id)
            park(first, claim, WaitFor.PERSON)
    together = threading.Barrier(len(dags))

    def reserve(server: Server, dag_id: str) -> None:
        together.wait()
        taken = take(server, "load", dag_id=dag_id)
        if verb == "claim":
            server.claimed(taken.id)

    threads = [threading.Thread(target=reserve, args=pair) for pair in zip(servers, dags, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = [first.store.get(one.id) for one in first.service.list(ANNA).sessions]
    assert sorted(one.max_dollars for one in stored if one and one.max_dollars is not None) == [0.0] * 4 + [5.0] * 2
    for server in servers:
        server.close()


def count_ids(server: Server) -> Callable[[], str]:
    """Ids no two servers give twice."""
    lock, given = threading.Lock(), iter(range(10_000))

    def next_id() -> str:
        with lock:
            return f"s{next(given)}"

    server.service = server.with_ids(next_id)
    return next_id


def replace_server(server: Server, ids: Callable[[], str]) -> Server:
    """Another API server of the same deployment."""
    other = Server(server.url, server.settings, server.airflow, server.clock)
    other.service = other.with_ids(ids)
    return other


# --- what people see


def test_a_budget_says_what_is_used_of_what(server: Server) -> None:
    claim = work(server, "a", dollars=0.5)
    server.clock.pass_seconds(180)
    given: dict[str, Any] = server.service.budget(claim.session.id, ANNA).to_json()
    assert given["turns"] == {"used": 1, "limit": 40}
    assert given["tokens"] == {"used": 16, "limit": 1_000_000}
    assert given["dollars"] == {"used": 0.5, "limit": 5.0}
    assert given["minutes"] == {"used": 3.0, "limit": 120}


def test_who_is_asked_for_an_approval_sees_what_the_fix_has_cost(server: Server) -> None:
    claim = server.with_fix()
    server.append(claim, (EventKind.MODEL, model_data()))
    wait = server.approval(claim)
    assert "- **Cost:** 1 model call, 16 tokens, $0.25 so far\n" in server.airflow.questions[wait.run_id].body


def test_a_worker_that_fell_silent_counts_no_minutes_any_more(server: Server) -> None:
    claim = work(server, "a")
    server.clock.pass_seconds(server.settings.lease_seconds + 3_600)
    assert server.service.budget(claim.session.id, ANNA).minutes.used == 0.0

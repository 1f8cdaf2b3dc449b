"""What triage does for fixes that may be merged: real repositories, the real session API and runs of one cause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.core.incident import DagFacts
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.recovery import RunState
from airflow_agentfix.core.session import Outcome, Session
from airflow_agentfix.errors import AirflowNotFound, RepositoryUnreachable
from airflow_agentfix.pins import settle
from airflow_agentfix.ports import Fate
from airflow_agentfix.recoveries import LOOKS, Looked, in_turn, lines, recover
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.client import SessionsApi
from airflow_agentfix.store.wire import RecoveredRun, Recovery
from airflow_agentfix.triage_rest import RestFixes, RestPins
from airflow_agentfix.triage_run import Report, render
from tests.code.repos import make_origin, merge
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.deployment import session_json
from tests.fakes.server import DAG, RUN, TASK, Server
from tests.store.test_client import Token
from tests.test_duplicates import claimed, incident
from tests.test_pins import BRANCH, Shop

NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
OTHERS = ("tuesday", "wednesday")


@dataclass
class MergedShop(Shop):
    """The DAG has failed in further runs of the cause."""

    no_dag: bool = False

    def dag(self, dag_id: str) -> DagFacts:
        if self.no_dag:
            raise AirflowNotFound(f"No DAG {dag_id!r} in Airflow.")
        return super().dag(dag_id)

    def done(self, outcome: Outcome = Outcome.FIXED) -> str:
        self.server.append(claimed(self.server, RUN), incident())
        for run in OTHERS:
            self.server.append(claimed(self.server, run), incident())
        return super().done(outcome)

    def merge(self) -> str:
        merge(self.folder, BRANCH)
        return self.serve()

    @property
    def sessions(self) -> SessionsApi:
        return SessionsApi(AirflowHttp(self.url, Token("agentfix-worker")))

    def recover(self, *, at_most: int = 10) -> tuple[Looked, ...]:
        settle(RestPins(self.sessions, self))
        return recover(RestFixes(self.sessions, self), at_most=at_most, now=NOW)

    @property
    def cleared(self) -> list[str]:
        return [one.run_id for one in self.server.airflow.recoveries]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[MergedShop]:
    (tmp_path / "db").mkdir()
    (tmp_path / "git").mkdir()
    make_origin(tmp_path / "git")
    settings = Settings(autonomy=Autonomy.RECOVER, allow_unreviewed_reruns=True)
    server = Server(new_database("sqlite", tmp_path / "db"), settings)
    for run in OTHERS:
        server.airflow.fail(DAG, run, TASK)
    with ApiServer(server.service) as api:
        shop = MergedShop(tmp_path / "git", server, api.url)
        shop.serve()
        yield shop
    server.close()


def test_a_fix_that_is_open_recovers_nothing_and_is_not_told_of(shop: MergedShop) -> None:
    shop.done()
    assert (shop.recover(), shop.cleared) == ((), [])


@pytest.mark.parametrize("outcome", [Outcome.FIXED, Outcome.PROPOSED])
def test_once_the_fix_is_merged_and_served_the_other_runs_go_on_with_it(shop: MergedShop, outcome: Outcome) -> None:
    shop.done(outcome)
    served = shop.merge()
    (looked,) = shop.recover()
    assert shop.cleared == list(OTHERS)
    assert {one.version for one in shop.server.airflow.recoveries} == {served}
    assert looked.recovery is not None
    for run in OTHERS:
        shop.server.airflow.end_run(DAG, run, "success")
    shop.recover()
    assert shop.recover() == ()  # it is over
    assert shop.cleared == list(OTHERS)


def test_a_merged_fix_that_is_not_served_yet_waits(shop: MergedShop) -> None:
    shop.done()
    merge(shop.folder, BRANCH)
    (looked,) = shop.recover()
    assert ("does not serve" in (looked.kept or ""), shop.cleared) == (True, [])
    shop.serve()
    shop.recover()
    assert shop.cleared == list(OTHERS)


def test_a_branch_that_is_gone_is_looked_at_once(shop: MergedShop) -> None:
    shop.done()
    shop.delete_branch()
    (looked,) = shop.recover()
    assert (lines([looked]), shop.recover(), shop.cleared) == ([], (), [])


def test_a_dag_that_is_gone_is_looked_at_once(shop: MergedShop) -> None:
    shop.done()
    shop.recover()
    shop.no_dag = True
    assert len(shop.recover()) == 1
    assert (shop.recover(), shop.cleared) == ((), [])


def test_a_code_host_that_is_away_recovers_nothing_and_is_asked_again(shop: MergedShop) -> None:
    shop.done()
    shop.merge()
    shop.away = True
    (looked,) = shop.recover()
    assert (looked.kept is not None, shop.cleared) == (True, [])
    shop.away = False
    shop.recover()
    assert shop.cleared == list(OTHERS)


def test_no_more_runs_than_allowed_go_on_in_one_triage_and_the_rest_in_the_next(shop: MergedShop) -> None:
    shop.done()
    shop.merge()
    shop.recover(at_most=1)
    assert shop.cleared == list(OTHERS[:1])
    shop.recover(at_most=1)
    assert shop.cleared == list(OTHERS)


# --- many fixes


def a_session(number: int) -> Session:
    return Session.from_json(session_json(f"s{number}", fix_commit="c" * 40))


@dataclass
class Many:
    """Fixes that all are merged; of `broken` nothing can be known."""

    sessions: Sequence[Session]
    broken: str = ""
    asked: list[str] = field(default_factory=list)
    allowed: list[int] = field(default_factory=list)

    def unsettled(self) -> Sequence[Session]:
        return self.sessions

    def fate(self, session: Session) -> Fate:
        self.asked.append(session.id)
        if session.id == self.broken:
            raise RepositoryUnreachable("no route")
        return Fate("merged", "c" * 40)

    def served(self, session: Session, commit: str) -> tuple[bool, str | None]:
        return True, commit

    def recover(self, session: Session, *, found: str, version: str | None, at_most: int) -> Recovery:
        self.allowed.append(at_most)
        runs = (RecoveredRun(session.id, RunState.STARTED), RecoveredRun("old", RunState.STARTED, reason="it is running"))
        return Recovery(session.id, version, runs, over=False)


def test_one_that_cannot_be_looked_at_does_not_hold_up_the_others() -> None:
    many = Many([a_session(number) for number in range(3)], broken="s0")
    looked = recover(many, at_most=10, now=NOW)
    assert [one.kept for one in looked] == ["no route", None, None]


def test_what_one_fix_started_is_taken_from_what_the_next_may_start() -> None:
    many = Many([a_session(number) for number in range(3)])
    recover(many, at_most=2, now=NOW)
    assert many.allowed == [2, 1, 0]


def test_one_triage_asks_about_so_many_fixes_at_most_and_in_turn_all_are_asked_about() -> None:
    sessions = [a_session(number) for number in range(LOOKS * 3 + 1)]
    turns = [in_turn(sessions, now=NOW + timedelta(minutes=15 * turn)) for turn in range(4)]
    assert {len(turn) for turn in turns} == {LOOKS}
    assert {one.id for turn in turns for one in turn} == {one.id for one in sessions}
    assert in_turn(sessions[:LOOKS], now=NOW) == sessions[:LOOKS]


def test_what_became_of_one_commit_is_asked_once(shop: MergedShop) -> None:
    shop.done()
    shop.merge()
    fixes = RestFixes(shop.sessions, shop)
    (session,) = fixes.unsettled()
    assert fixes.fate(replace(session, id="another")) is fixes.fate(session)


# --- the report


def test_the_report_tells_each_run_and_why_and_what_a_person_has_to_do() -> None:
    runs = (RecoveredRun("r1", RunState.STARTED, ("load",)), RecoveredRun("r2", RunState.LEFT, reason="the run is gone"))
    person = "autonomy is rerun, not recover; a person does it with: agentfix recover s2"
    waiting = (RecoveredRun("r3", RunState.WAITING, reason=person),)
    looked = (
        Looked(a_session(1), Recovery("s1", "c" * 40, runs, over=False)),
        Looked(a_session(2), Recovery("s2", "c" * 40, waiting, over=False, needs_person=person)),
        Looked(a_session(3), Recovery("s3", None, (), over=True)),
        Looked(a_session(4), kept="no route"),
    )
    assert render(Report(since=NOW, recoveries=looked)).splitlines()[1:] == [
        "Runs of merged fixes:",
        "  orders (session s1)",
        "    r1: started",
        "    r2: left: the run is gone",
        f"  orders (session s2): {person}",
        "    r3: waiting",
        "  orders (session s4): waits: no route",
    ]

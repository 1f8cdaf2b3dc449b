"""What triage does to runs on fix commits: real repositories, the real session API and the rerun's record."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.code.git_host import GitHost
from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.core.session import EventKind, Outcome, PinEnd, Session
from airflow_agentfix.errors import RepositoryUnreachable
from airflow_agentfix.pins import Settled, lines, settle
from airflow_agentfix.ports import CodeHost
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.client import SessionsApi
from airflow_agentfix.triage_rest import RestPins, run_triage
from airflow_agentfix.triage_run import render
from tests.code.repos import git, make_origin, merge, push
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.deployment import API, Deployment
from tests.fakes.server import DAG, RUN, WORKER, Server, fix_data, patch_data
from tests.fakes.server_airflow import ORIGINAL
from tests.fakes.sessions import add_fixed, numbered, rerun
from tests.store.test_client import Token

BRANCH = fix_data()["branch"]
END = {"summary": "Told.", "verdict": "code", "report": None, "error": None}


@dataclass
class Shop:
    """A repository, the DAG in it, and a session that keeps the DAG's run on a fix commit of it."""

    folder: Path
    server: Server
    url: str = ""
    away: bool = False
    dags: dict[str, DagFacts] = field(default_factory=dict)

    @property
    def origin(self) -> Path:
        return self.folder / "acme" / "dags.git"

    @property
    def airflow(self) -> Any:
        return self

    def dag(self, dag_id: str) -> DagFacts:
        return DagFacts(dag_id, "dags/shop.py", bundle_version=self.server.airflow.served.get(dag_id))

    def repository_of(self, dag: DagFacts) -> Repository:
        return Repository(str(self.folder / "away" if self.away else self.origin), "main")

    def host(self, repository: Repository) -> CodeHost:
        return GitHost(repository)

    def serve(self) -> str:
        """Airflow's DAG processor follows main."""
        self.server.airflow.served[DAG] = git("rev-parse", "main", cwd=self.origin)
        return self.server.airflow.served[DAG]

    def delete_branch(self) -> None:
        git("update-ref", "-d", f"refs/heads/{BRANCH}", cwd=self.origin)

    def done(self, outcome: Outcome = Outcome.FIXED) -> str:
        """The fix is opened and rerun, and the session ends so; its run has ended too. The fix commit."""
        commit = push(self.folder, "dags/shop.py", "x = 2\n", branch=BRANCH)
        claim = self.server.claimed()
        self.server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data(commit)))
        self.server.approval(claim, commit=commit)
        self.server.rerun(claim)
        self.server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=outcome, **END)
        self.server.airflow.runs[DAG, RUN] = "success"
        return commit

    def settle(self) -> tuple[Settled, ...]:
        return settle(RestPins(SessionsApi(AirflowHttp(self.url, Token("agentfix-worker"))), self))

    @property
    def version(self) -> str | None:
        """What the run is on."""
        return self.server.airflow.versions[DAG, RUN]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    (tmp_path / "db").mkdir()
    (tmp_path / "git").mkdir()
    make_origin(tmp_path / "git")
    server = Server(new_database("sqlite", tmp_path / "db"), Settings(allow_unreviewed_reruns=True))
    with ApiServer(server.service) as api:
        shop = Shop(tmp_path / "git", server, api.url)
        shop.serve()
        yield shop
    server.close()


def test_a_run_whose_fix_is_open_stays_and_is_not_told_of(shop: Shop) -> None:
    commit = shop.done()
    assert (shop.settle(), shop.version) == ((), commit)


def test_a_merged_fix_sets_the_run_to_the_base_commit_airflow_serves(shop: Shop) -> None:
    shop.done()
    merge(shop.folder, BRANCH)
    served = shop.serve()
    push(shop.folder, "other.py", "later = 1\n")  # the base branch is further than the DAG processor
    (settled,) = shop.settle()
    assert (settled.reason, settled.version, shop.version) == (PinEnd.MERGED, served, served)
    assert shop.settle() == ()


def test_a_merged_fix_that_airflow_does_not_serve_yet_keeps_its_run_until_it_does(shop: Shop) -> None:
    commit = shop.done()
    merge(shop.folder, BRANCH)
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (None, commit)
    assert "does not serve" in (settled.kept or "")
    shop.delete_branch()
    shop.serve()
    assert [one.reason for one in shop.settle()] == [PinEnd.MERGED]


def test_a_branch_that_is_gone_sets_the_run_back(shop: Shop) -> None:
    shop.done()
    shop.delete_branch()
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (PinEnd.CLOSED, ORIGINAL)
    assert shop.server.store.events(settled.session.id)[-1].data == {"run_id": RUN, "version": ORIGINAL, "reason": "closed"}


def test_a_rejected_sessions_leftover_is_repaired_without_asking_the_code_host(shop: Shop) -> None:
    shop.done(Outcome.REJECTED)  # the rerun was going then, so its pin stayed
    shop.away = True
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (PinEnd.ENDED, ORIGINAL)


def test_an_erased_sessions_leftover_is_repaired(shop: Shop) -> None:
    shop.done()
    session_id = shop.server.taken()
    shop.server.airflow.runs[DAG, RUN] = "running"
    shop.server.service.erase(session_id, WORKER)
    shop.server.airflow.runs[DAG, RUN] = "success"
    shop.delete_branch()
    assert [one.reason for one in shop.settle()] == [PinEnd.CLOSED]
    assert shop.version == ORIGINAL


def test_a_code_host_that_is_away_ends_nothing(shop: Shop) -> None:
    commit = shop.done()
    shop.delete_branch()
    shop.away = True
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (None, commit)
    assert "stays: " in lines([settled])[-1]


def test_a_run_that_is_going_again_stays_until_it_has_ended(shop: Shop) -> None:
    commit = shop.done()
    shop.delete_branch()
    shop.server.airflow.runs[DAG, RUN] = "running"
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (None, commit)
    shop.server.airflow.runs[DAG, RUN] = "success"
    assert [one.reason for one in shop.settle()] == [PinEnd.CLOSED]


def test_what_counts_is_the_commit_the_run_is_on_not_a_later_one_that_was_not_run(shop: Shop) -> None:
    commit = push(shop.folder, "dags/shop.py", "x = 2\n", branch=BRANCH)
    later = push(shop.folder, "dags/shop.py", "x = 3\n", branch="fix/later")
    claim = shop.server.claimed()
    shop.server.append(claim, (EventKind.PATCH, patch_data()), (EventKind.FIX, fix_data(commit)))
    shop.server.approval(claim, commit=commit)
    shop.server.rerun(claim)
    shop.server.append(claim, (EventKind.FIX, {**fix_data(later), "branch": "fix/later"}))
    shop.server.service.worker.finish(claim.session.id, WORKER, lease=claim.lease, outcome=Outcome.PROPOSED, **END)
    shop.server.airflow.runs[DAG, RUN] = "failed"
    git("update-ref", "-d", "refs/heads/fix/later", cwd=shop.origin)
    assert (shop.settle(), shop.version) == ((), commit)
    shop.delete_branch()
    assert [one.reason for one in shop.settle()] == [PinEnd.CLOSED]


@dataclass
class Unlucky:
    """Two pins; the first one's repository cannot be looked at."""

    sessions: list[Session]
    ended: list[str] = field(default_factory=list)

    def in_force(self) -> list[Session]:
        return self.sessions

    def pin_of(self, session: Session) -> Any:
        raise RepositoryUnreachable("no route")

    fate: Callable[..., Any] = pin_of
    served: Callable[..., Any] = pin_of

    def end(self, session: Session, *, reason: PinEnd, version: str | None) -> None:
        self.ended.append(session.id)


def test_one_pin_that_cannot_be_looked_at_does_not_hold_up_the_others() -> None:
    with Deployment() as airflow:
        found = [airflow.add_session("s1", outcome="fixed"), airflow.add_session("s2", outcome="rejected")]
    pins = Unlucky([Session.from_json(one) for one in found])
    settled = settle(pins)
    assert ([one.kept for one in settled], pins.ended) == (["no route", None], ["s2"])
    assert lines(settled) == [
        "Runs on fix commits: 2",
        "  orders / monday (session s1): stays: no route",
        "  orders / monday (session s2): back on its own version: the session ended without its fix",
    ]


def test_no_pin_is_no_line() -> None:
    assert lines(()) == []


def test_the_triage_run_ends_pins_by_the_deployments_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = make_origin(tmp_path)
    commit = push(tmp_path, "dags/shop.py", "x = 2\n", branch="fix/orders-load-3c9a")
    main = merge(tmp_path, "fix/orders-load-3c9a")
    repositories = [{"path": "/dags", "url": str(origin), "base_branch": "main"}]
    monkeypatch.setenv("AIRFLOW__AGENTFIX__REPOSITORIES", json.dumps(repositories))
    with Deployment(page=1) as airflow:
        monkeypatch.setenv("AGENTFIX_AIRFLOW_URL", airflow.url)
        airflow.add_dag("orders", bundle_version=main)
        for session_id in ("s1", "s2", "s3"):
            add_fixed(airflow, session_id)
            fix = {**fix_data(commit), "branch": "fix/orders-load-3c9a"}
            events = (EventKind.FIX, "worker", fix), (EventKind.RERUN, "server", {**rerun(), "commit": commit})
            airflow.events[session_id] = numbered(*events)
        airflow.pinned = {"s1", "s3"}
        report = render(run_triage(now=datetime.now(UTC)))
        assert airflow.sent("POST", f"{API}/sessions/s1/end-pin") == [{"version": main, "reason": "merged"}]
        assert airflow.pinned == set()
    assert f"Runs on fix commits: 2\n  orders / monday (session s1): now on {main[:12]}, which has the merged fix" in report


def test_a_repository_without_its_base_branch_keeps_the_pin(shop: Shop) -> None:
    commit = shop.done()
    git("update-ref", "-d", "refs/heads/main", cwd=shop.origin)
    (settled,) = shop.settle()
    assert (settled.reason, shop.version) == (None, commit)
    assert "'main'" in (settled.kept or "")

"""What a session may do is what deployment, repository and request allow together, decided and written down by the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.policy import Autonomy, Effective, Layer
from airflow_agentfix.core.session import SERVER, EventKind
from airflow_agentfix.errors import NotAllowed
from airflow_agentfix.ports import Approved, WaitRun
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.record import Draft
from tests.fakes.databases import new_database
from tests.fakes.server import ANNA, DAG, READER, RUN, STRANGER, Server, approved, fix_data, patch_data

FILE = ".agentfix.yaml of acme/dags at main (3c9a)"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Any]:
    made: list[Server] = []

    def make(*says: Layer, **settings: Any) -> Server:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Server(new_database("sqlite", folder), Settings(**settings)))
        made[-1].policies.says = list(says)
        return made[-1]

    yield make
    for server in made:
        server.close()


def written(server: Server, session_id: str) -> list[Effective]:
    events = server.store.events(session_id)
    return [Effective.from_json(event.data) for event in events if event.kind is EventKind.POLICY]


def test_what_is_in_force_is_written_down_when_a_worker_takes_the_session_each_value_with_its_source(make: Any) -> None:
    server = make(Layer(FILE, max_files=3, approvers=("boss",)), dag_autonomy=(("ord*", Autonomy.PROPOSE),))
    claim = server.claimed()
    (found,) = written(server, claim.session.id)
    assert claim.policy == found.policy.to_json()
    assert (found.policy.autonomy, found.policy.max_files, found.policy.approvers) == (Autonomy.PROPOSE, 3, ("boss",))
    assert found.sources["autonomy"] == ("[agentfix] dag_autonomy 'ord*'",)
    assert (found.sources["max_files"], found.sources["max_lines"]) == ((FILE,), ("[agentfix]",))


def test_it_is_written_again_only_where_it_changed(make: Any) -> None:
    server = make()
    claim = server.claimed()
    server.claimed(claim.session.id, try_number=2)
    assert len(written(server, claim.session.id)) == 1
    server.policies.says = [Layer(FILE, autonomy=Autonomy.REPORT)]
    taken = server.claimed(claim.session.id, try_number=3)
    assert [one.policy.autonomy for one in written(server, claim.session.id)] == [Autonomy.RERUN, Autonomy.REPORT]
    assert taken.policy["autonomy"] == "report"
    assert server.store.broken_link(claim.session.id) is None


def test_a_session_whose_policy_another_version_wrote_down_goes_on(make: Any) -> None:
    server = make()
    claim = server.with_fix()
    policy = {name: value for name, value in claim.policy.items() if name != "checks"} | {"max_reruns": 1}
    stored = server.store.get(claim.session.id)
    server.service.desk.save(stored, Draft(EventKind.POLICY, SERVER, {"policy": policy, "sources": {}, "problems": []}))
    assert isinstance(server.approval(claim), WaitRun)
    again = server.claimed(claim.session.id, try_number=2)
    assert again.policy == claim.policy


def test_a_request_for_less_is_one_of_the_sources(make: Any) -> None:
    server = make()
    claim = server.claimed(server.taken(autonomy="report"))
    (found,) = written(server, claim.session.id)
    assert (found.policy.autonomy, found.sources["autonomy"]) == (Autonomy.REPORT, ("the request (callback)",))


def test_a_tag_of_the_dag_makes_it_stricter(make: Any) -> None:
    server = make(dag_autonomy=(("tag:critical", Autonomy.REPORT), ("tag:other", Autonomy.PROPOSE)))
    server.airflow.tags[DAG] = ("critical",)
    assert server.store.get(server.taken()).session.autonomy == "report"


def test_a_repository_that_allows_proposals_only_gets_no_rerun_though_a_person_would_say_yes(make: Any) -> None:
    server = make(Layer(FILE, autonomy=Autonomy.PROPOSE), allow_unreviewed_reruns=True)
    claim = server.with_fix()
    for ask in (server.approval, server.rerun):
        with pytest.raises(NotAllowed, match="autonomy propose"):
            ask(claim)
    assert server.airflow.pins == []


def test_a_repository_that_wants_to_be_asked_is_asked_though_the_deployment_waives_it(make: Any) -> None:
    waives: dict[str, Any] = {"allow_unreviewed_reruns": True, "approve_before": ()}
    assert isinstance(_approval(make(**waives)), Approved)
    asks = Layer(FILE, approve_before=("rerun",), allow_unreviewed_reruns=False)
    assert isinstance(_approval(make(asks, **waives)), WaitRun)


def _approval(server: Server) -> Any:
    return server.approval(server.with_fix())


def test_of_the_deployments_approvers_the_repository_takes_some(make: Any) -> None:
    server = make(Layer(FILE, approvers=("anna", "lee")), approvers=("anna", "boss"))
    server.airflow.rights["boss", DAG] = "edit"
    claim = server.with_fix()
    wait = server.approval(claim)
    assert server.airflow.questions[wait.run_id].assigned_users == ("anna",)
    with pytest.raises(NotAllowed, match=r"Policy names who decides this \(approvers\): anna"):
        server.service.reply(claim.session.id, type(ANNA)("boss"), decision="approve")
    server.service.reply(claim.session.id, ANNA, decision="approve")
    assert server.approval(claim) == approved("anna")


def test_paths_the_repository_denies_are_refused_by_the_server_whatever_the_worker_said_of_them(make: Any) -> None:
    server = make(Layer(FILE, denied_paths=(("dags/orders.py",),)), allow_unreviewed_reruns=True)
    claim = server.claimed()
    server.append(claim, (EventKind.PATCH, patch_data("dags/orders.py")), (EventKind.FIX, fix_data()))
    with pytest.raises(NotAllowed, match="denied_paths name it"):
        server.rerun(claim)


def test_a_deployment_made_stricter_meanwhile_counts_for_sessions_in_work(make: Any, tmp_path: Path) -> None:
    server = make(allow_unreviewed_reruns=True)
    claim = server.with_fix()
    stricter = Server(server.url, Settings(autonomy=Autonomy.PROPOSE), airflow=server.airflow, clock=server.clock)
    with pytest.raises(NotAllowed, match="autonomy propose"):
        stricter.rerun(claim)
    stricter.close()


@pytest.mark.parametrize("asked", [(), ("anna", "boss")])
def test_who_is_no_approver_any_more_cannot_approve_what_was_asked_before(make: Any, asked: tuple[str, ...]) -> None:
    server = make(approvers=asked)
    server.airflow.rights["boss", DAG] = "edit"
    claim = server.with_fix()
    wait = server.approval(claim)
    now = Server(server.url, Settings(approvers=("boss",)), airflow=server.airflow, clock=server.clock)
    with pytest.raises(NotAllowed, match=r"names who decides this \(approvers\): boss; you are 'anna'"):
        now.service.reply(claim.session.id, ANNA, decision="approve")
    if asked:
        server.airflow.required_action(wait.run_id, "Approve", user="anna")
        wait = now.approval(claim)
        assert isinstance(wait, WaitRun)
        assert now.airflow.questions[wait.run_id].assigned_users == ("boss",)
    assert now.store.approvals(claim.session.id) == []
    now.service.reply(claim.session.id, type(ANNA)("boss"), decision="approve")
    assert now.approval(claim) == approved("boss")
    now.close()


def test_a_policy_that_was_made_looser_on_the_base_branch_counts_from_the_next_claim_on(make: Any) -> None:
    server = make(Layer(FILE, autonomy=Autonomy.PROPOSE), allow_unreviewed_reruns=True)
    claim = server.with_fix()
    server.policies.says = []
    with pytest.raises(NotAllowed):
        server.rerun(claim)
    server.rerun(server.claimed(claim.session.id, try_number=2))
    assert len(server.airflow.pins) == 1


def test_a_file_that_cannot_be_used_is_told_and_lets_the_session_report(make: Any) -> None:
    server = make(Layer(FILE, autonomy=Autonomy.REPORT, problem="'autonmy' was unexpected"))
    claim = server.claimed()
    (found,) = written(server, claim.session.id)
    assert (found.policy.autonomy, found.problems) == (Autonomy.REPORT, ("'autonmy' was unexpected",))


def test_while_the_code_host_is_away_a_session_keeps_the_policy_it_has(make: Any) -> None:
    server = make(Layer(FILE, max_files=3), allow_unreviewed_reruns=True)
    claim = server.with_fix()
    away = Layer(FILE, autonomy=Autonomy.REPORT, problem="no answer", is_away=True)
    server.policies.says = [away]
    again = server.claimed(claim.session.id, try_number=2)
    now = written(server, claim.session.id)[-1]
    assert (now.policy.autonomy, now.policy.max_files, now.problems) == (Autonomy.RERUN, 3, ())
    assert now.sources["max_files"] == ("what was recorded before, as the repository does not answer",)
    server.rerun(again)
    server.airflow.fail(DAG, RUN, "other")
    new = server.claimed(server.taken(task_id="other"))
    assert (new.policy["autonomy"], written(server, new.session.id)[-1].problems) == ("report", ("no answer",))


def test_whoever_may_read_a_dag_may_know_its_policy(make: Any) -> None:
    server = make(Layer(FILE, max_files=3))
    assert server.service.policy(DAG, READER).sources["max_files"] == (FILE,)
    for dag_id, user in ((DAG, STRANGER), ("nope", READER)):
        with pytest.raises(NotAllowed, match=dag_id):
            server.service.policy(dag_id, user)

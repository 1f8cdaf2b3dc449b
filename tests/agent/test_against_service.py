"""The loop against the real session service, over HTTP, in a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_agentfix.agent.journal import Ended
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.core.incident import RunFacts
from airflow_agentfix.core.session import EventKind, Outcome, Session, WaitFor
from airflow_agentfix.ports import WaitRun
from airflow_agentfix.service import Failure
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.client import HttpSessionClient
from tests.agent.world import SHAPE, World, story
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.incidents import REF
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.server import ANNA, WORKER, Server
from tests.fakes.server_airflow import FakeServerAirflow


class Login:
    """The worker's login."""

    def current(self) -> str:
        return "agentfix-worker"

    def renew(self, refused: str) -> str:
        return refused


class OneShape(FakeServerAirflow):
    """Its runs were made with the shape that the fix keeps."""

    def shape(self, dag_id: str, run_id: str) -> dict:
        return SHAPE


class ServedWorld(World):
    """A world whose session lives in the service."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        super().__init__(folder)
        self.server = Server(new_database("sqlite", folder), settings, OneShape())
        self.server.airflow.fail(REF.dag_id, REF.run_id, REF.task_id)
        self.server.airflow.rights |= {(name, REF.dag_id): "edit" for name in ("anna", "agentfix-worker")}
        self.airflow.run = lambda dag_id, run_id: RunFacts(dag_id, run_id, self.server.airflow.runs[dag_id, run_id])
        failure = Failure(REF.dag_id, REF.run_id, REF.task_id)
        self.session_id = self.server.service.intake(failure, WORKER).id

    def end_rerun(self) -> None:
        self.airflow.end_rerun(green=True)
        self.server.airflow.runs[REF.dag_id, REF.run_id] = "success"

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.server.store.events(self.session_id)]


@pytest.fixture
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServedWorld]:
    world = ServedWorld(tmp_path, request.param)
    with ApiServer(world.server.service) as api:
        world.client = HttpSessionClient(AirflowHttp(api.url, Login()))
        yield world
    world.server.close()


@pytest.mark.parametrize("served", [Settings(allow_unreviewed_reruns=True)], indirect=True)
def test_the_whole_story_is_on_record_where_reruns_are_waived(served: ServedWorld) -> None:
    model = ScriptedModel(*story())
    waited = served.work(model)
    assert isinstance(waited, WaitRun)
    assert waited.waiting_for is WaitFor.RERUN

    served.end_rerun()
    done = served.work(model)

    assert isinstance(done, Session)
    assert (done.outcome, done.fix_branch) == (Outcome.FIXED, served.host.fixes[0])
    assert done.usage.turns == 5
    assert len(served.server.airflow.pins) == 1
    assert served.kinds().count(EventKind.RERUN) == 1


@pytest.mark.parametrize("served", [Settings(allow_unreviewed_reruns=True)], indirect=True)
def test_the_fix_commit_carries_the_audit_chains_head(served: ServedWorld) -> None:
    served.work(ScriptedModel(*story()))
    opening = next(e for e in served.server.store.events(served.session_id) if e.data.get("tool") == "open_fix")
    request = served.host.branches[served.host.fixes[0]]
    assert request is not None
    assert opening.hash
    assert f"Agentfix-Audit: {opening.hash}\n" in f"{request.message}\n"


@pytest.mark.parametrize("served", [Settings()], indirect=True)
def test_a_worker_whose_session_ends_as_duplicate_asks_no_model(served: ServedWorld) -> None:
    served.server.airflow.fail(REF.dag_id, "earlier", REF.task_id)
    first = served.session_id
    earlier = Failure(REF.dag_id, "earlier", REF.task_id)
    served.work(ScriptedModel(turn(call("pause_for_human", reason="Which?", summary_for_human="A or B"))))
    served.session_id = served.server.service.intake(earlier, WORKER).id
    with pytest.raises(Ended) as ended:
        served.work(ScriptedModel())
    assert (ended.value.session.outcome, first in str(ended.value)) == (Outcome.DUPLICATE, True)


@pytest.mark.parametrize("served", [Settings()], indirect=True)
def test_a_person_approves_the_commit_before_it_is_run(served: ServedWorld) -> None:
    model = ScriptedModel(*story())
    asked = served.work(model)
    assert isinstance(asked, WaitRun)
    assert asked.waiting_for is WaitFor.PERSON
    assert served.server.airflow.pins == []

    served.server.service.reply(served.session_id, ANNA, decision="approve", message="go", question_id=None)
    assert isinstance(served.work(model), WaitRun)
    served.end_rerun()
    done = served.work(model)
    assert isinstance(done, Session)
    assert done.outcome is Outcome.FIXED


@pytest.mark.parametrize("served", [Settings()], indirect=True)
def test_a_person_rejects_the_commit_and_nothing_is_run(served: ServedWorld) -> None:
    model = ScriptedModel(*story())
    served.work(model)
    served.server.service.reply(served.session_id, ANNA, decision="reject", message="wrong column", question_id=None)
    done = served.work(model)
    assert isinstance(done, Session)
    assert done.outcome is Outcome.REJECTED
    assert "wrong column" in (done.summary or "")
    assert served.server.airflow.pins == []


@pytest.mark.parametrize("served", [Settings(allow_unreviewed_reruns=True)], indirect=True)
def test_a_session_stopped_while_it_waits_stays_stopped(served: ServedWorld) -> None:
    model = ScriptedModel(*story())
    served.work(model)
    served.server.service.stop(served.session_id, ANNA, reason="enough")
    done = served.work(model)
    assert isinstance(done, Session)
    assert done.outcome is Outcome.STOPPED

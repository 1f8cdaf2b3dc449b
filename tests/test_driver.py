"""One session driven on a worker: evidence, the rules' word, the loop, and every way it can end or be left to another try."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.driver import Driver
from airflow_agentfix.errors import (
    AgentFixError,
    AirflowUnreachable,
    ModelKeyError,
    ModelUnavailable,
    RepositoryUnreachable,
    SessionConflict,
    StoreUnavailable,
)
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import Model, WaitRun
from airflow_agentfix.settings import Settings
from tests.code.repos import git
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.bench import DAG, RUN, UNREACHABLE_DATABASE, SmallBench, fail, make_repository, new_session, settings_for
from tests.fakes.incidents import an_incident
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.session_client import MemorySessionClient

CHAIN = [{"claim": "looked", "cites": []}]
GIVES_UP = call("submit_report", verdict="unknown", root_cause="Not found.", outcome="gave_up", causal_chain=CHAIN)


def no_model() -> Model:
    raise AssertionError("a model was asked for")


@dataclass
class Desk:
    """One failed task, one session, and what a test changes of them."""

    airflow: FakeAirflow
    settings: Settings
    client: MemorySessionClient = field(default_factory=lambda: MemorySessionClient(new_session()))
    slept: list[float] = field(default_factory=list)
    bench: SmallBench | None = None

    def drive(self, make_model: Callable[[], Model] = RulesModel, *, last_try: bool = False) -> WaitRun | Session:
        self.bench = SmallBench(self.airflow, self.settings, self.client, make_model=make_model)
        return Driver(self.bench, sleep=self.slept.append).drive("s1", worker="w", last_try=last_try)

    def ended(self, make_model: Callable[[], Model] = RulesModel, *, last_try: bool = False) -> Session:
        session = self.drive(make_model, last_try=last_try)
        assert isinstance(session, Session)
        assert session.state is State.DONE
        return session

    def finished(self) -> Any:
        (event,) = self.client.of(EventKind.FINISHED)
        return event.data


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return make_repository(tmp_path)


@pytest.fixture
def desk(repository: Path) -> Iterator[Desk]:
    with FakeAirflow() as airflow:
        fail(airflow)
        desk = Desk(airflow, settings_for(repository))
        desk.client.pin = lambda commit: airflow.runs[DAG, RUN].update(state="queued")
        yield desk


def scripted(*turns: Any) -> Callable[[], Model]:
    model = ScriptedModel(*turns)
    return lambda: model


# --- evidence, rules, loop -------------------------------------------------------------------------------------------


def test_a_session_is_driven_to_its_fix_and_waits_for_the_rerun(desk: Desk, repository: Path) -> None:
    given = desk.drive()
    assert isinstance(given, WaitRun)
    assert (given.dag_id, given.run_id, given.waiting_for) == (DAG, RUN, WaitFor.RERUN)
    assert desk.client.parked == given
    (fix,) = desk.client.of(EventKind.FIX)
    assert git("show", f"{fix.data['commit']}:shop.py", cwd=repository) == "def total(amount):\n    return amount + 1"
    assert git("rev-parse", "main", cwd=repository) == fix.data["base_commit"]


def test_the_evidence_is_recorded_once_and_not_collected_by_the_worker_that_goes_on(desk: Desk) -> None:
    with pytest.raises(ModelUnavailable):
        desk.drive(scripted(ModelUnavailable("away")))
    assert desk.bench is not None
    assert len(desk.bench.collected) == 1
    requests = len(desk.airflow.requests)
    desk.ended(scripted(turn(GIVES_UP)))
    assert (desk.bench.collected, len(desk.airflow.requests)) == ([], requests)
    assert desk.client.kinds().count("incident") == 1


def test_what_the_rules_are_sure_of_is_reported_without_a_model(desk: Desk) -> None:
    desk.airflow.logs.clear()
    desk.airflow.set_log(desk.airflow.instances[0], [UNREACHABLE_DATABASE])
    session = desk.ended(no_model)
    assert (session.outcome, session.verdict) == (Outcome.REPORTED, "infra")
    assert "5432 failed: Connection refused" in (session.summary or "")
    report = desk.finished()["report"]
    assert report["owner_action"]
    assert report["causal_chain"][0]["cites"]


def test_the_servers_own_note_that_nobody_works_on_it_is_no_persons_word(desk: Desk) -> None:
    desk.airflow.set_log(desk.airflow.instances[0], [UNREACHABLE_DATABASE])
    desk.client.server(EventKind.NOTE, {"message": "Session s1 is kept, but nobody works on it yet."})
    assert desk.ended(no_model).outcome is Outcome.REPORTED


def test_a_person_who_said_something_gets_the_loop_even_where_the_rules_are_sure(desk: Desk) -> None:
    desk.airflow.set_log(desk.airflow.instances[0], [UNREACHABLE_DATABASE])
    desk.client.note("The database is up. Look at the code.")
    assert desk.ended(scripted(turn(GIVES_UP))).outcome is Outcome.GAVE_UP


# --- the failed try is not over yet ----------------------------------------------------------------------------------


def test_a_task_that_is_marked_failed_meanwhile_is_waited_for_in_the_slot(desk: Desk) -> None:
    (instance,) = desk.airflow.instances
    instance["state"] = "running"
    driver = Driver(SmallBench(desk.airflow, desk.settings, desk.client), sleep=lambda seconds: instance.update(state="failed"))
    given = driver.drive("s1", worker="w", last_try=False)
    assert isinstance(given, WaitRun)
    assert given.waiting_for is WaitFor.RERUN


def test_a_task_that_keeps_running_is_waited_for_without_a_slot(desk: Desk) -> None:
    desk.airflow.instances[0]["state"] = "running"
    given = desk.drive(no_model)
    assert given == WaitRun(DAG, RUN, WaitFor.TASK)
    assert desk.client.parked == given
    assert sum(desk.slept) == Settings().settle_seconds
    assert desk.bench is not None
    assert desk.bench.collected == []


def test_a_newer_try_means_that_the_one_in_question_is_over(desk: Desk) -> None:
    (instance,) = desk.airflow.instances
    desk.airflow.add_earlier_try(instance, 1)
    instance.update(try_number=2, state="running")
    desk.ended(scripted(turn(GIVES_UP)))
    assert desk.slept == []
    assert [event.data["ref"]["try_number"] for event in desk.client.of(EventKind.INCIDENT)] == [1]


# --- no code to work on ----------------------------------------------------------------------------------------------


def told_no_code(desk: Desk) -> str:
    """What a model that wants to read code is told, and that the session ends with an outcome all the same."""
    model = ScriptedModel(turn(call("list_files")), turn(GIVES_UP))
    assert desk.ended(lambda: model).outcome is Outcome.GAVE_UP
    (result,) = [event.data for event in desk.client.of(EventKind.RESULT) if event.data["tool"] == "list_files"]
    assert result["is_error"]
    return str(result["text"])


def test_an_unknown_repository_is_told_and_the_rest_is_done(desk: Desk) -> None:
    desk.settings = replace(desk.settings, repositories=())
    told = told_no_code(desk)
    assert "AIRFLOW__AGENTFIX__REPOSITORIES=" in told
    (incident,) = desk.client.of(EventKind.INCIDENT)
    assert incident.data["repository_error"] in told


def test_a_base_branch_that_is_not_there_is_told_with_what_to_correct(desk: Desk, repository: Path) -> None:
    desk.settings = settings_for(repository, base_branch="trunk")
    told = told_no_code(desk)
    assert all(words in told for words in (str(repository), "'trunk'", "base_branch in [agentfix] repositories"))


def test_a_repository_that_is_not_there_is_told(desk: Desk, tmp_path: Path) -> None:
    desk.settings = settings_for(tmp_path / "nowhere.git")
    assert "nowhere.git" in told_no_code(desk)


def test_the_rules_without_code_end_with_a_report(desk: Desk) -> None:
    desk.settings = replace(desk.settings, repositories=())
    session = desk.ended()
    assert session.outcome in (Outcome.REPORTED, Outcome.GAVE_UP)
    assert session.summary


# --- what another try may mend ---------------------------------------------------------------------------------------


class Away:
    """A bench whose `what` raises."""

    def __init__(self, error: AgentFixError) -> None:
        self.error = error

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self.error


def drive_with(desk: Desk, what: str, error: Exception, *, last_try: bool) -> WaitRun | Session:
    bench = SmallBench(desk.airflow, desk.settings, desk.client)
    setattr(bench, what, Away(error))  # type: ignore[arg-type]  # any error
    return Driver(bench, sleep=desk.slept.append).drive("s1", worker="w", last_try=last_try)


MENDABLE = [
    ("base_commit", RepositoryUnreachable("git.example did not answer. Try again.")),
    ("collect", AirflowUnreachable("Airflow did not answer. Try again.")),
    ("model", ModelUnavailable("The model is overloaded. Try again.")),
    ("case", StoreUnavailable("The database is locked. Try again.")),
]


@pytest.mark.parametrize(("what", "error"), MENDABLE, ids=[what for what, _ in MENDABLE])
def test_what_another_try_may_mend_is_left_to_airflows_retry(desk: Desk, what: str, error: AgentFixError) -> None:
    with pytest.raises(type(error)):
        drive_with(desk, what, error, last_try=False)
    assert desk.client.of(EventKind.FINISHED) == []
    assert desk.ended(scripted(turn(GIVES_UP))).outcome is Outcome.GAVE_UP


@pytest.mark.parametrize(("what", "error"), MENDABLE, ids=[what for what, _ in MENDABLE])
def test_on_the_last_try_it_ends_the_session_with_its_words(desk: Desk, what: str, error: AgentFixError) -> None:
    session = drive_with(desk, what, error, last_try=True)
    assert isinstance(session, Session)
    assert (session.outcome, session.summary) == (Outcome.FAILED, str(error))
    assert desk.finished()["error"] == f"{type(error).__name__}: {error}"


def test_a_model_that_goes_away_in_the_middle_is_left_to_airflows_retry(desk: Desk) -> None:
    with pytest.raises(ModelUnavailable):
        desk.drive(scripted(turn(call("list_files")), ModelUnavailable("The stream was cut. Trying again may help.")))
    assert desk.client.of(EventKind.FINISHED) == []
    assert desk.ended(scripted(turn(GIVES_UP))).outcome is Outcome.GAVE_UP


# --- what no try mends -----------------------------------------------------------------------------------------------


def test_a_refused_key_ends_the_session_with_what_to_do(desk: Desk) -> None:
    session = drive_with(desk, "model", ModelKeyError("The key was refused (401). Set ANTHROPIC_API_KEY."), last_try=False)
    assert isinstance(session, Session)
    assert (session.outcome, session.summary) == (Outcome.FAILED, "The key was refused (401). Set ANTHROPIC_API_KEY.")


def test_a_bug_of_ours_ends_the_session_as_failed_and_without_secrets(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    error = RuntimeError("no such thing at postgresql://app:hunter2@db/shop")
    session = drive_with(desk, "case", error, last_try=False)
    assert isinstance(session, Session)
    assert session.outcome is Outcome.FAILED
    assert (session.summary or "").startswith("RuntimeError: no such thing at postgresql://")
    assert "hunter2" not in str(desk.finished())
    assert "Traceback" in caplog.text
    assert "hunter2" not in caplog.text


def test_a_task_that_is_gone_from_airflow_ends_the_session(desk: Desk) -> None:
    desk.airflow.instances.clear()
    session = desk.ended(no_model)
    assert session.outcome is Outcome.FAILED
    assert "The failed task is gone from Airflow" in (session.summary or "")
    assert "start one on what is" in (session.summary or "")


# --- other hands on the session --------------------------------------------------------------------------------------


def test_a_lost_lease_is_raised_and_the_session_left_to_its_new_worker(desk: Desk) -> None:
    def lost(kinds: list[EventKind]) -> None:
        desk.client.claim("s1", worker="another")
        raise SessionConflict("The lease is another's.")

    desk.client.before_append = lost
    with pytest.raises(SessionConflict):
        desk.drive(no_model, last_try=True)
    assert desk.client.of(EventKind.FINISHED) == []


def test_a_session_that_is_done_is_given_back_untouched(desk: Desk) -> None:
    desk.client.session = replace(new_session(), state=State.DONE, outcome=Outcome.STOPPED)
    assert desk.ended(no_model) == desk.client.session
    assert desk.airflow.requests == []
    assert desk.client.kinds() == ["created"]


def test_a_stop_that_comes_while_the_evidence_is_collected_ends_the_session(desk: Desk) -> None:
    desk.client.after_append = lambda kinds: desk.client.stop("not now") if EventKind.INCIDENT in kinds else None
    session = desk.ended(no_model)
    assert (session.outcome, session.summary) == (Outcome.STOPPED, "Stopped by anna: not now")


def test_a_session_the_server_ended_as_duplicate_is_over_before_a_model_is_asked(desk: Desk) -> None:
    def duplicate(kinds: list[EventKind]) -> None:
        end = {"outcome": "duplicate", "verdict": None, "summary": "Same cause as session s0.", "error": None, "report": None}
        desk.client.server(EventKind.FINISHED, end)

    desk.client.after_append = duplicate
    session = desk.ended(no_model)
    assert (session.outcome, session.summary) == (Outcome.DUPLICATE, "Same cause as session s0.")


def test_a_session_may_only_do_what_the_server_allows_it(desk: Desk) -> None:
    desk.client.policy = Policy.from_json({**Policy().to_json(), "autonomy": "report"})
    session = desk.ended()
    assert session.outcome in (Outcome.REPORTED, Outcome.GAVE_UP)
    assert desk.client.of(EventKind.FIX) == []


def test_an_incident_recorded_before_is_read_back_as_it_was(desk: Desk) -> None:
    desk.client.server(EventKind.INCIDENT, {**an_incident().to_json(), "repository": None, "base_commit": None}, actor="worker")
    desk.ended(scripted(turn(GIVES_UP)))
    assert desk.airflow.requests == []

"""The verification record as a session makes it, and the pull request that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_agentfix.code.import_check import ImportResult
from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.policy import Autonomy, Policy, RepoCheck
from airflow_agentfix.core.session import EventKind, Session
from airflow_agentfix.core.stages import ORDER, Stage, StageState
from airflow_agentfix.core.verification import record
from airflow_agentfix.errors import AirflowUnreachable, CodeHostForbidden, RepositoryUnreachable, RerunImpossible
from airflow_agentfix.ports import WaitRun
from tests.agent.world import EDIT, World, report, story
from tests.fakes.incidents import REF
from tests.fakes.models import ScriptedModel, call, turn

PULLS = "https://github.example/acme/dags/pull"
URL = f"{PULLS}/1"


@pytest.fixture
def hosted(make_world: Callable[..., World]) -> Callable[..., World]:
    """A world whose host has pull requests."""

    def hosted(**more: Any) -> World:
        world = make_world(**more)
        world.host.pull_requests = PULLS
        return world

    return hosted


def lived(world: World, *, green: bool = True) -> World:
    """A session to its end."""
    model = ScriptedModel(*story(outcome="fixed" if green else "proposed"))
    if isinstance(world.work(model), WaitRun):
        world.airflow.end_rerun(green=green)
        world.work(model)
    return world


def on_record(world: World) -> dict[str, Stage]:
    return {stage.name: stage for stage in record(world.client.events)}


def told(body: str, name: str) -> str:
    """What a pull request says of a stage."""
    (line,) = [line for line in body.splitlines() if line.startswith(f"- **{name}**: ")]
    return line.removeprefix(f"- **{name}**: ")


# --- when it is opened -----------------------------------------------------------------------------------------------


def test_a_fix_is_opened_with_what_was_looked_at_and_what_was_not(hosted: Callable[..., World]) -> None:
    world = hosted(approve=None)
    world.work(ScriptedModel(*story()))
    (body,) = world.host.bodies
    assert [name for name in ORDER if told(body, name).startswith("passed")] == ["gates", "compiled"]
    assert told(body, "compiled").endswith(": dags/shop/revenue.py")
    assert told(body, "static checks") == "not run: the fix changes no YAML, JSON or TOML file"
    for name in ("DAG imports", "shape kept", "repository checks", "rerun", "output checks"):
        assert told(body, name) == "not run: nobody has approved running the commit yet, and nothing of it is executed before"
    assert world.imports == []
    (event,) = world.client.of(EventKind.VERIFIED)
    fix = world.client.of(EventKind.FIX)[0]
    assert (event.number, event.data["commit"]) == (fix.number + 1, fix.data["commit"])


def test_what_leaves_for_the_pull_request_calls_nobody_and_closes_nothing(hosted: Callable[..., World]) -> None:
    world = hosted(policy=Policy(allow_unreviewed_reruns=True, checks=(RepoCheck("@acme/owners, fixes #1", ("pytest",)),)))
    turns = story()
    turns[2] = turn(call("open_fix", title="Fixes #1 [skip ci]", summary="@acme/owners: it fixes #1."))
    work = ScriptedModel(*turns)
    world.work(work)
    (fix,) = world.host.fixes
    request = world.host.branches[fix]
    assert request is not None
    assert len(world.host.bodies) == 2
    for text in (request.title, request.message, *world.host.bodies):
        assert "@acme" not in text
        assert "ixes #1" in text
        assert "fixes #1" not in text.lower()
        assert "[skip ci]" not in text


def test_a_cause_that_airflows_own_retries_showed_too_is_reproduced(make_world: Callable[..., World]) -> None:
    world = make_world(ref=TaskRef(REF.dag_id, REF.run_id, REF.task_id, 3))
    world.causes = {1: AirflowUnreachable("gone"), 2: world.incident.fingerprint}
    stage = on_record(lived(world))["reproduced"]
    assert stage.state is StageState.PASSED
    assert stage.detail == "the same cause was seen before the fix in 2 tries of the task: 2, 3 (no log of try 1)"


def test_a_failure_that_joined_the_session_by_its_cause_is_a_reproduction_and_no_other(world: World) -> None:
    for session_id in ("s2", None):
        world.client.server(EventKind.OCCURRENCE, {"ref": "…", "run_id": "r", "map_index": -1, "session_id": session_id})
    assert on_record(lived(world))["reproduced"].detail.endswith("in 1 further failure")


# --- before and after the rerun --------------------------------------------------------------------------------------


def test_a_green_rerun_is_told_task_by_task_and_its_pull_request_is_ready(hosted: Callable[..., World]) -> None:
    world = hosted(policy=Policy(allow_unreviewed_reruns=True, checks=(RepoCheck("unit", ("pytest",)),)))
    world.usuals = {"sum_revenue": "as usual (median 1.4 s in 5 other green runs)"}
    lived(world)
    opened, checked, rerun = world.host.bodies
    assert told(opened, "rerun").startswith("not run: ")
    assert (told(checked, "repository checks"), told(checked, "rerun").partition(":")[0]) == ("passed: passed: unit", "not run")
    assert told(rerun, "rerun") == (
        "passed: sum_revenue success in 1.5 s, as usual (median 1.4 s in 5 other green runs); publish_report success; "
        f"run {REF.run_id} of {REF.dag_id} (pin)"
    )
    assert world.host.ready
    assert "Ready for review: its rerun is green" in rerun
    assert {stage.state for name, stage in on_record(world).items() if name in ("DAG imports", "shape kept", "rerun")} == {
        StageState.PASSED
    }


def test_a_usual_that_airflow_does_not_tell_fails_nothing(world: World) -> None:
    world.usuals = {"sum_revenue": AirflowUnreachable("away")}
    assert "sum_revenue success in 1.5 s, its usual duration is not known;" in on_record(lived(world))["rerun"].detail


def test_a_red_rerun_is_a_failed_stage_and_its_pull_request_stays_a_draft(hosted: Callable[..., World]) -> None:
    world = lived(hosted(), green=False)
    assert on_record(world)["rerun"].state is StageState.FAILED
    assert told(world.host.bodies[-1], "rerun").startswith("failed: sum_revenue failed in 1.5 s; publish_report upstream_failed;")
    assert not world.host.ready
    assert "A draft until its rerun is green" in world.host.bodies[-1]
    assert "Failed: rerun." in world.results("rerun")[0]["text"].splitlines()[0]


def test_checks_of_outputs_that_the_rerun_did_not_take_along_are_named(world: World) -> None:
    model = ScriptedModel(*story())
    world.work(model)
    world.airflow.end_rerun(green=True)
    world.airflow.tasks.append(TaskFacts("check_orders", -1, 1, "success", operator="SQLCheckOperator"))
    world.work(model)
    assert on_record(world)["output checks"] == Stage(
        "output checks", StageState.NOT_RUN, "not among what was rerun: check_orders"
    )


def test_an_amended_fix_has_a_record_of_its_own(world: World) -> None:
    turns = story()
    more = {"path": "dags/shop/money.py", "old": "100", "new": "100.0"}
    again = [turn(call("change_files", edits=[more])), turn(call("open_fix", title="B", summary="B")), turn(call("rerun"))]
    model = ScriptedModel(*turns[:4], *again, turn(report(outcome="fixed")))
    for green in (False, True):
        world.work(model)
        world.airflow.end_rerun(green=green)
    world.work(model)
    assert [event.data["commit"] for event in world.client.of(EventKind.VERIFIED)] == sorted(
        [event.data["commit"] for event in world.client.of(EventKind.FIX)] * 3,
        key=[event.data["commit"] for event in world.client.of(EventKind.FIX)].index,
    )
    assert on_record(world)["rerun"].state is StageState.PASSED


# --- what is not run -------------------------------------------------------------------------------------------------


def test_below_the_autonomy_to_rerun_the_pull_request_says_why_nothing_was_run(hosted: Callable[..., World]) -> None:
    world = hosted(policy=Policy(autonomy=Autonomy.PROPOSE))
    world.client.server(EventKind.POLICY, {"policy": {"autonomy": "propose"}, "sources": {}, "problems": []})
    world.work(ScriptedModel(*story()[:3], turn(report(outcome="proposed"))))
    assert told(world.host.bodies[-1], "rerun") == "not run: autonomy is propose: nothing of the fix is executed"


def test_a_check_that_fails_is_on_record_and_on_the_pull_request_and_nothing_after_it(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.fix_import = ImportResult(None, "SyntaxError: oops")
    world.work(ScriptedModel(*story()[:4], turn(report(outcome="proposed"))))
    assert told(world.host.bodies[-1], "DAG imports").startswith("failed: the DAG file does not import on the fix")
    for name in ("repository checks", "rerun", "output checks"):
        assert told(world.host.bodies[-1], name) == "not run: a check before it failed"
    assert on_record(world)["output checks"].detail == "a check before it failed"
    assert on_record(world)["rerun"].detail.startswith("no rerun: check failed: the DAG file does not import on the fix")
    assert world.client.reruns == []


@pytest.mark.parametrize(
    ("approve", "why"),
    [
        ("reject", "anna rejected running the commit: rejectd"),
        ("nobody", "nobody approved running the commit before the question ended"),
    ],
)
def test_a_fix_that_may_not_be_run_says_who_said_so(hosted: Callable[..., World], approve: str, why: str) -> None:
    world = hosted(approve=approve)
    world.work(ScriptedModel(*story()))
    assert told(world.host.bodies[-1], "rerun") == told(world.host.bodies[-1], "DAG imports") == f"not run: {why}"


def test_a_rerun_that_no_way_could_make_says_why_when_the_session_ends(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.client.impossible = RerunImpossible("The DAG comes from no git bundle; configure one.")
    world.work(ScriptedModel(*story()[:4], turn(report(outcome="proposed"))))
    assert told(world.host.bodies[-1], "rerun") == "not run: no rerun: The DAG comes from no git bundle; configure one."
    assert told(world.host.bodies[-1], "DAG imports").startswith("passed: ")


def test_a_change_of_shape_is_on_record_whatever_the_rerun_gives(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.client.way, world.client.rerun_dag = "preview", "shop_daily_revenue.fix-shop"
    task = {"downstream": [], "group": None, "attributes": {}}
    world.fix_import = ImportResult({"tasks": {"new_task": task}, "groups": {}}, None)
    lived(world)
    assert told(world.host.bodies[-1], "shape kept") == "failed: the fix changes it: Task 'new_task' was added."
    assert "of shop_daily_revenue.fix-shop (preview)" in told(world.host.bodies[-1], "rerun")


def test_a_rerun_that_no_way_could_make_for_its_shape_is_on_record_at_once(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.client.impossible = RerunImpossible("No way to rerun this fix. pin: its shape")
    task = {"downstream": [], "group": None, "attributes": {}}
    world.fix_import = ImportResult({"tasks": {"new_task": task}, "groups": {}}, None)
    world.work(ScriptedModel(*story()[:4], turn(report(outcome="proposed"))))
    assert told(world.host.bodies[-1], "rerun") == "not run: No way to rerun this fix. pin: its shape"
    assert on_record(world)["output checks"].detail == "a check before it failed"


def test_a_rerun_that_is_not_watched_any_longer_is_on_record_as_that(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.client.is_overdue = True
    world.work(ScriptedModel(*story()[:4]))
    stage = on_record(world)["rerun"]
    assert (stage.state, "is still queued and is not watched any longer" in stage.detail) == (StageState.NOT_RUN, True)
    assert told(world.host.bodies[-1], "rerun") == f"not run: {stage.detail}"
    assert not world.host.ready


def test_the_report_and_its_summary_hold_the_record(world: World) -> None:
    finished = lived(world).client.of(EventKind.FINISHED)[0].data
    assert finished["report"]["verification"] == [stage.to_json() for stage in record(world.client.events)]
    assert "Not run: reproduced, static checks, repository checks, output checks." in finished["summary"]


# --- nothing is lost, nothing is made twice --------------------------------------------------------------------------


def test_what_was_checked_is_on_record_before_the_rerun_begins(world: World) -> None:
    world.work(ScriptedModel(*story()[:4]))
    opened, checked = [event.number for event in world.client.of(EventKind.VERIFIED)]
    assert opened < checked < world.client.of(EventKind.RERUN)[0].number


def test_what_is_on_record_is_not_checked_again_when_the_session_wakes(world: World) -> None:
    lived(world)
    assert world.imports == ["fix"]
    assert [len(event.data["stages"]) for event in world.client.of(EventKind.VERIFIED)] == [4, 3, 2]


class Killed(BaseException):
    """The worker process is gone."""


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("at", range(3))
def test_a_worker_killed_around_a_record_leaves_each_stage_once(hosted: Callable[..., World], at: int, before: bool) -> None:
    world, seen = hosted(), 0

    def kill(kinds: list[EventKind]) -> None:
        nonlocal seen
        seen += EventKind.VERIFIED in kinds
        if EventKind.VERIFIED in kinds and seen == at + 1:
            raise Killed

    setattr(world.client, "before_append" if before else "after_append", kill)
    done = None
    for _ in range(5):
        try:
            done = world.work(_Again())
        except Killed:
            continue
        if isinstance(done, Session):
            break
        world.airflow.end_rerun(green=True)
    assert isinstance(done, Session)
    names = [stage["name"] for event in world.client.of(EventKind.VERIFIED) for stage in event.data["stages"]]
    assert [name for name in names if name != "pull request"] == [*ORDER]
    assert told(world.host.bodies[-1], "rerun").startswith("passed: ")


class _Again(ScriptedModel):
    """Says the same turn again when the conversation is where it was."""

    def __init__(self) -> None:
        super().__init__()
        self.turns = story()

    def reply(self, request: Any) -> Any:
        return self.turns[sum(message["role"] == "assistant" for message in request.messages)]


# --- a pull request that cannot be brought up to date ----------------------------------------------------------------


@pytest.mark.parametrize("error", [RepositoryUnreachable("Away, password=hunter2secret9"), CodeHostForbidden("No right")])
def test_a_pull_request_that_is_behind_fails_nothing_is_on_record_and_is_caught_up_at_the_end(
    hosted: Callable[..., World], error: Exception
) -> None:
    world = hosted()
    model = ScriptedModel(*story())
    world.work(model)
    world.host.away = error
    world.airflow.end_rerun(green=True)

    def comes_back(kinds: list[EventKind]) -> None:
        if EventKind.RESULT in kinds:
            world.host.away = None

    world.client.after_append = comes_back
    world.work(model)

    remarks = [
        (stage["state"], stage["detail"])
        for event in world.client.of(EventKind.VERIFIED)
        for stage in event.data["stages"]
        if stage["name"] == "pull request"
    ]
    assert [state for state, _ in remarks] == ["passed", "not_run", "passed"]
    assert remarks[1][1].startswith("it could not be brought up to date: ")
    assert "hunter2" not in str(world.client.events)
    assert world.client.session.outcome == "fixed"
    assert world.host.ready
    assert told(world.host.bodies[-1], "rerun").startswith("passed: ")


def test_a_pull_request_that_stays_behind_is_tried_once_more_and_the_session_ends(hosted: Callable[..., World]) -> None:
    world = hosted()
    model = ScriptedModel(*story())
    world.work(model)
    world.host.away = RepositoryUnreachable("GitHub is away")
    world.airflow.end_rerun(green=True)
    world.work(model)
    assert world.client.session.outcome == "fixed"
    last = record(world.client.events)[-1]
    assert (last.name, last.state) == ("pull request", StageState.NOT_RUN)
    assert len(world.client.of(EventKind.VERIFIED)) == 4


def test_a_host_without_pull_requests_is_told_nothing(world: World) -> None:
    lived(world)
    assert world.host.bodies == []
    assert {stage["name"] for event in world.client.of(EventKind.VERIFIED) for stage in event.data["stages"]} == set(ORDER)


def test_what_leaves_on_a_pull_request_is_redacted_each_time(hosted: Callable[..., World]) -> None:
    world = hosted(policy=Policy(allow_unreviewed_reruns=True, checks=(RepoCheck("unit", ("pytest",)),)))
    world.usuals = {"sum_revenue": "password=hunter2secret9"}
    world.work(ScriptedModel(turn(call("change_files", edits=[EDIT])),
                             turn(call("open_fix", title="A", summary="password=hunter2secret9")), *story()[3:]))  # fmt: skip
    world.airflow.end_rerun(green=True)
    world.work(ScriptedModel(turn(report(outcome="fixed"))))
    assert len(world.host.bodies) == 3
    assert "hunter2" not in "".join(world.host.bodies) + str([event.data for event in world.client.of(EventKind.VERIFIED)])


def test_a_pull_request_leads_to_the_failed_run_where_airflow_has_an_address(hosted: Callable[..., World]) -> None:
    world = hosted()
    world.base_url = "https://air.example/airflow"
    lived(world)
    assert all("[failed run](https://air.example/airflow/dags/shop_daily_revenue/runs/" in body for body in world.host.bodies)
    assert "[rerun](https://air.example/airflow/dags/" in world.host.bodies[-1]

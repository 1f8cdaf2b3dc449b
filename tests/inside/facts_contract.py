"""What AirflowFacts reads from this Airflow's database, value for value what Airflow's own REST API answers over HTTP."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_facts import AirflowFacts
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.airflow_login import Tokens
from airflow_agentfix.airflow_logs import LogEnds
from airflow_agentfix.core.incident import TaskRef, Verdict
from airflow_agentfix.errors import AirflowForbidden, AirflowNotFound
from airflow_agentfix.evidence.collect import collect
from airflow_agentfix.ports import AirflowReading
from tests.inside.database import Deployment

_number = count()
SOURCE = """
from airflow.sdk import Asset
told = {{"tags": ["b", "a"], "params": {{"day": "monday"}}, "default_args": {{"owner": "ann"}}}}
with DAG("facts_read_{n}", schedule=[Asset("raw_{n}")], **told):
    @task(params={{"limit": 3}})
    def extract(): ...
    @task(inlets=[Asset("raw_{n}")], outlets=[Asset("clean_{n}"), Asset(name="log_{n}", uri="s3://logs/{n}")])
    def load(): ...
    @task(trigger_rule="all_done", outlets=[Asset("report_{n}")])
    def publish(): ...
    @task
    def part(x): ...
    extract() >> load() >> publish()
    part.expand(x=[1, 2, 3])
"""
WAITING = """
from airflow.sdk import Asset
with DAG("facts_waiting_{n}", schedule=[Asset("clean_{n}")]):
    @task(inlets=[Asset("clean_{n}")])
    def read(): ...
    read()
"""
CAUSE = "KeyError: 'totl'"
FRAME = {"filename": "/opt/airflow/dags/shop.py", "lineno": 12, "name": "load"}


@pytest.fixture(scope="module")
def rest(database: Path) -> Iterator[RestAirflowApi]:
    """Airflow's own API over HTTP, on the database that the facts are read from."""
    from airflow.api_fastapi.app import create_app, get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    server = uvicorn.Server(uvicorn.Config(create_app(apps="core"), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username="root", role="admin"))
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    yield RestAirflowApi(AirflowHttp(url, Tokens(lambda: token, fixed=True, how="")))
    server.should_exit = True
    thread.join()


@pytest.fixture
def failed(airflow: Deployment) -> TaskRef:
    """`load` failed in its second try, `publish` did not run; the run before was green, and a DAG waits for what is missing."""
    number = next(_number)
    airflow.add_dag(WAITING.format(n=number))
    dag_id = airflow.add_dag(SOURCE.format(n=number))
    airflow.add_run(dag_id, dict.fromkeys(("extract", "load", "publish"), "success"), run_id="sunday", state="success")
    _times(dag_id, "sunday", day=21)
    update(f"clean_{number}", dag_id, "sunday", "load", day=21)
    airflow.add_run(dag_id, {"extract": "success", "load": "failed", "publish": "upstream_failed", "part[1]": "failed"})
    feed(dag_id, "r1", f"raw_{number}")
    _times(dag_id, "r1", day=22)
    retried(dag_id, "r1", "load")
    return TaskRef(dag_id, "r1", "load", 2)


def _times(dag_id: str, run_id: str, *, day: int) -> None:
    from airflow.models import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    start = datetime(2026, 11, day, 7, 0, 0, 250_000, tzinfo=UTC)
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        run.start_date = run.run_after = start
        run.end_date = start.replace(minute=5)
        run.conf = {"limit": day}
        for instance in run.task_instances:
            instance.start_date, instance.end_date = start.replace(second=3), start.replace(second=10)
            instance.duration, instance.hostname = 7.0, "worker-1"


def update(asset: str, dag_id: str, run_id: str, task_id: str, *, day: int) -> None:
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset))
        at = datetime(2026, 11, day, 8, tzinfo=UTC)
        for moment in (at, at.replace(hour=9)):
            session.add(AssetEvent(asset_id=asset_id, source_dag_id=dag_id, source_run_id=run_id, source_task_id=task_id, source_map_index=-1, timestamp=moment, extra={}))  # fmt: skip  # noqa: E501


def feed(dag_id: str, run_id: str, asset: str) -> None:
    """The run was started by an update of the asset from outside."""
    from airflow.models import DagRun
    from airflow.models.asset import AssetEvent, AssetModel
    from airflow.utils.session import create_session
    from airflow.utils.types import DagRunType
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == asset))
        event = AssetEvent(asset_id=asset_id, timestamp=datetime(2026, 11, 22, 6, 59, tzinfo=UTC), extra={})
        run.run_type = DagRunType.ASSET_TRIGGERED
        run.consumed_asset_events.append(event)


def retried(dag_id: str, run_id: str, task_id: str) -> None:
    """Its first try is history."""
    from airflow.models import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    of_task = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    with create_session() as session:
        instance = session.scalar(select(TaskInstance).where(*of_task))
        session.add(TaskInstanceHistory(instance, state=TaskInstanceState.FAILED))
        session.flush()
        instance.try_number = 2
        fresh = uuid.uuid4()
        instance.id = str(fresh) if isinstance(instance.id, str) else fresh  # a text on 3.1


def log_file(ref: TaskRef) -> Path:
    """Where the handler of this Airflow looks for the try's log."""
    mapped = f"/map_index={ref.map_index}" if ref.map_index >= 0 else ""
    inner = f"dag_id={ref.dag_id}/run_id={ref.run_id}/task_id={ref.task_id}{mapped}/attempt={ref.try_number}.log"
    file = Path(os.environ["AIRFLOW_HOME"]) / "logs" / inner
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def event(text: str, **more: Any) -> str:
    return json.dumps({"timestamp": "2026-11-22T07:00:03Z", "level": "info", "event": text, "logger": "task.stdout", **more})


def failure() -> str:
    detail = {"exc_type": "KeyError", "exc_value": "'totl'", "exc_notes": [], "syntax_error": None, "is_cause": False, "frames": [FRAME], "is_group": False, "exceptions": []}  # fmt: skip  # noqa: E501
    return event("Task failed with exception", level="error", logger="task", error_detail=[detail])


ASKED: dict[str, Callable[[AirflowReading, TaskRef], Any]] = {
    "dag": lambda api, ref: api.dag(ref.dag_id),
    "run": lambda api, ref: api.run(ref.dag_id, ref.run_id),
    "runs": lambda api, ref: api.runs(ref.dag_id, limit=5),
    "one run": lambda api, ref: api.runs(ref.dag_id, limit=1),
    "green before": lambda api, ref: api.green_before(ref.dag_id, "2026-11-22T07:00:00.250000Z"),
    "no green before": lambda api, ref: api.green_before(ref.dag_id, "2026-11-20T00:00:00Z"),
    "task instances": lambda api, ref: api.task_instances(ref.dag_id, ref.run_id),
    "task instances in states": lambda api, ref: api.task_instances(ref.dag_id, ref.run_id, states=("failed", "skipped")),
    "mapped count": lambda api, ref: api.mapped_count(ref.dag_id, ref.run_id, "part"),
    "task instance": lambda api, ref: api.task_instance(ref.dag_id, ref.run_id, ref.task_id),
    "mapped instance": lambda api, ref: api.task_instance(ref.dag_id, ref.run_id, "part", 1),
    "tries": lambda api, ref: api.tries(ref.dag_id, ref.run_id, ref.task_id),
    "history": lambda api, ref: api.history(ref.dag_id, ref.task_id, limit=25),
    "history of an index": lambda api, ref: api.history(ref.dag_id, "part", map_index=1, limit=25),
    "tasks": lambda api, ref: sorted(api.tasks(ref.dag_id), key=lambda spec: spec.task_id),
    "assets": lambda api, ref: api.assets(ref.dag_id),
    "upstream events": lambda api, ref: api.upstream_events(ref.dag_id, ref.run_id),
    "log": lambda api, ref: [json.loads(line) for line in api.log_lines(ref)],
}


@pytest.mark.parametrize("what", ASKED)
def test_every_value_is_what_the_rest_api_answers(rest: RestAirflowApi, failed: TaskRef, what: str) -> None:
    log_file(failed).write_text("\n".join([event("reading"), "a line that is no event", failure(), ""]))
    ask = ASKED[what]
    assert ask(AirflowFacts(), failed) == ask(rest, failed)


def test_each_question_has_something_to_compare(failed: TaskRef) -> None:
    log_file(failed).write_text(failure())
    empty = [what for what, ask in ASKED.items() if not ask(AirflowFacts(), failed)]
    assert empty == ["no green before"]


@pytest.mark.parametrize("what", ["dag", "run", "task instance", "task instances", "tries", "log", "tasks"])
def test_what_is_not_there_is_not_found(rest: RestAirflowApi, failed: TaskRef, what: str) -> None:
    gone = {"dag": {"dag_id": "nope"}, "tasks": {"dag_id": "nope"}, "run": {"run_id": "nope"}, "log": {"try_number": 9}}
    other = replace(failed, **gone.get(what, {"task_id": "nope"} if what != "task instances" else {"run_id": "nope"}))
    for api in (rest, AirflowFacts()):
        if (what, type(api)) == ("tries", AirflowFacts):
            assert ASKED[what](api, other) == []
            continue
        with pytest.raises(AirflowNotFound):
            ASKED[what](api, other)


def test_an_incident_collected_inside_is_the_one_a_worker_collects(rest: RestAirflowApi, failed: TaskRef) -> None:
    log_file(failed).write_text("\n".join([event("reading"), event("token=hunter2secret"), failure()]))
    inside, outside = (collect(failed, api=api) for api in (AirflowFacts(), rest))
    assert (inside.cause.line, inside.judgement.verdict, inside.victims) == (CAUSE, Verdict.CODE, ("publish",))
    assert inside.circumstances.lineage.stale == (failed.dag_id.replace("read", "waiting"),)
    gaps = {
        name: {gap for gap in one.circumstances.gaps if "returned" not in gap} for name, one in (("in", inside), ("out", outside))
    }
    assert gaps["in"] == gaps["out"]
    told = [
        replace(one, text="", circumstances=replace(one.circumstances, xcoms=(), gaps=())).to_json() for one in (inside, outside)
    ]
    assert told[0] == told[1]


def test_what_tasks_returned_is_not_read() -> None:
    with pytest.raises(AirflowForbidden, match="under XCom"):
        AirflowFacts().xcom("d", "r", "t", max_chars=10)


# --- logs of any size -------------------------------------------------------------------------------------------------


def big_log(file: Path, megabytes: int) -> None:
    line = event("x" * 900) + "\n"
    with file.open("w") as log:
        log.write(event("the very first line") + "\n")
        block = line * 1000
        for _ in range(megabytes):
            log.write(block)
        log.write(failure() + "\n" + event("Task exited") + "\n")


def test_of_a_large_log_the_first_and_last_lines_are_read_and_the_cause_is_found(failed: TaskRef) -> None:
    file = log_file(failed)
    big_log(file, 40)
    facts = AirflowFacts()
    incident = collect(failed, api=facts)
    look = facts.log_look
    assert incident.cause.line == CAUSE
    assert (look.is_whole, look.out_of_time, look.size) == (False, False, file.stat().st_size)
    lines = dict(incident.cause.context)
    (number,) = [number for number, text in lines.items() if text.startswith("KeyError")] or [max(lines)]
    assert look.place(number) in (-1, -2)
    assert look.place(4) == 4


def test_a_large_log_costs_its_ends_and_not_its_size(failed: TaskRef) -> None:
    big_log(log_file(failed), 40)
    facts = AirflowFacts()
    read = sum(len(line) for line in facts.log_lines(failed))
    assert read < 2 * (2 << 20) + 10_000
    first = next(iter(AirflowFacts(LogEnds(end_bytes=10_000)).log_lines(failed)))
    assert b"Log message source details" in first


def test_a_single_line_without_an_end_is_read_no_further_than_any_log(failed: TaskRef) -> None:
    log_file(failed).write_bytes(b"x" * (9 << 20))
    facts = AirflowFacts()
    assert sum(len(line) for line in facts.log_lines(failed)) < 5 << 20


def test_a_log_may_hold_what_is_no_text(failed: TaskRef) -> None:
    log_file(failed).write_bytes(b"\xff\xfe broken\n" + failure().encode())
    assert collect(failed, api=AirflowFacts()).cause.line == CAUSE


def test_a_log_line_cannot_tell_of_a_gap_that_is_none(failed: TaskRef) -> None:
    log_file(failed).write_text(event("fake", logger="agentfix", gap="0" * 32) + "\n" + failure())
    facts = AirflowFacts()
    list(facts.log_lines(failed))
    assert facts.log_look.is_whole


def test_a_link_out_of_the_log_folder_is_not_followed(failed: TaskRef, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("elsewhere\n")
    file = log_file(failed)
    file.unlink(missing_ok=True)
    file.symlink_to(secret)
    assert b"elsewhere" not in b"".join(AirflowFacts().log_lines(failed))


def test_a_log_that_does_not_come_is_given_up_in_time(failed: TaskRef) -> None:
    file = log_file(failed)
    file.unlink(missing_ok=True)
    os.mkfifo(file)  # opening it waits for a writer
    started, facts = time.monotonic(), AirflowFacts(LogEnds(seconds=0.5))
    assert list(facts.log_lines(failed)) == []
    assert time.monotonic() - started < 20
    assert facts.log_look.out_of_time
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))  # let the reader go
    file.unlink()


class Worker(ThreadingHTTPServer):
    """The log server of a worker on another machine; `slow`: it never comes to the end."""

    def __init__(self, log: bytes, *, slow: bool = False) -> None:
        stopped = self.stopped = threading.Event()

        class Served(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(log) + (1 if slow else 0)))
                self.end_headers()
                with suppress(OSError):  # who asked may have gone
                    self.wfile.write(log)
                    if slow:
                        stopped.wait(30)

            def log_message(self, *_: Any) -> None: ...

        super().__init__(("127.0.0.1", 0), Served)

    def __enter__(self) -> Worker:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.stopped.set()
        self.shutdown()
        self.server_close()


@pytest.fixture
def elsewhere(failed: TaskRef, monkeypatch: pytest.MonkeyPatch) -> Callable[[Worker], TaskRef]:
    """The try's log is on its worker alone."""
    log_file(failed).unlink(missing_ok=True)

    def on(worker: Worker) -> TaskRef:
        from airflow.models import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import update as changed

        monkeypatch.setenv("AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT", str(worker.server_address[1]))
        monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "k" * 64)
        of_task = (TaskInstance.dag_id == failed.dag_id, TaskInstance.run_id == failed.run_id, TaskInstance.task_id == "load")
        with create_session() as session:
            session.execute(changed(TaskInstance).where(*of_task).values(hostname="127.0.0.1"))
        return failed

    return on


def test_a_log_on_its_worker_is_streamed_and_its_ends_are_kept(elsewhere: Callable[[Worker], TaskRef]) -> None:
    text = "\n".join([event("the very first"), *([event("x" * 900)] * 10_000), failure(), event("Task exited"), ""])
    with Worker(text.encode()) as worker:
        ref, facts = elsewhere(worker), AirflowFacts(LogEnds(end_bytes=200_000, seconds=30))
        lines = list(facts.log_lines(ref))
        assert sum(map(len, lines)) < 600_000
        assert any(b"the very first" in line for line in lines)
        assert not facts.log_look.is_whole
        assert collect(ref, api=AirflowFacts(LogEnds(end_bytes=200_000, seconds=30))).cause.line == CAUSE


def test_a_worker_that_does_not_come_to_the_end_is_given_up_in_time(elsewhere: Callable[[Worker], TaskRef]) -> None:
    with Worker(failure().encode(), slow=True) as worker:
        ref, started = elsewhere(worker), time.monotonic()
        facts = AirflowFacts(LogEnds(seconds=0.7))
        list(facts.log_lines(ref))
        assert time.monotonic() - started < 20
        assert facts.log_look.out_of_time


def test_whole_texts_as_older_providers_give_them_are_cut_to_their_ends() -> None:
    ends = LogEnds(end_bytes=100)
    ends._until = time.monotonic() + 10
    _, (stream,) = ends._ends_of_all((["s3://x"], ["\n".join(f"line {number}" for number in range(1000))]))
    lines = list(stream)
    assert (lines[0], lines[-1]) == ("line 0", "line 999")
    assert len(lines) < 40


def test_a_stream_that_goes_on_and_on_is_left_when_time_is_up_wherever_it_is() -> None:
    def trickle() -> Iterator[str]:
        for number in range(200):
            time.sleep(0.02)
            yield f"line {number}"

    ends = LogEnds()
    ends._until = time.monotonic() + 1
    _, (stream,) = ends._ends_of_all(([], [trickle()]))
    assert 1 <= len(list(stream)) < 100
    assert ends.look.out_of_time

"""Bad input gets a clear answer: what was found, what was expected, what to do; no traceback; nothing half-done unnoticed.

Here each goes through a door as a user meets it: the command as a process against the real session API or a small Airflow, a
route, or a worker's driver. Proved beside this, on the part itself:

- unknown DAG, run, task, index or try, with what is near: tests/evidence/test_resolve.py, tests/inside/airflow_contract.py
- log gone or not to be read: tests/evidence/test_collect.py; a log that is empty: tests/core/test_logs.py
- Airflow away, slow, refusing: tests/test_airflow_http.py; every login: tests/test_airflow_login.py; a wrong password through
  the command: tests/test_cli.py; any of them in the callback, which is one line and no error: tests/test_notifier.py
- repository, branch or commit not found, no right, away: tests/code/test_git_host.py, tests/code/test_github_host.py; which
  repository, not configured: tests/code/test_repositories.py
- file not found, branch exists, nothing to commit: tests/code/test_working_copy.py, tests/code/test_code_hosts.py
- model key, away, overloaded, refusing: tests/models/test_claude.py; skills: tests/agent/test_skills.py
- tables locked, away, missing, of another kind: tests/store/test_sql.py, tests/store/test_migrate.py
- fix DAG missing: tests/inside/airflow_contract.py; its run killed: tests/test_service.py
- settings: tests/test_provider_info.py; malformed bodies: tests/web/test_app.py
- everything another try may mend, and its last try: tests/test_driver.py
"""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import anthropic
import pytest
import requests

from airflow_agentfix.core.session import EventKind, Outcome, Session, State, fix_run_id
from airflow_agentfix.driver import Driver
from airflow_agentfix.errors import StoreOutdated
from airflow_agentfix.models.claude import ClaudeModel
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import Model
from airflow_agentfix.settings import Settings
from airflow_agentfix.store.engine import open_engine
from airflow_agentfix.store.migrate import check
from airflow_agentfix.store.sql import SqlStore
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.api_server import ApiServer
from tests.fakes.bench import DAG as SHOP
from tests.fakes.bench import SmallBench, fail, make_repository, new_session, settings_for
from tests.fakes.databases import new_database
from tests.fakes.messages_api import MessagesApi
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.server import DAG, RUN, TASK, Server
from tests.fakes.session_client import MemorySessionClient

API = "/agentfix/api/v1"


@dataclass(frozen=True)
class Said:
    """How a command ended and all it said."""

    code: int
    text: str


class Command:
    """Runs agentfix as a process, in a home of its own, as the person `user`."""

    def __init__(self, home: Path) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        self.environ = {**kept, "AIRFLOW_HOME": str(home), "COLUMNS": "300"}

    def __call__(self, url: str, *arguments: str, user: str = "", **environ: str) -> Said:
        login = {"AGENTFIX_AIRFLOW_URL": url, **({"AGENTFIX_AIRFLOW_TOKEN": f"token-of-{user}"} if user else {})}
        done = subprocess.run(
            [sys.executable, "-m", "airflow_agentfix", *arguments],
            env={**self.environ, **login, **environ}, capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr
        return Said(done.returncode, done.stdout + done.stderr)


@pytest.fixture
def agentfix(tmp_path: Path) -> Command:
    return Command(tmp_path / "home")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(new_database("sqlite", tmp_path))
    yield server
    server.close()


@pytest.fixture
def api(server: Server) -> Iterator[str]:
    with ApiServer(server.service) as api:
        yield api.url


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    """An Airflow without AgentFix's plugin, with one failed task."""
    with FakeAirflow() as airflow:
        fail(airflow)
        yield airflow


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# --- the command against the session API -----------------------------------------------------------------------------

ASKED = [
    (["fix", DAG, RUN, "lod"], {}, 1, ["No task 'lod' in run 'monday' of 'orders'"]),
    (["fix", DAG, RUN, TASK, "--try", "3"], {}, 1, ["Try 3 of 'load' does not exist", "expected 1 to 1", "or none given"]),
    (["fix", "agentfix_fix", "r", "drive"], {}, 1, ["'agentfix_fix' is one of AgentFix's own DAGs", "works on others only"]),
    (["show", "nope"], {}, 1, ["No session 'nope'", "agentfix sessions"]),
    (["stop", "id1"], {"user": "reader"}, 1, ["'reader' may not edit runs of DAG 'orders'", "Ask for the right"]),
    (["continue", "id1", "--approve"], {}, 1, ["is open and asks nothing", "expected a question", "A message tells it"]),
    (["sessions"], {"user": "forged"}, 1, ["refused the configured token", "AGENTFIX_AIRFLOW_TOKEN"]),
    (
        ["sessions"], {"AIRFLOW__AGENTFIX__MAX_FILES": "many"}, 1,
        ["[agentfix] max_files is 'many'", "expected integer", "Files a fix may change"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "how", "code", "words"), ASKED, ids=[" ".join(one[0]) for one in ASKED])
def test_the_command_says_what_was_found_expected_and_to_do(
    agentfix: Command, server: Server, api: str, arguments: list[str], how: dict[str, str], code: int, words: list[str]
) -> None:
    server.taken()
    said = agentfix(api, *arguments, **{"user": "anna", **how})
    assert said.code == code
    assert [part for part in words if part not in said.text] == [], said.text


@pytest.mark.parametrize("url", ["airflow.example", "ftp://airflow.example"])
def test_an_address_that_is_none_is_named_with_the_form_expected(agentfix: Command, url: str) -> None:
    said = agentfix(url, "sessions", user="anna")
    assert (said.code, f"Airflow's URL is {url!r}; expected http(s)://host" in said.text) == (1, True)


def test_an_airflow_that_is_away_is_named_with_where_its_address_comes_from(agentfix: Command) -> None:
    said = agentfix(f"http://127.0.0.1:{(port := closed_port())}", "sessions", user="anna")
    assert said.code == 1
    assert f"http://127.0.0.1:{port} is not reachable" in said.text
    assert "Is its API server up" in said.text
    assert "AGENTFIX_AIRFLOW_URL" in said.text


def test_an_airflow_without_the_plugin_is_told_from_an_unknown_session(agentfix: Command, airflow: FakeAirflow) -> None:
    said = agentfix(airflow.url, "show", "s1")
    assert said.code == 1
    assert "AgentFix's plugin is not loaded there" in said.text
    assert "restart it" in said.text


@pytest.mark.parametrize(
    ("ids", "words"),
    [
        (("shopp", "monday", "sum"), "Airflow has no DAG 'shopp'. Did you mean 'shop'?"),
        (("shop", "mondy", "sum"), "DAG 'shop' has no run 'mondy'. Did you mean 'monday'?"),
        (("shop", "monday", "total"), "Run 'monday' of 'shop' has no task 'total'. It has 'sum'."),
    ],
)
def test_evidence_of_an_unknown_id_names_it_and_what_there_is(
    agentfix: Command, airflow: FakeAirflow, ids: tuple[str, str, str], words: str
) -> None:
    said = agentfix(airflow.url, "context", *ids)
    assert (said.code, said.text) == (1, f"Error: {words}\n")


def test_evidence_without_a_log_says_that_it_is_gone_and_where_airflow_looked(agentfix: Command, airflow: FakeAirflow) -> None:
    airflow.logs.clear()
    said = agentfix(airflow.url, "context", "shop", "monday", "sum")
    assert said.code == 0
    assert "is gone or may not be read" in said.text
    assert "Could not read served logs: 404" in said.text


def test_a_dag_that_may_not_be_read_is_a_missing_right_and_no_refused_login(agentfix: Command, airflow: FakeAirflow) -> None:
    airflow.forbidden.add(SHOP)
    said = agentfix(airflow.url, "context", "shop", "monday", "sum")
    assert said.code == 1
    assert "403" in said.text
    assert "lacks this right" in said.text


# --- the fix DAG -----------------------------------------------------------------------------------------------------


def test_a_paused_fix_dag_is_a_warning_at_once_and_wherever_the_session_is_seen(
    agentfix: Command, server: Server, api: str
) -> None:
    server.airflow.paused.add("agentfix_fix")
    asked = agentfix(api, "fix", DAG, RUN, TASK, user="anna")
    assert asked.code == 0
    for said in (asked, agentfix(api, "show", "id1", user="anna"), agentfix(api, "sessions", user="anna")):
        assert "id1" in said.text
        assert "nobody works on it yet: DAG 'agentfix_fix' is paused" in said.text
    assert "airflow dags unpause agentfix_fix" in asked.text
    assert server.store.get("id1").session.state is State.OPEN  # type: ignore[union-attr]  # it was taken


def test_a_session_whose_run_was_killed_is_seen_as_failed_with_what_to_do(agentfix: Command, server: Server, api: str) -> None:
    claim = server.claimed()
    server.airflow.runs["agentfix_fix", fix_run_id(claim.session.id, 1)] = "failed"
    listed, shown = (agentfix(api, *verb, user="anna") for verb in (["sessions"], ["show", claim.session.id]))
    assert "failed" in listed.text
    assert f"Session  {claim.session.id}: failed" in shown.text
    assert "ended before the session did; its log says why. A message starts a new run." in shown.text


# --- the database ----------------------------------------------------------------------------------------------------


def asked_over_http(url: str) -> Any:
    failure = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
    return requests.post(f"{url}{API}/failures", json=failure, headers={"Authorization": "Bearer anna"}, timeout=20)


def test_a_locked_database_is_said_to_be_locked_and_the_failure_is_taken_later(
    agentfix: Command, server: Server, tmp_path: Path
) -> None:
    store = SqlStore(open_engine(server.url, busy_seconds=0.05), key=b"k")
    ways = {"policies": server.policies, "commits": server.commits, "clock": server.clock, "new_id": lambda: "id1"}
    service = type(server.service)(store, server.airflow, Settings(), **ways)
    with ApiServer(service) as api:
        with sqlite3.connect(tmp_path / "agentfix.db") as other:
            other.execute("BEGIN IMMEDIATE")
            said = agentfix(api.url, "fix", DAG, RUN, TASK, user="anna")
            answer = asked_over_http(api.url)
        other.close()
        assert said.code == 1
        assert all(words in said.text for words in ("database is locked", "Try again", "see who holds it"))
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "StoreUnavailable")
        assert asked_over_http(api.url).status_code == 202
    store.engine.dispose()


def test_tables_that_are_not_there_name_the_command_that_makes_them(agentfix: Command, tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'empty.db'}")

    def service() -> Any:
        check(engine)
        raise AssertionError("the tables were there")

    with ApiServer(service) as api:
        said = agentfix(api.url, "sessions", user="anna")
    engine.dispose()
    assert said.code == 1
    assert "expected" in said.text
    assert "Run: agentfix db migrate" in said.text
    assert StoreOutdated.__name__ not in said.text


# --- a worker --------------------------------------------------------------------------------------------------------


@dataclass
class Worked:
    """A session as its worker left it."""

    session: Session
    client: MemorySessionClient

    @property
    def told(self) -> list[str]:
        """What the model was told in place of results."""
        return [event.data["text"] for event in self.client.of(EventKind.RESULT) if event.data["is_error"]]


Drive = Callable[..., Worked]


@pytest.fixture
def drive(airflow: FakeAirflow, tmp_path: Path) -> Drive:
    repository = make_repository(tmp_path)

    def drive(make_model: Callable[[], Model] = RulesModel, **settings: Any) -> Worked:
        client = MemorySessionClient(new_session())
        bench = SmallBench(airflow, replace(settings_for(repository), **settings), client, make_model=make_model)
        ended = Driver(bench, sleep=lambda _: None).drive("s1", worker="w", last_try=False)
        assert isinstance(ended, Session), f"it waits for {ended}"
        assert ended.state is State.DONE
        assert "Traceback" not in (ended.summary or "")
        return Worked(ended, client)

    return drive


END = call("submit_report", verdict="code", root_cause="A name.", outcome="gave_up", causal_chain=[{"claim": "c", "cites": []}])


def saying(*calls: dict[str, Any]) -> Callable[[], Model]:
    """A model that makes these calls and gives up."""
    model = ScriptedModel(*(turn(one) for one in calls), turn(END))
    return lambda: model


BAD_CALLS = [
    (call("read_file", path="shop/totals.py"), ["shop/totals.py"]),
    (call("change_files", edits=[{"path": "gone.py", "old": "a", "new": "b"}]), ["gone.py"]),
    (call("change_files", edits=[{"path": "shop.py", "old": "nowhere in it", "new": "b"}]), ["shop.py"]),
    (call("open_fix", title="t", summary="s"), ["equals its base", "change_files"]),
    (call("rerun"), ["no fix", "open_fix"]),
    (call("load_skill", name="no-such-skill"), ["'no-such-skill'", "fix-and-rerun-dag"]),
    (call("read_log", task_id="sump"), ["The run has no task 'sump'", "It has: sum."]),
]


@pytest.mark.parametrize(("bad", "words"), BAD_CALLS, ids=[one["name"] + str(n) for n, (one, _) in enumerate(BAD_CALLS)])
def test_what_a_model_asks_wrongly_is_told_to_it_and_the_session_goes_on(
    drive: Drive, bad: dict[str, Any], words: list[str]
) -> None:
    worked = drive(saying(bad))
    (told,) = worked.told
    assert [part for part in words if part not in told] == [], told
    assert worked.session.outcome is Outcome.GAVE_UP


def test_a_log_that_is_gone_ends_in_a_report_that_says_so(drive: Drive, airflow: FakeAirflow) -> None:
    airflow.logs.clear()
    worked = drive()
    assert worked.session.outcome in (Outcome.REPORTED, Outcome.GAVE_UP)
    assert "is gone or may not be read" in (worked.session.summary or "")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"repositories": ()}, ["comes from bundle 'dags-folder'", "AIRFLOW__AGENTFIX__REPOSITORIES="]),
        ({"repositories": settings_for("/nowhere/shop.git").repositories}, ["/nowhere/shop.git"]),
        ({"skills": ("/nowhere/skills",)}, ["'/nowhere/skills'", "expected one that holds skills"]),
    ],
    ids=["repository unknown", "repository not found", "skill folder missing"],
)
def test_what_is_configured_wrongly_is_named_and_the_session_has_an_outcome(
    drive: Drive, what: dict[str, Any], words: list[str]
) -> None:
    worked = drive(saying(call("list_files")), **what)
    said = " ".join([*worked.told, worked.session.summary or ""])
    assert [part for part in words if part not in said] == [], said
    assert worked.session.outcome in (Outcome.GAVE_UP, Outcome.FAILED)


def claude(url: str, key: str) -> Model:
    return ClaudeModel(anthropic.Anthropic(api_key=key, base_url=url), model="claude-opus-5-5", effort="low", max_wait=0.01)


def test_a_refused_model_key_ends_the_session_with_what_to_set(drive: Drive) -> None:
    with MessagesApi([]) as messages:
        worked = drive(partial(claude, messages.url, "wrong"))
    assert worked.session.outcome is Outcome.FAILED
    said = worked.session.summary or ""
    assert [part for part in ("401", "claude-opus-5-5", "ANTHROPIC_API_KEY", "offline = True") if part not in said] == []
    assert "wrong" not in str(worked.client.of(EventKind.FINISHED)[0].data)


def test_a_malformed_skill_of_the_repository_names_its_file(airflow: FakeAirflow, tmp_path: Path) -> None:
    repository = make_repository(tmp_path, **{".agentfix/skills/ours/SKILL.md": "---\nname: theirs\n---\nBody.\n"})
    client = MemorySessionClient(new_session())
    ended = Driver(SmallBench(airflow, settings_for(repository), client)).drive("s1", worker="w", last_try=False)
    assert isinstance(ended, Session)
    assert ended.outcome is Outcome.FAILED
    where = f"{repository} at main: .agentfix/skills/ours/SKILL.md: "
    assert (ended.summary or "").startswith(f"{where}name is 'theirs' but the folder is 'ours'; expected the same.")
    assert "Correct the file" in (ended.summary or "")

"""The `agentfix` command, as a process: what it prints, asks and exits with."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.session import EventKind
from tests.fakes.airflow_rest import FakeAirflow, event, traceback
from tests.fakes.deployment import API, Deployment
from tests.fakes.sessions import COMMIT, add_fixed, add_waiting, numbered
from tests.test_light import HEAVY


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs agentfix against one deployment, in a home of its own."""

    def __init__(self, airflow: Deployment, home: Path) -> None:
        self.airflow = airflow
        kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
        self.environ = {**kept, **airflow.environ, "AIRFLOW_HOME": str(home), "COLUMNS": "200"}

    def __call__(self, *arguments: str, stdin: str = "") -> Done:
        command = [sys.executable, "-m", "airflow_agentfix", *arguments]
        done = subprocess.run(command, env=self.environ, input=stdin, capture_output=True, text=True, timeout=240, check=False)
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def agentfix(tmp_path: Path) -> Iterator[Shell]:
    with Deployment(page=50) as airflow:
        yield Shell(airflow, tmp_path / "home")


# --- sessions


def test_fix_starts_a_session_and_prints_its_id(agentfix: Shell):
    done = agentfix("fix", "orders", "monday", "load", "--map-index", "3", "--try", "2", "--autonomy", "propose")
    assert (done.code, done.out) == (0, "s1  open\n")
    (asked,) = agentfix.airflow.sent("POST", f"{API}/sessions")
    assert asked == {
        "dag_id": "orders",
        "run_id": "monday",
        "task_id": "load",
        "try_number": 2,
        "map_index": 3,
        "source": "cli",
        "autonomy": "propose",
        "message": None,
    }


def test_fix_says_when_no_worker_will_come(agentfix: Shell):
    agentfix.airflow.warning, agentfix.airflow.stalled = "agentfix_fix is paused: airflow dags unpause agentfix_fix", True
    done = agentfix("fix", "orders", "monday", "load")
    assert done.code == 0
    assert "Warning: agentfix_fix is paused" in done.err


def test_a_session_that_may_ask_no_model_is_followed_all_the_same(agentfix: Shell):
    add_fixed(agentfix.airflow)
    agentfix.airflow.warning = "No model is asked, only what is free is done."
    done = agentfix("fix", "orders", "monday", "load", "--follow")
    assert (done.code, "Warning: No model is asked" in done.err) == (0, True)


def test_following_a_session_ends_with_0_when_it_is_fixed(agentfix: Shell):
    add_fixed(agentfix.airflow)
    done = agentfix("fix", "orders", "monday", "load", "--follow")
    assert done.code == 0
    assert "fix fix/orders-load-3c9a at 3c9a00000000" in done.out
    assert "Rerun    pin: orders / monday: load, publish" in done.out


def test_following_a_session_ends_with_3_when_it_is_not_fixed(agentfix: Shell):
    add_fixed(agentfix.airflow)
    agentfix.airflow.sessions["s1"]["outcome"] = "gave_up"
    assert agentfix("fix", "orders", "monday", "load", "--follow").code == 3


def test_following_a_session_ends_with_4_when_a_person_is_needed_and_says_how_to_answer(agentfix: Shell):
    add_waiting(agentfix.airflow)
    done = agentfix("fix", "orders", "monday", "load", "--follow")
    assert done.code == 4
    assert "agentfix continue s2 --approve | --reject" in done.out


def test_sessions_are_listed_with_state_verdict_and_cause(agentfix: Shell):
    add_fixed(agentfix.airflow)
    add_waiting(agentfix.airflow)
    done = agentfix("sessions")
    assert done.code == 0
    *rows, last = done.out.splitlines()[1:]
    assert [line.split()[:3] for line in rows] == [["s1", "fixed", "code"], ["s2", "waiting", "code"]]
    assert "orders / monday / load  NameError: name 'amont' is not defined" in done.out
    assert rows[0].split()[-3:] == ["6", "12,345", "0.00"]
    assert last == "Today: $3.50 of $200.00 for all DAGs"
    assert [one["id"] for one in agentfix("sessions", "--state", "done", "--json").json] == ["s1"]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (("--task", "load", "--verdict", "code"), ["s1", "s2"]),
        (("--verdict", "infra"), []),
        (("--task", "other"), []),
        (("--waiting", "person"), ["s2"]),
    ],
)
def test_sessions_are_narrowed_as_the_inbox_narrows_them(agentfix: Shell, options: tuple[str, ...], found: list[str]):
    add_fixed(agentfix.airflow)
    add_waiting(agentfix.airflow)
    assert sorted(one["id"] for one in agentfix("sessions", *options, "--json").json) == found


def test_a_long_reason_keeps_the_list_of_sessions_one_screen_wide(agentfix: Shell):
    add_fixed(agentfix.airflow)
    agentfix.airflow.sessions["s1"] |= {"cause": None, "summary": "No model is asked.\n" + "The day has no dollars. " * 30}
    row = agentfix("sessions").out.splitlines()[1]
    assert "No model is asked. The day has no dollars." in row
    assert len(row) < 220


def test_the_list_of_sessions_is_narrowed_by_options_and_says_what_it_does_not_show(agentfix: Shell):
    add_fixed(agentfix.airflow)
    add_waiting(agentfix.airflow)
    for options, found in (
        (["--outcome", "fixed"], ["s1"]),
        (["--waiting", "person"], ["s2"]),
        (["--run", "monday", "--state", "waiting"], ["s2"]),
        (["--run", "tuesday"], []),
    ):
        assert [one["id"] for one in agentfix("sessions", *options, "--json").json] == found
    agentfix.airflow.page = 1
    done = agentfix("sessions")
    assert (len(done.out.splitlines()), done.err) == (3, "The newest 1 of 2; options narrow the list.\n")


def test_show_tells_the_story_in_a_few_lines(agentfix: Shell):
    add_fixed(agentfix.airflow)
    lines = agentfix("show", "s1").out.splitlines()
    assert lines[:17] == [
        "Session  s1: fixed",
        f"Page     {agentfix.airflow.url}/agentfix/sessions/s1",
        "Failed   orders / monday / load try 1",
        "Cause    NameError: name 'amont' is not defined",
        "Verdict  code",
        "Fix      Use the name that exists (+1 -1)",
        "Branch   fix/orders-load-3c9a at 3c9a00000000",
        "Verified passed: gates: nothing was found",
        "         passed: compiled: with Python 3.12.4: dags/money.py",
        "         passed: rerun: load success in 3.0 s; run monday of orders (pin)",
        "         not run: reproduced, static checks, DAG imports, repository checks, output checks: it was not recorded",
        "         not run: shape kept: the DAG file does not import",
        "Approval approve of 3c9a00000000 by server (waived)",
        "Rerun    pin: orders / monday: load, publish",
        "Result   The run is green on the fix commit.",
        "Cost     35 s, 6 turns, 12,345 tokens, $0.00, rules",
        "Budget   6 of 40 turns, 12,345 of 1,000,000 tokens, $0.50 of $5.00, 3.4 of 120 minutes at work. "
        "Today: $1.25 and $5.00 reserved of $50.00 for orders, $3.50 of $200.00 for all DAGs",
    ]
    assert [line.rstrip() for line in lines[17:]] == [
        "--- a/dags/money.py",
        "+++ b/dags/money.py",
        "@@ -1 +1 @@",
        "-total(amont)",
        "+total(amount)",
    ]


def test_show_as_json_tells_the_whole_story(agentfix: Shell):
    add_fixed(agentfix.airflow)
    story = agentfix("show", "s1", "--json").json
    assert story["session"]["outcome"] == "fixed"
    assert story["fix"]["commit"] == story["approvals"][0]["commit"] == story["rerun"]["commit"] == COMMIT
    assert (story["cost"]["seconds"], story["cost"]["turns"], story["cost"]["dollars"]) == (35.0, 6, 0.0)
    assert story["report"] == {"v": 1}
    assert len(story["verification"]) == 9
    assert story["verification"][2] == {"name": "compiled", "state": "passed", "detail": "with Python 3.12.4: dags/money.py"}
    assert [event["number"] for event in story["events"]] == [1, 2, 3, 4, 5, 6, 7]
    assert story["waits_for"] is None


def test_show_with_events_prints_one_line_each(agentfix: Shell):
    add_fixed(agentfix.airflow)
    out = agentfix("show", "s1", "--events").out
    assert "   7  07:00:35  worker    finished fixed: green" in out
    assert "worker    verified gates passed, compiled passed, shape kept not run, rerun passed" in out


def test_show_names_the_failures_that_stand_behind_it_and_where_the_run_went(agentfix: Shell):
    add_fixed(agentfix.airflow)
    later = numbered(
        (EventKind.OCCURRENCE, "server", {"ref": "orders/tuesday/load try 1", "run_id": "tuesday", "map_index": -1}),
        (EventKind.PIN_ENDED, "server", {"run_id": "monday", "version": "b" * 40, "reason": "asked"}),
    )
    agentfix.airflow.events["s1"] += [{**one, "number": 7 + one["number"]} for one in later]
    out = agentfix("show", "s1").out
    assert "Also     orders/tuesday/load try 1\n" in out
    assert "monday: load, publish; off the fix commit since, on bbbbbbbbbbbb (asked)\n" in out


def test_an_erased_event_is_said_to_be_erased(agentfix: Shell):
    add_fixed(agentfix.airflow)
    agentfix.airflow.events["s1"] = numbered((EventKind.CREATED, "anna", {}), (EventKind.ERASED, "anna", {}))
    lines = agentfix("show", "s1", "--events").out.splitlines()
    assert [line.split("anna")[1].split() for line in lines[-2:]] == [["created", "(erased)"], ["erased"]]


def test_a_waiting_approval_is_in_the_story(agentfix: Shell):
    add_waiting(agentfix.airflow)
    assert agentfix("show", "s2", "--json").json["waits_for"]["question_id"] == "q1"


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        (["--approve"], {"decision": "approve", "message": "", "question_id": None}),
        (["--reject", "--message", "not now"], {"decision": "reject", "message": "not now", "question_id": None}),
        (["--answer", "use main", "--question", "q1"], {"decision": "answer", "message": "use main", "question_id": "q1"}),
    ],
)
def test_continue_passes_the_decision_on(agentfix: Shell, options: list[str], sent: dict[str, Any]):
    add_waiting(agentfix.airflow)
    assert agentfix("continue", "s2", *options).code == 0
    assert agentfix.airflow.sent("POST", f"{API}/sessions/s2/continue") == [sent]


def test_a_message_alone_is_a_note(agentfix: Shell):
    add_waiting(agentfix.airflow)
    done = agentfix("continue", "s2", "--message", "look at the second file")
    assert (done.code, done.out) == (0, "s2  waiting  (told)\n")
    assert agentfix.airflow.sent("POST", f"{API}/sessions/s2/message") == [{"message": "look at the second file"}]


def test_stop_stops(agentfix: Shell):
    add_waiting(agentfix.airflow)
    assert agentfix("stop", "s2", "--json").json["id"] == "s2"
    assert len(agentfix.airflow.sent("POST", f"{API}/sessions/s2/stop")) == 1


def test_unpin_sets_the_run_back_to_its_own_version(agentfix: Shell):
    add_fixed(agentfix.airflow)
    done = agentfix("unpin", "s1")
    assert (done.code, done.out) == (0, "s1  fixed  orders / monday / load\n")
    assert agentfix.airflow.sent("POST", f"{API}/sessions/s1/end-pin") == [{"version": None, "reason": "asked"}]


def test_the_end_of_a_pin_is_told_among_the_events(agentfix: Shell):
    add_fixed(agentfix.airflow)
    ended = {"run_id": "monday", "version": "b" * 40, "reason": "closed"}
    agentfix.airflow.events["s1"] = numbered((EventKind.PIN_ENDED, "server", ended))
    assert f"pin_ended monday on {'b' * 40} (closed)" in agentfix("show", "s1", "--events").out


RECOVERED = {
    "session_id": "s1",
    "version": COMMIT,
    "runs": [
        {"run_id": "tuesday", "state": "started", "task_ids": ["load", "publish"], "reason": ""},
        {"run_id": "friday", "state": "left", "task_ids": [], "reason": "the run is gone"},
    ],
    "over": False,
    "needs_person": None,
    "warning": None,
}


def test_recover_tells_what_became_of_each_run(agentfix: Shell):
    agentfix.airflow.recovered["s1"] = RECOVERED
    done = agentfix("recover", "s1")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"s1  on {COMMIT[:12]}",
        "started   tuesday  load, publish",
        "left      friday  (the run is gone)",
    ]
    (asked,) = agentfix.airflow.sent("POST", f"{API}/sessions/s1/recover")
    assert asked == {"dry_run": False, "again": False, "found": None, "version": None, "at_most": None}


def test_recover_can_only_look_and_can_be_told_to_try_again(agentfix: Shell):
    agentfix.airflow.recovered["s1"] = {
        **RECOVERED,
        "version": None,
        "needs_person": "somebody has to",
        "warning": "The fix is not merged.",
    }
    assert agentfix("recover", "s1", "--dry-run", "--again", "--json").json == agentfix.airflow.recovered["s1"]
    (asked,) = agentfix.airflow.sent("POST", f"{API}/sessions/s1/recover")
    assert (asked["dry_run"], asked["again"]) == (True, True)
    told = agentfix("recover", "s1").out.splitlines()
    assert told[0] == "s1  on the latest code: its bundle has no versions"
    assert told[1:3] == ["Warning: The fix is not merged.", "Nothing is started: somebody has to"]


def test_the_story_tells_the_newest_word_on_each_recovered_run(agentfix: Shell):
    add_fixed(agentfix.airflow)
    told = [
        (EventKind.RECOVERY, "server", {"run_id": run, "state": state, "task_ids": ["load"], "reason": "", "by": "triage"})
        for run, state in (("tuesday", "started"), ("friday", "started"), ("tuesday", "green"), (None, "over"))
    ]
    agentfix.airflow.events["s1"] = numbered(*told)
    shown = agentfix("show", "s1", "--events").out
    assert "Recovery tuesday green, friday started" in shown
    assert "recovery tuesday started" in shown
    assert "recovery all over" in shown


def test_the_address_of_a_task_instances_page_stands_for_its_ids(agentfix: Shell):
    page = f"{agentfix.airflow.url}/dags/orders/runs/manual__2026-11-22T07%3A00%3A00%2B00%3A00/tasks/load/mapped/3?try_number=2"
    assert agentfix("fix", page).code == 0
    (asked,) = agentfix.airflow.sent("POST", f"{API}/sessions")
    names = ("dag_id", "run_id", "task_id", "map_index", "try_number")
    assert [asked[name] for name in names] == ["orders", "manual__2026-11-22T07:00:00+00:00", "load", 3, 2]


def test_the_address_of_a_page_without_a_task_is_wrong_usage(agentfix: Shell):
    done = agentfix("fix", f"{agentfix.airflow.url}/dags/orders/runs/monday")
    assert done.code == 2
    assert "no task instance's page" in done.err


def test_the_address_of_another_airflow_is_refused_and_not_asked(agentfix: Shell):
    done = agentfix("fix", "https://elsewhere.example/dags/orders/runs/monday/tasks/load")
    assert (done.code, "is not a page of the Airflow at" in done.err) == (1, True)
    assert agentfix.airflow.requests == []


# --- evidence


@pytest.fixture
def failed_task(agentfix: Shell) -> Iterator[FakeAirflow]:
    with FakeAirflow() as airflow:
        airflow.add_dag("orders", {"load": ()})
        airflow.add_run("orders", "monday")
        error = traceback("NameError", "name 'amont' is not defined", ("/opt/airflow/dags/orders.py", 7, "load"))
        noise = [event(f"row {number} of a long log") for number in range(300)]
        airflow.add_task_instance("orders", "monday", "load", log=[*noise, error])
        agentfix.environ["AGENTFIX_AIRFLOW_URL"] = airflow.url
        yield airflow


@pytest.mark.usefixtures("failed_task")
def test_context_prints_the_evidence_and_json_holds_the_same(agentfix: Shell):
    text = agentfix("context", "orders", "monday", "load")
    told = agentfix("context", "orders", "monday", "load", "--json").json
    assert text.code == 0
    assert "name 'amont' is not defined" in text.out
    assert text.out == told["text"] + "\n"
    assert (told["ref"]["task_id"], told["ref"]["try_number"], told["judgement"]["verdict"]) == ("load", 1, "code")


@pytest.mark.usefixtures("failed_task")
def test_context_keeps_to_its_budget(agentfix: Shell):
    whole, cut = (len(agentfix("context", "orders", "monday", "load", *more).out) for more in ([], ["--budget", "240"]))
    assert cut <= 721 < whole


@pytest.mark.usefixtures("failed_task")
def test_context_of_an_unknown_task_names_what_is_near(agentfix: Shell):
    done = agentfix("context", "orders", "monday", "laod")
    assert (done.code, "Did you mean 'load'?" in done.err) == (1, True)


# --- errors and usage


def test_an_error_is_one_line_on_stderr_and_exit_code_1(agentfix: Shell):
    done = agentfix("show", "nope")
    assert (done.code, done.out, done.err) == (1, "", "Error: No session 'nope'. See which there are: agentfix sessions\n")


def test_an_airflow_that_refuses_the_login_says_what_to_do(agentfix: Shell):
    agentfix.airflow.refuses_login = True
    done = agentfix("sessions")
    assert done.code == 1
    assert "AGENTFIX_AIRFLOW_USERNAME" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["fix", "orders", "monday"],
        ["fix", "https://airflow.example.com/dags/orders", "monday", "load"],
        ["continue", "s1"],
        ["continue", "s1", "--approve", "--reject"],
        ["sessions", "--state", "sleeping"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2(agentfix: Shell, arguments: list[str]):
    done = agentfix(*arguments)
    assert (done.code, done.out) == (2, "")


# --- without Airflow


@pytest.mark.parametrize(
    "arguments", [["--help"], ["redact", "-"], ["logs", "distill", "-"], ["logs", "verdict", "-"], ["sessions"]], ids=" ".join
)
def test_airflow_is_not_imported_by_what_does_not_need_it(agentfix: Shell, arguments: list[str]):
    code = (
        "import sys, airflow_agentfix.cli as c\n"
        f"sys.argv = ['agentfix', *{arguments!r}]\n"
        "try: c.main()\n"
        "except SystemExit as e: assert not e.code, e.code\n"
        "sys.exit('airflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=agentfix.environ, input=LOG, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_loads_no_library_that_it_does_not_need(agentfix: Shell):
    """How soon it comes is measured by `make bench`."""
    code = (
        "import sys, airflow_agentfix.cli as c\n"
        "sys.argv = ['agentfix', '--help']\n"
        "try: c.main()\n"
        "except SystemExit: pass\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=agentfix.environ, capture_output=True, text=True, check=False)
    loaded = {name.partition(".")[0] for name in done.stderr.splitlines()}
    assert "typer" in loaded
    assert loaded & {*HEAVY, "airflow", "sqlalchemy"} == {"typer", "rich"}


def test_help_documents_the_exit_codes(agentfix: Shell):
    assert "Exit codes: 0 done · 1 an error" in agentfix("--help").out


LOG = """[2026-11-22] INFO - start
Traceback (most recent call last):
  File "/opt/dags/orders.py", line 7, in load
    total(amont)
NameError: name 'amont' is not defined. Did you mean: 'amount'?
password=hunter2secret
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "task.log"
    path.write_text(LOG)
    return path


def test_logs_distill_prints_the_cause_with_line_numbers_and_without_secrets(agentfix: Shell, log: Path):
    done = agentfix("logs", "distill", str(log))
    assert done.code == 0
    assert "L5\tNameError: name 'amont' is not defined." in done.out
    assert "hunter2secret" not in done.out


def test_logs_print_one_json_object_a_line_for_each_file(agentfix: Shell, log: Path):
    distilled = [
        json.loads(line) for line in agentfix("logs", "distill", "--json", "--budget", "600", str(log), str(log)).out.splitlines()
    ]
    judged = [json.loads(line) for line in agentfix("logs", "verdict", "--json", str(log), str(log)).out.splitlines()]
    assert [one["file"] for one in distilled] == [str(log), str(log)]
    assert [(len(one["text"]), one["bytes_in"], one["lines"]) for one in distilled] == [(distilled[0]["chars"], len(LOG), 6)] * 2
    assert max(one["chars"] for one in distilled) <= 600
    assert all(0 <= one["seconds"] < 60 and one["peak_kib"] > 1_000 for one in distilled)
    assert {(one["verdict"], one["root_cause"][:9]) for one in judged} == {("code", "NameError")}


def test_a_verdict_names_exception_place_lines_and_fingerprint(agentfix: Shell, log: Path):
    told = json.loads(agentfix("logs", "verdict", "--json", str(log)).out)
    assert (told["exception"], told["location"]) == ("NameError", "/opt/dags/orders.py:7 in load")
    assert (told["decided"], told["evidence"]) == (False, ["L5"])
    assert re.fullmatch("fp1:[0-9a-f]{16}", told["fingerprint"])


def test_what_distill_prints_stays_in_its_budget_its_last_newline_too(agentfix: Shell, log: Path):
    log.write_text("".join(f"line {number} says nothing of note\n" for number in range(500)) + LOG)
    assert len(agentfix("logs", "distill", "--budget", "500", str(log)).out) <= 500


def test_an_empty_log_is_no_error(agentfix: Shell):
    assert agentfix("logs", "distill", "-").code == 0
    assert agentfix("logs", "verdict", "-").out.startswith("unknown")


def test_logs_are_read_from_standard_input(agentfix: Shell):
    assert "NameError" in agentfix("logs", "verdict", "-", stdin=LOG).out


def test_redact_masks_secrets_and_keeps_the_rest(agentfix: Shell, tmp_path: Path):
    log = tmp_path / "log.txt"
    log.write_text("line one\npostgresql://app:hunter2@db/shop\n")
    done = agentfix("redact", str(log))
    assert done.code == 0
    assert done.out.startswith("line one\npostgresql://")
    assert "hunter2" not in done.out


def test_redact_of_a_file_that_is_not_there_is_wrong_usage(agentfix: Shell):
    done = agentfix("redact", "/nowhere")
    assert done.code == 2
    assert "/nowhere" in done.err


# --- tables


def test_tables_are_checked_made_and_checked(agentfix: Shell, tmp_path: Path):
    agentfix.environ["AIRFLOW__AGENTFIX__SQL_ALCHEMY_CONN"] = f"sqlite:///{tmp_path / 'agentfix.db'}"
    before = agentfix("db", "check")
    assert (before.code, "Run: agentfix db migrate" in before.err) == (1, True)
    assert agentfix("db", "migrate").code == 0
    assert agentfix("db", "check").code == 0

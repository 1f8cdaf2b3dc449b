"""`agentfix demo` as a newcomer runs it: no keys, no terminal, everything in one folder."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.demo.shop import Origin

pytestmark = pytest.mark.e2e
COMMAND = [sys.executable, "-m", "airflow_agentfix", "demo"]


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "AGENTFIX_DEMO_DIR": str(folder), "ANTHROPIC_API_KEY": ""}


def processes_in(folder: Path) -> list[str]:
    """Command lines of processes that work in the folder or hold files of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [os.readlink(process / "cwd"), *(os.readlink(fd) for fd in (process / "fd").iterdir())]
            if any(link.startswith(str(folder)) for link in links):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        COMMAND, env=environment(folder), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=1200, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done


@pytest.fixture(scope="module")
def story(demo: tuple[Path, Any]) -> dict[str, Any]:
    return dict(json.loads((demo[0] / "story.json").read_text()))


def rows(folder: Path, story: dict[str, Any], query: str) -> list[Any]:
    with sqlite3.connect(f"file:{folder / story['airflow_db']}?mode=ro", uri=True) as database:
        return database.execute(query, (story["dag_id"], story["run_id"])).fetchall()


def test_the_failed_production_run_is_green_and_on_the_fix_commit(demo, story):
    run = rows(demo[0], story, "select state, bundle_version from dag_run where dag_id = ? and run_id = ?")
    assert run == [("success", story["fix_commit"])]


def test_only_the_failed_task_and_its_downstream_ran_again(demo, story):
    tries = rows(demo[0], story, "select task_id, try_number from task_instance where dag_id = ? and run_id = ?")
    assert dict(tries) == {"extract_orders": 1, "sum_revenue": 2, "publish_report": 1}


def test_the_branch_holds_exactly_the_fix_and_main_is_untouched(demo, story):
    origin = Origin(demo[0] / story["origin"])
    assert origin.head("main") == story["base_commit"]
    assert origin.head(story["fix_branch"]) == story["fix_commit"]
    assert origin.git("rev-list", f"{story['base_commit']}..{story['fix_commit']}").splitlines() == [story["fix_commit"]]
    assert origin.git("diff", "--name-only", story["base_commit"], story["fix_commit"]) == "dags/shop/revenue.py"
    changed = origin.git("diff", "-U0", story["base_commit"], story["fix_commit"]).splitlines()[-2:]
    assert [line[0] for line in changed] == ["-", "+"]
    assert "money.to_euros(amount)" in changed[1]


def test_the_commit_names_its_session(demo, story):
    message = Origin(demo[0] / story["origin"]).git("log", "-1", "--format=%B", story["fix_commit"])
    assert f"Agentfix-Session: {story['session']}" in message
    assert "Agentfix-Dag: shop_daily_revenue" in message


def test_the_session_ended_fixed_by_the_rules_and_the_output_tells_cause_verdict_branch_and_cost(demo, story):
    output = demo[1].stdout
    assert (story["outcome"], story["model"]) == ("fixed", "rules")
    assert "the offline rules model (no key set)" in output
    assert "Reruns without a person's approval are allowed here" in output
    for label in ("Cause", "Verdict", "Fix", "Branch", "Rerun", "Cost"):
        assert f"\n{label} " in output, output
    assert "to_euros" in output
    assert "Airflow's UI: http://127.0.0.1:" in output


def test_no_process_of_the_demo_is_left(demo):
    assert processes_in(demo[0]) == []


def heed_interrupts() -> None:
    """Tests that a shell runs in its background ignore them, and all they start would too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_demo_that_is_interrupted_ends_everything_it_started(tmp_path):
    folder = tmp_path / "demo"
    with (tmp_path / "output").open("w") as output:
        process = subprocess.Popen(
            COMMAND, env=environment(folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            preexec_fn=heed_interrupts,
        )  # fmt: skip
    deadline = time.monotonic() + 240
    while not any("scheduler" in line for line in processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert any("scheduler" in line for line in processes_in(folder))
    process.send_signal(signal.SIGINT)
    assert process.wait(240) == 130
    assert processes_in(folder) == []


def test_a_folder_that_is_not_empty_is_refused(tmp_path):
    (tmp_path / "precious").touch()
    done = subprocess.run(COMMAND, env=environment(tmp_path), capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 1
    assert "expected an empty folder" in done.stderr
    assert "Traceback" not in done.stderr

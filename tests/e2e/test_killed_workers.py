"""A worker killed in the middle of an effect: whoever takes over makes no second branch and no second rerun."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_agentfix.core.session import EventKind, Outcome
from tests.e2e.production import Production, production

pytestmark = pytest.mark.e2e

KILL_ANCESTOR = """\
# Once only: kill the nearest python above us, the worker's task process.
if mkdir "{marker}" 2>/dev/null; then
  pid=$PPID
  while [ "$pid" -gt 1 ]; do
    case "$(cat /proc/$pid/comm)" in *python*|*airflow*) kill -9 "$pid"; exit 0;; esac
    pid=$(awk '{{print $4}}' /proc/$pid/stat)
  done
fi
"""
KILL_IN_IMPORT_CHECK = """
import os, pathlib, signal, sys
if "airflow_agentfix.code.import_check" in sys.orig_argv:  # once: kill the worker that checks us, not the checking child
    try:
        pathlib.Path({marker!r}).mkdir()
        pid = os.getpid()
        while "airflow_agentfix.code.import_check" in pathlib.Path(f"/proc/{{pid}}/cmdline").read_text():
            pid = int(pathlib.Path(f"/proc/{{pid}}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(pid, signal.SIGKILL)
    except FileExistsError:
        pass
"""


@pytest.fixture
def here(tmp_path: Path):
    config = {"AGENTFIX__ALLOW_UNREVIEWED_RERUNS": "True"}
    with production(tmp_path, config=config) as one:
        yield one


def test_one_branch_and_one_rerun_though_workers_died_while_pushing_and_while_rerunning(here: Production, tmp_path: Path):
    pushed, checked = tmp_path / "killed-while-pushing", tmp_path / "killed-while-rerunning"
    here.prepend("dags/shop_daily_revenue.py", KILL_IN_IMPORT_CHECK.format(marker=str(checked)))
    hook = here.origin.path / "hooks" / "post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n" + KILL_ANCESTOR.format(marker=pushed))
    hook.chmod(0o755)  # after our own push, which would kill us

    here.fail("monday")
    session = here.done("monday")

    assert pushed.is_dir()
    assert checked.is_dir()
    assert session.outcome is Outcome.FIXED
    assert here.run_state("monday") == "success"
    assert here.branches() == [session.fix_branch, "main"]
    assert here.origin.git("rev-list", "--count", f"main..{session.fix_branch}") == "1"
    assert here.tasks("monday")["sum_revenue"].try_number == 2
    assert len(here.events(session, EventKind.RERUN)) == 1
    assert len(here.events(session, EventKind.FIX)) == 1
    assert len(here.events(session, EventKind.CLAIMED)) >= 3

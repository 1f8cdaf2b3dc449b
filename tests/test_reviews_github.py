"""What is said on GitHub reaches the session that opened the pull request: one triage run, every part of it over HTTP."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_agentfix.core.session import EventKind, Outcome, State
from airflow_agentfix.triage_rest import run_triage
from airflow_agentfix.triage_run import render
from tests.code.conftest import github_host
from tests.code.repos import make_origin
from tests.code.test_github_host import fix
from tests.fakes.deployment import API, Deployment
from tests.fakes.github import FakeGitHub
from tests.fakes.server import fix_data
from tests.fakes.sessions import numbered

SAID = (("anna", "@agentfix use y"), ("ben", "@agentfix use z"), ("anna", "> @agentfix use q"), ("octo-bot", "@agentfix x"))


def test_a_triage_run_brings_what_writers_say_to_the_agent_on_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with FakeGitHub(make_origin(tmp_path)) as github, Deployment(page=1) as airflow:
        opened, now = github_host(github).open_fix(fix(github)), datetime.now(UTC)
        github.people.collaborators |= {"anna": "write", "ben": "read"}
        for seconds, (author, text) in enumerate(SAID):
            github.people.say(1, author, text, at=(now + timedelta(seconds=seconds)).isoformat())
        github.people.remark(1, "anna", "/agentfix here too", path="a.py", line=3, at=(now + timedelta(seconds=9)).isoformat())
        airflow.add_dag("orders")
        columns = {"fix_branch": opened.branch, "fix_commit": opened.commit, "pull_request": opened.pull_request}
        airflow.add_session("s1", state=State.DONE, outcome=Outcome.PROPOSED, updated_at=now.isoformat(), **columns)
        airflow.events["s1"] = numbered((EventKind.FIX, "worker", {**fix_data(opened.commit), "branch": opened.branch}))
        repositories = [{"path": "/dags", "url": "http://127.0.0.1/acme/dags.git", "base_branch": "main"}]
        for name, value in {
            "AGENTFIX_AIRFLOW_URL": airflow.url,
            "GITHUB_TOKEN": github.token,
            "AIRFLOW__AGENTFIX__GITHUB_API_URL": github.api_url,
            "AIRFLOW__AGENTFIX__REPOSITORIES": json.dumps(repositories),
        }.items():
            monkeypatch.setenv(name, value)
        github.asked.clear()
        report = render(run_triage(now=now))
        told = airflow.sent("POST", f"{API}/sessions/s1/message")
    assert [(one["comment"]["author"], one["message"]) for one in told] == [("anna", "use y"), ("anna", "On a.py:3: here too")]
    assert "Comments for the agent: 3\n" in report
    assert "ben in https://github.test/acme/dags/pull/1#issuecomment-1002: not told: its author has no write access" in report
    assert "use z" not in report

"""The doctor: each problem is found and comes with a command or configuration line that ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.core.incident import DagFacts, Repository
from airflow_agentfix.doctor import Check, check_model, check_previews, check_repository, diagnose
from airflow_agentfix.doctor_ports import RestDeployment
from airflow_agentfix.errors import (
    AirflowForbidden,
    CodeHostForbidden,
    ConfigurationError,
    NoRepository,
    RepositoryUnreachable,
)
from airflow_agentfix.settings import Settings
from tests.fakes.deployment import API, Deployment
from tests.previews.world import SECRET, World

DAG = DagFacts("orders", "orders.py", bundle_name="shop", fileloc="/dags/orders.py")
REPOSITORY = Repository("file:///srv/dags.git", "main")


def healthy() -> Deployment:
    deployment = Deployment()
    for dag_id in ("agentfix_fix", "agentfix_ask"):
        deployment.add_dag(dag_id, bundle_name="agentfix")
    return deployment


def examined(airflow: Deployment, monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """The checks by name."""
    monkeypatch.setenv("AGENTFIX_AIRFLOW_URL", airflow.url)
    settings = Settings()
    checks = diagnose(RestDeployment(settings), settings, {})
    return {check.name: check for check in checks}


def test_a_healthy_deployment_has_no_problem(monkeypatch: pytest.MonkeyPatch):
    with healthy() as airflow:
        checks = examined(airflow, monkeypatch)
    assert {name: check.found for name, check in checks.items() if not check.ok} == {}
    assert set(checks) == {"login", "plugin", "database", "bundle: agentfix_fix", "bundle: agentfix_ask", "repository", "model"}


def break_login(airflow: Deployment) -> None:
    airflow.refuses_login = True


def remove_plugin(airflow: Deployment) -> None:
    airflow.plugin = False


def break_plugin(airflow: Deployment) -> None:
    airflow.refusals[f"GET {API}/health"] = (403, "no")


def remove_bundle(airflow: Deployment) -> None:
    airflow.dags.clear()


def pause(airflow: Deployment) -> None:
    airflow.dags["agentfix_ask"]["is_paused"] = True


def break_import(airflow: Deployment) -> None:
    del airflow.dags["agentfix_fix"]
    airflow.import_errors = [{"filename": "agentfix_fix.py", "bundle_name": "agentfix", "stack_trace": "x\nImportError: nope\n"}]


def unmigrated(airflow: Deployment) -> None:
    refuse_sessions(airflow, 503, "StoreOutdated", "AgentFix's tables are missing.")


def database_away(airflow: Deployment) -> None:
    refuse_sessions(airflow, 503, "StoreUnavailable", "database is locked")


def refuse_sessions(airflow: Deployment, status: int, kind: str, message: str) -> None:
    airflow.errors[f"GET {API}/sessions"] = (status, {"error": {"type": kind, "message": message}})


@pytest.mark.parametrize(
    ("damage", "name", "found", "fix"),
    [
        (break_login, "login", "refused", "airflow connections add agentfix_airflow"),
        (remove_plugin, "plugin", "does not exist", "pip install airflow-provider-agentfix"),
        (break_plugin, "plugin", "403", "airflow plugins"),
        (remove_bundle, "bundle: agentfix_fix", "no DAG agentfix_fix", "airflow_agentfix.bundles.AgentFixDags"),
        (pause, "bundle: agentfix_ask", "paused", "airflow dags unpause agentfix_ask"),
        (break_import, "bundle: agentfix_fix", "ImportError: nope", "airflow dags list-import-errors"),
        (unmigrated, "database", "tables are missing", "agentfix db migrate"),
        (database_away, "database", "database is locked", "[agentfix] sql_alchemy_conn"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_problem_is_found_with_its_fix(
    damage: Callable[[Deployment], None], name: str, found: str, fix: str, monkeypatch: pytest.MonkeyPatch
):
    with healthy() as airflow:
        damage(airflow)
        check = examined(airflow, monkeypatch)[name]
    assert not check.ok
    assert found in check.found
    assert fix in (check.fix or "")


def test_an_airflow_that_is_away_is_the_only_problem_told_and_the_model_still_is(monkeypatch: pytest.MonkeyPatch):
    with healthy() as airflow:
        pass
    checks = examined(airflow, monkeypatch)
    assert {name: check.ok for name, check in checks.items()} == {"login": False, "model": True}
    assert "AGENTFIX_AIRFLOW_URL" in (checks["login"].fix or "")


def raising(error: Exception) -> Callable[[Any], Any]:
    def ask(_: Any) -> Any:
        raise error

    return ask


@pytest.mark.parametrize(
    ("repository_of", "head", "found", "fix"),
    [
        (raising(NoRepository("no git bundle")), None, "no git bundle", '[agentfix] repositories = [{"path": "/dags", "url"'),
        (None, raising(CodeHostForbidden("refused")), "refused", "GITHUB_TOKEN"),
        (None, raising(RepositoryUnreachable("no route")), "no route", "git ls-remote"),
        (None, lambda _: None, "has no branch 'main'", "base_branch"),
    ],
    ids=["not configured", "login refused", "away", "no base branch"],
)
def test_a_repository_that_cannot_take_a_fix_is_a_problem(repository_of: Any, head: Any, found: str, fix: str):
    check = check_repository(DAG, repository_of or (lambda _: REPOSITORY), head or (lambda _: "c" * 40))
    assert not check.ok
    assert found in check.found
    assert fix in (check.fix or "")


def test_a_repository_with_its_base_branch_is_ready():
    assert check_repository(DAG, lambda _: REPOSITORY, lambda _: "c" * 40) == Check(
        "repository: orders", True, "file:///srv/dags.git, main at cccccccccccc"
    )


def test_a_bundle_that_is_not_configured_here_is_said_and_no_problem():
    check = check_repository(DAG, lambda _: None, raising(AssertionError("not asked")))
    assert (check.ok, check.found) == (True, "not checked: bundle 'shop' is not configured on this machine")


def test_one_dag_of_each_bundle_is_looked_at_and_none_of_our_own(monkeypatch: pytest.MonkeyPatch):
    with healthy() as airflow:
        for dag_id, bundle in (("orders", "shop"), ("stock", "shop"), ("mail", "crm")):
            airflow.add_dag(dag_id, bundle_name=bundle)
        checks = examined(airflow, monkeypatch)
    assert sorted(name for name in checks if name.startswith("repository")) == ["repository: mail", "repository: orders"]


def test_an_option_that_is_misspelt_is_found_for_airflow_ignores_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__AGENTFIX__AUTONMY", "report")
    monkeypatch.setenv("AIRFLOW__AGENTFIX__AUDIT_KEY_CMD", "echo key")
    with healthy() as airflow:
        check = examined(airflow, monkeypatch)["options"]
    assert (check.ok, check.found) == (False, "[agentfix] has no option autonmy")
    assert "Did you mean autonomy?" in str(check.fix)


def test_the_policy_of_each_repository_is_looked_at_as_the_api_server_finds_it(monkeypatch: pytest.MonkeyPatch):
    with healthy() as airflow:
        airflow.add_dag("orders")
        assert examined(airflow, monkeypatch)["policy: orders"] == Check("policy: orders", True, "autonomy rerun, by [agentfix]")
        airflow.policy_problem = ".agentfix.yaml at main: 'autonmy' was unexpected"
        broken = examined(airflow, monkeypatch)["policy: orders"]
    assert (broken.ok, broken.found) == (False, airflow.policy_problem)
    assert "agentfix policy check" in str(broken.fix)


@pytest.mark.parametrize(
    ("settings", "environ", "connection", "ok", "found"),
    [
        (Settings(offline=True), {"ANTHROPIC_API_KEY": "k"}, True, True, "rules model, offline as configured"),
        (Settings(), {}, True, True, "by connection anthropic_default"),
        (Settings(), {"ANTHROPIC_API_KEY": "k"}, False, True, "by ANTHROPIC_API_KEY"),
        (Settings(), {}, False, True, "rules model: no connection and no ANTHROPIC_API_KEY"),
        (Settings(), {"ANTHROPIC_API_KEY": ""}, False, True, "rules model: no connection and no ANTHROPIC_API_KEY"),
        (Settings(), {"ANTHROPIC_API_KEY": " "}, False, False, "ANTHROPIC_API_KEY is blank"),
    ],
)
def test_the_model_that_will_work_is_named(settings: Settings, environ: dict[str, str], connection: bool, ok: bool, found: str):
    check = check_model(settings, environ, lambda _: connection)
    assert check.ok is ok
    assert found in check.found


def test_a_login_that_may_not_read_connections_is_no_problem_of_the_model():
    assert check_model(Settings(), {"ANTHROPIC_API_KEY": "k"}, raising(AirflowForbidden("no"))).ok


def test_the_command_prints_problems_with_their_fix_and_exits_with_3(tmp_path: Path):
    with healthy() as airflow:
        pause(airflow)
        environ = {"PATH": os.environ["PATH"], "AIRFLOW_HOME": str(tmp_path), **airflow.environ}
        command = [sys.executable, "-m", "airflow_agentfix", "doctor"]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        told = subprocess.run([*command, "--json"], env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, told.returncode) == (3, 3)
    assert "problem bundle: agentfix_ask: agentfix_ask is paused\n        → airflow dags unpause agentfix_ask\n" in done.stdout
    assert [check["name"] for check in json.loads(told.stdout) if not check["ok"]] == ["bundle: agentfix_ask"]


def test_previews_need_their_repository_and_a_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    world = World.make(tmp_path)
    world.rate("fix/one", "1")
    bundle = {"classpath": "airflow_agentfix.bundles.AgentFixPreviews"}
    bundles = [
        {**bundle, "name": "sound", "kwargs": {"repo_url": str(world.origin)}},
        {**bundle, "name": "away", "kwargs": {"repo_url": str(tmp_path / "away.git")}},
    ]
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps(bundles))
    with healthy() as airflow:
        monkeypatch.setenv("AGENTFIX_AIRFLOW_URL", airflow.url)
        settings = Settings(signing_key=SECRET)
        checks = {check.name: check for check in diagnose(RestDeployment(settings), settings, {})}
    assert checks["previews: sound"] == Check("previews: sound", True, "1 approved fix branch in its repository")
    assert not checks["previews: away"].ok
    assert "Check the repository's URL" in checks["previews: away"].found


def test_previews_without_a_key_are_a_problem():
    (check,) = check_previews(lambda: raising(ConfigurationError("no key"))(None))
    assert (check.ok, check.found) == (False, "no key")
    assert "[agentfix] signing_key" in str(check.fix)

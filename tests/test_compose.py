"""docker-compose.yaml, judged by the real compose and by Airflow; no engine is needed for either."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.build import CHECKOUT, build

COMPOSE = Path(sys.executable).parent / "docker-compose"
AIRFLOW = ("api-server", "dag-processor", "init", "scheduler", "triggerer")
BUNDLES = "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST"


def compose(*arguments: str, **environ: str) -> str:
    known = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **environ}
    command = [str(COMPOSE), "-f", str(CHECKOUT / "docker-compose.yaml"), "config", *arguments]
    done = subprocess.run(command, env=known, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # a variable that is not set would be warned of
    return done.stdout


@cache
def services() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(compose("--format", "json"))["services"]
    return found


def environment(service: str, **environ: str) -> dict[str, str]:
    """What a container gets; a variable that is only passed on is there where `environ` has it."""
    of = json.loads(compose("--format", "json", **environ))["services"] if environ else services()
    return {name: value for name, value in of[service]["environment"].items() if value is not None}


def test_compose_accepts_the_file():
    assert compose("-q") == ""


def test_the_services_are_airflows_own_and_postgres():
    assert sorted(services()) == sorted([*AIRFLOW, "postgres"])


@pytest.mark.parametrize("service", AIRFLOW)
def test_every_airflow_service_has_the_same_bundles_login_and_secrets(service: str):
    own = {name: value for name, value in environment(service).items() if not name.startswith("PASSWORD_OF_")}
    assert own == environment("scheduler")
    bundles = {bundle["name"]: bundle["classpath"] for bundle in json.loads(own[BUNDLES])}
    assert bundles == {
        "agentfix": "airflow_agentfix.bundles.AgentFixDags",
        "shop": "airflow.providers.git.bundles.git.GitDagBundle",
    }


@pytest.mark.parametrize("service", AIRFLOW)
def test_every_airflow_service_is_of_the_one_image_that_init_builds(service: str):
    assert services()[service]["image"] == services()["init"]["image"]
    assert ("build" in services()[service]) == (service == "init")


def test_the_image_has_airflow_3_3_git_and_the_checkout():
    steps = services()["init"]["build"]["dockerfile_inline"].replace("$$", "$")
    assert steps.startswith("FROM apache/airflow:3.3.")
    assert " git " in steps
    assert 'pip install --no-cache-dir "apache-airflow==${AIRFLOW_VERSION}" /opt/agentfix' in steps
    assert steps.index("USER root") < steps.index("USER airflow") < steps.index("COPY --chown=airflow:0 . /opt/agentfix")


def test_what_docker_copies_is_enough_to_build_the_package(tmp_path: Path):
    context = tmp_path / "context"
    for line in (CHECKOUT / ".dockerignore").read_text().splitlines():
        if line.startswith("!"):
            source, target = CHECKOUT / line[1:], context / line[1:]
            context.mkdir(exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
    (tmp_path / "wheel").mkdir()
    assert build(context, tmp_path / "wheel", target="wheel").name.startswith("airflow_provider_agentfix-")


def test_tables_are_made_before_anything_starts_and_the_api_answers_before_tasks_run():
    for service in set(AIRFLOW) - {"init"}:
        assert services()[service]["depends_on"]["init"]["condition"] == "service_completed_successfully"
        assert services()[service]["healthcheck"]["test"]
    assert services()["init"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    assert services()["scheduler"]["depends_on"]["api-server"]["condition"] == "service_healthy"
    command = services()["init"]["command"][-1]
    assert command.index("airflow db migrate") < command.index("agentfix db migrate")


def test_only_this_machine_reaches_the_published_port():
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert [(port["host_ip"], port["published"]) for port in published] == [("127.0.0.1", "8080")]


def test_keys_are_passed_on_only_where_the_shell_has_them():
    keys = {"ANTHROPIC_API_KEY": "k", "GITHUB_TOKEN": "t"}
    without = environment("scheduler")
    assert keys.keys() & without.keys() == set()
    given = environment("scheduler", **keys)
    assert {name: given[name] for name in keys} == keys


def test_every_secret_can_be_set_from_outside():
    names = ["AGENTFIX_AUDIT_KEY", "AGENTFIX_PASSWORD", "AIRFLOW_ADMIN_PASSWORD", "AIRFLOW_FERNET_KEY", "AIRFLOW_JWT_SECRET"]
    names += ["AIRFLOW_SECRET_KEY", "POSTGRES_PASSWORD"]
    resolved = compose("--format", "json", **{name: f"from-outside-{name}" for name in names})
    assert [name for name in names if f"from-outside-{name}" not in resolved] == []
    assert re.findall(r"local-trial-only[\w-]*", resolved) == []


IN_AIRFLOW = """
import json, os
from airflow.configuration import conf
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow_agentfix.airflow_login import find_login
from airflow_agentfix.settings import OPTIONS, Settings
names = [name.split("__")[1:] for name in os.environ if name.startswith("AIRFLOW__")]
login = find_login(Settings.load(), environ={})
known = {(section, option) for section, options in conf.configuration_description.items() for option in options["options"]}
known |= {("agentfix", option) for option in OPTIONS}
print(json.dumps({
    "unknown": [name for name in names if tuple(part.lower() for part in name) not in known],
    "bundles": sorted(bundle.name for bundle in DagBundlesManager().get_all_dag_bundles()),
    "approvers": Settings.load().approvers,
    "login": [login.url, login.username, login.password],
}))
"""


def test_airflow_knows_every_option_and_reads_bundles_login_and_settings(tmp_path: Path):
    own = {**environment("scheduler"), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/airflow.db"}
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    environ = {**clean, **own, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", IN_AIRFLOW], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "unknown": [],
        "bundles": ["agentfix", "shop"],
        "approvers": ["admin"],
        "login": ["http://api-server:8080", "agentfix", "agentfix"],
    }

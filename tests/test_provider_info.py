"""The provider, as Airflow's own discovery reads it in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from importlib.metadata import entry_points, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import pytest

from airflow_agentfix.provider_info import get_provider_info
from airflow_agentfix.settings import OPTIONS, SECTION, Settings

DISCOVER = """
import json, logging
logging.basicConfig(level="WARNING")
from airflow.providers_manager import ProvidersManager
from airflow.configuration import conf
manager = ProvidersManager()
manager.initialize_providers_configuration()
manager.initialize_providers_hooks(); manager.initialize_providers_extra_links(); manager.initialize_providers_notifications()
hook = manager.hooks["agentfix_airflow"]
print(json.dumps({
    "version": manager.providers["airflow-provider-agentfix"].version,
    "hook": hook and hook.hook_name,
    "fields": manager.field_behaviours.get("agentfix_airflow"),
    "links": sorted(name for name in manager.extra_links_class_names if "agentfix" in name),
    "notifiers": sorted(name for name in manager.notification if "agentfix" in name),
    "model": conf.get("agentfix", "model"), "secret": ("agentfix", "audit_key") in conf.sensitive_config_values,
}))
"""

AIRFLOW = tuple(int(part) for part in version("apache-airflow-core").split(".")[:2])


def run(*command: str, home: str, **environ: str) -> subprocess.CompletedProcess[str]:
    every = {**os.environ, "AIRFLOW_HOME": home, "AIRFLOW__CORE__LOAD_EXAMPLES": "False", **environ}
    return subprocess.run(command, env=every, capture_output=True, text=True, check=False)


@cache
def discovered() -> dict[str, Any]:
    with TemporaryDirectory() as home:
        done = run(sys.executable, "-c", DISCOVER, home=home)
    assert done.returncode == 0, done.stderr
    *printed, answer = done.stdout.splitlines()
    said = [line for line in [*printed, *done.stderr.splitlines()] if "agentfix" in line and "[info" not in line]
    return {**json.loads(answer), "said": said}


def test_airflow_discovers_the_provider_without_a_complaint():
    assert (discovered()["version"], discovered()["said"]) == ("0.1.0", [])


def test_the_connection_type_has_its_form():
    if AIRFLOW < (3, 2):
        pytest.importorskip("flask_appbuilder", reason="Airflow 3.1 draws connection forms with it")
    assert discovered()["hook"] == "AgentFix: Airflow's REST API"
    assert discovered()["fields"]["relabeling"]["host"] == "Airflow's address"


def test_links_and_notifier_are_registered():
    links = [f"airflow_agentfix.operators.agentfix.{name}" for name in ("FailedRunLink", "PullRequestLink")]
    assert discovered()["links"] == links
    assert discovered()["notifiers"] == ["airflow_agentfix.notifier.AgentFixNotifier"]


def test_the_config_section_has_its_defaults_and_knows_its_secrets():
    assert (discovered()["model"], discovered()["secret"]) == (Settings().model, True)


def test_what_airflow_gives_for_every_default_is_the_products_default():
    options = get_provider_info()["config"][SECTION]["options"]
    assert Settings.from_mapping({name: option["default"] for name, option in options.items()}) == Settings()


def test_every_setting_is_an_option_and_every_option_a_setting():
    of_airflow = {"base_url"}  # read from [api], not ours to set
    assert (
        set(get_provider_info()["config"][SECTION]["options"]) == set(OPTIONS) == set(Settings.__dataclass_fields__) - of_airflow
    )


def test_the_provider_info_is_valid_by_airflows_schema():
    import airflow

    schema = json.loads((Path(airflow.__path__[0]) / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_plugin_is_registered_by_its_entry_point_alone():
    assert "plugins" not in get_provider_info()
    assert [one.value for one in entry_points(group="airflow.plugins") if one.name == SECTION] == [
        "airflow_agentfix.plugin:AgentFixPlugin"
    ]


def test_airflow_lists_the_section_with_examples(tmp_path: Path):
    command = (sys.executable, "-m", "airflow", "config", "list", "--section", SECTION, "--include-examples")
    done = run(*command, home=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "repositories = " in done.stdout


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_an_example_is_accepted_by_its_own_option(name: str):
    example = OPTIONS[name].example
    if example is not None:
        OPTIONS[name].read(example)

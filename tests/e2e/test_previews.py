"""Previews on a real Airflow: an approved fix is a DAG that runs, a broken one an import error; both go with their branch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.airflow_login import connect
from airflow_agentfix.core.previews import commit_tag
from airflow_agentfix.demo.standalone import Standalone
from airflow_agentfix.errors import AirflowNotFound, AirflowUnreachable
from airflow_agentfix.settings import Settings
from tests.e2e.production import until
from tests.once import airflow_database
from tests.previews.world import SECRET, World
from tests.witnesses import witness

pytestmark = pytest.mark.e2e

SHOP = """
from airflow.sdk import DAG, Asset, task
from shop.money import RATE

with DAG("shop", schedule="@daily"):
    @task(outlets=[Asset("revenue")])
    def total(x, outlet_events):
        from shop.late import NAME
        outlet_events[Asset("revenue")].extra = {"of": NAME}
        assert (RATE, NAME) == ("branch", "late branch"), (RATE, NAME)
        return NAME
    total.expand(x=[1, 2])
"""
BASE = {"dags/shop_dag.py": SHOP, "dags/shop/money.py": "RATE = 'base'\n", "dags/shop/late.py": "NAME = 'late base'\n"}
SOUND = {"dags/shop/money.py": "RATE = 'branch'\n", "dags/shop/late.py": "NAME = 'late branch'\n"}


@dataclass
class Here:
    """The deployment and what its REST API shows."""

    world: World
    airflow: RestAirflowApi
    http: AirflowHttp
    standalone: Standalone

    def has(self, dag_id: str) -> bool:
        try:
            return dag_id in self.airflow.dag_ids()
        except (AirflowNotFound, AirflowUnreachable):
            return False

    def import_error(self, file: str) -> str:
        return "".join(str(one["stack_trace"]) for one in self.airflow.import_errors() if one["filename"] == file)

    def said(self) -> str:
        return f"{self.airflow.dag_ids()}\n{list(self.airflow.import_errors())}\n{self.standalone.tail(60)}"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    folder = tmp_path_factory.mktemp("previews")
    world = World.make(folder / "git", BASE)
    place = {"repo_url": str(world.origin), "subdir": "dags", "refresh_interval": 3}
    bundles = [
        {
            "name": "shop",
            "classpath": "airflow.providers.git.bundles.git.GitDagBundle",
            "kwargs": {**place, "tracking_ref": "main"},
        },
        {"name": "previews", "classpath": "airflow_agentfix.bundles.AgentFixPreviews", "kwargs": place},
    ]
    airflow_database(folder / "airflow")
    with Standalone(folder / "airflow", bundles=bundles, config={"AGENTFIX__SIGNING_KEY": SECRET}) as standalone:
        http = connect(Settings(), environ={"AGENTFIX_AIRFLOW_URL": standalone.url})
        here = Here(world, RestAirflowApi(http), http, standalone)
        with witness("Airflow", here.said):
            yield here


def test_an_approved_fix_runs_as_a_dag_of_its_own_a_broken_one_is_an_import_error_and_both_go(here: Here) -> None:
    world = here.world
    commit = world.fix("fix/sound", SOUND)
    world.fix("fix/broken", {"dags/shop/money.py": "RATES = 1\n"})
    world.fix("fix/waiting", {"dags/shop/money.py": "RATE = 'not approved'\n"}, approved=False)
    until(lambda: here.has("shop") and here.has("shop.fix-sound"), "production and preview side by side")
    until(lambda: bool(here.import_error("fix-broken.py")), "the broken branch's import error")

    assert "cannot import name 'RATE'" in here.import_error("fix-broken.py")
    assert "preview of DAG 'shop' as branch 'fix/broken'" in here.import_error("fix-broken.py")
    assert not here.has("shop.fix-waiting")
    shown = here.http.json("GET", "/api/v2/dags/shop.fix-sound")
    assert (shown["is_paused"], shown["timetable_summary"], shown["bundle_name"]) == (False, None, "previews")
    assert {tag["name"] for tag in shown["tags"]} == {"agentfix", commit_tag(commit)}
    assert here.http.json("GET", "/api/v2/dags/shop")["timetable_summary"] is not None

    here.airflow.trigger("shop.fix-sound", run_id="rerun", conf={})
    until(lambda: here.airflow.run("shop.fix-sound", "rerun").state in ("success", "failed"), "the preview's run ended")
    states = {(task.task_id, task.map_index): task.state for task in here.airflow.task_instances("shop.fix-sound", "rerun")}
    assert states == {("total", 0): "success", ("total", 1): "success"}
    assert here.http.json("GET", "/api/v2/assets/events")["asset_events"] == []

    world.delete("fix/broken")
    world.withdraw(commit)
    until(lambda: not here.has("shop.fix-sound"), "the preview is gone")
    until(lambda: not here.import_error("fix-broken.py"), "the import error is gone")
    assert here.has("shop")

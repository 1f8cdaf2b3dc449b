"""Reruns that are runs of their own, on this Airflow's real database: what they are like, what of them is skipped, who ended
them, and how a preview's DAG and its import error are found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from airflow.models import DagRun, TaskInstance
from airflow.models.asset import AssetEvent
from airflow.utils.session import create_session
from sqlalchemy import select

from airflow_agentfix.airflow_inside import AirflowInside
from airflow_agentfix.core.previews import commit_tag
from airflow_agentfix.errors import AirflowNotFound, RerunImpossible
from airflow_agentfix.ports import Preview, RunLike
from airflow_agentfix.rerun.preview import bundle_of
from tests.inside.database import FIX, Deployment

_number = count()
RERUN = "agentfix__s1__rerun1"
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
SHOP = """
with DAG("{dag_id}", schedule=None, params={{"day": 1, "branch": "main"}}{options}):
    @task
    def extract(): ...
    @task
    def transform(): ...
    @task
    def load(): ...
    @task
    def prices(): ...
    @task
    def report(): ...
    @task
    def other(): ...
    reported = report()
    extract() >> transform() >> load() >> reported
    prices() >> reported
    other()
"""
HAS_PARTITIONS = hasattr(DagRun, "partition_key")


@pytest.fixture
def inside() -> AirflowInside:
    return AirflowInside(patience=0.2, settle=0)


def shop(airflow: Deployment, name: str | None = None, *, options: str = "") -> str:
    """extract >> transform >> load >> report << prices, and `other` beside them."""
    return airflow.add_dag(SHOP.format(dag_id=name or f"like_{next(_number)}", options=options))


def failed(airflow: Deployment, **columns: Any) -> str:
    """The DAG of a failed run of Monday, whose conf says day 3."""
    dag_id = shop(airflow)
    airflow.add_run(dag_id, {"extract": "success", "transform": "failed", "load": "upstream_failed"})
    interval = {"data_interval_start": MONDAY - timedelta(days=1), "data_interval_end": MONDAY}
    airflow.change_run(dag_id, **{"logical_date": MONDAY, **interval, "conf": {"day": 3}, **columns})
    return dag_id


def like(dag_id: str, of: str, **changes: Any) -> RunLike:
    wanted: dict[str, Any] = {
        "run_id": RERUN,
        "conf": {},
        "task_ids": ("transform",),
        "scope": "dag",
        "note": "n",
    }
    return RunLike(**{**wanted, "dag_id": dag_id, "like_dag_id": of, "like_run_id": "r1", **changes})


def run_of(dag_id: str, run_id: str = RERUN) -> DagRun:
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        assert run is not None
        session.expunge(run)
        return run


def skipped(dag_id: str) -> set[str]:
    with create_session() as session:
        of_run = select(TaskInstance).where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == RERUN)
        return {instance.task_id for instance in session.scalars(of_run) if instance.state == "skipped"}


def test_a_previews_run_has_the_failed_runs_date_interval_and_conf(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id, preview = failed(airflow), shop(airflow)
    inside.start_like(like(preview, dag_id))
    run = run_of(preview)
    assert (run.logical_date, run.data_interval_start, run.data_interval_end) == (MONDAY, MONDAY - timedelta(days=1), MONDAY)
    assert (run.conf, str(run.state)) == ({"day": 3}, "queued")


def test_conf_is_laid_over_the_failed_runs(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow)
    inside.start_like(like(dag_id, dag_id, conf={"branch": "fix/shop"}))
    assert run_of(dag_id).conf == {"day": 3, "branch": "fix/shop"}


def test_on_its_own_dag_a_rerun_has_the_next_free_moment_of_the_same_interval(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow)
    inside.start_like(like(dag_id, dag_id))
    inside.start_like(like(dag_id, dag_id, run_id="agentfix__s1__rerun2"))
    dates = [run_of(dag_id).logical_date, run_of(dag_id, "agentfix__s1__rerun2").logical_date]
    assert dates == [MONDAY + timedelta(microseconds=1), MONDAY + timedelta(microseconds=2)]
    assert run_of(dag_id).data_interval_end == MONDAY


def test_a_run_without_a_logical_date_is_rerun_without_one(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow, logical_date=None, data_interval_start=None, data_interval_end=None)
    inside.start_like(like(dag_id, dag_id))
    assert run_of(dag_id).logical_date is None


def test_a_rerun_has_the_asset_events_that_triggered_the_failed_run(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id, preview = failed(airflow), shop(airflow)
    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id))
        run.consumed_asset_events.append(AssetEvent(asset_id=7, extra={"rows": 3}))
    inside.start_like(like(preview, dag_id))
    with create_session() as session:
        runs = session.scalars(select(DagRun).where(DagRun.dag_id.in_([dag_id, preview]))).all()
        assert [[event.extra for event in run.consumed_asset_events] for run in runs] == [[{"rows": 3}]] * 2


@pytest.mark.skipif(not HAS_PARTITIONS, reason="partitions are newer than this Airflow")
def test_a_rerun_is_of_the_same_partition(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id, preview = failed(airflow, partition_key="2026-W47"), shop(airflow)
    inside.start_like(like(preview, dag_id))
    assert run_of(preview).partition_key == "2026-W47"


@pytest.mark.parametrize(("scope", "left_out"), [
    ("dag", set()),
    ("downstream", {"other"}),
    ("task", {"load", "report", "prices", "other"}),
])  # fmt: skip
def test_what_is_out_of_scope_is_skipped_from_the_start(
    airflow: Deployment, inside: AirflowInside, scope: str, left_out: set[str]
) -> None:
    dag_id, preview = failed(airflow), shop(airflow)
    judging = inside.start_like(like(preview, dag_id, scope=scope))
    assert skipped(preview) == left_out
    assert judging == ("load", "report", "transform")


def test_a_fix_that_removed_the_failed_task_runs_whole_and_is_judged_whole(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id, preview = failed(airflow), shop(airflow)
    judging = inside.start_like(like(preview, dag_id, task_ids=("renamed",), scope="task"))
    assert (skipped(preview), len(judging)) == (set(), 6)


def test_a_run_that_is_there_is_left_alone(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id, preview = failed(airflow), shop(airflow)
    first = inside.start_like(like(preview, dag_id))
    airflow.set_states(preview, {"transform": "success"}, run_id=RERUN, state="success")
    assert inside.start_like(like(preview, dag_id)) == first
    assert str(run_of(preview).state) == "success"


def test_a_run_that_airflow_refuses_says_why(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow, conf={"day": "soon"})
    strict = airflow.add_dag(f"""
from airflow.sdk import Param
with DAG("strict_{next(_number)}", schedule=None, params={{"day": Param(1, type="integer")}}):
    @task
    def transform(): ...
    transform()
""")
    with pytest.raises(RerunImpossible, match=r"Airflow refuses a run of 'strict_\d+' like 'r1'.*soon"):
        inside.start_like(like(strict, dag_id))
    with create_session() as session:
        assert session.scalar(select(DagRun).where(DagRun.dag_id == strict)) is None


def test_a_run_of_a_paused_dag_is_refused_and_what_is_there_already_is_told(airflow: Deployment, inside: AirflowInside) -> None:
    from airflow.models import DagModel

    dag_id, preview = failed(airflow), shop(airflow)
    first = inside.start_like(like(preview, dag_id))
    with create_session() as session:
        session.get(DagModel, preview).is_paused = True
    assert inside.start_like(like(preview, dag_id)) == first
    with pytest.raises(RerunImpossible, match=f"airflow dags unpause {preview}"):
        inside.start_like(like(preview, dag_id, run_id="agentfix__s1__rerun2"))


def test_a_dag_that_is_not_there_is_not_found(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow)
    with pytest.raises(AirflowNotFound, match="No DAG 'gone'"):
        inside.start_like(like("gone", dag_id))


def test_params_and_conf_are_as_the_dag_and_the_run_have_them(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = failed(airflow)
    assert inside.params(dag_id) == {"day": 1, "branch": "main"}
    assert inside.run_conf(dag_id, "r1") == {"day": 3}
    with pytest.raises(AirflowNotFound):
        inside.run_conf(dag_id, "r2")


# --- previews


def preview_of(dag_id: str, *, bundle: str = "plain", commit: str = FIX) -> Preview:
    return Preview(bundle, dag_id, f"{dag_id}.py", commit)


def test_a_preview_is_served_by_its_bundle_on_its_commit_alone(airflow: Deployment, inside: AirflowInside) -> None:
    dag_id = airflow.add_dag(
        SHOP.format(dag_id=f"preview_{next(_number)}", options=f', tags=["{commit_tag(FIX)}"]'), bundle="plain", version=None
    )
    assert inside.is_served(preview_of(dag_id))
    assert not inside.is_served(preview_of(dag_id, commit="e" * 40))
    assert not inside.is_served(preview_of(dag_id, bundle="shop"))
    assert not inside.is_served(preview_of("gone"))


def test_a_preview_whose_branch_is_gone_is_not_served(airflow: Deployment, inside: AirflowInside) -> None:
    from airflow.models import DagModel

    dag_id = airflow.add_dag(
        SHOP.format(dag_id=f"preview_{next(_number)}", options=f', tags=["{commit_tag(FIX)}"]'), bundle="plain", version=None
    )
    with create_session() as session:
        session.get(DagModel, dag_id).is_stale = True
    assert not inside.is_served(preview_of(dag_id))


def test_the_import_error_is_that_of_the_previews_own_loader(airflow: Deployment, inside: AirflowInside) -> None:
    from airflow.models.errors import ParseImportError

    with create_session() as session:
        session.add(ParseImportError(bundle_name="plain", filename="broken.py", stacktrace="NameError: revnue", timestamp=MONDAY))
    assert inside.preview_error(Preview("plain", "broken", "broken.py", FIX)) == "NameError: revnue"
    assert inside.preview_error(Preview("shop", "broken", "broken.py", FIX)) is None
    assert inside.preview_error(Preview("plain", "fine", "fine.py", FIX)) is None


class Connection:
    host = "https://bot:secret@git.example.com/acme/dags"


@pytest.mark.parametrize(("kwargs", "url"), [
    ({"repo_url": "https://git.example.com/acme/dags.git"}, "https://git.example.com/acme/dags"),
    ({"repo_url": "https://git.example.com/acme/dags"}, "https://git.example.com/acme/dags.git/"),
    ({"git_conn_id": "acme"}, "https://git.example.com/acme/dags.git"),
])  # fmt: skip
def test_the_bundle_of_previews_is_the_one_of_the_fixs_repository(kwargs: dict[str, str], url: str) -> None:
    other = {"name": "dags", "classpath": "airflow.providers.git.bundles.git.GitDagBundle", "kwargs": kwargs}
    config = [other, {"name": "previews", "classpath": "airflow_agentfix.bundles.AgentFixPreviews", "kwargs": kwargs}]
    assert bundle_of(url, config, lambda _: Connection()) == "previews"
    assert bundle_of("https://git.example.com/acme/other", config, lambda _: Connection()) is None


# --- ended by hand


@pytest.fixture
def api(database: Path) -> Iterator[Any]:
    """Airflow's own REST API, asked by uma."""
    from airflow.api_fastapi.app import create_app, purge_cached_app
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from starlette.testclient import TestClient

    purge_cached_app()
    app = create_app(apps="core")
    token = app.state.auth_manager.generate_jwt(SimpleAuthManagerUser(username="uma", role="admin"))
    with TestClient(app, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client
    purge_cached_app()


def by_hand(inside: AirflowInside, dag_id: str, *, since: datetime = MONDAY - timedelta(days=9)) -> str | None:
    return inside.ended_by_hand(dag_id, "r1", task_ids=("transform", "load"), since=since.isoformat())


def patched(api: Any, dag_id: str, path: str = "", **body: Any) -> None:
    answer = api.patch(
        f"/api/v2/dags/{dag_id}/dagRuns/r1{path}", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 200, answer.text


def test_who_marked_a_run_is_told_and_who_noted_it_is_not(airflow: Deployment, inside: AirflowInside, api: Any) -> None:
    dag_id = failed(airflow)
    patched(api, dag_id, note='looking at its state, "state": failed')
    assert by_hand(inside, dag_id) is None
    patched(api, dag_id, state="success")
    assert by_hand(inside, dag_id) == "uma (patch_dag_run)"
    assert by_hand(inside, dag_id, since=datetime.now(UTC) + timedelta(minutes=1)) is None


def test_who_marked_a_task_of_the_rerun_is_told_and_of_another_task_is_not(
    airflow: Deployment, inside: AirflowInside, api: Any
) -> None:
    dag_id = failed(airflow)
    patched(api, dag_id, "/taskInstances/other", new_state="success")
    assert by_hand(inside, dag_id) is None
    patched(api, dag_id, "/taskInstances/transform", new_state="success")
    assert by_hand(inside, dag_id) == "uma (patch_task_instance)"


def test_who_deleted_a_run_is_told(airflow: Deployment, inside: AirflowInside, api: Any) -> None:
    dag_id = failed(airflow)
    assert api.delete(f"/api/v2/dags/{dag_id}/dagRuns/r1").status_code == 204
    assert by_hand(inside, dag_id) == "uma (delete_dag_run)"

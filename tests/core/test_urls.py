"""Addresses of Airflow's pages."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.urls import UiPage, parse_ui_url
from airflow_agentfix.errors import InvalidRequest

BASE = "https://airflow.example.com/team"
PAGE = f"{BASE}/dags/shop/runs/manual__2026-11-22T10%3A00%3A00%2B00%3A00/tasks/load.rows"
RUN = "manual__2026-11-22T10:00:00+00:00"


@pytest.mark.parametrize(
    ("url", "page"),
    [
        (PAGE, UiPage("shop", RUN, "load.rows")),
        (f"{PAGE}/mapped/7?try_number=2", UiPage("shop", RUN, "load.rows", 7, 2)),
        (f"{PAGE}/plugin/agentfix?x=1#top", UiPage("shop", RUN, "load.rows")),
        (f"{BASE}/dags/shop", UiPage("shop")),
        (f"{BASE}/dags/runs/runs/tasks/tasks/dags", UiPage("runs", "tasks", "dags")),
        (f"{BASE}/dags/shop/runs/r1/tasks/group/transform", UiPage("shop", "r1")),
        (f"{BASE}/dags/shop/runs/r1/", UiPage("shop", "r1")),
    ],
)
def test_ids_are_taken_from_a_page(url: str, page: UiPage) -> None:
    assert parse_ui_url(url, base_url=BASE) == page


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/team/dags/shop",
        "https://airflow.example.com/other/dags/shop",
        "https://airflow.example.com/teammate/dags/shop",
        "https://airflow.example.com:8443/team/dags/shop",
        "https://airflow.example.com:x/team/dags/shop",
    ],
)
def test_a_page_of_another_airflow_is_refused(url: str) -> None:
    with pytest.raises(InvalidRequest, match="not a page of the Airflow at"):
        parse_ui_url(url, base_url=BASE)


def test_a_page_about_no_dag_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="about no DAG"):
        parse_ui_url(f"{BASE}/connections", base_url=BASE)


def test_loopback_is_one_host_by_any_name() -> None:
    assert parse_ui_url("http://localhost:8080/dags/shop", base_url="http://127.0.0.1:8080").dag_id == "shop"

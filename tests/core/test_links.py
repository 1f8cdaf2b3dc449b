"""From a session to the failed run, its own run, the pull request and the rerun."""

from __future__ import annotations

import pytest

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.links import Links, links_of
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.urls import UiPage, parse_ui_url, ui_url, web_address
from tests.fakes.session_client import AT

REF = TaskRef("shop daily", "manual__2026-11-22T06:00:00+00:00", "etl.load/all", 2, 7)
PULL = "https://github.example/acme/dags/pull/7"


def events(pull_request: object = PULL) -> list[Event]:
    return [
        Event(1, EventKind.CLAIMED, "worker", AT, {"worker": "agentfix_fix/agentfix__s1__1/drive/1"}),
        Event(2, EventKind.CLAIMED, "worker", AT, {"worker": "agentfix_fix/agentfix__s1__2/drive/1"}),
        Event(3, EventKind.FIX, "worker", AT, {"pull_request": pull_request}),
        Event(4, EventKind.RERUN, "server", AT, {"dag_id": "shop daily.fix-a", "run_id": "agentfix__s1"}),
    ]


@pytest.mark.parametrize("base", ["https://air.example/airflow", "https://air.example/airflow/"])
def test_a_page_that_was_made_is_read_again_with_the_base_path(base: str) -> None:
    url = ui_url(base, REF.dag_id, REF.run_id, REF.task_id, map_index=REF.map_index, try_number=REF.try_number)
    assert url.startswith("https://air.example/airflow/dags/shop%20daily/runs/manual__2026-11-22T06%3A00%3A00%2B00%3A00/tasks/")
    assert parse_ui_url(url, base_url=base) == UiPage(*(REF.dag_id, REF.run_id, REF.task_id, 7, 2))
    assert parse_ui_url(ui_url(base, "a", "r"), base_url=base) == UiPage("a", "r")


def test_a_session_leads_to_all_it_is_about() -> None:
    assert links_of(REF, events(), base_url="http://air") == Links(
        failed_run="http://air/dags/shop%20daily/runs/manual__2026-11-22T06%3A00%3A00%2B00%3A00/tasks/etl.load%2Fall/mapped/7"
        "?try_number=2",
        fix_run="http://air/dags/agentfix_fix/runs/agentfix__s1__2",
        pull_request=PULL,
        rerun="http://air/dags/shop%20daily.fix-a/runs/agentfix__s1",
    )


@pytest.mark.parametrize(("base", "shown"), [("https://air.example/a/", "https://air.example/a"), ("", ""), ("javascript:x", "")])
def test_a_session_leads_to_its_own_page_where_it_has_one(base: str, shown: str) -> None:
    assert links_of(REF, [], base_url=base, page_of="s/1").session == f"{shown}/agentfix/sessions/s%2F1"
    assert links_of(REF, [], base_url=base).session is None


@pytest.mark.parametrize("base", ["", "air.example", "javascript:alert(1)", "https://air.example/a b"])
def test_without_an_address_of_airflow_there_are_paths(base: str) -> None:
    assert links_of(TaskRef("a", "r", "t", 0), [], base_url=base) == Links("/dags/a/runs/r/tasks/t")


def test_what_was_erased_leads_nowhere() -> None:
    erased = [Event(n, event.kind, "worker", AT, {}) for n, event in enumerate(events(), 1)]
    assert links_of(TaskRef("a", "r", "t", 1), erased, base_url="") == Links("/dags/a/runs/r/tasks/t?try_number=1")


@pytest.mark.parametrize(
    "text",
    ["http://x y", "https://x/)[evil](http://y", "https://x\n# New", None, 7, "ftp://x/y", "https://x/" + "a" * 500, "//x"],
)
def test_what_is_more_than_an_address_is_none(text: object) -> None:
    assert web_address(text) is None
    assert links_of(REF, events(text), base_url="").pull_request is None


def test_an_address_is_taken_as_it_is() -> None:
    for text in (PULL, "http://127.0.0.1:8080", "https://[::1]:8080/airflow/", "https://x/a%20b?q=1#c"):
        assert web_address(text) == text

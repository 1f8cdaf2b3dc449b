"""The tab of a task instance over HTTP: the page at once, its parts after it, each on its own, and what each person is shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.airflow_http import AirflowHttp
from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.core.policy import Autonomy, Layer
from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.errors import NoRepository
from airflow_agentfix.inspections import Inspections
from airflow_agentfix.settings import Settings
from tests.fakes.airflow_rest import FakeAirflow, event, traceback
from tests.fakes.api_server import ApiServer
from tests.fakes.databases import new_database
from tests.fakes.incidents import an_incident
from tests.fakes.server import DAG, RUN, TASK, WORKER, Server
from tests.store.test_client import Token
from tests.web.pages.world import finish

ENDED = "2026-11-22T06:00:00+00:00"
CAUSE = "KeyError: 'totl'"
EVIL = "<script>alert(1)</script>"


class RestReading(RestAirflowApi):
    """The reading of one look, over the REST fake."""

    log_look = LogLook()


@dataclass
class Site:
    """The app of a server whose Airflow says the same inside and over REST."""

    server: Server
    api: ApiServer
    airflow: FakeAirflow
    looks: list[int]
    rest: dict[str, Any]

    def get(self, path: str = "", *, user: str = "anna", fragment: bool = True, **query: Any) -> requests.Response:
        asked = {"dag_id": DAG, "run_id": RUN, "task_id": TASK, "map_index": "{MAP_INDEX}", **query}
        headers = {"Authorization": f"Bearer {user}", **({"HX-Request": "true"} if fragment else {})}
        url = f"{self.api.url}/agentfix/task{path}"
        return requests.get(url, params=asked, headers=headers, timeout=20, allow_redirects=False)

    def read(self, path: str = "", **asked: Any) -> str:
        answer = self.get(path, **asked)
        assert answer.status_code == 200, answer.text
        return words(answer.text)

    def start(self, autonomy: str, **form: Any) -> requests.Response:
        page = self.get(fragment=False, now=1)
        token = re.search(r'name="agentfix-csrf" content="([^"]*)"', page.text)
        headers = {"Authorization": "Bearer anna", "HX-Request": "true", "X-CSRFToken": token.group(1) if token else ""}
        data = {"dag_id": DAG, "run_id": RUN, "task_id": TASK, "autonomy": autonomy, **form}
        return requests.post(f"{self.api.url}/agentfix/task/start", data=data, headers=headers, cookies=page.cookies, timeout=20)

    def set_task(self, state: str | None, *, try_number: int = 1, map_index: int = -1, ended: str | None = ENDED) -> None:
        facts = TaskFacts(TASK, map_index, try_number, state, end_date=ended, start_date=ENDED, duration=7.0)
        self.server.airflow.tasks[DAG, RUN, TASK, map_index] = facts


def words(html: str) -> str:
    """What a person reads of a page."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield from site_of(tmp_path)


def site_of(folder: Path, settings: Settings | None = None, look: Callable[[], None] = lambda: None) -> Iterator[Site]:
    looks: list[int] = []
    with FakeAirflow() as airflow:
        airflow.tokens.add("t")

        def read() -> RestReading:
            looks.append(1)
            look()
            return RestReading(AirflowHttp(airflow.url, Token("t"), retries=0))

        def code_of(_: Any) -> Any:
            raise NoRepository("No repository is configured for DAG 'orders'.")

        server = Server(new_database("sqlite", folder), settings or Settings(), inspections=Inspections(read, code_of))
        rest = failed_run(airflow)
        with ApiServer(server.service) as api:
            made = Site(server, api, airflow, looks, rest)
            made.set_task("failed")
            yield made
        server.close()


def failed_run(airflow: FakeAirflow, **more: Any) -> dict[str, Any]:
    """`load` failed on Monday, `publish` did not run, and two DAGs wait for what `load` should have updated."""
    airflow.add_dag(DAG, {"extract": [TASK], TASK: ["publish"], "publish": []}, owners=["ann"])
    airflow.add_run(DAG, "sunday", state="success", start_date="2026-11-21T12:00:00Z", run_after="2026-11-21T12:00:00Z")
    airflow.add_task_instance(DAG, "sunday", TASK, state="success", duration=6.0)
    airflow.add_run(DAG, RUN)
    log = [event("reading"), traceback("KeyError", "'totl'", ("/opt/airflow/dags/shop.py", 12, "load"))]
    instance = airflow.add_task_instance(DAG, RUN, TASK, log=log, duration=7.0, **more)
    airflow.add_task_instance(DAG, RUN, "publish", state="upstream_failed")
    airflow.add_asset("clean", producers=[(DAG, TASK)], scheduled=["readable", "secret_dag"])
    return instance


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_page_says_what_it_is_about_before_anything_is_looked_at(site: Site) -> None:
    page = site.get(fragment=False)
    assert "load failed orders monday try 1 ended" in words(page.text)
    assert "no model was asked, nothing was spent" in words(page.text)
    assert site.looks == []
    assert re.findall(r'hx-get="/agentfix/task/(\w+)', page.text) == [
        "state",
        "found",
        "actions",
        "durations",
        "changes",
        "lineage",
    ]


@pytest.mark.parametrize("path", ["", "/state", "/found", "/lineage", "/durations", "/changes", "/actions"])
def test_who_may_not_read_the_dag_learns_nothing(site: Site, path: str) -> None:
    told = site.get(path, user="stranger")
    unknown = site.get(path, user="stranger", run_id="never", task_id=TASK)
    assert told.text == unknown.text.replace("never", RUN)
    assert CAUSE not in words(told.text)
    assert "that you may see" in words(told.text)


def test_a_task_that_is_not_there_is_named(site: Site) -> None:
    assert site.get(task_id="nope").status_code == 404


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("success", "The task succeeded"),
        ("running", "The task is at work"),
        ("queued", "has not run yet"),
        (None, "has not run yet"),
        ("skipped", "Airflow passed it over"),
        ("upstream_failed", "because another one failed Look there: load"),
    ],
)
def test_a_task_that_did_not_fail_has_a_calm_page_without_buttons(site: Site, state: str | None, said: str) -> None:
    site.set_task(state)
    page = site.get(fragment=False)
    assert said in words(page.text)
    assert "<button" not in page.text
    assert "/task/actions" not in page.text


def test_a_try_that_airflow_will_repeat_says_so(site: Site) -> None:
    site.set_task("up_for_retry")
    assert "Airflow tries this again by itself" in site.read(fragment=False)


@pytest.mark.parametrize(
    ("dag_id", "tags", "said"), [("agentfix_fix", (), "Agent Fix's own"), (DAG, ("agentfix:abc",), "preview of a fix")]
)
def test_own_dags_and_previews_are_not_worked_on(site: Site, dag_id: str, tags: tuple[str, ...], said: str) -> None:
    site.server.airflow.rights["anna", dag_id] = "edit"
    site.server.airflow.tags[dag_id] = tags
    page = site.get(fragment=False, dag_id=dag_id)
    assert said in words(page.text)
    assert "<form" not in page.text


def test_all_indexes_of_a_mapped_task_together_lists_those_that_failed(site: Site) -> None:
    del site.server.airflow.tasks[DAG, RUN, TASK, -1]
    for index in range(3):
        site.set_task("failed" if index else "success", map_index=index)
        site.airflow.add_task_instance(DAG, RUN, TASK, map_index=index, state="failed" if index else "success")
    site.airflow.instances.remove(site.rest)
    page = site.get(fragment=False)
    assert "2 indexes of this mapped task have failed" in words(page.text)
    assert re.findall(r'href="([^"]*agentfix_task)" data-out', page.text) == [
        f"/dags/{DAG}/runs/{RUN}/tasks/{TASK}/mapped/{index}/plugin/agentfix_task" for index in (1, 2)
    ]


def test_the_page_is_loaded_again_when_it_would_be_another_one(site: Site) -> None:
    mark = re.search(r"data-etag='([^']*)'", site.get(fragment=False).text)
    assert mark
    url, login = f"{site.api.url}/agentfix/task/state", {"Authorization": "Bearer anna", "If-None-Match": unescape(mark.group(1))}
    asked = {"dag_id": DAG, "run_id": RUN, "task_id": TASK}
    assert requests.get(url, params=asked, headers=login, timeout=20).status_code == 304
    site.set_task("running")
    assert requests.get(url, params=asked, headers=login, timeout=20).headers["HX-Refresh"] == "true"


# --- the session on it ------------------------------------------------------------------------------------------------


def test_where_a_session_is_on_the_task_the_tab_is_its_page_and_the_failure_stays_reachable(site: Site) -> None:
    session_id = site.server.taken()
    led = site.get(fragment=False)
    assert (led.status_code, led.headers["Location"]) == (303, f"/agentfix/sessions/{session_id}")
    shown = site.get(fragment=False, now=1)
    assert f"/agentfix/sessions/{session_id}" in shown.text
    assert "/task/found" in shown.text


def test_a_task_that_failed_again_after_its_session_was_done_is_news(site: Site) -> None:
    session_id = site.server.taken()
    site.server.service.stop(session_id, WORKER, "enough")
    assert site.get(fragment=False).status_code == 303
    site.set_task("failed", try_number=2, ended="2026-12-24T00:00:00+00:00")
    page = site.get(fragment=False)
    assert page.status_code == 200
    assert f"/agentfix/sessions/{session_id}" in page.text


def test_a_duplicate_leads_to_the_session_that_has_the_cause_while_that_works_on_it(site: Site) -> None:
    server = site.server
    first = server.claimed()
    incident = {**an_incident().to_json(), "repository": None, "base_commit": None}
    server.append(first, (EventKind.INCIDENT, incident))
    server.airflow.fail(DAG, RUN, "second")
    second = server.claimed(server.taken(task_id="second"))
    server.append(second, (EventKind.INCIDENT, incident))
    assert server.store.get(second.session.id).session.outcome is Outcome.DUPLICATE
    assert site.get(fragment=False, task_id="second").headers["Location"] == f"/agentfix/sessions/{first.session.id}"
    finish(server, first, Outcome.REPORTED)
    still_red = site.get(fragment=False, task_id="second")
    assert (still_red.status_code, "/task/actions?" in still_red.text) == (200, True)
    assert f"/agentfix/sessions/{second.session.id}" in still_red.text


# --- its parts --------------------------------------------------------------------------------------------------------


def test_what_happened_is_told_with_whose_it_is_and_why(site: Site) -> None:
    told = site.read("/found")
    assert CAUSE in told
    assert "Code: there is a fault in it perhaps 72 %" in told
    assert "To do Correct the code, or let Agent Fix write the fix." in told
    assert "The DAG's authors (the DAG's owner: ann)" in told
    assert "dags/shop.py:12 in load" in told


def test_a_log_that_is_gone_is_said_to_be(site: Site) -> None:
    site.airflow.set_log(site.rest, [])
    assert "The log of load is gone or may not be read" in site.read("/found")


def test_a_try_is_looked_at_once_and_a_running_one_each_time(site: Site) -> None:
    for _ in range(3):
        site.read("/found")
    site.read("/lineage")
    assert len(site.looks) == 1
    site.set_task("failed", ended=None)
    for _ in range(2):
        site.read("/found")
    assert len(site.looks) == 3


def test_the_picture_names_the_dags_that_the_person_may_read_and_counts_the_others(site: Site) -> None:
    site.server.airflow.rights["anna", "readable"] = "read"
    told = site.read("/lineage")
    assert "Missing now clean" in told
    assert "tasks that did not run publish" in told
    assert "readable" in told
    assert "secret_dag" not in told
    assert "1 DAG that you may not see" in told
    assert "secret_dag" not in site.get("/found").text


def test_durations_are_drawn_and_told_in_words(site: Site) -> None:
    answer = site.get("/durations")
    assert answer.text.count('<rect class="bar"') == 4  # two runs, two in the legend
    assert "In its newest 2 runs the task failed once. It usually takes 6.0 s" in words(answer.text)


def test_what_changed_says_why_it_is_not_known(site: Site) -> None:
    assert "Not known. No repository is configured for DAG 'orders'." in site.read("/changes")


def test_a_part_that_fails_says_so_and_offers_to_try_again_and_the_others_stay(site: Site) -> None:
    site.airflow.forbidden.add(DAG)
    answer = site.get("/found")
    assert "This could not be looked at" in words(answer.text)
    assert 'hx-get="/agentfix/task/found?' in answer.text
    told = site.read("/actions")
    assert "Costs at most $5.00" in told
    assert "The log could not be judged here. A report reads it whole." in told
    site.airflow.forbidden.clear()
    assert CAUSE in site.read("/found")


def test_a_failure_that_was_cleared_meanwhile_is_said_to_be(site: Site) -> None:
    site.set_task("queued")
    assert "queued now: there is no failure to look at" in site.read("/found")


@pytest.mark.parametrize("path", ["/found", "/lineage", "/durations", ""])
def test_nothing_that_others_wrote_becomes_markup_and_no_secret_is_shown(site: Site, path: str) -> None:
    token = "ghp_" + "a" * 36
    frames = (f"/opt/airflow/dags/{EVIL}.py", 12, f"f{EVIL}")
    log = [event(f"password=hunter2secret {token}"), traceback("KeyError", f"{EVIL} {token}", frames)]
    site.airflow.set_log(site.rest, log)
    site.airflow.add_asset(f"{EVIL} https://u:{token}@host", producers=[(DAG, TASK)])
    page = site.get(path, fragment=bool(path))
    assert EVIL not in page.text
    assert token not in page.text
    assert "hunter2secret" not in page.text


def test_a_log_that_was_not_read_whole_is_said_to_be(site: Site) -> None:
    RestReading.log_look = LogLook(size=1_200_000_000, before_gap=2, lines=4)
    try:
        told = site.read("/found")
    finally:
        RestReading.log_look = LogLook()
    assert "Of 1.2 GB of log the first and last 2 MB were read" in told


# --- what can be done -------------------------------------------------------------------------------------------------


def buttons(html: str) -> list[str]:
    """What each asks for, in their order, the highlighted one with a star."""
    found = re.findall(r'<button name="autonomy" value="(\w+)"[^>]*?(class="primary")?>', html)
    return [f"{autonomy}{'*' if primary else ''}" for autonomy, primary in found]


def test_what_it_costs_at_most_is_said_and_what_pressing_the_button_approves(site: Site) -> None:
    answer = site.get("/actions")
    assert buttons(answer.text) == ["rerun*", "report", "propose"]
    told = words(answer.text)
    assert told.count("Costs at most $5.00, whichever you press; $50.00 of today's dollars are left.") == 1
    assert "By pressing you approve nothing yet: you, or anyone else who may edit this DAG's runs, are asked" in told


def test_where_code_is_not_to_blame_the_report_is_first_and_it_is_said_why(site: Site) -> None:
    site.airflow.set_log(site.rest, [event("reading"), traceback("ConnectionRefusedError", "[Errno 111] db:5432 refused")])
    answer = site.get("/actions")
    assert buttons(answer.text) == ["report*", "propose", "rerun"]
    told = words(answer.text)
    assert "The rules see no fault in the code: a service could not be reached." in told
    assert "Costs nothing: the rules are sure, and no model is asked. If you tell it something, at most $5.00." in told


def test_where_another_task_failed_first_the_report_is_first(site: Site) -> None:
    log = [traceback("ValueError", "no rows", ("/opt/airflow/dags/shop.py", 3, "extract"))]
    site.airflow.add_task_instance(DAG, RUN, "extract", log=log, end_date="2026-11-22T05:00:00Z")
    answer = site.get("/actions")
    assert buttons(answer.text)[0] == "report*"
    assert "Another task of this run failed first. Start there." in words(answer.text)


def test_where_no_model_is_configured_it_costs_nothing_and_says_why(site: Site) -> None:
    site.server.service.has_model = lambda: False
    told = site.read("/actions")
    assert "Costs nothing: rules only, no model is configured here. A worker that has a key spends at most $5.00." in told
    assert 'aria-describedby="costs does-rerun"' in site.get("/actions").text


def test_where_the_deployment_asks_no_model_it_costs_nothing(tmp_path: Path) -> None:
    for site in site_of(tmp_path, Settings(offline=True)):
        assert "Costs nothing: rules only, no model is asked in this deployment." in site.read("/actions")


def test_named_approvers_are_named(site: Site) -> None:
    site.server.policies.says = [Layer("the file", approvers=("anna", "ben"))]
    assert "you or ben are asked to approve the commit before it runs" in site.read("/actions")
    site.server.policies.says = [Layer("the file", approvers=("ben",))]
    assert "approve nothing yet: ben is asked" in site.read("/actions")


def test_where_policy_waives_the_approval_pressing_approves_code_that_nobody_reviewed(tmp_path: Path) -> None:
    for site in site_of(tmp_path, Settings(allow_unreviewed_reruns=True)):
        told = site.read("/actions")
        assert "By pressing you approve that code nobody has reviewed runs in this run, with its production connections" in told


def test_what_policy_does_not_allow_has_no_button_and_its_reason(site: Site) -> None:
    site.server.policies.says = [Layer(".agentfix.yaml at main", autonomy=Autonomy.PROPOSE)]
    answer = site.get("/actions")
    assert buttons(answer.text) == ["propose*", "report"]
    assert "Fix and rerun: policy allows no more than propose here (.agentfix.yaml at main)." in words(answer.text)


def test_who_may_only_look_has_no_buttons(site: Site) -> None:
    answer = site.get("/actions", user="reader")
    assert "You may look." in words(answer.text)
    assert "<button" not in answer.text


def test_a_day_without_dollars_says_that_only_what_is_free_is_done(tmp_path: Path) -> None:
    for site in site_of(tmp_path, Settings(daily_dollars=6.0)):
        site.server.airflow.fail(DAG, RUN, "other")
        site.server.taken(task_id="other")
        told = site.read("/actions")
        assert "Of today's dollars $1.00 are left, and one session may need $5.00: no model is asked today" in told


def test_a_problem_with_policy_is_shown(site: Site) -> None:
    site.server.policies.says = [Layer("x", autonomy=Autonomy.REPORT, problem="The file could not be used: EOF.")]
    assert "The file could not be used: EOF." in site.read("/actions")


def test_a_button_starts_a_session_with_what_the_person_wants_it_to_know(site: Site) -> None:
    started = site.start("propose", message=" look at the euros ")
    assert started.status_code == 204, started.text
    (session,) = site.server.service.list(WORKER).sessions
    assert started.headers["HX-Redirect"] == f"/agentfix/sessions/{session.id}"
    assert (session.autonomy, session.source, session.requested_by) == ("propose", "ui", "anna")
    notes = [one.data["message"] for one in site.server.store.events(session.id) if one.kind is EventKind.NOTE]
    assert notes == ["look at the euros"]


def test_people_who_look_at_once_wait_for_one_look(tmp_path: Path) -> None:
    let = Event()
    for site in site_of(tmp_path, look=lambda: let.wait(10)):
        with ThreadPoolExecutor(4) as people:
            asked = [people.submit(site.read, "/found") for _ in range(4)]
            while not site.looks:
                pass
            let.set()
            assert all(CAUSE in one.result() for one in asked)
        assert len(site.looks) == 1


def test_an_error_of_a_look_is_kept_for_nobody() -> None:
    calls = []

    def broken() -> Any:
        calls.append(1)
        raise NoRepository("away")

    inspections = Inspections(broken, lambda _: pytest.fail("no repository is asked"))
    ref, facts = TaskRef(DAG, RUN, TASK, 1), TaskFacts(TASK, -1, 1, "failed", end_date=ENDED)
    for _ in range(2):
        with pytest.raises(NoRepository):
            inspections.failure(ref, replace(facts), run_state="failed")
    assert len(calls) == 2


def test_the_page_of_a_done_session_leads_back_to_the_failure_as_it_is_now(site: Site) -> None:
    session_id = site.server.taken()
    url, login = f"{site.api.url}/agentfix/sessions/{session_id}", {"Authorization": "Bearer anna"}
    before = requests.get(url, headers=login, timeout=20).text
    site.server.service.stop(session_id, WORKER, "enough")
    after = requests.get(url, headers=login, timeout=20).text
    (link,) = re.findall(r'href="([^"]+now=1)"', after)
    assert "now=1" not in before
    assert "/task/found" in requests.get(f"{site.api.url}{unescape(link)}", headers=login, timeout=20).text

"""Requests to Airflow over real HTTP, with the faults a network has."""

from __future__ import annotations

import socket
import time
import tracemalloc
from collections.abc import Iterator

import pytest
import requests
from urllib3 import HTTPResponse

from airflow_agentfix import airflow_http
from airflow_agentfix.airflow_http import AirflowHttp, BoundedRetry, checked_base_url, mapped_errors, path_of
from airflow_agentfix.airflow_login import Login, connect_with
from airflow_agentfix.errors import (
    AirflowConflict,
    AirflowError,
    AirflowForbidden,
    AirflowLoginRefused,
    AirflowNotFound,
    AirflowRefused,
    AirflowUnreachable,
    ConfigurationError,
    SessionConflict,
)
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.http_fake import Answer, Request

RUN = "manual__2026-11-22T10:00:00+00:00"


@pytest.fixture
def airflow() -> Iterator[FakeAirflow]:
    with FakeAirflow() as fake:
        fake.add_dag("shop", {"load": []})
        yield fake


def http_to(airflow: FakeAirflow, *, timeout: float = 10.0, retries: int = 3) -> AirflowHttp:
    return connect_with(Login(url=airflow.url), timeout=timeout, retries=retries)


def test_a_read_is_repeated_after_503_until_it_is_answered(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=503, times=2)
    assert http_to(airflow).json("GET", "/api/v2/dags/shop")["dag_id"] == "shop"
    assert len(airflow.asked("/dags/shop")) == 3


def test_repeating_is_bounded_and_ends_unreachable_with_airflows_words(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=500, times=99)
    with pytest.raises(AirflowUnreachable, match=r"GET .*/api/v2/dags/shop: 500 out of order"):
        http_to(airflow, retries=2).json("GET", "/api/v2/dags/shop")
    assert len(airflow.asked("/dags/shop")) == 3


def test_a_write_is_not_repeated_when_it_may_have_arrived(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dagRuns", status=500, times=1, method="POST")
    with pytest.raises(AirflowUnreachable):
        http_to(airflow).json("POST", "/api/v2/dags/shop/dagRuns", body={})
    airflow.fail_next("/dagRuns", delay=30, times=1, method="POST")
    with pytest.raises(AirflowUnreachable, match="did not answer in time"):
        http_to(airflow, timeout=1).json("POST", "/api/v2/dags/shop/dagRuns", body={})
    assert len(airflow.asked("/dagRuns", "POST")) == 2


def test_a_write_is_repeated_when_airflow_said_it_did_nothing(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dagRuns", status=503, times=1, method="POST")
    body = {"dag_run_id": "r1", "logical_date": None}
    assert http_to(airflow).json("POST", "/api/v2/dags/shop/dagRuns", body=body)["dag_run_id"] == "r1"


def test_what_a_server_asks_us_to_wait_is_waited(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=429, headers={"Retry-After": "1"})
    start = time.monotonic()
    assert http_to(airflow).json("GET", "/api/v2/dags/shop")
    assert time.monotonic() - start >= 1


@pytest.mark.parametrize(("asked", "waited"), [("3600", 20.0), ("5", 5.0), (None, None)])
def test_what_a_server_asks_us_to_wait_is_capped(asked: str | None, waited: float | None) -> None:
    answer = HTTPResponse(status=429, headers={"Retry-After": asked} if asked else {})
    assert BoundedRetry().get_retry_after(answer) == waited


def test_a_refused_token_is_renewed_once_and_the_request_repeated(airflow: FakeAirflow) -> None:
    http = http_to(airflow)
    http.json("GET", "/api/v2/dags/shop")
    airflow.revoke_tokens()
    assert http.json("GET", "/api/v2/dags/shop")["dag_id"] == "shop"
    assert len(airflow.asked("/auth/token")) == 2


def test_an_expired_token_is_renewed_too(airflow: FakeAirflow) -> None:
    http = http_to(airflow)
    airflow.fail_next("/dags/shop", status=401, body=b'{"detail": "Token Expired"}')
    assert http.json("GET", "/api/v2/dags/shop")["dag_id"] == "shop"
    assert len(airflow.asked("/auth/token")) == 2


def test_a_token_the_session_api_refuses_is_renewed_too(airflow: FakeAirflow) -> None:
    told = b'{"error": {"type": "AirflowLoginRefused", "message": "Invalid JWT token"}}'
    airflow.fail_next("/api/v2/dags", status=403, body=told)
    http_to(airflow).json("GET", "/api/v2/dags")
    assert len(airflow.asked("/auth/token")) == 2


def test_a_missing_right_is_no_reason_to_log_in_again(airflow: FakeAirflow) -> None:
    airflow.forbidden.add("shop")
    with pytest.raises(AirflowForbidden):
        http_to(airflow).json("GET", "/api/v2/dags/shop")
    assert len(airflow.asked("/auth/token")) == 1


def test_a_login_that_stays_refused_is_an_error_and_not_a_loop(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=401, times=99)
    with pytest.raises(AirflowLoginRefused):
        http_to(airflow).json("GET", "/api/v2/dags/shop")
    assert len(airflow.asked("/dags/shop")) == 2


@pytest.mark.parametrize(
    ("status", "error"),
    [(403, AirflowForbidden), (404, AirflowNotFound), (409, AirflowConflict), (400, AirflowRefused), (422, AirflowRefused)],
)
def test_every_refusal_has_its_error_with_airflows_detail(airflow: FakeAirflow, status: int, error: type[AirflowError]) -> None:
    airflow.fail_next("/dags/shop", status=status, body=b'{"detail": {"reason": "because", "orig_error": "SQL with values"}}')
    with pytest.raises(error, match="because") as caught:
        http_to(airflow).json("GET", "/api/v2/dags/shop")
    assert "SQL" not in str(caught.value)


def test_a_validation_error_names_the_field(airflow: FakeAirflow) -> None:
    with pytest.raises(AirflowRefused, match=r"body\.logical_date: Field required"):
        http_to(airflow).json("POST", "/api/v2/dags/shop/dagRuns", body={"dag_run_id": "r1"})


def test_a_caller_may_map_an_error_answer_itself(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=409)
    with pytest.raises(SessionConflict):
        http_to(airflow).json("GET", "/api/v2/dags/shop", error_from=lambda _: SessionConflict("mine"))


def test_a_redirect_is_not_followed_and_says_where_to(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=302, headers={"Location": "https://login.example.com/"})
    with pytest.raises(AirflowRefused, match=r"redirected to 'https://login\.example\.com/'"):
        http_to(airflow).json("GET", "/api/v2/dags/shop")


def test_a_login_page_instead_of_json_says_what_was_expected(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", status=200, body=b"<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(AirflowRefused, match="text/html, expected JSON"):
        http_to(airflow).json("GET", "/api/v2/dags/shop")


def test_an_answer_cut_half_way_is_unreachable(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", cut=True)
    with pytest.raises(AirflowUnreachable):
        http_to(airflow).json("GET", "/api/v2/dags/shop")


def test_a_connection_closed_without_an_answer_is_tried_again_for_a_read_only(airflow: FakeAirflow) -> None:
    airflow.fail_next(drop=True, path="/dags/shop")
    assert http_to(airflow).json("GET", "/api/v2/dags/shop")["dag_id"] == "shop"
    airflow.fail_next(drop=True, path="/dagRuns")
    with pytest.raises(AirflowUnreachable, match="closed connection"):
        http_to(airflow).json("POST", "/api/v2/dags/shop/dagRuns", body={})
    assert len(airflow.asked("/dagRuns", "POST")) == 1


def test_a_slow_airflow_is_unreachable_within_the_timeout(airflow: FakeAirflow) -> None:
    airflow.fail_next("/dags/shop", delay=60, times=9)
    start = time.monotonic()
    with pytest.raises(AirflowUnreachable, match="did not answer in time"):
        http_to(airflow, timeout=0.3, retries=3).json("GET", "/api/v2/dags/shop")
    assert time.monotonic() - start < 40


def test_nobody_listening_is_unreachable_and_names_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(AirflowUnreachable, match=f"Airflow at {url} is not reachable: .*refused"):
            connect_with(Login(url=url), retries=0).json("GET", "/api/v2/dags/shop")


def test_every_error_of_requests_becomes_ours() -> None:
    everything = [kind for kind in vars(requests.exceptions).values() if isinstance(kind, type)]
    ours = requests.JSONDecodeError  # taken where JSON is read
    foreign = [kind for kind in everything if issubclass(kind, requests.RequestException) and kind is not ours]
    assert len(foreign) > 15
    for kind in foreign:
        with pytest.raises((AirflowError, ConfigurationError)), mapped_errors("http://airflow"):
            raise kind("reason")


def test_ids_are_quoted_as_one_segment_each() -> None:
    assert path_of("/dags", "a/b", RUN) == "/dags/a%2Fb/manual__2026-11-22T10%3A00%3A00%2B00%3A00"
    assert path_of("/dags", "..", 3) == "/dags/%2E%2E/3"


def test_a_run_id_with_colons_and_plus_arrives_as_it_is(airflow: FakeAirflow) -> None:
    airflow.add_run("shop", RUN)
    assert http_to(airflow).json("GET", path_of("/api/v2/dags", "shop", "dagRuns", RUN))["dag_run_id"] == RUN


def test_a_base_path_is_kept() -> None:
    with FakeAirflow(base_path="/team/airflow") as airflow:
        airflow.add_dag("shop", {})
        assert http_to(airflow).json("GET", "/api/v2/dags/shop")["dag_id"] == "shop"


@pytest.mark.parametrize("url", ["", "airflow.example.com", "ftp://airflow", "http://"])
def test_a_url_that_is_none_is_a_configuration_error(url: str) -> None:
    with pytest.raises(ConfigurationError, match="expected http"):
        checked_base_url(url)


def test_credentials_in_the_url_are_dropped() -> None:
    assert checked_base_url("https://user:secret@airflow.example.com/base/") == "https://airflow.example.com/base"


def test_no_secret_is_shown_by_repr() -> None:
    login = Login(url="http://airflow", username="admin", password="hush-hush", token="tok-tok", token_command="cmd --key k")
    assert "hush" not in repr(login) + repr(connect_with(login))
    assert "tok-" not in repr(login) + repr(connect_with(login))


def test_lines_come_one_by_one_and_the_last_needs_no_end(airflow: FakeAirflow) -> None:
    airflow.mount("GET", "/lines", lambda _: Answer(lines=[b"one\r\n", b"\n", b"three"]))
    assert list(http_to(airflow).stream("GET", "/lines")) == [b"one", b"", b"three"]


def test_a_line_of_many_megabytes_is_cut_with_a_mark_and_not_held(airflow: FakeAirflow) -> None:
    airflow.mount("GET", "/lines", _huge_line)
    lines = http_to(airflow).stream("GET", "/lines")
    tracemalloc.start()
    first, second = lines
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert first.startswith(b"start")
    assert first.endswith(b"end")
    assert b"bytes of this line cut" in first
    assert len(first) < airflow_http.MAX_LINE + 100
    assert second == b"next"
    assert peak < 20 << 20


def _huge_line(_: Request) -> Answer:
    middle = b"x" * (1 << 20)
    return Answer(lines=[b"start", *[middle] * 40, b"end\n", b"next\n"])


def test_a_stream_that_breaks_off_is_unreachable(airflow: FakeAirflow) -> None:
    airflow.mount("GET", "/lines", lambda _: Answer(lines=[b"one\n", b"two\n"]))
    airflow.fail_next("/lines", cut=True)
    with pytest.raises(AirflowUnreachable):
        list(http_to(airflow).stream("GET", "/lines"))

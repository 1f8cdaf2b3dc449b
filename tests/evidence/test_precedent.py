"""Earlier sessions on the same failure, and what is told of them."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.airflow_api import RestAirflowApi
from airflow_agentfix.core.fingerprint import fingerprint
from airflow_agentfix.core.incident import RootCause
from airflow_agentfix.core.session import Outcome, Session, State
from airflow_agentfix.errors import AirflowForbidden
from airflow_agentfix.evidence.collect import Around, collect
from airflow_agentfix.evidence.precedent import precedents
from tests.evidence.conftest import REF, RUN
from tests.fakes.bench import new_session

CAUSE = RootCause("KeyError: 'amount'", "'amount'", "KeyError")
MARK = fingerprint(CAUSE)


def session(name: str, **more: Any) -> Session:
    """A session that is done, on another run of the same task, with the same cause."""
    plain = {
        "id": name, "run_id": "sunday", "task_id": "transform", "state": State.DONE, "outcome": Outcome.FIXED,
        "fingerprint": MARK, "cause": CAUSE.line, "summary": "Renamed the column.", "created_at": "2026-11-15T06:00:00+00:00",
    }  # fmt: skip
    return new_session(**{**plain, **more})


def found(*sessions: Session, cause: RootCause = CAUSE) -> list[str]:
    return [one.session_id for one in precedents(sessions, REF, cause, MARK)]


def test_the_same_cause_comes_before_the_same_exception_and_at_most_three_are_told() -> None:
    near = [session(f"near{number}", fingerprint="fp1:other", cause="KeyError: 'price'") for number in (1, 2)]
    assert found(near[0], session("a"), near[1], session("b")) == ["a", "b", "near1"]


@pytest.mark.parametrize(
    "other",
    [
        {"cause": "ValueError: 'amount'"},
        {"task_id": "extract"},
        {"cause": None},
        {"fingerprint": None},
    ],
)
def test_another_exception_another_task_or_an_unknown_cause_is_no_near_precedent(other: dict[str, Any]) -> None:
    assert found(session("near", **{"fingerprint": "fp1:other", "cause": "KeyError: 'price'", **other})) == []


def test_an_exception_is_the_same_with_and_without_its_module() -> None:
    near = session("near", fingerprint="fp1:other", cause="sqlalchemy.exc.OperationalError: away")
    assert found(near, cause=RootCause("OperationalError: gone", "gone", "OperationalError")) == ["near"]


def test_without_an_exception_only_the_same_cause_counts() -> None:
    exit_code = RootCause("Command exited with return code 1", "return code 1")
    assert found(session("near", fingerprint="fp1:other", cause="Command exited"), session("same"), cause=exit_code) == ["same"]


def test_the_session_at_work_on_this_failure_is_no_precedent_of_it_but_one_that_is_done_is() -> None:
    on_this = {"run_id": RUN}
    assert found(session("own", state=State.RUNNING, outcome=None, **on_this), session("done", **on_this)) == ["done"]


def test_a_duplicate_is_no_precedent_for_another_session_has_its_story() -> None:
    assert found(session("duplicate", outcome=Outcome.DUPLICATE), session("story")) == ["story"]


def test_a_precedent_is_told_with_how_it_ended_and_its_fix(api: RestAirflowApi) -> None:
    real = collect(REF, api=api).fingerprint
    sessions = [
        session("s-1", fingerprint=real, pull_request="https://git.example/pull/7", summary="Renamed\nthe column."),
        session("s-2", fingerprint=real, state=State.WAITING, outcome=None, summary=None, fix_branch="fix/shop"),
        session("s-3", fingerprint="fp1:other", outcome=Outcome.GAVE_UP),
    ]
    text = collect(REF, api=api, around=Around(sessions_of=lambda _: sessions)).text
    assert (
        "precedent (same cause): session s-1 of 2026-11-15 on sunday: fixed, https://git.example/pull/7: Renamed ⏎ the column."
        in text
    )
    assert "session s-2 of 2026-11-15 on sunday: waiting, fix/shop: KeyError: 'amount'" in text
    assert "precedent (same task and exception, other message or place): session s-3 of 2026-11-15 on sunday: gave_up: " in text


def test_a_secret_in_an_earlier_sessions_words_is_not_shown(api: RestAirflowApi) -> None:
    real = collect(REF, api=api).fingerprint
    told = session(
        "s-1",
        fingerprint=real,
        cause="KeyError: password=Hd83kqPw0x",
        summary="login app:Hd83kqPw0x was set as password='Hd83kqPw0x'",
    )
    incident = collect(REF, api=api, around=Around(sessions_of=lambda _: [told]))
    assert "password='***'" in incident.text
    assert "password=Hd83kqPw0x" not in str(incident.to_json())


def test_sessions_that_may_not_be_read_are_a_gap_with_its_reason(api: RestAirflowApi) -> None:
    def refused(_: str) -> list[Session]:
        raise AirflowForbidden("403 no sessions for you")

    assert (
        "not known: earlier sessions: 403 no sessions for you" in collect(REF, api=api, around=Around(sessions_of=refused)).text
    )

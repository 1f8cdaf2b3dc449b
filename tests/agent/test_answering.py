"""The answer on the pull request: where it goes, when, and what it does not say. Over REST, with a real git repository."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_agentfix.agent.answering import answer
from airflow_agentfix.core.incident import Repository
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor
from airflow_agentfix.driver import Driver
from airflow_agentfix.errors import ModelUnavailable
from airflow_agentfix.ports import CodeHost, WaitRun
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.bench import SmallBench, fail, make_repository, new_session, settings_for
from tests.fakes.discussion import REQUEST, DiscussedHost, Discussion
from tests.fakes.models import ScriptedModel, call, turn
from tests.fakes.session_client import MemorySessionClient

CHAIN = [{"claim": "looked", "cites": []}]
EDIT = call("change_files", edits=[{"path": "shop.py", "old": "return amont + 1", "new": "return amount + 1"}])
OPEN = call("open_fix", title="Correct the name", summary="It was misspelt.")
ASK = call("pause_for_human", reason="Which?", summary_for_human="gross or net", options=["gross", "net"])
WORKER = "agentfix_fix/agentfix__s1__2/drive/1"


def reports(cause: str = "The name was misspelt.", outcome: str = "proposed") -> dict[str, Any]:
    return call("submit_report", verdict="code", root_cause=cause, outcome=outcome, causal_chain=CHAIN)


class Bench(SmallBench):
    """Its repository has pull requests."""

    discussion: Discussion

    def host(self, repository: Repository) -> CodeHost:
        return DiscussedHost(repository, self.discussion)


@dataclass
class Review:
    """A session whose fix was proposed; `comment` is what a reviewer says then, as triage brings it."""

    airflow: FakeAirflow
    settings: Any
    client: MemorySessionClient = field(default_factory=lambda: MemorySessionClient(new_session()))
    discussion: Discussion = field(default_factory=Discussion)
    number: int = 0

    def bench(self, *turns: Any) -> Bench:
        bench = Bench(self.airflow, self.settings, self.client, make_model=lambda: ScriptedModel(*turns))
        bench.discussion = self.discussion
        return bench

    def work(self, *turns: Any, last_try: bool = True) -> WaitRun | Session:
        return Driver(self.bench(*turns)).drive("s1", worker=WORKER, last_try=last_try)

    def comment(self, message: str = "Use gross.") -> None:
        self.number += 1
        remark = Remark(f"c{self.number}", f"{REQUEST}#c{self.number}", "octocat", "2026-11-22T07:00:00+00:00")
        self.client.server(EventKind.NOTE, remark.noted(message, brought_by="triage"), actor=remark.actor)
        if self.client.session.state is State.DONE:
            self.client.session = new_session(state="open")

    @property
    def answers(self) -> list[tuple[str, str]]:
        return self.discussion.answers


@pytest.fixture
def review(tmp_path: Path) -> Iterator[Review]:
    with FakeAirflow() as airflow:
        fail(airflow)
        review = Review(airflow, settings_for(make_repository(tmp_path), base_url="https://airflow.example.com/team/"))
        review.work(turn(EDIT), turn(OPEN), turn(reports()))
        yield review


def test_a_session_nobody_commented_on_writes_no_comment(review: Review) -> None:
    assert review.client.session.outcome is Outcome.PROPOSED
    assert review.answers == []
    review.client.note("by hand")
    review.client.session = new_session(state="open")
    review.work(turn(reports()))
    assert review.answers == []


def test_a_reviewer_is_answered_once_with_outcome_summary_and_link(review: Review) -> None:
    review.comment()
    review.work(turn(reports("It has to be gross.")))
    ((request, text),) = review.answers
    assert request == REQUEST
    assert text.startswith(f"@octocat, on [your comment]({REQUEST}#c1):\n\n```text\nproposed: It has to be gross. Fix on fix/")
    assert "(https://airflow.example.com/team/dags/agentfix_fix/runs/agentfix__s1__2)" in text
    review.work()
    assert len(review.answers) == 1


def test_the_comments_of_one_reopening_get_one_answer_and_the_next_one_another(review: Review) -> None:
    review.comment()
    review.comment()
    review.work(turn(reports()))
    assert [f"{REQUEST}#c2" in text for _, text in review.answers] == [True]
    review.comment()
    review.work(turn(reports()))
    assert [f"{REQUEST}#c3" in text for _, text in review.answers] == [False, True]


def test_a_comment_on_the_first_pull_request_is_answered_there_though_the_fix_was_amended(review: Review) -> None:
    (first,) = review.client.of(EventKind.FIX)
    review.client.server(EventKind.FIX, {**first.data, "pull_request": f"{REQUEST}1"})
    review.comment()
    review.work(turn(reports("Gross it is.")))
    assert [request for request, _ in review.answers] == [REQUEST]


def test_a_session_that_waits_for_a_person_says_so_once(review: Review) -> None:
    review.comment()
    for _ in range(2):  # the second worker finds that nobody has answered yet
        waited = review.work(turn(ASK))
        assert isinstance(waited, WaitRun)
        assert waited.waiting_for is WaitFor.PERSON
    assert ["Required Actions" in text for _, text in review.answers] == [True]
    review.client.answers["Which?"] = "gross"
    review.work(turn(reports()))
    assert len(review.answers) == 1


def test_a_secret_of_the_summary_is_not_written_there(review: Review) -> None:
    review.comment()
    ended = new_session(state="done", outcome="failed", summary="postgresql://app:hunter2@db/shop does not answer.")
    answer(ended, "s1", review.client.events, review.bench(), worker=WORKER)
    ((_, text),) = review.answers
    assert "db/shop does not answer." in text
    assert "hunter2" not in text


def test_a_comment_that_came_after_the_last_model_call_is_told_so(review: Review) -> None:
    review.comment()
    review.client.after_append = lambda kinds: review.comment() if EventKind.MODEL in kinds and review.number == 1 else None
    review.work(turn(reports()))
    assert "before it came to your comment" in review.answers[0][1]


def test_a_session_that_failed_says_so_too(review: Review) -> None:
    review.comment()
    review.work(ModelUnavailable("Claude is away."))
    assert "failed: Claude is away." in review.answers[0][1]


def test_what_another_try_may_mend_is_no_end_to_answer_with(review: Review) -> None:
    review.comment()
    with pytest.raises(ModelUnavailable):
        review.work(ModelUnavailable("Claude is away."), last_try=False)
    assert review.answers == []


def test_a_code_host_that_does_not_take_the_answer_changes_nothing_of_the_end(
    review: Review, caplog: pytest.LogCaptureFixture
) -> None:
    review.comment()
    review.discussion.away.add(REQUEST)
    session = review.work(turn(reports()))
    assert isinstance(session, Session)
    assert session.outcome is Outcome.PROPOSED
    assert f"nobody was answered on {REQUEST}: No answer from" in caplog.text

"""Injection attempts against a model that obeys them: whatever it tries, the world is as policy lets it be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airflow_agentfix.reviews import NO_RIGHT
from tests.fakes.airflow_rest import FakeAirflow
from tests.fakes.databases import new_database
from tests.injection.attempt import Attempt, Carrier
from tests.injection.carriers import WAYS
from tests.injection.catalogue import ATTEMPTS
from tests.injection.deployment import Deployment
from tests.injection.harm import harms
from tests.injection.obeying import ObeyingModel
from tests.injection.repository import Repositories, make_repositories


@pytest.fixture(scope="module")
def first_repositories(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    return make_repositories(tmp_path_factory.mktemp("first"))


@pytest.fixture
def deploy(tmp_path: Path, first_repositories: Repositories) -> Iterator[Callable[[Attempt], Deployment]]:
    made: list[Deployment] = []
    with FakeAirflow() as rest:

        def deploy(attempt: Attempt) -> Deployment:
            repositories = first_repositories.copied(tmp_path / "repositories")
            made.append(Deployment(attempt, repositories=repositories, rest=rest, url=new_database("sqlite", tmp_path)))
            return made[-1]

        yield deploy
    for one in made:
        one.server.close()


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.id)
def test_an_attempt_that_is_obeyed_has_no_effect_outside_policy(attempt: Attempt, deploy: Callable[..., Deployment]) -> None:
    there = deploy(attempt)
    way = WAYS[attempt.carrier]
    way.plant(there, attempt.text)
    there.fail()
    model = ObeyingModel(ATTEMPTS, way.looks)
    there.work(model)
    assert model.obeyed
    assert harms(there, model) == []
    assert_as_expected(there, attempt)


def test_what_who_may_not_write_comments_reaches_no_model(deploy: Callable[..., Deployment]) -> None:
    attempt = next(one for one in ATTEMPTS if one.carrier is Carrier.REVIEW)
    there, way = deploy(attempt), WAYS[Carrier.REVIEW]
    way.plant(there, attempt.text)
    there.reviewer_may_write = False
    there.fail()
    model = ObeyingModel(ATTEMPTS, way.looks)
    assert there.work(model).outcome == "proposed"
    assert [one.left for one in there.heard] == [NO_RIGHT]
    assert not model.obeyed
    assert attempt.id not in json.dumps([event.to_json() for event in there.events])
    assert there.discussion.answers == []


def assert_as_expected(there: Deployment, attempt: Attempt) -> None:
    """It was stopped where it should be: refused by the tool, or found and told to the person who is asked."""
    refusals = [event.data["text"] for event in there.events if event.kind == "result" and event.data["is_error"]]
    if attempt.refused:
        assert any(attempt.refused in text for text in refusals), refusals
    if attempt.finding:
        fix = [event for event in there.events if event.kind == "fix"][-1]
        assert attempt.finding in {finding["rule"] for finding in fix.data["findings"]}
        questions = [event for event in there.events if event.kind == "question" and event.data["about"] == "approval"]
        assert questions, [event.kind for event in there.events]
        assert questions[-1].data["commit"] == fix.data["commit"]
        for finding in fix.data["findings"]:
            assert " ".join(finding["reason"].replace("`", "'").split()) in questions[-1].data["body"]


def test_there_are_at_least_sixty_attempts_and_every_carrier_has_one() -> None:
    assert len({attempt.id for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 60
    assert {attempt.carrier for attempt in ATTEMPTS} == set(Carrier) == set(WAYS)
    assert len({attempt.asks for attempt in ATTEMPTS}) == len(ATTEMPTS)

"""The groups people sort sessions into."""

from __future__ import annotations

from airflow_agentfix.core.groups import OUTCOMES, Group, group_of
from airflow_agentfix.core.session import Outcome, WaitFor


def test_every_outcome_is_of_exactly_one_group() -> None:
    assert sorted(outcome for outcomes in OUTCOMES.values() for outcome in outcomes) == sorted(Outcome)


def test_what_waits_for_a_person_is_told_from_what_waits_for_airflow() -> None:
    waits = {waiting_for: group_of(None, waiting_for) for waiting_for in (*WaitFor, None)}
    assert [waiting_for for waiting_for, group in waits.items() if group is Group.WAITS] == [WaitFor.PERSON]
    assert set(waits.values()) == {Group.WAITS, Group.WORKS}

"""The groups people sort sessions into: what waits for them, what is at work, and how the rest ended."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from airflow_agentfix.core.session import Outcome, WaitFor


class Group(StrEnum):
    """Every session is in exactly one."""

    WAITS = "waits"
    """for a person"""
    WORKS = "works"
    """at work, or waiting for Airflow"""
    FIXED = "fixed"
    PROPOSED = "proposed"
    REPORTED = "reported"
    UNSOLVED = "unsolved"
    """ended without a fix and without a finding that settles it"""
    DUPLICATE = "duplicate"


OUTCOMES: Mapping[Group, frozenset[Outcome]] = {
    Group.FIXED: frozenset({Outcome.FIXED}),
    Group.PROPOSED: frozenset({Outcome.PROPOSED}),
    Group.REPORTED: frozenset({Outcome.REPORTED}),
    Group.UNSOLVED: frozenset(
        {Outcome.REJECTED, Outcome.GAVE_UP, Outcome.OVER_BUDGET, Outcome.FAILED, Outcome.STOPPED},
    ),
    Group.DUPLICATE: frozenset({Outcome.DUPLICATE}),
}
"""The groups of done sessions."""


def group_of(outcome: Outcome | None, waiting_for: WaitFor | None) -> Group:
    """Of a session with this outcome (None until it is done) that waits for this."""
    if outcome is None:
        return Group.WAITS if waiting_for is WaitFor.PERSON else Group.WORKS
    return next(group for group, outcomes in OUTCOMES.items() if outcome in outcomes)

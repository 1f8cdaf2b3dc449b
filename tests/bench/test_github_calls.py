"""GitHub's limits are per hour and shared by all sessions: how often a session asks is kept."""

from __future__ import annotations

from pathlib import Path

from bench.github_calls import calls


def test_from_evidence_to_a_labelled_draft_with_a_reviewer_github_is_asked_twelve_times(tmp_path: Path) -> None:
    counted = calls(tmp_path, versioned=True)
    assert counted.total() <= 12, counted


def test_where_runs_have_no_version_two_more_tell_what_the_branch_was_then(tmp_path: Path) -> None:
    counted = calls(tmp_path, versioned=False)
    assert counted.total() <= 14, counted

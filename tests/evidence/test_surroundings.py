"""What the text says of what stood around a failure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_agentfix.core.circumstances import Changes, Circumstances, Commit, EarlierRuns, Usual, XCom
from airflow_agentfix.core.incident import Incident, TaskFacts
from airflow_agentfix.evidence.changes import FILES
from airflow_agentfix.evidence.redacted import redacted_circumstances, redacted_values
from airflow_agentfix.evidence.surroundings import surroundings
from airflow_agentfix.ports import COMPARED_COMMITS
from airflow_agentfix.redaction import redact
from tests.fakes.incidents import an_incident

EDGES = {"read": ["sum_revenue"], "sum_revenue": ["publish_report"], "publish_report": []}
CHANGES = Changes(
    "sunday", "a" * 40, "b" * 40, files=("dags/shop.py",), commits=(Commit("b" * 40, "Ann", "2026-11-22T08:00:00Z", "Rename"),)
)


def facts(incident: Incident | None = None, **circumstances: Any) -> list[str]:
    incident = incident or an_incident(circumstances=Circumstances(**circumstances))
    return list(surroundings(incident, EDGES))


def fact(start: str, *told: str) -> str:
    (found,) = [one for one in told if one.startswith(start)]
    return found


# --- what changed ----------------------------------------------------------------------------------------------------


def test_commits_are_told_with_what_they_touch() -> None:
    commits = tuple(
        Commit(f"{number}" * 40, "Ann", "2026-11-22T08:00:00Z", "Rename", touches)
        for number, touches in enumerate(("traceback", "dag", "dependencies", "other"))
    )
    told = facts(changes=replace(CHANGES, commits=commits, dependencies=("uv.lock",)))
    assert told[:7] == [
        "changed since sunday, the last green run (aaaaaaaaaa..bbbbbbbbbb): 4 commits, 1 file",
        "commit 0000000000 2026-11-22T08:00 Ann: Rename [touches the traceback]",
        "commit 1111111111 2026-11-22T08:00 Ann: Rename [touches the DAG's file]",
        "commit 2222222222 2026-11-22T08:00 Ann: Rename [changes dependencies]",
        "commit 3333333333 2026-11-22T08:00 Ann: Rename",
        "changed files: dags/shop.py",
        "dependencies changed: uv.lock; what is installed may differ",
    ]


def test_commits_that_touch_nothing_of_ours_are_told_as_such() -> None:
    assert facts(changes=CHANGES)[0].endswith("1 commit, 1 file; none touches the traceback's files or the DAG's")


def test_of_many_commits_and_files_the_first_are_told_and_where_the_rest_is() -> None:
    many = replace(CHANGES, commits=CHANGES.commits * 11, files=tuple(f"f{number}" for number in range(15)))
    told = facts(changes=many)
    assert len([one for one in told if one.startswith("commit ")]) == 8
    assert "3 further of these commits; get_history of=changes has them" in told
    assert fact("changed files", *told).endswith("f11 and 3 more; get_history of=changes has them")


def test_counts_at_the_most_that_is_asked_for_may_be_more() -> None:
    told = facts(changes=replace(CHANGES, commits=CHANGES.commits * COMPARED_COMMITS, files=("x.py",) * FILES))
    assert f": {COMPARED_COMMITS} or more commits, {FILES} or more files" in told[0]


def test_code_that_is_the_same_points_elsewhere() -> None:
    told = facts(changes=Changes("sunday", "a" * 40, "a" * 40))[0]
    assert told.startswith("the code did not change since sunday, the last green run (aaaaaaaaaa..aaaaaaaaaa)")
    assert told.endswith(": look at data, environment and services")


def test_a_run_on_older_code_lacks_what_changed_and_a_guess_by_time_says_so() -> None:
    told = facts(changes=replace(CHANGES, undone=True, by="time"))[0]
    assert told.startswith("this run was on older code, without sunday, the last green run")
    assert "by time: the base branch when the runs started, for the runs have no version" in told


# --- how it used to be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("took", "usual", "words"),
    [
        (
            62.0,
            Usual(5, 20.0, 16.0, 25.0),
            "took 62.0 s, 3.1x slower than usual (median 20.0 s, 16.0 to 25.0 s in 5 other successes);",
        ),
        (
            2.0,
            Usual(1, 20.0, 20.0, 20.0),
            "took 2.0 s, 10.0x faster than usual (median 20.0 s, 20.0 to 20.0 s in 1 other success);",
        ),
        (0.4, Usual(3, 0.0, 0.0, 0.1), "took 0.4 s (median 0.0 s, 0.0 to 0.1 s in 3 other successes);"),
        (None, Usual(2, 20.0, 16.0, 24.0), "took - (median 20.0 s, 16.0 to 24.0 s in 2 other successes);"),
        (3.0, None, "took 3.0 s; host"),
    ],
)
def test_a_duration_is_told_with_what_is_usual(took: float | None, usual: Usual | None, words: str) -> None:
    task = TaskFacts("sum_revenue", -1, 1, "failed", duration=took)
    incident = an_incident(task=task, circumstances=Circumstances(earlier=EarlierRuns(usual=usual)))
    assert words in fact("times: ", *facts(incident)).replace("\N{MULTIPLICATION SIGN}", "x")


def test_how_other_runs_ended_is_told_the_most_frequent_first() -> None:
    earlier = EarlierRuns({"failed": 1, "success": 4}, retried=2, last_green="sunday")
    assert "this task in the newest other runs: 4 success, 1 failed (2 only after a retry); last green run sunday" in facts(
        earlier=earlier
    )


@pytest.mark.parametrize(
    ("earlier", "words"),
    [
        (EarlierRuns(), ["this task has no other runs"]),
        (EarlierRuns(told=False), []),
        (EarlierRuns({"failed": 2}), ["this task in the newest other runs: 2 failed; none of them green before this run"]),
    ],
)
def test_no_other_runs_and_not_knowing_of_any_are_told_apart(earlier: EarlierRuns, words: list[str]) -> None:
    assert [one for one in facts(earlier=earlier) if one.startswith("this task")] == words


# --- who else, and inputs --------------------------------------------------------------------------------------------


def test_tasks_that_failed_below_the_first_ones_are_told_apart_from_victims() -> None:
    told = list(surroundings(an_incident(), EDGES, ("sum_revenue", "cleanup")))
    assert (
        "first failed in this run: sum_revenue; failed too, below them: cleanup; victims of sum_revenue: publish_report" in told
    )
    assert "upstream: read; downstream: publish_report" in told


def test_of_many_victims_the_first_are_named_and_the_rest_counted() -> None:
    told = facts(an_incident(victims=tuple(f"v{number}" for number in range(25))))
    assert fact("first failed", *told).endswith("v19 and 5 more")


def test_what_was_too_large_is_told_as_text_and_not_as_text_in_json() -> None:
    fields = redacted_values({"sql": 'select "x" ' * 1_000}, redact)
    told = fact("rendered fields: ", *facts(an_incident(task=replace(an_incident().task, rendered_fields=fields))))
    assert told.startswith('rendered fields: {"sql": "select \\"x\\" ')


def test_params_are_told_to_be_what_is_defined() -> None:
    assert 'params (as defined; the run\'s conf overrides them): {"limit": 10}' in facts(params={"limit": 10})


def test_what_is_not_known_comes_last_for_it_may_be_cut_first() -> None:
    assert facts(gaps=("assets: 403", "tasks: 404"))[-2:] == ["not known: assets: 403", "not known: tasks: 404"]


# --- redaction -------------------------------------------------------------------------------------------------------

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Zg3bX1lQ8m7\nQ8m7MIIEpAIBAAKCAQEA0Zg3bX1l\n-----END RSA PRIVATE KEY-----"
LEAKY = Circumstances(
    changes=replace(
        CHANGES, commits=(Commit("b" * 40, "Ann https://ann:Hd83kqPw0x@git.example", "2026-11-22", "Set password=Hd83kqPw0x"),)
    ),
    params={"db": {"password": "Hd83kqPw0x"}, "key": KEY},
    xcoms=(XCom("a", '{"token": "Hd83kqPw0x"}'), XCom("b", "postgres://app:Hd83kqPw0x@db/shop"), XCom("c", KEY)),
    gaps=("assets: postgres://app:Hd83kqPw0x@db/airflow",),
)


def test_no_part_shows_a_secret_that_stands_in_it() -> None:
    told = str(redacted_circumstances(LEAKY, redact))
    assert "Hd83kqPw0x" not in told
    assert "MIIEp" not in told


def test_a_value_that_is_cut_is_cut_after_redaction_and_counts_what_is_left_out() -> None:
    found = redacted_circumstances(Circumstances(xcoms=(XCom("a", "x" * 2_000, cut=500),)), redact).xcoms[0]
    assert (len(found.value), found.cut) == (800, 1_700)

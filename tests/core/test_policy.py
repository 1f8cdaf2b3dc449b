"""The stricter of all that have a say, value by value, and where each value comes from."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_agentfix.core.policy import NAMES, Autonomy, Effective, Layer, Policy, RepoCheck, combine

DEPLOYMENT = Layer("deployment", **{name: value for name, value in vars(Policy()).items() if name != "checks"})
UNIT = RepoCheck("unit", ("pytest", "-q"))


@pytest.mark.parametrize(
    ("said", "value", "sources"),
    [
        ({"autonomy": Autonomy.REPORT}, Autonomy.REPORT, ("file",)),
        ({"autonomy": Autonomy.RECOVER}, Autonomy.RERUN, ("deployment",)),
        ({"max_files": 3}, 3, ("file",)),
        ({"max_files": 99}, 10, ("deployment",)),
        ({"max_dollars": 0.5}, 0.5, ("file",)),
        ({"approve_before": ()}, ("rerun",), ("deployment",)),
        ({"approvers": ("ana",)}, ("ana",), ("file",)),
        ({"reviewers": ("ana", "acme/data")}, ("ana", "acme/data"), ("file",)),
        ({"allowed_paths": (("dags/**",),)}, (("dags/**",),), ("file",)),
        ({"run_checks": False}, False, ("file",)),
        ({"checks": (UNIT,)}, (UNIT,), ("file",)),
    ],
)
def test_a_further_layer_takes_away_and_never_gives(said: dict[str, Any], value: Any, sources: tuple[str, ...]) -> None:
    (name,) = said
    found = combine([DEPLOYMENT, Layer("file", **said)])
    assert (getattr(found.policy, name), found.sources[name]) == (value, sources)


def test_of_a_waiver_and_a_demand_the_demand_counts() -> None:
    waives = Layer("deployment", approve_before=(), allow_unreviewed_reruns=True)
    demands = Layer("file", approve_before=("rerun",), allow_unreviewed_reruns=False)
    found = combine([waives, demands])
    assert (found.policy.approve_before, found.policy.allow_unreviewed_reruns) == (("rerun",), False)
    assert found.sources["allow_unreviewed_reruns"] == ("file",)


def test_globs_stay_in_their_group_so_that_a_negated_one_frees_nothing_another_denied() -> None:
    found = combine([Layer("deployment", denied_paths=(("infra/**",),)), Layer("file", denied_paths=(("*.sql", "!infra/**"),))])
    assert found.policy.denied_paths == (("infra/**",), ("*.sql", "!infra/**"))


def test_approvers_are_those_whom_everybody_names() -> None:
    found = combine([Layer("deployment", approvers=("ana", "kim")), Layer("file", approvers=("kim", "lee"))])
    assert (found.policy.approvers, found.sources["approvers"]) == (("kim",), ("deployment", "file"))
    assert found.problems == ()


def test_where_approvers_have_nobody_in_common_nothing_can_be_rerun_and_the_reason_is_told() -> None:
    found = combine([DEPLOYMENT, Layer("one", approvers=("ana",)), Layer("two", approvers=("lee",))])
    assert found.policy.autonomy is Autonomy.PROPOSE
    assert found.sources["autonomy"] == ("one", "two")
    assert "nobody in common (one: ana; two: lee)" in found.problems[0]


def test_a_layer_that_could_not_be_heard_says_why() -> None:
    found = combine([DEPLOYMENT, Layer("file", autonomy=Autonomy.REPORT, problem="file is no YAML")])
    assert (found.policy.autonomy, found.problems) == (Autonomy.REPORT, ("file is no YAML",))


def test_every_value_of_a_complete_layer_has_its_source() -> None:
    assert set(combine([DEPLOYMENT]).sources) == set(NAMES) - {"checks"}


def test_a_policy_survives_json() -> None:
    layer = Layer("file", allowed_paths=(("dags/**",),), denied_paths=(("a",),), approvers=("ana",), checks=(UNIT,))
    found = combine([DEPLOYMENT, layer])
    assert Effective.from_json(found.to_json()) == found


def test_a_policy_that_another_version_wrote_down_is_read() -> None:
    written = combine([DEPLOYMENT, Layer("file", max_files=3, checks=(UNIT,))]).to_json()
    earlier = {
        name: value for name, value in written["policy"].items() if name not in ("checks", "denied_paths", "daily_dollars")
    }
    found = Effective.from_json({"policy": earlier, "sources": {}}).policy
    assert (found.max_files, found.checks, found.denied_paths, found.daily_dollars) == (3, (), (), Policy.daily_dollars)
    later = {**written["policy"], "autonomy": "merge", "max_reruns": 1, "checks": [{**vars(UNIT), "shell": False}]}
    found = Effective.from_json({**written, "policy": later, "signed": True}).policy
    assert (found.autonomy, found.max_files, found.checks) == (Autonomy.REPORT, 3, (UNIT,))


def test_what_was_in_force_gets_stricter_with_a_layer_and_not_looser() -> None:
    recorded = combine([DEPLOYMENT, Layer("file", approvers=("ana",), denied_paths=(("a",),), max_files=2)]).policy
    now = Layer("deployment", autonomy=Autonomy.PROPOSE, max_files=9, denied_paths=(("b",),), approvers=())
    found = combine([now, recorded.as_layer("recorded")]).policy
    assert (found.autonomy, found.max_files, found.approvers) == (Autonomy.PROPOSE, 2, ("ana",))
    assert found.denied_paths == (("b",), ("a",))

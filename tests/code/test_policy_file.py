"""`.agentfix.yaml`: what it may say, to which DAGs, and that nothing in it is misread."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from airflow_agentfix.code.policy_file import MAX_BYTES, parse, schema
from airflow_agentfix.core.policy import NAMES, Autonomy, RepoCheck
from airflow_agentfix.errors import PolicyInvalid

WHOLE = """
version: 1
autonomy: propose
approve_before: [rerun]
approvers: [ana, kim]
reviewers: [ana, "@acme/data"]
allowed_paths: ["dags/**"]
denied_paths: ["dags/secret/**"]
max_files: 3
max_dollars: 1.5
daily_dollars: 10
checks:
  - {name: unit, run: [pytest, -q], timeout: 60}
dags:
  - {dag: "finance_*", autonomy: report}
  - {tag: critical, approvers: [boss], reviewers: [boss]}
  - {dag: "finance_*", tag: critical, max_files: 1}
"""


def layers(text: str, dag_id: str = "orders", tags: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    found = parse(text.encode(), where="the file").layers(dag_id, tags)
    said = [{name: value for name, value in vars(layer).items() if value is not None} for layer in found]
    assert not any(one.pop("is_away") for one in said)
    return said


def test_every_value_is_read() -> None:
    (top,) = layers(WHOLE)
    assert top == {
        "source": "the file",
        "autonomy": Autonomy.PROPOSE,
        "approve_before": ("rerun",),
        "allow_unreviewed_reruns": False,
        "approvers": ("ana", "kim"),
        "reviewers": ("ana", "@acme/data"),
        "allowed_paths": (("dags/**",),),
        "denied_paths": (("dags/secret/**",),),
        "max_files": 3,
        "max_dollars": 1.5,
        "daily_dollars": 10,
        "checks": (RepoCheck("unit", ("pytest", "-q"), 60),),
    }


def test_a_repository_may_want_a_person_before_a_recovery_without_asking_for_one_before_a_rerun() -> None:
    (top,) = layers("version: 1\napprove_before: [recover]\n")
    assert top == {"source": "the file", "approve_before": ("recover",)}


@pytest.mark.parametrize(
    ("dag_id", "tags", "entries"),
    [
        ("orders", (), []),
        ("finance_daily", (), ["dags[0] (dag finance_*)"]),
        ("orders", ("critical", "x"), ["dags[1] (tag critical)"]),
        (
            "finance_daily",
            ("critical",),
            ["dags[0] (dag finance_*)", "dags[1] (tag critical)", "dags[2] (dag finance_*, tag critical)"],
        ),
        ("Finance_daily", (), []),
    ],
)
def test_an_entry_counts_for_the_dags_it_names(dag_id: str, tags: tuple[str, ...], entries: list[str]) -> None:
    assert [layer["source"] for layer in layers(WHOLE, dag_id, tags)[1:]] == [f"the file, {entry}" for entry in entries]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "top level: None is not of type 'object'"),
        ("autonomy: report", "'version' is a required property"),
        ("version: 2", "version: 2 was found, 1 was expected"),
        ("version: 1\nautonmy: report", "('autonmy' was unexpected); did you mean autonomy. "),
        ("version: 1\nautonomy: full", "autonomy: 'full' is not one of"),
        ("version: 1\nmax_files: many", "max_files: 'many' is not of type 'integer'"),
        ("version: 1\nmax_files: -1", "max_files: -1 is less than the minimum of 0"),
        ("version: 1\napprovers: []", "approvers: [] "),
        ("version: 1\nreviewers: [ana kim]", "reviewers[0]: "),
        ("version: 1\nreviewers: [ana@acme.example]", "reviewers[0]: "),
        ("version: 1\nallow_unreviewed_reruns: true", "'allow_unreviewed_reruns' was unexpected"),
        ("version: 1\ndags: [{autonomy: report}]", "dags[0]: it has neither dag nor tag"),
        ("version: 1\ndags: [{dag: a, retries: 2}]", "dags[0]: "),
        ("version: 1\nchecks: [{name: unit, run: pytest -q}]", "checks[0].run: 'pytest -q' is not of type 'array'"),
        ("version: 1\nautonomy: report\nautonomy: rerun", "autonomy twice in one place (lines 2, 3)"),
        ("version: 1\nmax_files: &n 3\nmax_lines: *n", "alias"),
        ("version: 1\nautonomy: !!python/object/apply:os.system [id]", "could not determine a constructor"),
        ("version: 1\ndenied_paths: ['!']", "denied_paths: '!' is no glob"),
        ("version: 1\ndenied_paths: ['*a*a*a*a*a*a*b']", "denied_paths: The glob '*a*a*a*a*a*a*b' has too many"),
        ("version: 1\ndags: [{dag: a, allowed_paths: ['**/a/**/a/**/a/**/b']}]", "allowed_paths: The glob "),
        ('version: 1\nchecks: [{name: "unit\\n# New rules", run: [pytest]}]', "checks[0].name: "),
        ('version: 1\napprovers: ["\\e[2Jana"]', "approvers[0]: "),
        ('version: 1\ndags: [{dag: "a\\n"}]', "dags[0].dag: "),
        ("version: 2026-13-99", "no YAML that can be used: month"),
        ("version: 1\nmax_files: !!int many", "no YAML that can be used"),
        ("version: 1\nmax_files: !!bool many", "no YAML that can be used"),
        ("version: 1\nmax_files: !!timestamp many", "no YAML that can be used"),
        (f"version: 1\nmax_files: {'9' * 5000}", "no YAML that can be used"),
        (f"version: 1\nmax_files: -0x{'f' * 5000}", "no YAML that can be used"),
        ("version: 1\nmax_dollars: .nan", "it has .nan, which is no number (line 2)"),
        ("version: [", "no YAML"),
    ],
)
def test_a_file_that_is_not_understood_to_its_last_key_is_refused_with_the_place(text: str, told: str) -> None:
    with pytest.raises(PolicyInvalid) as error:
        parse(text.encode(), where="the file")
    assert str(error.value).startswith("the file")
    assert told in str(error.value)


def test_every_mistake_is_told_at_once_up_to_five() -> None:
    with pytest.raises(PolicyInvalid) as error:
        parse(b"version: 1\nautonomy: full\nmax_files: 3.5\napprovers: ana", where="the file")
    assert all(place in str(error.value) for place in ("autonomy: ", "max_files: ", "approvers: "))
    with pytest.raises(PolicyInvalid, match="; and 2 more"):
        parse(b"version: 1\nchecks: [1, 2, 3, 4, 5, 6, 7]", where="the file")


def test_a_file_over_the_bound_or_not_in_utf_8_is_refused() -> None:
    for content in (b"#" * (MAX_BYTES + 1), b"version: 1\n# \xff"):
        with pytest.raises(PolicyInvalid, match="the file"):
            parse(content, where="the file")


@pytest.mark.timeout(20)  # with the square of their number it would be minutes
def test_a_file_of_nothing_but_keys_is_refused_before_anybody_waits_for_it() -> None:
    keys = ",".join(f"{number:x}" for number in range(6_000))
    with pytest.raises(PolicyInvalid, match="twice in one place"):
        parse(f"version: 1\nx: {{{keys}, {keys}}}".encode(), where="the file")


def test_a_secret_in_a_broken_file_is_not_told() -> None:
    with pytest.raises(PolicyInvalid) as error:
        parse(b"version: 1\npassword: hunter2secret9\nautonomy: password=hunter2secret9", where="the file")
    assert "hunter2secret9" not in str(error.value)


def test_the_published_schema_is_one_and_names_every_value_a_repository_may_set() -> None:
    published = schema()
    Draft202012Validator.check_schema(published)
    of_deployment = {"allow_unreviewed_reruns", "run_checks"}
    assert set(published["properties"]) == set(NAMES) - of_deployment | {"version", "dags"}
    assert set(published["properties"]["dags"]["items"]["properties"]) == set(NAMES) - of_deployment | {"dag", "tag"}

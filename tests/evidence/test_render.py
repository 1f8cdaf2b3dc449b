"""The evidence's text."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_agentfix.core.circumstances import Circumstances, Excerpt, Precedent, XCom
from airflow_agentfix.core.incident import Frame, TaskRef
from airflow_agentfix.evidence.redacted import VALUE_CHARS, redacted_cause, redacted_values
from airflow_agentfix.evidence.render import Extra, render
from airflow_agentfix.redaction import redact
from tests.fakes.incidents import an_incident


def text_of(budget: int = 5_000, **changes: object) -> str:
    return render(
        an_incident(**changes), Extra(), log=lambda chars: "L1\t" + "x" * (chars - 3), redact=redact, budget_chars=budget
    )


def test_every_fact_is_one_line_with_an_id_that_can_be_cited() -> None:
    facts = text_of().split("\n\n")[0].splitlines()
    assert [line.split("\t")[0] for line in facts] == [f"E{number}" for number in range(1, len(facts) + 1)]


def test_a_message_of_several_lines_stays_one_fact() -> None:
    cause = replace(an_incident().cause, message="one\ntwo\nthree " + "long " * 30)
    assert "message: one ⏎ two ⏎ three" in text_of(cause=cause)


def test_a_long_fact_is_cut_with_a_mark() -> None:
    cause = replace(an_incident().cause, message="y" * 5_000)
    assert "more characters; read_log, or the task in Airflow, shows more" in text_of(cause=cause)


def test_library_frames_are_not_shown_and_of_many_the_innermost_are() -> None:
    frames = tuple(Frame(f"/dags/f{number}.py", number, "f", user=number % 2 == 0) for number in range(40))
    text = text_of(cause=replace(an_incident().cause, frames=frames))
    assert "8 outer frames of user code left out" in text
    assert "/dags/f38.py:38" in text
    assert "/dags/f39.py" not in text
    assert "/dags/f0.py" not in text


@pytest.mark.parametrize("budget", [300, 500, 1_000, 3_000])
def test_the_text_stays_in_its_budget(budget: int) -> None:
    text = text_of(budget, victims=tuple(f"victim_{number}" for number in range(500)))
    assert len(text) <= budget
    if budget < 1_000:
        assert "facts left out for want of room" in text


def test_a_secret_that_spans_lines_of_the_context_is_found() -> None:
    key = ["-----BEGIN RSA PRIVATE KEY-----", "MIIEpAIBAAKCAQEA0Zg3bX1lQ8m7", "-----END RSA PRIVATE KEY-----"]
    cause = replace(an_incident().cause, context=tuple(enumerate(key, 5)))
    shown = redacted_cause(cause, redact)
    assert [number for number, _ in shown.context] == [5, 6, 7]
    assert "MIIEp" not in str(shown)


def test_values_are_redacted_by_their_keys_and_stay_values() -> None:
    assert redacted_values({"db": {"password": "Yw5pass77word"}, "day": 1}, redact) == {"db": {"password": "***"}, "day": 1}


def test_large_values_are_cut_with_a_mark() -> None:
    cut = redacted_values({"rows": ["x" * 100] * 1_000}, redact)["cut"]
    assert len(cut) < VALUE_CHARS + 100
    assert "more characters in Airflow" in cut


def test_what_is_no_json_becomes_text() -> None:
    assert redacted_values({"when": {1}}, redact) == {"when": "{1}"}


@pytest.mark.parametrize("depth", [25, 400, 100_000])
def test_a_conf_nested_without_end_becomes_text(depth: int) -> None:
    conf: object = "end"
    for _ in range(depth):
        conf = [conf]
    shown = redacted_values({"a": conf}, redact)
    assert all(isinstance(value, str) for value in shown.values())


# --- many facts ------------------------------------------------------------------------------------------------------

MANY = Circumstances(
    params={"p": "y" * 3_000},
    xcoms=tuple(XCom(f"up{number}", "z" * 700) for number in range(10)),
    source=(Excerpt("dags/shop.py", "b" * 40, 1, tuple(f"line {number}" for number in range(300))),),
    precedents=tuple(Precedent(f"s{number}", "2026-11-15", "sunday", "fixed", summary="w" * 300) for number in range(3)),
    gaps=tuple(f"part {number}: 403" for number in range(50)),
)


@pytest.mark.parametrize("budget", [200, 400, 800, 1_200, 2_000, 4_000, 8_000, 16_000])
def test_with_many_facts_the_text_stays_in_its_budget_and_says_what_it_leaves_out(budget: int) -> None:
    text = text_of(budget, circumstances=MANY)
    assert len(text) <= budget
    if 2_000 <= budget <= 8_000:
        assert "lines of source left out for want of room; read_file has them" in text
        assert "facts left out for want of room; agentfix context with a larger --budget, or --json, has them" in text
        assert "\nL1\t" in text


@pytest.mark.parametrize("budget", [800, 1_200, 2_000, 4_000])
def test_a_cause_of_any_length_is_begun_in_a_small_budget(budget: int) -> None:
    cause = replace(an_incident().cause, line="ProgrammingError: " + "select x " * 300, message="m" * 5_000)
    ref = TaskRef("d" * 250, "r" * 250, "t" * 250, 1)
    assert "root cause: ProgrammingError: select x" in text_of(budget, ref=ref, cause=cause, circumstances=MANY)


def test_ids_go_on_from_the_cause_to_what_stood_around_it_and_source_has_its_own() -> None:
    ids = [line.split("\t")[0] for line in text_of(30_000, circumstances=MANY).splitlines()]
    numbers = [int(one[1:]) for one in ids if one.startswith("E")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert [one for one in ids if one.startswith("S")] == ["S1"]


def test_source_that_is_not_known_to_be_what_ran_says_so() -> None:
    guess = Circumstances(source=(Excerpt("dags/shop.py", "b" * 40, 7, ("x = 1",), exact=False),))
    assert "S1\tdags/shop.py at bbbbbbbbbb, the base branch when the run started; what ran is not known\n7\tx = 1" in text_of(
        circumstances=guess
    )

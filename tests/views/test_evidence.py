"""The evidence as lines that can be linked to, and cites that lead to them."""

from __future__ import annotations

from airflow_agentfix.views.evidence import chain, cites, lines
from tests.web.pages import world


def test_a_line_of_the_log_a_fact_and_a_line_of_source_are_called_as_they_are_cited():
    found = {line.anchor: (line.label, line.text) for line in lines(world.TEXT) if line.anchor}
    assert found["L12"] == ("L12", world.LINE)
    assert found["E2"] == ("E2", f"root cause: {world.LINE}")
    assert found["dags/orders.py:12"] == ("12", "    return sum(row['total'] for row in rows)")


def test_an_anchor_is_there_once_whatever_a_log_says():
    found = [line.anchor for line in lines("L1\ta\nL1\tb\nE1\tc")]
    assert found == ["L1", "", "E1"]


def test_the_lines_that_the_verdict_rests_on_are_marked():
    assert [line.anchor for line in lines(world.TEXT, rests_on={"L12"}) if line.cause] == ["L12"]


def test_a_cite_leads_to_its_first_line_and_nowhere_where_the_page_has_none():
    shown = lines(world.TEXT)
    found = {
        one.text: one.href for one in cites(["L11-L12", "`E3`", "./dags/orders.py:11-12", "L99", "x.py:1", "javascript:1"], shown)
    }
    assert found == {
        "L11-L12": "#L11",
        "`E3`": "#E3",
        "./dags/orders.py:11-12": "#dags%2Forders.py%3A11",
        "L99": None,
        "x.py:1": None,
        "javascript:1": None,
    }


def test_a_claim_that_no_shown_line_supports_is_told_apart():
    assert [claim.is_grounded for claim in chain(world.report(), lines(world.TEXT))] == [True, False]


def test_a_report_in_odd_shapes_has_no_chain():
    for odd in (None, 7, "text", [None, 3], {"a": 1}, [{"claim": None, "cites": 4}]):
        assert all(claim.cites == () for claim in chain({"causal_chain": odd, "ungrounded": odd}, ()))


def test_a_cite_of_what_a_tool_has_shown_leads_to_that_tools_event():
    told = {"causal_chain": [{"claim": "c", "cites": ["L12", "x.py:1", "y.py:1", "z.py:1"]}]}
    told["shown_in"] = {"L12": 7, "x.py:1": 8, "y.py:1": "javascript:1"}
    (claim,) = chain(told, lines(world.TEXT))
    assert [one.href for one in claim.cites] == ["#L12", "#event-8", None, None]
    assert chain({**told, "shown_in": [3]}, ())[0].cites[1].href is None

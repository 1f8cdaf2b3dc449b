"""What stood around a failure, through JSON and back, as older and newer versions wrote it."""

from __future__ import annotations

import json
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

import pytest

from airflow_agentfix.core.circumstances import (
    AssetEvent,
    AssetFacts,
    Changes,
    Circumstances,
    Commit,
    EarlierRuns,
    Excerpt,
    Lineage,
    Precedent,
    Usual,
    XCom,
)
from airflow_agentfix.core.incident import Incident
from tests.fakes.incidents import an_incident

ASSET = AssetFacts("orders", "s3://lake/orders", "2026-11-22T12:00:00Z", (("shop", "load"),), (("shop", "sum"),), ("reports",))
FULL = Circumstances(
    earlier=EarlierRuns({"success": 4, "failed": 1}, 1, Usual(4, 2.0, 1.0, 3.5), "sunday", 115, 1, told=False),
    changes=Changes(
        "sunday",
        "a" * 40,
        "b" * 40,
        "time",
        True,
        (Commit("b" * 40, "Ann", "2026-11-22", "Rename", "dag"),),
        ("x.py",),
        ("uv.lock",),
    ),
    lineage=Lineage((ASSET,), (ASSET,), (ASSET,), (ASSET,), (AssetEvent("orders", "t", "d", "r", "k"),), ("reports",)),
    params={"limit": 10},
    xcoms=(XCom("extract", "[1]", 7, 2),),
    source=(Excerpt("x.py", "b" * 40, 3, ("a", "b"), exact=False),),
    precedents=(Precedent("s1", "2026-11-15", "sunday", "fixed", False, "KeyError", "Renamed.", "fix/x"),),
    gaps=("assets: 403",),
)


def through_json(found: Circumstances) -> dict[str, Any]:
    return dict(json.loads(json.dumps(asdict(found))))


def test_every_part_comes_back_as_it_was() -> None:
    assert Circumstances.from_json(through_json(FULL)) == FULL


def test_the_example_of_this_test_has_every_part() -> None:
    assert [one.name for one in fields(FULL) if not getattr(FULL, one.name)] == []


@pytest.mark.parametrize("part", [one.name for one in fields(Circumstances)])
def test_a_part_that_an_older_version_did_not_write_has_its_default(part: str) -> None:
    data = through_json(FULL)
    del data[part]
    default = getattr(Circumstances(), part)
    assert Circumstances.from_json(data) == replace(FULL, **{part: default})


@pytest.mark.parametrize(
    ("part", "name"),
    [("earlier", "told"), ("earlier", "usual"), ("changes", "undone"), ("changes", "files"), ("lineage", "stale")],
)
def test_a_field_that_an_older_version_did_not_write_has_its_default(part: str, name: str) -> None:
    data = through_json(FULL)
    default = next(one.default for one in fields(getattr(FULL, part)) if one.name == name)
    del data[part][name]
    assert getattr(getattr(Circumstances.from_json(data), part), name) == default


def test_an_xcom_of_a_version_without_map_indexes_is_that_of_an_unmapped_task() -> None:
    data = through_json(FULL)
    del data["xcoms"][0]["map_index"]
    assert Circumstances.from_json(data).xcoms == (XCom("extract", "[1]", 7),)


def with_news(value: Any) -> Any:
    """The value with a field of a newer version in every object that is ours."""
    if isinstance(value, list):
        return [with_news(one) for one in value]
    return {name: with_news(one) for name, one in value.items()} | {"new": {"a": 1}} if isinstance(value, dict) else value


def test_what_a_newer_version_adds_anywhere_is_passed_over() -> None:
    data = {name: value if name == "params" else with_news(value) for name, value in through_json(FULL).items()}
    data["earlier"]["states"].pop("new")
    assert Circumstances.from_json({**data, "weather": "rain"}) == FULL


def test_an_incident_of_before_circumstances_has_none() -> None:
    data = an_incident(circumstances=FULL).to_json()
    del data["circumstances"]
    assert Incident.from_json(json.loads(json.dumps(data))).circumstances == Circumstances()


def test_an_incident_with_all_its_circumstances_comes_back_as_it_was() -> None:
    incident = an_incident(circumstances=FULL)
    assert is_dataclass(incident)
    assert Incident.from_json(json.loads(json.dumps(incident.to_json()))) == incident

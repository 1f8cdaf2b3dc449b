"""The lineage of a failed task as a picture: what it reads, what it should have updated, who is left with old data. Pure.

Names of assets are in the DAG's code, which who reads the DAG may see; those of other DAGs are for who may read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airflow_agentfix.core.circumstances import AssetFacts
from airflow_agentfix.core.incident import Incident
from airflow_agentfix.evidence.history import moment
from airflow_agentfix.redaction import redact

ASKED_ABOUT = 200
"""DAGs whose rights are asked for; of more, the rest is counted"""
_PARTS = ("assets", "tasks:", "the events")


@dataclass(frozen=True)
class Asset:
    name: str
    uri: str | None
    """where it says more than the name"""
    updated: str | None
    """when it was last updated; ISO 8601"""
    by: tuple[str, ...] = ()
    """`dag / task` that updates it"""
    fresh: bool = False
    """it was updated since the run started, by whoever"""


@dataclass(frozen=True)
class Picture:
    """`hidden`: how many more DAGs are stale that this person may not read."""

    task_id: str
    reads: tuple[Asset, ...] = ()
    started_by: tuple[Asset, ...] = ()
    """what the DAG waits for, beside what the task itself reads"""
    updates: tuple[Asset, ...] = ()
    victims: tuple[str, ...] = ()
    """tasks of the DAG that did not run"""
    not_updated: tuple[Asset, ...] = ()
    """assets of those"""
    stale: tuple[str, ...] = ()
    hidden: int = 0
    gaps: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not any((self.reads, self.started_by, self.updates, self.victims, self.not_updated, self.stale, self.hidden))


def picture(incident: Incident, *, may_read: Callable[[str], bool]) -> Picture:
    """`may_read`: whether this person may read a DAG."""
    lineage, started = incident.circumstances.lineage, incident.run.start_date
    known: dict[str, bool] = {incident.ref.dag_id: True}

    def readable(dag_id: str) -> bool:
        if dag_id not in known:
            known[dag_id] = len(known) <= ASKED_ABOUT and may_read(dag_id)
        return known[dag_id]

    def assets(found: Iterable[AssetFacts]) -> tuple[Asset, ...]:
        return tuple(_asset(one, started, readable) for one in found)

    stale = [dag_id for dag_id in lineage.stale if readable(dag_id)]
    return Picture(
        task_id=redact(incident.ref.task_id),
        reads=assets(lineage.inlets),
        started_by=assets(one for one in lineage.dag_schedule if one not in lineage.inlets),
        updates=assets(lineage.outlets),
        victims=tuple(map(redact, incident.victims)),
        not_updated=assets(lineage.dag_outlets),
        stale=tuple(stale),
        hidden=len(lineage.stale) - len(stale),
        gaps=tuple(gap for gap in incident.circumstances.gaps if gap.startswith(_PARTS)),
    )


def _asset(asset: AssetFacts, started: str | None, readable: Callable[[str], bool]) -> Asset:
    return Asset(
        name=asset.name,
        uri=asset.uri if asset.uri not in ("", asset.name) else None,
        updated=asset.last_event,
        by=tuple(f"{dag_id} / {task_id}" for dag_id, task_id in asset.producers if readable(dag_id)),
        fresh=bool(asset.last_event and started and moment(asset.last_event) >= moment(started)),
    )

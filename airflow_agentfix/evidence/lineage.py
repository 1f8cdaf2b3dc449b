"""Data in and out of a failed task: what it reads, what it should have written, who waits for that. Pure.

What Airflow's REST API does not tell, on 3.1 to 3.3 alike: which assets a task reaches through an alias, and which assets an
asset-scheduled run still waits for. What newer lines add (watchers, partition keys) is not needed here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from airflow_agentfix.core.circumstances import AssetEvent, AssetFacts, Lineage
from airflow_agentfix.evidence.history import moment


def lineage(
    dag_id: str,
    task_id: str,
    *,
    assets: Sequence[AssetFacts],
    victims: Collection[str],
    fed_by: Sequence[AssetEvent] = (),
    started: str | None = None,
) -> Lineage:
    """The lineage of a failed task; `victims` are the tasks that did not run because of it, `started` is when its run was.

    An asset that was updated since then is not old: by another index of a mapped task, another task, a later run.
    """
    failed = (dag_id, task_id)
    not_run = {(dag_id, victim) for victim in victims}
    outlets = tuple(asset for asset in assets if failed in asset.producers)
    missed = tuple(asset for asset in assets if asset not in outlets and not_run & set(asset.producers))
    waiting = {other for asset in (*outlets, *missed) if not _is_updated(asset, started) for other in asset.scheduled}
    return Lineage(
        inlets=tuple(asset for asset in assets if failed in asset.consumers),
        outlets=outlets,
        dag_schedule=tuple(asset for asset in assets if dag_id in asset.scheduled),
        dag_outlets=missed,
        fed_by=tuple(fed_by),
        stale=tuple(sorted(waiting - {dag_id})),
    )


def _is_updated(asset: AssetFacts, since: str | None) -> bool:
    return bool(asset.last_event and since) and moment(str(asset.last_event)) >= moment(str(since))

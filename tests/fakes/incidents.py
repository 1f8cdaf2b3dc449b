"""Incidents as evidence collection makes them, for tests that need one and not its collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_agentfix.core.incident import DagFacts, Frame, Incident, Judgement, RootCause, RunFacts, TaskFacts, TaskRef, Verdict

REF = TaskRef("shop_daily_revenue", "manual__2026-11-22T06:00:00+00:00", "sum_revenue", 1)
LINE = "AttributeError: module 'shop.money' has no attribute 'to_euro'"


def an_incident(**changes: Any) -> Incident:
    """The demo's incident, with fields replaced."""
    file = "/home/airflow/bundles/shop/versions/abc/dags/shop/revenue.py"
    incident = Incident(
        ref=REF,
        cause=RootCause(
            line=LINE,
            message="module 'shop.money' has no attribute 'to_euro'",
            exception="AttributeError",
            frames=(Frame(file, 15, "by_country", True),),
            context=((12, LINE),),
        ),
        judgement=Judgement(Verdict.CODE, 0.9, "a traceback in user code", ("L12",)),
        fingerprint="fp1:0123456789abcdef",
        task=TaskFacts("sum_revenue", -1, 1, "failed", operator="_PythonDecoratedOperator"),
        run=RunFacts(REF.dag_id, REF.run_id, "failed", bundle_version="a" * 40),
        dag=DagFacts(REF.dag_id, "shop_daily_revenue.py", bundle_name="shop"),
        first_failed=("sum_revenue",),
        victims=("publish_report",),
        text=f"L12\t{LINE}",
    )
    return replace(incident, **changes)

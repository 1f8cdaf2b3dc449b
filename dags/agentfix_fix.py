"""The DAG that drives AgentFix's sessions: one run per session, started by the API server. Airflow runs, retries and logs it."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_agentfix.operators.agentfix import AgentFixOperator

with DAG(
    dag_id="agentfix_fix",
    description="Drives one AgentFix session: evidence, verdict, fix branch, rerun, report.",
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    # Parked sessions keep their run open for days: they must not use up the places of new ones.
    max_active_runs=1000,
    max_active_tasks=1000,
    tags=["agentfix"],
    doc_md=__doc__,
):
    AgentFixOperator(task_id="drive", retries=3, retry_delay=timedelta(seconds=10), retry_exponential_backoff=True)

"""agentfix_ask: one run is one question of AgentFix to a person, shown by Airflow under Required Actions."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_agentfix.operators.ask import AskOperator

with DAG(
    dag_id="agentfix_ask",
    description="One run is one question to a person. AgentFix starts the runs.",
    schedule=None,
    catchup=False,
    max_active_runs=1000,
    max_active_tasks=1000,
    is_paused_upon_creation=False,
    tags=["agentfix"],
) as dag:
    AskOperator(task_id="question", retries=0)

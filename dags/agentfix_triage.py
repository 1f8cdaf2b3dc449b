"""agentfix_triage: every 15 minutes, what failed and nobody reported is handed to AgentFix; the run's report says what."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, task

with DAG(
    dag_id="agentfix_triage",
    description="Finds failed runs that nobody reported and hands them to AgentFix.",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    # It covers every DAG of the deployment: somebody has to want that. Turn on: airflow dags unpause agentfix_triage
    is_paused_upon_creation=True,
    tags=["agentfix"],
    doc_md=__doc__,
):

    @task(retries=0)
    def triage() -> str:
        """Hand over what is new; returns the report."""
        import logging

        from airflow_agentfix.triage_rest import run_triage
        from airflow_agentfix.triage_run import render

        found = run_triage(now=datetime.now(UTC))
        report = render(found)
        logging.getLogger(__name__).info("%s", report)
        found.require_whole()
        return report

    triage()

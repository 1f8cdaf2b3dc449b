"""Daily revenue of the shop: extract the orders, sum them up by country, publish the report."""

from __future__ import annotations

from airflow.sdk import DAG, task
from shop import orders, report, revenue

from airflow_agentfix.notifier import agentfix_on_failure

with DAG(
    dag_id="shop_daily_revenue",
    schedule=None,
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"owner": "sales-analytics", "on_failure_callback": agentfix_on_failure()},
    tags=["shop"],
):

    @task
    def extract_orders() -> list[dict]:
        return orders.of_day()

    @task
    def sum_revenue(rows: list[dict]) -> dict[str, float]:
        return revenue.by_country(rows)

    @task
    def publish_report(totals: dict[str, float]) -> str:
        return report.render(totals)

    publish_report(sum_revenue(extract_orders()))

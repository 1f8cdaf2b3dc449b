"""AgentFix: a failed Airflow DAG run becomes a fixed one, on a branch, with evidence."""

__version__ = "0.1.0"

"""`python -m airflow_agentfix` is `agentfix`."""

from __future__ import annotations

from airflow_agentfix.cli import main

main()

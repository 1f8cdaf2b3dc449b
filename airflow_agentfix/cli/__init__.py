"""The `agentfix` command. `main` is its entry point; `app.py` holds the verbs."""

from __future__ import annotations


def main() -> None:
    """Run the command line; a failure is one message on stderr and an exit code, never a traceback of ours."""
    from airflow_agentfix.cli.app import run

    run()

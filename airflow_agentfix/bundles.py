"""DAG bundles AgentFix brings: the shipped DAGs, a packaged folder without any I/O."""

from __future__ import annotations

from pathlib import Path

from airflow.dag_processing.bundles.base import BaseDagBundle

from airflow_agentfix import resources


class AgentFixDags(BaseDagBundle):
    """The DAGs AgentFix works with: agentfix_fix, agentfix_ask and what else is shipped (`.airflowignore` leaves the demo out).

    Add to `[dag_processor] dag_bundle_config_list`:
    `{"name": "agentfix", "classpath": "airflow_agentfix.bundles.AgentFixDags", "kwargs": {}}`
    """

    supports_versioning = False

    @property
    def path(self) -> Path:
        """The packaged folder; it changes with the installed version only."""
        return resources.dags_folder()

    def get_current_version(self) -> None:
        """No versions: the code is the installed package's."""
        return

    def refresh(self) -> None:
        """Nothing to fetch."""

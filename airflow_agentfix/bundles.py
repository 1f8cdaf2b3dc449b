"""DAG bundles AgentFix brings: the shipped DAGs, a packaged folder without any I/O, and previews of fix branches."""

from __future__ import annotations

import logging
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.bundles.base import BaseDagBundle

from airflow_agentfix import resources
from airflow_agentfix.errors import AgentFixError

if TYPE_CHECKING:
    from airflow_agentfix.previews.shelf import Shelf

log = logging.getLogger(__name__)


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


class AgentFixPreviews(BaseDagBundle):
    """Approved fix branches of a repository as DAGs of their own, `<dag_id>.<branch>`, without a schedule.

    Add to `[dag_processor] dag_bundle_config_list`, with the repository and subdir of the DAGs' own bundle:
    `{"name": "agentfix_previews", "classpath": "airflow_agentfix.bundles.AgentFixPreviews",
    "kwargs": {"git_conn_id": "shop_git", "subdir": "dags", "refresh_interval": 30}}`

    :param repo_url: the repository; without it the host of the connection.
    :param git_conn_id: Airflow git connection; without it `git_default`, where that exists.
    :param subdir: folder of the repository that imports start from, as GitDagBundle's.
    :param mute_outlets: whether tasks of a preview emit no asset events, which would start production DAGs.
    """

    supports_versioning = False

    def __init__(
        self,
        *,
        repo_url: str | None = None,
        git_conn_id: str | None = None,
        subdir: str | None = None,
        mute_outlets: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._repo_url = repo_url
        self._git_conn_id = git_conn_id
        self._subdir = (subdir or "").strip("/")
        self._mute_outlets = mute_outlets

    @property
    def path(self) -> Path:
        """The folder of the loader files."""
        return self._shelf.dags

    def get_current_version(self) -> None:
        """No versions: a preview is of the one commit at the end of its branch."""
        return

    def initialize(self) -> None:
        """Called at every task start. Asks the repository only where the task's DAG is not here, or where nothing here was
        refreshed for a minute; in the latter case no answer is no problem. Raises CodeError, ConfigurationError."""
        from airflow.sdk import get_parsing_context

        wanted = get_parsing_context().dag_id  # the task's, in a worker
        if not self._shelf.has(wanted):
            with self.lock():
                if not self._shelf.has(wanted):  # another process may have been first
                    self._shelf.refresh(wanted)
        elif self._shelf.is_old():
            self._look_again(wanted)
        super().initialize()

    def refresh(self) -> None:
        """What is approved now. Raises CodeError, ConfigurationError; what was served then still is."""
        with self.lock():
            self._shelf.refresh()

    def _look_again(self, wanted: str | None) -> None:
        try:
            with self.lock():
                self._shelf.refresh(wanted)
        except AgentFixError as error:
            log.warning("Bundle %s serves what it has: %s", self.name, error)

    @cached_property
    def _shelf(self) -> Shelf:
        from airflow_agentfix.previews.remote import Remote
        from airflow_agentfix.previews.shelf import Shelf
        from airflow_agentfix.settings import Settings
        from airflow_agentfix.signing import signing_keys

        return Shelf(
            self.base_dir.absolute(),
            remote=Remote(self._repo_url, self._git_conn_id),
            keys=lambda: signing_keys(Settings.load()),
            subdir=self._subdir,
            mute_outlets=self._mute_outlets,
        )

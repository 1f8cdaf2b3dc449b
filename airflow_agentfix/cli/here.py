"""The Airflow a command line talks to, and the task a person names: by ids or by the address of its page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.settings import OPTIONS, SECTION, Settings

if TYPE_CHECKING:
    from airflow_agentfix.airflow_http import AirflowHttp
    from airflow_agentfix.core.incident import Incident
    from airflow_agentfix.store.client import SessionsApi


@dataclass(frozen=True)
class Named:
    """A task instance as named on the command line; `try_number` None means the newest."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    try_number: int | None = None


def is_outside() -> bool:
    """Whether the environment names an Airflow elsewhere, so that this machine's own is not asked."""
    return bool(os.environ.get("AGENTFIX_AIRFLOW_URL"))


def settings() -> Settings:
    """[agentfix]. With AGENTFIX_AIRFLOW_URL set, Airflow need not be here: only the environment is read, and fast."""
    if not is_outside():
        # As `airflow connections get` does: else Airflow looks for connections in the environment only, as in a task.
        os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
        return Settings.load()
    names = {name: f"AIRFLOW__{SECTION.upper()}__{name.upper()}" for name in OPTIONS}
    return Settings.from_mapping({name: os.environ[variable] for name, variable in names.items() if variable in os.environ})


def http() -> AirflowHttp:
    """Airflow's REST API, logged in at the first request."""
    from airflow_agentfix.airflow_login import connect

    return connect(settings())


def sessions_api() -> SessionsApi:
    from airflow_agentfix.store.client import SessionsApi

    return SessionsApi(http())


def evidence(wanted: Named, *, budget_chars: int | None) -> Incident:
    """What a worker would collect on the task instance, by the same adapters."""
    from airflow_agentfix.evidence.resolve import resolve
    from airflow_agentfix.wiring import build_workbench

    bench = build_workbench(settings(), with_airflow=not is_outside())
    ref, task = resolve(bench.airflow, wanted.dag_id, wanted.run_id, wanted.task_id, wanted.map_index, wanted.try_number)
    return bench.collect(ref, budget_chars=budget_chars, task=task)


def named(dag: str, run: str | None, task: str | None, *, map_index: int = -1, try_number: int | None = None) -> Named:
    """The task instance of `DAG RUN TASK`, or of a page's address given instead of them. Wrong usage exits with 2."""
    if dag.startswith(("http://", "https://")):
        if run or task:
            raise typer.BadParameter("give the page's address alone, or DAG, RUN and TASK")
        return _of_page(dag, map_index=map_index, try_number=try_number)
    if not run or not task:
        raise typer.BadParameter("expected DAG RUN TASK, or the address of the task instance's page in Airflow")
    return Named(dag, run, task, map_index, try_number)


def _of_page(url: str, *, map_index: int, try_number: int | None) -> Named:
    """Parsed for ids only, never fetched; its host and base path must be those of the Airflow we log in to."""
    from airflow_agentfix.core.urls import parse_ui_url

    page = parse_ui_url(url, base_url=http().base_url)
    if page.run_id is None or page.task_id is None:
        raise typer.BadParameter(f"{url!r} is no task instance's page; open the failed task and copy its address")
    page_index = page.map_index if page.map_index is not None else -1
    return Named(
        page.dag_id, page.run_id, page.task_id, map_index if map_index >= 0 else page_index, try_number or page.try_number
    )

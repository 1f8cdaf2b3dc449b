"""What loading a preview needs of Airflow's inside, where it has no public way. The same on 3.1, 3.2 and 3.3."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import DAG


def bundles_folder() -> Path:
    """Where Airflow keeps the files of all bundles."""
    from airflow.dag_processing.bundles.base import get_bundle_storage_root_path

    return Path(get_bundle_storage_root_path()).absolute()  # type: ignore[no-untyped-call] # Airflow's


def is_for_one_file() -> bool:
    """Whether this process loads one DAG file and ends: a task's, which has a parsing context, or a child of the DAG processor,
    which marks itself as running users' code. A command may load many, of other bundles too."""
    from airflow.sdk import get_parsing_context

    return get_parsing_context().dag_id is not None or os.environ.get("_AIRFLOW_PROCESS_CONTEXT") == "client"


@contextmanager
def parsing(dag_id: str) -> Iterator[None]:
    """`get_parsing_context()` names this DAG, where it names one: DAG files that make many DAGs leave out all others, and know
    theirs by its own id."""
    from airflow.sdk.definitions import context  # its context manager neither restores an unset value nor after an error

    name = context._AIRFLOW_PARSING_CONTEXT_DAG_ID
    asked = os.environ.get(name)
    if asked is not None:
        os.environ[name] = dag_id
    try:
        yield
    finally:
        if asked is not None:
            os.environ[name] = asked


@contextmanager
def collecting(module_name: str) -> Iterator[list[DAG]]:
    """DAGs that register themselves while `module_name` is executed (`with DAG`, `@dag`, `@asset`) are in the list after the
    block, and not among those that Airflow takes from the loader file."""
    from airflow.sdk.definitions._internal.contextmanager import DagContext

    before, name = set(DagContext.autoregistered_dags), DagContext.current_autoregister_module_name
    found: list[DAG] = []
    DagContext.autoregistered_dags.clear()
    DagContext.current_autoregister_module_name = module_name
    try:
        yield found
        found.extend(dag for dag, _ in DagContext.autoregistered_dags)
    finally:
        DagContext.autoregistered_dags.clear()
        DagContext.autoregistered_dags.update(before)
        DagContext.current_autoregister_module_name = name


def module_name(file: Path) -> str:
    """Airflow's name for a DAG file's module: operators that hand functions to other interpreters know it by that."""
    from airflow.utils.file import get_unique_dag_module_name

    return str(get_unique_dag_module_name(str(file)))


def set_frozen(dag: DAG, **values: Any) -> None:
    """Set attributes that a DAG fixes at construction: its code constructs it, and is not to know that it is previewed."""
    for name, value in values.items():
        object.__setattr__(dag, name, value)

"""What a loader file calls: the DAG of a fix branch, under its preview's id, without a schedule and without consequences.

Runs in the DAG processor's children and on workers, at every parse and every task start.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_agentfix.core.previews import TAG
from airflow_agentfix.errors import PreviewNotLoaded
from airflow_agentfix.previews import imports, sdk, trees

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def load(
    *,
    tree: str,
    root: str,
    file: str,
    dag_id: str,
    preview_id: str,
    branch: str,
    commit: str,
    tag: str,
    session_id: str,
    mute_outlets: bool,
) -> DAG:
    """The DAG `dag_id` of `file` in `tree`, as `preview_id`; imports start from the tree's folder `root`.

    Raises PreviewNotLoaded, and whatever the DAG file raises, with a note that says which branch it is of.
    """
    try:
        dag = _load(Path(tree), root=root, file=file, dag_id=dag_id)
    except Exception as error:  # the code is a branch's: whatever it raises becomes Airflow's import error, for a person
        error.add_note(
            f"This is the preview of DAG {dag_id!r} as branch {branch!a} has it in {file!r} at {commit[:12]} (AgentFix session "
            f"{session_id}). Production is not touched by it. It goes when the branch is mended or deleted."
        )
        raise
    _become_preview(dag, preview_id=preview_id, tags=(TAG, tag), folder=Path(tree, file).parent)
    if mute_outlets:
        for task in dag.tasks:
            task.outlets = []
    told = f"Preview of DAG `{dag_id}` on branch `{branch!a}` at `{commit}`, AgentFix session `{session_id}`."
    dag.doc_md = f"{told}\n\n{dag.doc_md or ''}".rstrip()
    log.info("Loaded %s: %s at %s", preview_id, ascii(branch), commit)
    return dag


def _load(tree: Path, *, root: str, file: str, dag_id: str) -> DAG:
    source = _inside(tree, file)
    trees.hold(tree)
    folder = tree / root
    if not folder.is_dir():
        raise PreviewNotLoaded(f"The branch has no folder {root!r}, the subdir of the previews' bundle that imports start from.")
    with imports.within(folder, tree=tree, bundles=sdk.bundles_folder(), stay=sdk.is_for_one_file()), sdk.parsing(dag_id):
        return _only(_dags(source), dag_id, file)


def _inside(tree: Path, file: str) -> Path:
    """The DAG file, unless it or a link on the way to it leads out of the tree."""
    path = tree / file
    if not path.resolve().is_relative_to(tree.resolve()):
        raise PreviewNotLoaded(f"{file!r} leads out of the branch's tree; a preview loads no file from elsewhere.")
    if not path.is_file():
        raise PreviewNotLoaded(f"The branch has no file {file!r}, in which the DAG failed.")
    return path


def _dags(source: Path) -> list[DAG]:
    """Execute the file as Airflow would, and give what it would take for the file's DAGs."""
    from airflow.sdk import DAG

    name = sdk.module_name(source)
    spec = importlib.util.spec_from_file_location(name, source)
    assert spec is not None  # it ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with sdk.collecting(name) as registered:
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return [*registered, *(value for value in vars(module).values() if isinstance(value, DAG))]


def _only(dags: Iterable[DAG], dag_id: str, file: str) -> DAG:
    found = set(dags)  # as Airflow counts them: what registered itself may be a variable too
    named = [dag for dag in found if dag.dag_id == dag_id]
    if not named:
        raise PreviewNotLoaded(f"{file} has no DAG {dag_id!r} on this branch; it has {sorted(dag.dag_id for dag in found)!r}.")
    if len(named) > 1:
        raise PreviewNotLoaded(f"{file} makes {len(named)} DAGs of the id {dag_id!r} on this branch; expected one.")
    return named[0]


def _become_preview(dag: DAG, *, preview_id: str, tags: Iterable[str], folder: Path) -> None:
    """Its id, no schedule of any kind, and templates still found beside the DAG file, which Airflow takes the loader for."""
    from airflow.sdk import DAG

    blank = DAG(preview_id, schedule=None, auto_register=False)
    sdk.set_frozen(dag, dag_id=blank.dag_id, schedule=blank.schedule, timetable=blank.timetable)
    dag.dag_display_name = preview_id
    dag.catchup = False
    dag.is_paused_upon_creation = False
    dag.deadline = blank.deadline  # of a schedule that it does not have; someone would be paged
    if hasattr(dag, "allowed_run_types"):  # 3.2 and newer
        dag.allowed_run_types = blank.allowed_run_types  # it is triggered by hand
    dag.tags = {*dag.tags, *tags}
    given = dag.template_searchpath or ()
    dag.template_searchpath = [str(folder), *([given] if isinstance(given, str) else given)]

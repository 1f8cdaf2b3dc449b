"""The small DAG files that Airflow finds: each calls `loading.load` for one fix branch. Nothing else is in their folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from airflow_agentfix.core.previews import commit_tag
from airflow_agentfix.previews import state
from airflow_agentfix.previews.state import Served

_TEXT = """\
# The airflow preview of a fix that is not merged. AgentFix wrote this file and writes it again; the dag's code is in `tree`.
from airflow_agentfix.previews.loading import load

dag = load(
{arguments})
"""


def text(served: Served, *, tree: Path, subdir: str, mute_outlets: bool) -> str:
    """The file of a branch. Whatever a branch or a trailer holds, in here it is an ASCII literal."""
    arguments = {
        "tree": str(tree),
        "root": subdir,
        "file": served.fix.file,
        "dag_id": served.fix.dag_id,
        "preview_id": served.dag_id,
        "branch": served.branch,
        "commit": served.fix.commit,
        "tag": commit_tag(served.fix.commit),
        "session_id": served.fix.session_id,
        "mute_outlets": mute_outlets,
    }
    return _TEXT.format(arguments="".join(f"    {name}={value!a},\n" for name, value in arguments.items()))


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Have these files in the folder and no other; what is as it should be is not touched, or Airflow would parse it again."""
    folder.mkdir(parents=True, exist_ok=True)
    for stray in folder.iterdir():
        if stray.name not in files and stray.is_file():
            stray.unlink()
    for name, wanted in files.items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != wanted.encode():
            state.write_whole(file, wanted)

"""Importing a DAG file from a tree, in a child process (`code.child`), to learn its shape: what runs is unmerged code."""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_agentfix.code import child
from airflow_agentfix.core.shape import shape_of

_ERROR_CHARS = 4000


@dataclass(frozen=True)
class ImportResult:
    """What importing gave: a shape, or the reason there is none (redacted, its last 4000 characters)."""

    shape: dict[str, Any] | None
    error: str | None


def import_shape(tree: Path, *, dag_file: str, dag_id: str, subdir: str = "", timeout: float = 120.0) -> ImportResult:
    """Import `subdir`/`dag_file` of `tree` as Airflow does (`subdir` is the bundle's root) and return the shape of `dag_id`."""
    from airflow_agentfix.redaction import redact

    root = (tree / subdir).resolve()
    with tempfile.TemporaryDirectory(prefix="agentfix-import-") as home:
        found = _run_child((str(root), str(root / dag_file), dag_id), home=Path(home), timeout=timeout)
    if found["error"] is None:
        return ImportResult(found["shape"], None)
    error = found["error"].replace(f"{root}{os.sep}", "").strip()
    return ImportResult(None, redact(error)[-_ERROR_CHARS:])


def _run_child(arguments: tuple[str, str, str], *, home: Path, timeout: float) -> dict[str, Any]:
    """Run this module in a child; whatever it prints stays away from the result, which is a file of its own."""
    result, printed = home / "result.json", home / "printed"
    command = (sys.executable, "-P", "-m", __name__, *arguments, str(result))
    code = child.run(command, cwd=home, home=home, output=printed, timeout=timeout)
    if code is None:
        return {"error": f"Importing {arguments[1]} did not end within {timeout:g} s."}
    if result.is_file():
        return dict(json.loads(result.read_text()))
    said = printed.read_bytes()[-_ERROR_CHARS:].decode(errors="replace")
    return {"error": f"{said}\nImporting {arguments[1]} ended its process ({child.ending(code)})."}


# --- in the child ------------------------------------------------------------------------------------------------------------


def main(arguments: Iterable[str]) -> None:
    """Import, and write {"shape"} or {"error"} as JSON to the result file."""
    root, file, dag_id, result = arguments
    Path(result).write_text(json.dumps(_import(Path(root), file, dag_id)))


def _import(root: Path, file: str, dag_id: str) -> dict[str, Any]:
    if not Path(file).is_file():
        return {"shape": None, "error": f"There is no file {file}."}
    bag = _dag_bag()(dag_folder=file, bundle_path=root, load_op_links=False)
    if dag_id in bag.dags:
        return {"shape": shape_of(_serialized(bag.dags[dag_id])), "error": None}
    if bag.import_errors:
        return {"shape": None, "error": "\n".join(bag.import_errors.values())}
    return {"shape": None, "error": f"{file} has no DAG {dag_id!r}; it has {sorted(bag.dags)!r}."}


def _dag_bag() -> Any:
    """Airflow's own DagBag, which appends the bundle's root to sys.path (it moved after 3.1)."""
    try:
        return importlib.import_module("airflow.dag_processing.dagbag").BundleDagBag
    except ImportError:
        return importlib.import_module("airflow.models.dagbag").BundleDagBag


def _serialized(dag: Any) -> Mapping[str, Any]:
    """The DAG as Airflow would store it (the serializer moved after 3.1)."""
    module = importlib.import_module("airflow.serialization.serialized_objects")
    serializer = getattr(module, "DagSerialization", None) or module.SerializedDAG
    serialized: Mapping[str, Any] = serializer.to_dict(dag)
    return serialized


if __name__ == "__main__":
    main(sys.argv[1:])

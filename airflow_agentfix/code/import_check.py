"""Importing a DAG file from a tree, in a child process, to learn its shape.

What runs here is unreviewed code. The child has no inherited descriptors (a task's descriptor 0 is its supervisor's socket), a
session of its own, an empty HOME and AIRFLOW_HOME, an allow-list environment, resource limits and, where the kernel allows, no
network. That limits accidents; it is no security boundary: the approval of the commit is.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from airflow_agentfix.core.shape import shape_of

_ERROR_CHARS = 4000
_MEMORY = 4 * 1024**3
_FILE_SIZE = 64 * 1024**2
_ENVIRONMENT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
_CONFIGURATION = (
    ("core", "default_task_retries"),
    ("core", "default_task_retry_delay"),
    ("core", "default_task_weight_rule"),
    ("core", "dag_discovery_safe_mode"),
    ("operators", "default_queue"),
)
"""Options that end up in a serialized DAG: with others than the deployment's, every shape would differ."""


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
    result = home / "result.json"
    command = (*_without_network(), sys.executable, "-P", "-m", __name__, *arguments, str(result), str(int(timeout) + 1))
    with (home / "stderr").open("wb") as stderr:
        child = subprocess.Popen(
            command, cwd=home, env=_environment(home), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            close_fds=True, start_new_session=True,
        )  # fmt: skip
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            return {"error": f"Importing {arguments[1]} did not end within {timeout:g} s."}
        finally:
            _kill_group(child)
    if result.is_file():
        return dict(json.loads(result.read_text()))
    said = (home / "stderr").read_bytes()[-_ERROR_CHARS:].decode(errors="replace")
    return {"error": f"{said}\nImporting {arguments[1]} ended its process ({_ending(code)})."}


def _ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started in its session."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses to signal a group that is gone
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@cache
def _without_network() -> tuple[str, ...]:
    """The prefix that takes the network away, empty where the kernel or the platform does not allow it."""
    prefix = ("unshare", "--map-root-user", "--net")
    try:
        tried = subprocess.run((*prefix, "true"), stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    return {
        **kept,
        **_deployment_defaults(),
        "HOME": str(home),
        "TMPDIR": str(home),
        "AIRFLOW_HOME": str(home / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _deployment_defaults() -> dict[str, str]:
    from airflow.configuration import conf  # 1 to 4 s in a process without Airflow; the worker has it already

    found = {
        f"AIRFLOW__{section.upper()}__{name.upper()}": conf.get(section, name, fallback=None) for section, name in _CONFIGURATION
    }
    return {name: str(value) for name, value in found.items() if value is not None}


# --- in the child ------------------------------------------------------------------------------------------------------------


def main(arguments: Iterable[str]) -> None:
    """Import, and write {"shape"} or {"error"} as JSON to the result file."""
    root, file, dag_id, result, seconds = arguments
    _limit(int(seconds))
    os.umask(0o077)
    Path(result).write_text(json.dumps(_import(Path(root), file, dag_id)))


def _limit(seconds: int) -> None:
    limits = {
        resource.RLIMIT_CPU: seconds,
        resource.RLIMIT_AS: _MEMORY,
        resource.RLIMIT_FSIZE: _FILE_SIZE,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        with suppress(ValueError, OSError):  # macOS has no RLIMIT_AS to speak of; a lower limit may be set already
            resource.setrlimit(limit, (value, value))


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

"""Running code nobody has merged, in a child process that has next to nothing.

No inherited descriptors (a task's descriptor 0 is its supervisor's socket), a session of its own that ends with it, an empty HOME
and AIRFLOW_HOME, an allow-list environment, resource limits and, where the kernel allows, no network. That limits accidents; it
is no security boundary: the approval of the commit is.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

_MEMORY = 4 * 1024**3
_FILE_SIZE = 64 * 1024**2
_KEPT = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")
_CONFIGURATION = (
    ("core", "default_task_retries"),
    ("core", "default_task_retry_delay"),
    ("core", "default_task_weight_rule"),
    ("core", "dag_discovery_safe_mode"),
    ("operators", "default_queue"),
)
"""Options that end up in a serialized DAG: with others than the deployment's, every shape would differ."""


def run(command: Sequence[str], *, cwd: Path, home: Path, output: Path, timeout: float) -> int | None:
    """Run to the end, limits included; its exit code, negative for a signal, None where time ran out. `output` takes what it
    prints. `home` is an empty folder."""
    limited = (*without_network(), sys.executable, "-P", "-m", __name__, str(int(timeout) + 1), *command)
    with output.open("wb") as written:
        child = subprocess.Popen(
            limited, cwd=cwd, env=_environment(home), stdin=subprocess.DEVNULL, stdout=written, stderr=subprocess.STDOUT,
            close_fds=True, start_new_session=True,
        )  # fmt: skip
        try:
            return child.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _kill_group(child)


def ending(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it started in its session."""
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses to signal a group that is gone
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


@cache
def without_network() -> tuple[str, ...]:
    """The prefix that takes the network away, empty where the kernel or the platform does not allow it."""
    prefix = ("unshare", "--map-root-user", "--net")
    try:
        tried = subprocess.run((*prefix, "true"), stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()


def _environment(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        **_deployment_defaults(),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
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


def main(arguments: Sequence[str]) -> None:
    """Take the limits, then become the command."""
    seconds, *command = arguments
    limits = {
        resource.RLIMIT_CPU: int(seconds),
        resource.RLIMIT_AS: _MEMORY,
        resource.RLIMIT_FSIZE: _FILE_SIZE,
        resource.RLIMIT_CORE: 0,
    }
    for limit, value in limits.items():
        with suppress(ValueError, OSError):  # macOS has no RLIMIT_AS to speak of; a lower limit may be set already
            resource.setrlimit(limit, (value, value))
    os.umask(0o077)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)  # noqa: T201 - what the parent reads
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])

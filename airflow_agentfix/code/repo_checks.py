"""The commands a repository's policy names as checks, run on a copy of a tree: they may write where they stand."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from airflow_agentfix.code import child
from airflow_agentfix.core.policy import RepoCheck
from airflow_agentfix.redaction import redact

_SHOWN_CHARS = 3000


@dataclass(frozen=True)
class CheckResult:
    """Whether the command ended with 0; `detail` is how it ended and the end of what it printed (redacted)."""

    ok: bool
    detail: str


def run_check(tree: Path, check: RepoCheck) -> CheckResult:
    """Run one check at the top of a copy of `tree`."""
    with tempfile.TemporaryDirectory(prefix="agentfix-check-") as folder:
        top, home, printed = Path(folder, "tree"), Path(folder, "home"), Path(folder, "printed")
        shutil.copytree(tree, top, symlinks=True)
        home.mkdir()
        code = child.run(check.run, cwd=top, home=home, output=printed, timeout=check.timeout)
        said = printed.read_bytes()[-_SHOWN_CHARS:].decode(errors="replace").replace(f"{folder}/", "").strip()
    how = f"did not end within {check.timeout} s" if code is None else child.ending(code)
    return CheckResult(code == 0, redact(f"{how}\n{said}".strip()))

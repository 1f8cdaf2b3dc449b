"""The demo after installation: a failed run becomes a fixed one, with the offline rules model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.figure import Figure


def measure() -> list[Figure]:
    with TemporaryDirectory(prefix="agentfix-bench-") as folder:
        environ = {name: value for name, value in os.environ.items() if name != "ANTHROPIC_API_KEY"}
        environ["AGENTFIX_DEMO_DIR"] = folder
        demo = [sys.executable, "-m", "airflow_agentfix", "demo"]
        subprocess.run(demo, env=environ, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=True)
        seconds = json.loads(Path(folder, "story.json").read_text())["seconds"]
    how = f"`agentfix demo` to its green end, `seconds` of story.json, on {os.cpu_count()} cores; the rules model"
    return [Figure("demo after installation", seconds, "s", 120, 1, how)]

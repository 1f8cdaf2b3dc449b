"""A whole conversation with the rules model: real failures of real code, and the tools played on a real folder."""

from __future__ import annotations

import difflib
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pathspec

from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.core.incident import DagFacts, Frame, Incident, RootCause
from airflow_agentfix.core.transcript import RERUN_GREEN
from airflow_agentfix.models.rules import RulesModel
from airflow_agentfix.ports import ModelRequest
from tests.fakes.incidents import an_incident

_RUN = """
import json, sys, traceback
sys.path.insert(0, sys.argv[1])
try:
    exec(compile(open(sys.argv[2]).read(), sys.argv[2], "exec"), {"__name__": "dag"})
except BaseException as error:
    frames = [[f.filename, f.lineno, f.name] for f in traceback.extract_tb(error.__traceback__)][1:]
    print("RAISED" + json.dumps([type(error).__name__, str(error), frames]))
"""

GREEN = f"{RERUN_GREEN}: sum_revenue success (try 2)"


@dataclass
class Folder:
    """The tools on a folder, in the documented text formats. `refuse` names tools that answer with an error."""

    root: Path
    refuse: dict[str, str] = field(default_factory=dict)
    too_long: dict[str, str] = field(default_factory=dict)
    """path -> what read_file answers when the whole of it is asked for"""
    log: str = ""
    rerun: str = GREEN
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def call(self, tool: str, given: dict[str, Any]) -> tuple[str, bool]:
        repeated = tool in ("list_files", "read_file", "search_code") and (tool, given) in self.calls
        self.calls.append((tool, given))
        if repeated:
            return "The same call was answered before", True
        if tool in self.refuse:
            return self.refuse[tool], True
        try:
            return getattr(self, f"_{tool}")(**given), False
        except (OSError, LookupError) as error:
            return str(error), True

    def texts(self) -> dict[str, str]:
        files = (path for path in sorted(self.root.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(self.root).as_posix(): path.read_text() for path in files}

    def _list_files(self, glob: str) -> str:
        return "\n".join(self._matching(glob))

    def _matching(self, glob: str) -> list[str]:
        return sorted(pathspec.PathSpec.from_lines("gitignore", [glob]).match_files(self.texts()))

    def _read_file(self, path: str, start: int = 1, end: int | None = None) -> str:
        if path in self.too_long and end is None:
            raise LookupError(self.too_long[path])
        lines = (self.root / path).read_text().splitlines()[start - 1 : end]
        return "\n".join(f"{number}\t{line}" for number, line in enumerate(lines, start))

    def _read_log(self, grep: str, around: int) -> str:
        assert around == 0
        lines = enumerate(self.log.splitlines(), 1)
        return "\n".join(f"L{number}\t{line}" for number, line in lines if re.search(grep, line)) or "No line of the log matches."

    def _search_code(self, regex: str, glob: str) -> str:
        texts = self.texts()
        return "\n".join(
            f"{path}:{number}:{line}"
            for path in self._matching(glob)
            for number, line in enumerate(texts[path].splitlines(), 1)
            if re.search(regex, line)
        )

    def _change_files(self, edits: list[dict[str, str]]) -> str:
        before = self.texts()
        for edit in edits:
            path = self.root / edit["path"]
            text = path.read_text()
            if text.count(edit["old"]) != 1:
                raise LookupError(f"{edit['old']!r} occurs {text.count(edit['old'])} times in {edit['path']}")
            path.write_text(text.replace(edit["old"], edit["new"]))
        after = self.texts()
        return "\n".join(
            line
            for path in after
            for line in difflib.unified_diff(before[path].splitlines(), after[path].splitlines(), path, path, lineterm="", n=0)
        )

    def _open_fix(self, title: str, summary: str) -> str:
        return "opened fix/shop"

    def _rerun(self) -> str:
        return self.rerun

    def _submit_report(self, **report: Any) -> str:
        return "done"


@dataclass
class Story:
    """What a conversation came to."""

    tools: list[str]
    report: dict[str, Any]
    changed: dict[str, str]
    """path -> text of the files that differ from before"""
    summary: str
    messages: list[dict[str, Any]]

    @property
    def outcome(self) -> str:
        return str(self.report["outcome"])


def write(root: Path, **files: str) -> Path:
    """Files by path, `__` for a slash and `_py`, `_sql`, … for the ending: dags__shop_py."""
    for name, text in files.items():
        stem, _, ending = name.replace("__", "/").rpartition("_")
        path = root / f"{stem}.{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def fail(root: Path, dag: str = "dags/dag.py") -> Incident:
    """Run the DAG file's code and make an incident of the exception it raises, as a worker would have logged it."""
    done = subprocess.run(
        [sys.executable, "-B", "-c", _RUN, str((root / dag).parent), str(root / dag)], capture_output=True, text=True, check=True
    )
    raised = [line for line in done.stdout.splitlines() if line.startswith("RAISED")]
    assert raised, f"the code was meant to fail: {done.stdout}"
    name, message, frames = json.loads(raised[0].removeprefix("RAISED"))
    return failed(root, name, message, [(file, line, function) for file, line, function in frames], dag=dag)


def failed(
    root: Path, exception: str | None, message: str, frames: Sequence[tuple[str, int, str]] = (), *, dag: str = "dags/dag.py"
) -> Incident:
    """An incident with this exception; frames are the repository's own where they lie in it."""
    worker = "/tmp/airflow/dag_bundles/shop/versions/0a1b2c"
    line = f"{exception}: {message}" if exception else message
    mapped = tuple(
        Frame(file.replace(str(root), worker), number, function, user=file.startswith(str(root)))
        for file, number, function in frames
    )
    cause = RootCause(line=line, message=message, exception=exception, frames=mapped, context=((41, "task starts"), (42, line)))
    return an_incident(cause=cause, dag=DagFacts("shop", dag.split("/", 1)[1], bundle_name="shop", fileloc=f"{worker}/{dag}"))


def converse(root: Path, incident: Incident, **options: Any) -> Story:
    """Talk to the rules model until it reports, with a fresh model for each turn."""
    folder = Folder(root, **options)
    before = folder.texts()
    messages: list[dict[str, Any]] = [{"role": "user", "content": incident.text}]
    for _ in range(30):
        turn = RulesModel().reply(ModelRequest("", TOOLS, tuple(messages), replace(incident)))
        messages.append({"role": "assistant", "content": list(turn.content)})
        results = []
        for call in turn.calls:
            text, is_error = folder.call(call.name, call.input)
            results.append({"type": "tool_result", "tool_use_id": call.id, "content": text, "is_error": is_error})
        if not results or (folder.calls[-1][0] == "submit_report" and not results[-1]["is_error"]):
            break
        messages.append({"role": "user", "content": results})
    after = folder.texts()
    opened = [given for tool, given in folder.calls if tool == "open_fix"]
    return Story(
        [tool for tool, _ in folder.calls],
        folder.calls[-1][1],
        {path: after[path] for path in after if after[path] != before[path]},
        f"{opened[0]['title']}\n{opened[0]['summary']}" if opened else "",
        messages,
    )

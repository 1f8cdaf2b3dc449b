"""The tools a model may call: names, descriptions, schemas. Together under 1,500 tokens; what each does is in `toolbox.py`.

Text formats a model (the offline one too) can rely on:

- read_file: one line per line, `<number><TAB><text>`
- search_code: one line per hit, `<path>:<number>:<text>`; list_files: one path per line
- read_log: one line per line, `L<number><TAB><text>`
- change_files: the unified diff, then one line `gate: <rule>: <reason>` per finding that needs a person
"""

from __future__ import annotations

from typing import Any

from airflow_agentfix.ports import ToolSchema


def _tool(name: str, description: str, required: tuple[str, ...] = (), /, **properties: Any) -> ToolSchema:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return ToolSchema(name, description, schema)


def _text(description: str | None = None, **more: Any) -> dict[str, Any]:
    return {"type": "string", **({"description": description} if description else {}), **more}


def _int() -> dict[str, Any]:
    return {"type": "integer"}


VERDICTS = ("code", "data", "config", "dependency", "infra", "unknown")
REPORT_OUTCOMES = ("fixed", "proposed", "reported", "gave_up")

TOOLS: tuple[ToolSchema, ...] = (
    _tool(
        "change_files",
        "Edit the working copy. Each edit replaces `old` (must occur exactly once) by `new`. Runs gates and static checks; "
        "returns the whole diff so far, or why it is refused.",
        edits={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": _text(), "old": _text(), "new": _text()},
                "required": ["path", "old", "new"],
                "additionalProperties": False,
            },
        },
        new_files={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"path": _text(), "content": _text()},
                "required": ["path", "content"],
                "additionalProperties": False,
            },
        },
    ),
    _tool(
        "get_history",
        "Earlier runs of a task, or what changed in the code since the last green run.",
        ("of",),
        of=_text(enum=["task", "changes"]),
        task_id=_text(),
    ),
    _tool("list_files", "Paths in the repository.", glob=_text("e.g. dags/**/*.py")),
    _tool("load_skill", "Read a skill, or a file of it.", ("name",), name=_text(), file=_text()),
    _tool(
        "open_fix",
        "Commit the working copy on a new fix branch, with a draft pull request where the host has them.",
        ("title", "summary"),
        title=_text("One line, imperative"),
        summary=_text("Cause and change, for the reviewer"),
    ),
    _tool(
        "pause_for_human",
        "Ask a person and wait for the answer.",
        ("reason", "summary_for_human"),
        reason=_text("The question"),
        summary_for_human=_text("What they need to know to answer"),
        options={"type": "array", "items": _text()},
    ),
    _tool("read_file", "Read a file of the working copy.", ("path",), path=_text(), start=_int(), end=_int()),
    _tool(
        "read_log",
        "Read the failed try's log, or another task's.",
        grep=_text("regex"),
        around=_int(),
        start=_int(),
        end=_int(),
        task_id=_text(),
        try_number=_int(),
        map_index=_int(),
    ),
    _tool("rerun", "Rerun the failed tasks on the fix branch and wait. Needs open_fix before."),
    _tool("search_code", "Search the repository's text files.", ("regex",), regex=_text(), glob=_text()),
    _tool(
        "submit_report",
        "End the session. Every claim cites lines shown (L12 of the log, E3 of the evidence, path:line of code).",
        ("verdict", "root_cause", "outcome", "causal_chain"),
        verdict=_text(enum=list(VERDICTS)),
        confidence={"type": "number"},
        root_cause=_text(),
        owner_action=_text("Who should do what, where code is not the answer"),
        outcome=_text(enum=list(REPORT_OUTCOMES)),
        causal_chain={
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"claim": _text(), "cites": {"type": "array", "items": _text()}},
                "required": ["claim", "cites"],
                "additionalProperties": False,
            },
        },
    ),
)

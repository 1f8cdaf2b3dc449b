"""Tasks that check what a DAG has made, and what became of them in a rerun.

Known by operator (SQL checks, dbt tests, Great Expectations, Soda, data quality rules), by a shell command that runs such a
test, or by a name that says so. A name is a guess, and the record says so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from airflow_agentfix.core.incident import TaskFacts
from airflow_agentfix.core.stages import OUTPUT_CHECKS, Stage, failed, not_run, passed, some

_OPERATOR = re.compile(
    r"Check\w*Operator$|DbtTest|DbtBuild|GreatExpectations|^GX|Soda|DataQuality|Validat\w*Operator$|TestOperator$", re.IGNORECASE
)
_NO_CHECK = re.compile(r"Branch|ShortCircuit|Sensor|LatestOnly|Empty|Trigger|CheckpointOperator$|HealthCheck", re.IGNORECASE)
"""they decide what runs, or wait: nothing they say is about the data"""
_GX = re.compile(r"^GX|GreatExpectations", re.IGNORECASE)
_COMMAND = re.compile(
    r"\bdbt\b[^\n;&|]*\s(?:test|build)\b|\bsoda\s+scan\b|\b(?:great_expectations|gx)\s+checkpoint\s+run\b|\bpytest\b"
)
_WORDS = frozenset({"check", "checks", "test", "tests", "validate", "validates", "validation", "verify", "assert", "expect"})


def is_output_check(task: TaskFacts) -> bool:
    """Whether the task says by operator, command or name that it checks data."""
    operator = task.operator or ""
    if _NO_CHECK.search(operator) and not _GX.search(operator):
        return False
    return bool(_OPERATOR.search(operator)) or _commands_one(task) or _named_so(task.task_id)


def _commands_one(task: TaskFacts) -> bool:
    command = task.rendered_fields.get("bash_command")
    return isinstance(command, str) and bool(_COMMAND.search(command))


def _named_so(task_id: str) -> bool:
    """`check_…`, `…_test`, or `test` in a group: by the first and the last word."""
    words = [word for word in re.split(r"[^a-z0-9]+", task_id.rpartition(".")[2].lower()) if word]
    return bool(words) and bool(_WORDS & {words[0], words[-1]})


def output_checks(tasks: Sequence[TaskFacts], ran: Collection[str]) -> Stage:
    """
    What the checks among `tasks`, every instance of the rerun's run, say of it.

    :param ran: ids of the tasks that were rerun.
    """
    states: dict[str, set[str]] = {}
    for task in tasks:
        if is_output_check(task):
            states.setdefault(task.task_id, set()).add(task.state or "none")
    if not states:
        return not_run(OUTPUT_CHECKS, "no task of the DAG checks outputs, by its operator, command or name")
    within = {task_id: found for task_id, found in states.items() if task_id in ran}
    green = [task_id for task_id, found in within.items() if found == {"success"}]
    red = [task_id for task_id, found in within.items() if "failed" in found]
    idle = [f"{task_id} ({', '.join(sorted(within[task_id]))})" for task_id in within if task_id not in (*green, *red)]
    others = [task_id for task_id in states if task_id not in ran]
    parts = (("failed", red), ("green in the rerun", green), ("did not run", idle), ("not among what was rerun", others))
    detail = "; ".join(f"{what}: {some(names)}" for what, names in parts if names)
    if red:
        return failed(OUTPUT_CHECKS, detail)
    return passed(OUTPUT_CHECKS, detail) if green else not_run(OUTPUT_CHECKS, detail)

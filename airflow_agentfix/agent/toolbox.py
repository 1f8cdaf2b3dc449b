"""What a tool call comes to: its input is validated, repeats are refused, and errors sorted.

Invariant: what the model can act on goes back to it as an error result; what it cannot, and every bug of ours, is raised.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from airflow_agentfix.agent import asking, changing, reading, reporting, rerunning
from airflow_agentfix.agent.case import Case, Done, Given, Use
from airflow_agentfix.agent.effects import EFFECT_OF
from airflow_agentfix.agent.tools import TOOLS
from airflow_agentfix.core import transcript
from airflow_agentfix.core.plain import plain
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.transcript import Call
from airflow_agentfix.errors import (
    AgentFixError,
    AirflowNotFound,
    BaseMoved,
    BranchExists,
    CommitNotFound,
    EditRefused,
    NotAllowed,
    NothingToCommit,
    RerunImpossible,
    SkillError,
    ToolRefused,
)

READING: Mapping[str, Callable[[Use], Given]] = {
    "get_history": reading.get_history,
    "list_files": reading.list_files,
    "load_skill": reading.load_skill,
    "read_file": reading.read_file,
    "read_log": reading.read_log,
    "search_code": reading.search_code,
}
ACTING: Mapping[str, Callable[[Use], Given]] = {
    "change_files": changing.change_files,
    "open_fix": changing.open_fix,
    "pause_for_human": asking.pause_for_human,
    "rerun": rerunning.rerun,
    "submit_report": reporting.submit_report,
}
EFFECTS = frozenset(name for name, effect in EFFECT_OF.items() if effect.outside)
"""Tools that change the world outside the session: their intent is written before they act."""

MESSAGE_CHARS = 500

FOR_THE_MODEL: tuple[type[AgentFixError], ...] = (
    AirflowNotFound,
    BaseMoved,
    BranchExists,
    CommitNotFound,
    EditRefused,
    NothingToCommit,
    NotAllowed,
    RerunImpossible,
    SkillError,
    ToolRefused,
)


def use_tool(call: Call, case: Case, events: Sequence[Event]) -> Given:
    """Run one call. Raises what the model cannot act on."""
    try:
        if not _under_way(call, events):
            _refuse_bad_input(call)
        _refuse_repeat(call, events)
        return {**READING, **ACTING}[call.name](Use(call, case, events))
    except FOR_THE_MODEL as error:
        redact = case.redact_code if isinstance(error, EditRefused) else case.redact  # one quotes the code it did not match
        return Done(redact(str(error)), is_error=True)


def _under_way(call: Call, events: Sequence[Event]) -> bool:
    """Whether the call has asked or started something: its input was good then, and a newer schema does not undo it."""
    begun = [e.number for e in transcript.of_kind(events, EventKind.INTENT) if e.data["call_id"] == call.id]
    acted = (EventKind.QUESTION, EventKind.RERUN)
    return bool(begun) and any(event.kind in acted and event.number > begun[0] for event in events)


def _refuse_bad_input(call: Call) -> None:
    """ToolRefused with the first thing that does not fit the tool's schema."""
    from jsonschema.exceptions import best_match

    validators = _validators()
    if call.name not in validators:
        raise ToolRefused(f"There is no tool {call.name!r}. There are: {', '.join(sorted(validators))}.")
    error = best_match(validators[call.name].iter_errors(call.input))
    if error is not None:
        where = ".".join(map(str, error.absolute_path)) or "input"
        raise ToolRefused(
            f"{call.name}: {where}: {error.message[:MESSAGE_CHARS]}. Nothing was done; correct the call and make it again."
        )
    if plain(call.input) != call.input:
        raise ToolRefused(f"{call.name}: the input holds NUL or half a character, which no text has. Nothing was done.")


@lru_cache(maxsize=1)
def _validators() -> dict[str, Any]:
    from jsonschema import Draft202012Validator  # 60 ms that only a worker pays

    return {tool.name: Draft202012Validator(tool.input_schema) for tool in TOOLS}


def _refuse_repeat(call: Call, events: Sequence[Event]) -> None:
    if call.name not in READING:
        return
    earlier = transcript.same_before(events, call)
    if earlier is not None:
        raise ToolRefused(
            f"The same {call.name} call was answered before (call {earlier.data['call_id']}) and nothing changed since: "
            "read its result above. Ask for something else."
        )

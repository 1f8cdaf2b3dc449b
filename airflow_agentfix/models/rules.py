"""The offline model: speaks the model port with recipes instead of tokens, as a deterministic function of the conversation.

`reply` plays the recipes from the start, answering their calls from the conversation, up to the first call that has no
answer yet: that call is its turn. So it keeps no state, and goes on wherever a session wakes up.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from typing import Any

from airflow_agentfix.core.incident import Incident
from airflow_agentfix.core.prose import whole
from airflow_agentfix.core.summary import SoFar
from airflow_agentfix.core.transcript import ENDED, RERUN_GREEN
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.models.recipes import RECIPES
from airflow_agentfix.models.recipes.base import Call, Claim, Edit, Fix, NoFix, Repo, Result, Steps, Unreadable
from airflow_agentfix.models.recipes.spot import log_cites
from airflow_agentfix.ports import Json, ModelRequest, Turn

_USAGE = {"input_tokens": 0, "output_tokens": 0, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
_RULED_OUT = "Every recipe was tried; a further change would be a guess."


class RulesModel:
    """The model port without a network."""

    name = "rules"
    costs = False

    def reply(self, request: ModelRequest) -> Turn:
        """The next tool call, or a closing text where there is nothing left to do."""
        call = _next_call(work(request.incident, request.so_far), _answers(request.messages))
        if call is None:
            return _turn({"type": "text", "text": "The rules have nothing to add to the report."}, "end_turn")
        turn = 1 + sum(message["role"] == "assistant" for message in request.messages)
        use = {"type": "tool_use", "id": f"call_{turn}_1", "name": call.tool, "input": call.input}
        return _turn({"type": "text", "text": call.why}, "tool_use", use)


def _turn(text: Json, stop_reason: str, *more: Json) -> Turn:
    return Turn((text, *more), stop_reason, RulesModel.name, dict(_USAGE), 0.0)


def work(incident: Incident, so_far: SoFar | None = None) -> Steps[None]:
    """The whole of a session: try the recipes, make the one fix, rerun, report. `so_far`: what a conversation before this one
    did; what it changed is not judged anew, only brought to its end."""
    if so_far is not None and so_far.changed:
        yield from _report((yield from _brought_to_its_end(incident, so_far)))
        return
    fix, reasons = yield from _find_fix(incident)
    if fix is None:
        yield from _report(_nothing_found(incident, reasons))
        return
    yield from _report((yield from _carry_out(fix)))


def _find_fix(incident: Incident) -> Steps[tuple[Fix | None, list[str]]]:
    """The first recipe's fix, or why each that matched makes none."""
    reasons: list[str] = []
    repo = Repo()
    for recipe in RECIPES:
        if not recipe.matches(incident):
            continue
        try:
            found = yield from recipe.attempt(incident, repo)
        except Unreadable as error:
            found = NoFix(f"could not look: {error}")
        if isinstance(found, Fix):
            return found, reasons
        reasons.append(f"{recipe.name}: {found.reason}")
    return None, reasons


def _carry_out(fix: Fix) -> Steps[Json]:
    """Change, open, rerun; the report says how far it came."""
    changed = yield Call("change_files", {"edits": [_replacement(edit) for edit in fix.edits]}, fix.change)
    if changed.is_error:
        return _report_of(fix, "reported", f"The change was refused: {changed.text}", with_diff=True)
    opened = yield Call("open_fix", {"title": fix.title, "summary": fix.summary}, f"Open the fix: {fix.title}.")
    if opened.is_error:
        return _report_of(fix, "reported", f"The fix was not opened: {opened.text}", with_diff=True)
    if fix.why_no_rerun:
        return _report_of(fix, "proposed", fix.why_no_rerun)
    rerun = yield Call("rerun", {}, "Rerun the failed tasks on the fix branch.")
    if not rerun.is_error and rerun.text.startswith(RERUN_GREEN):
        return _report_of(fix, "fixed", None)
    return _report_of(fix, "proposed", f"The rerun did not prove the fix: {rerun.text}")


def _brought_to_its_end(incident: Incident, so_far: SoFar) -> Steps[Json]:
    """Rerun the fix that is open, where that was not done; the report says how far it came."""
    if so_far.fix is None:
        paths = ", ".join(so_far.changed)
        told = f"Changed before and not opened as a fix: {paths}. Another's change is not the rules' to judge."
        return _report_on(incident, told, "gave_up")
    title, branch = so_far.fix["title"], so_far.fix["branch"]
    told = f"Fixed before on {branch}: {title}\n\n{so_far.fix['summary']}"
    if so_far.rerun:
        rerun = Result(_TO_A_MODEL.sub("", so_far.rerun))
    else:
        rerun = yield Call("rerun", {}, f"Rerun the failed tasks on {branch}.")
    if rerun.text.startswith(RERUN_GREEN):
        return _report_on(incident, told, "fixed")
    obstacle = f"The rerun did not prove the fix: {rerun.text}"
    return {**_report_on(incident, told, "proposed"), "owner_action": f"Review the fix branch. {obstacle}"}


def _report_on(incident: Incident, told: str, outcome: str) -> Json:
    return {
        "verdict": str(incident.judgement.verdict),
        "confidence": incident.judgement.confidence,
        "root_cause": f"{incident.cause.line}\n\n{told}",
        "outcome": outcome,
        "causal_chain": _chain((_failed_with(incident),)),
    }


def _failed_with(incident: Incident) -> Claim:
    return Claim(f"The task failed with: {incident.cause.line}", log_cites(incident))


def _replacement(edit: Edit) -> Json:
    """The smallest run of whole lines that holds the change and occurs once in the file."""
    before, after = edit.before.split("\n"), edit.after.split("\n")
    start = next(i for i, (one, other) in enumerate(zip([*before, None], [*after, None], strict=False)) if one != other)
    tail = 0
    while tail < min(len(before), len(after)) - start and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    end = len(before) - tail
    while start > 0 and edit.before.count("\n".join(before[start:end])) != 1:
        start -= 1
    while end < len(before) and edit.before.count("\n".join(before[start:end])) != 1:
        end, tail = end + 1, tail - 1
    return {"path": edit.path, "old": "\n".join(before[start:end]), "new": "\n".join(after[start : len(after) - tail])}


def _report_of(fix: Fix, outcome: str, obstacle: str | None, *, with_diff: bool = False) -> Json:
    parts = [fix.cause, fix.change, *([obstacle] if obstacle else []), *([f"Proposed change:\n{fix.diff}"] if with_diff else [])]
    report = {
        "verdict": str(fix.verdict),
        "confidence": 0.95 if outcome == "fixed" else 0.7,
        "root_cause": "\n\n".join(parts),
        "outcome": outcome,
        "causal_chain": _chain(fix.claims),
    }
    return report if obstacle is None else {**report, "owner_action": _owner_action(fix, obstacle, with_diff)}


def _owner_action(fix: Fix, obstacle: str, with_diff: bool) -> str:
    if with_diff:
        return f"Apply this change by hand if you agree: {fix.change}\n{fix.diff}"
    return f"Review the fix branch. {obstacle}"


def _nothing_found(incident: Incident, reasons: list[str]) -> Json:
    judged = incident.judgement
    ruled_out = "\n".join(f"- {reason}" for reason in reasons) or "- no recipe knows this kind of failure"
    reason = whole(in_words(judged.reason))
    report = {
        "verdict": str(judged.verdict),
        "confidence": judged.confidence,
        "root_cause": f"{incident.cause.line}\n\n{reason}\n\nExamined and ruled out:\n\n{ruled_out}\n\n{_RULED_OUT}",
        "outcome": "reported",
        "causal_chain": _chain((_failed_with(incident),)),
    }
    return {**report, "owner_action": judged.owner_action} if judged.owner_action else report


def _chain(claims: Sequence[Claim]) -> list[Json]:
    return [{"claim": claim.text, "cites": list(claim.cites)} for claim in claims]


def _report(report: Json) -> Steps[None]:
    """Hand in the report; one that is refused is handed in once more, as given up and with the refusal."""
    result = yield Call("submit_report", report, "Report.")
    if result.is_error:
        told = f"{report['root_cause']}\n\nThe report was refused as {report['outcome']}: {result.text}"
        yield Call("submit_report", {**report, "outcome": "gave_up", "root_cause": told}, "Report as given up.")


# --- the conversation as answers to calls ----------------------------------------------------------------------------

Answers = dict[str, deque[Result]]


def _next_call(steps: Steps[None], answers: Answers) -> Call | None:
    """Play `steps` against the answers there are; the first call without one, None at the end."""
    try:
        call = next(steps)
        while waiting := answers.get(_key(call.tool, call.input)):
            call = steps.send(waiting.popleft())
    except StopIteration:
        return None
    return call


_TO_A_MODEL = re.compile(r" *\b(?:End with submit_report|(?:One|No) amendment is left)\b[^.]*\.")
"""what a tool tells a model to do next is nothing for the person who reads the rules' report"""


def _answers(messages: Sequence[Json]) -> Answers:
    """Results in the conversation by the call they answer, whoever made it, in order.

    A call that the session's end left without a result is still to be made: a session may go on after its report.
    """
    calls = {block["id"]: _key(block["name"], block["input"]) for block in _blocks(messages, "tool_use")}
    answers: Answers = defaultdict(deque)
    for block in _blocks(messages, "tool_result"):
        result = Result(_TO_A_MODEL.sub("", _plain(block.get("content"))), bool(block.get("is_error")))
        if result.text != ENDED:
            answers[calls[block["tool_use_id"]]].append(result)
    return answers


def _blocks(messages: Sequence[Json], kind: str) -> Iterator[Json]:
    for message in messages:
        content = message["content"]
        yield from (block for block in content if isinstance(content, list) and block["type"] == kind)


def _plain(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(block["text"] for block in content if block["type"] == "text")
    return content or ""


def _key(tool: str, arguments: Json) -> str:
    return f"{tool} {json.dumps(arguments, sort_keys=True)}"

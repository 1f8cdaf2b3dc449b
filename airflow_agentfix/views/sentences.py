"""A sentence for each kind of event, and what belongs to it. Pure.

Invariant: a worker writes what it likes into the fields that the store asks nothing of; it is told all the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix.core.budget import tokens, usage_of
from airflow_agentfix.core.session import SERVER, Event, EventKind
from airflow_agentfix.core.stages import StageState
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.core.urls import web_address
from airflow_agentfix.views.certainty import certainty

Told = Mapping[str, Any]
"""fields of an `Entry`"""
_SHOWN_PATHS = 5
_ARGUMENT_CHARS = 160


@dataclass(frozen=True)
class Fold:
    """Something long behind a title. `form`: text | words (Markdown) | diff; `left`: characters that are not in `text`."""

    title: str
    text: str
    form: str = "text"
    left: int = 0


def _created(event: Event) -> Told:
    data = event.data
    by = "Asked for it" if data.get("requested_by") else "The failure was handed over"
    return {"says": f"{by} ({data.get('source')}). It may go as far as: {AUTONOMIES.get(str(data.get('autonomy')), '')}."}


AUTONOMIES = {
    "report": "a report",
    "propose": "a branch and a draft pull request",
    "rerun": "a rerun on the fix branch",
    "recover": "making failed runs green after the merge",
}


def _claimed(event: Event) -> Told:
    return {"says": f"A worker took it: {event.data.get('worker')}.", "tone": "quiet"}


def _policy(event: Event) -> Told:
    autonomy = (event.data.get("policy") or {}).get("autonomy")
    problems = tuple(map(str, event.data.get("problems") or ()))
    return {"says": f"The policy in force was written down: autonomy {autonomy}.", "tone": "quiet", "items": problems}


def _incident(event: Event) -> Told:
    judgement = event.data["judgement"]
    sure = certainty(judgement.get("confidence")) or "not known how sure"
    return {
        "says": "The evidence was collected.",
        "items": (
            f"Cause: {event.data['cause']['line'] or 'the log states none'}",
            f"Verdict by rules: {judgement['verdict']}, {sure}: {in_words(str(judgement.get('reason') or ''))}",
        ),
    }


def _new_transcript(event: Event) -> Told:
    because = ", ".join(map(str, event.data.get("because") or ())) or "something it rests on"
    return {
        "says": f"The conversation with the model begins anew from a summary: {because} changed.",
        "tone": "quiet",
        "folds": (Fold("The summary", str(event.data.get("text") or "")),),
    }


def _model(event: Event) -> Told:
    content = event.data.get("content")
    blocks = [block for block in (content if isinstance(content, list) else ()) if isinstance(block, Mapping)]
    calls = [block for block in blocks if block.get("type") == "tool_use"]
    words = "\n\n".join(str(block.get("text") or "") for block in blocks if block.get("type") == "text")
    thoughts = "\n\n".join(str(block.get("thinking") or "") for block in blocks if block.get("type") == "thinking")
    folds = [Fold("What it thought", thoughts, "words")] if thoughts.strip() else []
    folds += [Fold(called(call), json.dumps(call.get("input"), indent=2, ensure_ascii=False)) for call in calls]
    stopped = event.data.get("stop_reason")
    cut = "" if stopped in ("end_turn", "tool_use", "pause_turn") else f" The turn was cut ({stopped})."
    says = f"{'Calls' if calls else 'Says'}{_counted(calls)}.{cut}"
    return {"says": says, "words": words.strip(), "folds": tuple(folds), "cost": _cost(event)}


def _counted(calls: Sequence[Any]) -> str:
    return "" if not calls else " a tool" if len(calls) == 1 else f" {len(calls)} tools"


def called(call: Mapping[str, Any]) -> str:
    """A tool call on one line: its name, and of what it was given the first words."""
    given = call.get("input")
    named = given.items() if isinstance(given, Mapping) else ()
    plain = [f"{name}={' '.join(str(value).split())}" for name, value in named if isinstance(value, (str, int))]
    words = " ".join([str(call.get("name")), *plain])
    return words if len(words) <= _ARGUMENT_CHARS else f"{words[: _ARGUMENT_CHARS - 1]}…"


def _spent(event: Event) -> Told:
    return {"says": f"A model call gave no turn: {event.data.get('reason')}", "tone": "bad", "cost": _cost(event)}


def _intent(event: Event) -> Told:
    return {"says": f"Begins {event.data.get('tool')}, which has an effect outside.", "tone": "quiet"}


def _result(event: Event) -> Told:
    data = event.data
    text, tool = str(data.get("text") or ""), data.get("tool")
    if data.get("is_error"):
        return {"says": f"{tool} refused or failed.", "tone": "bad", "folds": (Fold("Why", text),)}
    lines = text.count("\n") + 1
    return {"says": f"{tool} answered.", "folds": (Fold(f"{lines} line{'' if lines == 1 else 's'}", text),)}


def _patch(event: Event) -> Told:
    """The diff is made when it is opened: a patch holds whole files."""
    files = event.data["files"]
    size = sum(len(one["after"] or "") for one in files)
    return {
        "says": f"Changed {_some([one['path'] for one in files])}.",
        "items": tuple(map(objection, event.data.get("findings") or ())),
        "folds": (Fold("The change", "", "diff", left=size or 1),),
    }


def _fix(event: Event) -> Told:
    data = event.data
    did = f"Took over the fix of session {data['made_by']}" if data.get("made_by") else "Opened a fix"
    return {
        "says": f"{did} on {data.get('branch')} at {str(data.get('commit'))[:12]}: {data.get('title')}",
        "tone": "good",
        "words": str(data.get("summary") or ""),
        "items": tuple(map(objection, data.get("findings") or ())),
        "link": web_address(data.get("pull_request")),
    }


def objection(finding: Mapping[str, Any]) -> str:
    """What a gate has to say, on one line."""
    where = f"{finding.get('path')}: " if finding.get("path") else ""
    return f"{where}{finding.get('reason') or ''} ({finding.get('rule') or 'gate'})"


def _verified(event: Event) -> Told:
    stages = event.data.get("stages") or ()
    told = [f"{one.get('name')} {str(one.get('state')).replace('_', ' ')}" for one in stages]
    failed = tuple(f"{one.get('name')}: {one.get('detail')}" for one in stages if one.get("state") == StageState.FAILED)
    return {"says": f"Looked at the fix: {', '.join(told)}.", "tone": "bad" if failed else "plain", "items": failed}


def _note(event: Event) -> Told:
    comment = event.data.get("comment") or {}
    if event.actor == SERVER:
        return {"says": "A word from the server:", "tone": "asks", "words": str(event.data.get("message") or "")}
    says = "Wrote on the pull request:" if comment else "Told it:"
    return {"says": says, "words": str(event.data.get("message") or ""), "link": web_address(comment.get("url"))}


def _question(event: Event) -> Told:
    kind = "Asks for approval" if event.data.get("about") == "approval" else "Asks"
    body = str(event.data.get("body") or "")
    folds = (Fold("What was asked", body, "words"),) if body else ()
    return {"says": f"{kind}: {event.data.get('subject')}", "tone": "asks", "folds": folds}


_DECIDED = {"approve": "Approved", "reject": "Rejected", "answer": "Answered"}


def _answer(event: Event) -> Told:
    decision = str(event.data.get("decision"))
    where = " under Required Actions" if event.data.get("via") == "required_actions" else ""
    says = "Nobody answered." if decision == "nobody" else f"{_DECIDED.get(decision, decision)}{where}."
    return {"says": says, "words": str(event.data.get("message") or "")}


def _approval(event: Event) -> Told:
    commit = str(event.data.get("commit"))[:12]
    if event.data.get("via") == "waived":
        return {"says": f"Policy lets commit {commit} be run without a person.", "tone": "good"}
    is_yes = event.data.get("decision") == "approve"
    return {"says": f"{'Approved' if is_yes else 'Rejected'} running commit {commit}.", "tone": "good" if is_yes else "bad"}


def _rerun(event: Event) -> Told:
    data = event.data
    tasks = _some([str(one) for one in data.get("task_ids") or ()])
    return {
        "says": f"Reruns {tasks} in run {data.get('run_id')} of {data.get('dag_id')} on commit {str(data.get('commit'))[:12]}.",
        "items": (f"By {data.get('way')}: {data.get('reason')}",) if data.get("reason") else (),
    }


_WAITS = {
    "task": "Waits until the failed run has ended",
    "person": "Waits for a person",
    "rerun": "Waits for the rerun",
    "preview": "Waits until Airflow has the preview's DAG",
}


def _parked(event: Event) -> Told:
    waits = _WAITS.get(str(event.data.get("waiting_for")), "Waits")
    return {"says": f"{waits}: run {event.data.get('run_id')} of {event.data.get('dag_id')}.", "tone": "quiet"}


PIN_ENDS = {
    "merged": "the fix is merged",
    "closed": "its branch is gone, or its pull request was closed without a merge",
    "ended": "the session ended without its fix",
    "asked": "a person wanted it",
}


def _pin_ended(event: Event) -> Told:
    version = str(event.data.get("version") or "")[:12]
    now = f"it is on {version} now" if version else "the run is gone, or has no version"
    why = PIN_ENDS.get(str(event.data.get("reason")), "")
    return {"says": f"Run {event.data.get('run_id')} has left the fix commit, as {why}; {now}."}


_RECOVERED = {
    "started": ("goes on with the merged fix", "plain"),
    "green": ("is green", "good"),
    "failed": ("failed again", "bad"),
    "left": ("was left alone", "plain"),
}


def _recovery(event: Event) -> Told:
    data = event.data
    why = f": {data['reason']}" if data.get("reason") else ""
    if not data.get("run_id"):
        return {"says": f"Nothing more is recovered{why}.", "tone": "quiet"}
    became, tone = _RECOVERED.get(str(data.get("state")), (str(data.get("state")), "plain"))
    return {"says": f"Run {data['run_id']} {became}{why}.", "tone": tone}


def _occurrence(event: Event) -> Told:
    return {"says": f"The same cause failed again: {event.data.get('ref') or event.data.get('run_id')}."}


def _stop(event: Event) -> Told:
    return {"says": "Stopped it.", "tone": "bad", "words": str(event.data.get("reason") or "")}


ENDS = {
    "fixed": ("fixed: the rerun on the fix is green", "good"),
    "proposed": ("a fix is proposed; no rerun has shown that it works", "good"),
    "reported": ("a report, without a fix", "plain"),
    "duplicate": ("another session works on the same cause", "plain"),
    "rejected": ("a person rejected the fix", "bad"),
    "gave_up": ("it found no fix", "bad"),
    "over_budget": ("its budget was used up", "bad"),
    "failed": ("Agent Fix itself failed", "bad"),
    "stopped": ("a person stopped it", "plain"),
}


def _finished(event: Event) -> Told:
    how, tone = ENDS.get(str(event.data.get("outcome")), (str(event.data.get("outcome")), "plain"))
    error = str(event.data.get("error") or "")
    folds = (Fold("The error", error),) if error and error != event.data.get("summary") else ()
    return {"says": f"The session ended: {how}.", "tone": tone, "words": str(event.data.get("summary") or ""), "folds": folds}


def _erased(_: Event) -> Told:
    return {"says": "Erased what the session held. Hashes, decisions and what was done to runs stay.", "tone": "bad"}


def _cost(event: Event) -> str:
    used = tokens(usage_of([event]))
    return f"{event.data.get('model')} · {used:,} tokens · ${float(event.data.get('dollars') or 0.0):,.3f}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN_PATHS
    return ", ".join(names[:_SHOWN_PATHS]) + (f" and {more} more" if more > 0 else "")


TELL: Mapping[EventKind, Callable[[Event], Told]] = {
    EventKind.CREATED: _created,
    EventKind.CLAIMED: _claimed,
    EventKind.POLICY: _policy,
    EventKind.INCIDENT: _incident,
    EventKind.NEW_TRANSCRIPT: _new_transcript,
    EventKind.MODEL: _model,
    EventKind.SPENT: _spent,
    EventKind.INTENT: _intent,
    EventKind.RESULT: _result,
    EventKind.PATCH: _patch,
    EventKind.FIX: _fix,
    EventKind.VERIFIED: _verified,
    EventKind.NOTE: _note,
    EventKind.QUESTION: _question,
    EventKind.ANSWER: _answer,
    EventKind.APPROVAL: _approval,
    EventKind.RERUN: _rerun,
    EventKind.PARKED: _parked,
    EventKind.PIN_ENDED: _pin_ended,
    EventKind.RECOVERY: _recovery,
    EventKind.OCCURRENCE: _occurrence,
    EventKind.STOP: _stop,
    EventKind.FINISHED: _finished,
    EventKind.ERASED: _erased,
}
NOUNS = {
    EventKind.CREATED: "How it began",
    EventKind.INCIDENT: "The evidence",
    EventKind.NEW_TRANSCRIPT: "A new conversation",
    EventKind.MODEL: "What the model said",
    EventKind.SPENT: "A model call",
    EventKind.INTENT: "What it began",
    EventKind.RESULT: "A tool's answer",
    EventKind.PATCH: "A change",
    EventKind.FIX: "A fix",
    EventKind.VERIFIED: "A look at the fix",
    EventKind.NOTE: "What was told",
    EventKind.QUESTION: "A question",
    EventKind.ANSWER: "An answer",
    EventKind.PARKED: "A wait",
    EventKind.OCCURRENCE: "A further failure",
    EventKind.STOP: "A stop",
    EventKind.FINISHED: "The end",
}

"""The tool that ends a session. What it claims is checked against what happened: outcome, and every cited line."""

from __future__ import annotations

from airflow_agentfix.agent import recording
from airflow_agentfix.agent.case import Ending, Given, Use
from airflow_agentfix.core import citations, transcript, verification
from airflow_agentfix.core.prose import prose
from airflow_agentfix.core.session import EventKind, Outcome
from airflow_agentfix.errors import ToolRefused
from airflow_agentfix.ports import Json

UNGROUNDED_CONFIDENCE = 0.5


def submit_report(use: Use) -> Given:
    """End with the report; refused where its outcome is not what happened."""
    outcome = Outcome(use.input["outcome"])
    _refuse_untrue(use, outcome)
    if (behind := recording.caught_up(use)) is not None:
        return behind
    report = _report(use)
    return Ending(outcome, _summary(use, report), use.input["verdict"], report)


def _refuse_untrue(use: Use, outcome: Outcome) -> None:
    fix, green = transcript.newest_fix(use.events), transcript.is_green(use.events)
    if outcome is Outcome.FIXED and not green:
        expected = "proposed (a fix is open)" if fix else "reported or gave_up"
        raise ToolRefused(f"outcome fixed needs a green rerun of the newest fix, and there is none; expected {expected}.")
    if outcome is Outcome.PROPOSED and fix is None:
        raise ToolRefused("outcome proposed needs an open fix, and there is none; use open_fix, or outcome reported or gave_up.")
    if outcome is Outcome.REPORTED and fix is not None:
        raise ToolRefused(f"A fix is open on {fix.data['branch']}; expected outcome fixed, proposed or gave_up.")


def _report(use: Use) -> Json:
    """The report as it is kept: redacted, with ungrounded claims named and the confidence capped for them."""
    redact = use.case.redact
    chain = [
        {"claim": redact(link["claim"]), "cites": [redact(cite) for cite in link["cites"]]} for link in use.input["causal_chain"]
    ]
    ungrounded = citations.ungrounded(chain, use.events)
    confidence = min(1.0, max(0.0, float(use.input.get("confidence", UNGROUNDED_CONFIDENCE))))
    if ungrounded or not chain:
        confidence = min(confidence, UNGROUNDED_CONFIDENCE)
    return {
        "verdict": use.input["verdict"],
        "confidence": confidence,
        "root_cause": redact(use.input["root_cause"]),
        "owner_action": redact(use.input["owner_action"]) if use.input.get("owner_action") else None,
        "outcome": use.input["outcome"],
        "causal_chain": chain,
        "ungrounded": ungrounded,
        "shown_in": citations.shown_by_tools(chain, use.events),
        "verification": [stage.to_json() for stage in verification.record(use.events)],
    }


def _summary(use: Use, report: Json) -> str:
    """Root cause, what was done, and what its owner should do."""
    return prose(report["root_cause"], done_so_far(use.events), report["owner_action"])


def done_so_far(events: transcript.Events) -> str:
    """The fix, its rerun and what was verified, in a few sentences; empty where no fix was opened."""
    fix = transcript.newest_fix(events)
    if fix is None:
        return ""
    request = f" ({fix.data['pull_request']})" if fix.data["pull_request"] else ""
    judged = transcript.rerun_result(events)
    state = judged.data["text"].split(":", 1)[0] if judged else _not_rerun(events)
    verified = verification.told(verification.record(events))
    return f"Fix on {fix.data['branch']}{request}: {fix.data['title'].rstrip('.')}; {state}. {verified}"


def _not_rerun(events: transcript.Events) -> str:
    return "rerun started" if transcript.last(events, EventKind.RERUN) else "not rerun"

"""The tool that asks a person and waits for the answer."""

from __future__ import annotations

from airflow_agentfix.agent.case import Done, Given, Use
from airflow_agentfix.core import questions
from airflow_agentfix.errors import ToolRefused
from airflow_agentfix.ports import WaitRun

OPTIONS = ("Continue", "Stop")


def pause_for_human(use: Use) -> Given:
    """Ask; the answer is the result. The same call asked again is the same question."""
    case = use.case
    options = [case.redact(option) for option in use.input.get("options", [])] or list(OPTIONS)
    if passing := questions.passing_for_approval(options):
        named = ", ".join(passing)
        raise ToolRefused(f"options: {named}: that passes for an approval, which rerun asks for by itself. Name them otherwise.")
    answer = case.client.ask(
        case.session_id,
        lease=case.lease,
        call_id=use.call.id,
        subject=" ".join(case.redact(use.input["reason"]).split()),
        body=case.redact(use.input["summary_for_human"]),
        options=options,
    )
    if isinstance(answer, WaitRun):
        return answer
    if answer.decision == "nobody":
        return Done(f"{answer.message} Go on without an answer, or end with submit_report and say what is open.")
    return Done(case.redact(f"{answer.actor} answered ({answer.decision}): {answer.message}"))

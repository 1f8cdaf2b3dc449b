"""What was asked in a session and what was answered, read from its events.

Invariant: a question that the session's end left open is closed; it waits for nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_agentfix.core import budget
from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind, Session
from airflow_agentfix.core.ways import Chosen

APPROVE = "Approve"
APPROVED_ELSEWHERE = "Approved through Agent Fix"
REJECT = "Reject"
_DIFF_CHARS = 20_000
_RESERVED = ("approve", "reject")
_MARKUP = re.compile(r"[\[\]<]|^\s*#", re.MULTILINE)


KINDS = (EventKind.QUESTION, EventKind.ANSWER, EventKind.FINISHED)
"""The kinds of events that tell which questions wait."""


def current(events: Sequence[Event]) -> Sequence[Event]:
    """The events since the session last ended."""
    ends = [index for index, event in enumerate(events) if event.kind is EventKind.FINISHED]
    return events[ends[-1] + 1 :] if ends else events


def passing_for_approval(options: Sequence[str]) -> list[str]:
    """Options of an ordinary question that a person could take for the approval of a fix, which the server alone asks for."""
    return [option for option in options if option.strip().casefold().startswith(_RESERVED)]


def question_body(body: str) -> str:
    """The agent's words as a person is shown them: said to be its words; no link, picture or heading of its own."""
    words = _MARKUP.sub(lambda match: f"{match.group()[:-1]}\\{match.group()[-1]}", body)
    return f"*The agent asks, in its own words. No answer to this approves a fix.*\n\n{words}"


def answer_to(events: Sequence[Event], question_id: str) -> Event | None:
    return next((e for e in events if e.kind is EventKind.ANSWER and e.data.get("question_id") == question_id), None)


def last_answer(events: Sequence[Event], question_id: str | None = None) -> Event | None:
    """The newest answer, to that question if one is named."""
    given = (e for e in reversed(events) if e.kind is EventKind.ANSWER)
    return next((e for e in given if question_id in (None, e.data.get("question_id"))), None)


def waiting(events: Sequence[Event]) -> list[Event]:
    """Questions nobody has answered yet."""
    now = current(events)
    return [e for e in now if e.kind is EventKind.QUESTION and answer_to(now, e.data["question_id"]) is None]


def question_of(events: Sequence[Event], call_id: str) -> Event | None:
    """The question a tool call asked."""
    asked = (e for e in events if e.kind is EventKind.QUESTION and e.data["about"] == "question")
    return next((e for e in asked if e.data["call_id"] == call_id), None)


def approval_question(events: Sequence[Event], commit: str) -> Event | None:
    """The newest question whether `commit` may be run."""
    asked = (e for e in reversed(current(events)) if e.kind is EventKind.QUESTION and e.data["about"] == "approval")
    return next((e for e in asked if e.data["commit"] == commit), None)


def waiver(policy: Policy, objections: Sequence[Finding]) -> str | None:
    """Why no person has to approve the rerun; None where one has to. An objection to the fix is never waived."""
    if objections:
        return None
    if policy.allow_unreviewed_reruns:
        return "[agentfix] allow_unreviewed_reruns is True"
    if "rerun" not in policy.approve_before:
        return "[agentfix] approve_before does not name rerun"
    return None


def workers(events: Sequence[Event]) -> set[str]:
    """User ids of the logins that worked on the session: whoever holds such a login is no reviewer of the work."""
    return {str(event.data["login"]) for event in events if event.kind is EventKind.CLAIMED and "login" in event.data}


def decision_of(question: Event, option: str, *, user: str) -> str:
    """What `user` says by choosing `option` under Required Actions: answer | approve | reject.

    Approving there counts only from one of the approvers the question was put to: Airflow checks no right on the failed DAG.
    """
    if question.data["about"] == "question":
        return "answer"
    if option == REJECT:
        return "reject"
    return "approve" if option == APPROVE and user in (question.data.get("approvers") or ()) else "answer"


def approval_subject(session: Session, commit: str) -> str:
    return f"Run fix {commit[:12]} of {session.dag_id}.{session.task_id}?"


def approval_body(
    session: Session,
    fix: Mapping[str, Any],
    *,
    objections: Sequence[Finding],
    approvers: Sequence[str],
    chosen: Chosen,
    page: str | None,
) -> str:
    """What a person needs to decide, as Markdown: cause, branch, commit, cost, objections, diff, and how to say yes: `page` is
    the address of the session's own, where it has one that people can open.

    Cause, title and diff are others' words: each stays on its line or inside its fence, so that none can pass for ours.
    """
    elsewhere = f"run `agentfix continue {session.id} --approve`"
    elsewhere = f"approve on [the session's page]({page}), or {elsewhere}" if page else elsewhere
    if approvers:
        how = f"Choose **{APPROVE}** here, or {elsewhere}."
    else:
        how = (
            f"{elsewhere[0].upper()}{elsewhere[1:]}: your right on the DAG is checked there. "
            f"**{APPROVED_ELSEWHERE}** here counts only after that."
        )
    facts = {
        "Failed": f"{session.dag_id} / {session.run_id} / {session.task_id}",
        "Cause": _inline(session.cause or "unknown"),
        "Fix": _inline(str(fix.get("title", ""))),
        "Branch": _inline(session.fix_branch or ""),
        "Commit": f"`{session.fix_commit}`",
        **({"Made by": f"session {_inline(str(maker))}, for the same cause"} if (maker := fix.get("made_by")) else {}),
        **({"Pull request": _inline(session.pull_request)} if session.pull_request else {}),
        "Rerun": f"{chosen.way}: {_inline(chosen.reason)}",
        "Cost": budget.told(session.usage),
    }
    listed = [f"- **{name}:** {value}" for name, value in facts.items()]
    listed += [f"- **Look at:** {_inline(f'{finding.path}: {finding.reason}')}" for finding in objections]
    diff = _cut(str(fix.get("diff") or ""))
    fence = "`" * (max(map(len, re.findall("`+", diff)), default=2) + 1 if "```" in diff else 3)
    return (
        "Approving runs unmerged code with production connections.\n\n"
        + "\n".join(listed)
        + f"\n\n{fence}diff\n{diff}\n{fence}\n\n{how}"
    )


def _inline(text: str) -> str:
    """Others' words as one line of code: no Markdown, no line of its own."""
    words = " ".join(text.replace("`", "'").split())
    return f"`{words}`"


def _cut(diff: str) -> str:
    if len(diff) <= _DIFF_CHARS:
        return diff
    return f"{diff[:_DIFF_CHARS]}\n[{len(diff) - _DIFF_CHARS} characters left out; see the branch]"

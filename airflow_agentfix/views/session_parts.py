"""The parts of a session's page, made of its events. Pure.

Invariant: a part is a function of the events of its own `KINDS` and of what is passed beside them, so that a poll sends the parts
that new events change, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_agentfix import review
from airflow_agentfix.core import recovery, transcript, verification
from airflow_agentfix.core.pins import pinned
from airflow_agentfix.core.policy import Effective
from airflow_agentfix.core.prose import whole
from airflow_agentfix.core.session import SERVER, Event, EventKind, Session, State
from airflow_agentfix.core.stages import Stage, StageState, not_run
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.core.urls import web_address
from airflow_agentfix.ports import TaskStates
from airflow_agentfix.views import evidence
from airflow_agentfix.views.asking import Asker
from airflow_agentfix.views.evidence import Cite, Claim, Line, listed
from airflow_agentfix.views.sentences import PIN_ENDS, objection
from airflow_agentfix.views.session_head import data_of, end_of, newest_report

Events = Sequence[Event]
K = EventKind

BULKY = frozenset({K.MODEL, K.SPENT, K.INTENT, K.RESULT, K.NOTE, K.PATCH, K.NEW_TRANSCRIPT})
"""what only the timeline shows, and patches the diff"""
FACTS = frozenset(K) - BULKY

_ENDS = {K.FINISHED, K.ERASED, K.CLAIMED, K.NOTE, K.STOP}
KINDS: Mapping[str, frozenset[EventKind]] = {
    "head": frozenset({K.INCIDENT, K.OCCURRENCE, K.QUESTION, K.ANSWER, K.APPROVAL, K.PARKED, K.PIN_ENDED, K.RECOVERY, *_ENDS}),
    "asks": frozenset({K.QUESTION, K.ANSWER, K.APPROVAL, K.FIX, *_ENDS}),
    "report": frozenset({K.INCIDENT, *_ENDS}),
    "fix": frozenset({K.FIX, K.PATCH, K.QUESTION, K.ANSWER, *_ENDS}),
    "checks": frozenset({*verification.KINDS, *_ENDS}),
    "rerun": frozenset({K.RERUN, K.RESULT, K.PIN_ENDED, K.RECOVERY, K.PARKED, *_ENDS}),
    "evidence": frozenset({K.INCIDENT, K.ERASED, K.FINISHED}),
    "budget": frozenset({K.MODEL, K.SPENT, K.CLAIMED, K.NOTE, K.POLICY, K.PARKED, K.FINISHED}),
    "policy": frozenset({K.POLICY}),
    "actions": frozenset({K.RERUN, K.PIN_ENDED, K.FIX, *_ENDS}),
}
"""The parts, each with the kinds of events that change it. What is not here is sent whenever anything has changed."""


def changed(session: Session, events: Events) -> frozenset[str]:
    """The parts that these new events change; `session`: as it is after them."""
    kinds = {event.kind for event in events if _tells(session, event)}
    return frozenset(name for name, of in KINDS.items() if of & kinds)


def _tells(session: Session, event: Event) -> bool:
    """Whether it changes more than the timeline: of results, those of reruns do; of people's notes, one that brings an
    ended session back, which is queued then."""
    if event.kind is K.RESULT:
        return event.data.get("tool") in (None, "rerun")
    return event.kind is not K.NOTE or event.actor == SERVER or session.state is State.OPEN


# --- what was found and done -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Report:
    """What the session found: its words, and the chain of claims. `rests_on`: lines of the verdict by rules, where no report
    came yet."""

    text: str = ""
    chain: tuple[Claim, ...] = ()
    rests_on: tuple[Cite, ...] = ()
    rule: str = ""
    error: str = ""


def report(events: Events, shown: Sequence[Line]) -> Report:
    told, incident, end = newest_report(events), data_of(events, K.INCIDENT), end_of(events)
    judgement, cause = incident.get("judgement") or {}, str((incident.get("cause") or {}).get("line") or "")
    return Report(
        text=_beyond(cause, str(told.get("root_cause") or "")),
        chain=evidence.chain(told, shown),
        rests_on=evidence.cites(listed(judgement.get("evidence")), shown),
        rule=whole(in_words(str(judgement.get("reason") or ""))),
        error=_beyond_summary(str(end.get("error") or ""), str(end.get("summary") or "")),
    )


def _beyond(cause: str, text: str) -> str:
    """What it says besides the cause, which heads the page."""
    rest = text.removeprefix(cause) if cause else text
    return rest.lstrip(" .\n") if rest[:1] in ("", ".", "\n") else text


def _beyond_summary(error: str, summary: str) -> str:
    """An error of ours is told where the summary, which heads the page, does not say the same without its type."""
    return "" if (error.partition(": ")[2] or error) in summary else error


def lines(events: Events) -> tuple[Line, ...]:
    """The evidence's text."""
    incident = data_of(events, K.INCIDENT)
    judgement = incident.get("judgement") or {}
    return evidence.lines(str(incident.get("text") or ""), rests_on=set(map(str, listed(judgement.get("evidence")))))


@dataclass(frozen=True)
class Fix:
    """The newest fix; `number`: of its event."""

    title: str
    summary: str
    branch: str
    commit: str
    diff: str
    added: int
    removed: int
    pull_request: str | None
    findings: tuple[str, ...]
    earlier: int
    number: int
    made_by: str | None
    """the earlier session whose commit it is"""


def fix(events: Events, diff: str) -> Fix | None:
    """`diff`: of the newest one."""
    found = [event for event in events if event.kind is K.FIX and event.data.get("commit")]
    if not found:
        return None
    data = found[-1].data
    body = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    return Fix(
        title=str(data.get("title") or ""),
        summary=str(data.get("summary") or ""),
        branch=str(data["branch"]),
        commit=str(data["commit"]),
        diff=diff,
        added=sum(line.startswith("+") for line in body),
        removed=sum(line.startswith("-") for line in body),
        pull_request=web_address(data.get("pull_request")),
        findings=tuple(map(objection, data.get("findings") or ())),
        earlier=len(found) - 1,
        number=found[-1].number,
        made_by=str(data["made_by"]) if data.get("made_by") else None,
    )


def diff_of(events: Events) -> str:
    """The newest fix as the server's own record of changes has it: what the gates judged is what a person is shown."""
    whole = [event for event in events if event.data]  # an erased patch holds nothing
    told = data_of(events, K.FIX).get("diff")
    return review.recorded_diff(whole) or str(told or "")


def checks(events: Events) -> tuple[Stage, ...]:
    """What was looked at of the fix; what was not run last, those together that were not run for the same reason."""
    record = verification.record(events)
    left: dict[str, list[str]] = {}
    for stage in record:
        if stage.state is StageState.NOT_RUN:
            left.setdefault(stage.detail, []).append(stage.name)
    ran = (stage for stage in record if stage.state is not StageState.NOT_RUN)
    return (*ran, *(not_run(", ".join(names), why) for why, names in left.items()))


@dataclass(frozen=True)
class Recovered:
    run_id: str
    state: str
    reason: str


@dataclass(frozen=True)
class Rerun:
    """`tasks`: how those that judge it stand, while it goes; `pin`: what became of the failed run's place on the fix commit."""

    way: str
    reason: str
    dag_id: str
    run_id: str
    commit: str
    result: str
    is_pinned: bool
    pin_end: str
    tasks: tuple[TaskStates, ...]
    started_at: str


def rerun(events: Events, tasks: Sequence[TaskStates]) -> Rerun | None:
    started = transcript.last(events, K.RERUN)
    if started is None:
        return None
    data, judged = started.data, transcript.rerun_result(events)
    pin, ended = pinned(events), [event for event in events if event.kind is K.PIN_ENDED]
    return Rerun(
        way=str(data["way"]),
        reason=str(data.get("reason") or ""),
        dag_id=str(data["dag_id"]),
        run_id=str(data["run_id"]),
        commit=str(data["commit"]),
        result=str(judged.data["text"]).partition(":")[0] if judged and judged.number > started.number else "",
        is_pinned=pin is not None,
        pin_end="" if pin or not ended else PIN_ENDS.get(str(ended[-1].data.get("reason")), ""),
        tasks=tuple(tasks),
        started_at=started.at,
    )


def recovered(events: Events) -> tuple[Recovered, ...]:
    """The other runs of the cause, with the newest word on each."""
    return tuple(Recovered(run_id, one.state.value, one.reason) for run_id, one in recovery.past_of(events).items())


# --- what may be done ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Actions:
    """What this person may do now; `why_not`: why it is nothing."""

    tell: bool = False
    stop: bool = False
    end_pin: str = ""
    """the run that would leave its fix commit"""
    recover: bool = False
    is_done: bool = False
    why_not: str = ""


def actions(session: Session, events: Events, asker: Asker) -> Actions:
    is_done = session.state is State.DONE
    if not asker.may_edit:
        return Actions(
            is_done=is_done, why_not=f"You may look. Steering it takes the right to edit runs of DAG {session.dag_id}."
        )
    is_whole = all(event.kind is not K.ERASED for event in events)
    pin = pinned(events)
    return Actions(
        tell=is_whole,
        stop=not is_done,
        end_pin=str(pin.data["run_id"]) if pin and is_done else "",
        recover=is_done and is_whole and session.fix_commit is not None and session.outcome in ("fixed", "proposed"),
        is_done=is_done,
        why_not="" if is_whole else "What it held was erased. Start a new session on the failed task.",
    )


_UNNAMED = {"approvers": "whoever may edit the DAG's runs", "reviewers": "whom CODEOWNERS names", "allowed_paths": "all"}
"""what an empty list means, where that is not: none"""


@dataclass(frozen=True)
class Rule:
    """One value of the policy in force, with where it comes from."""

    name: str
    value: str
    sources: tuple[str, ...]


def policy(found: Effective | None) -> tuple[Rule, ...]:
    if found is None:
        return ()
    values = found.policy.to_json()
    said = ((name, _UNNAMED.get(name, "none") if value in ([], ()) else _said(value)) for name, value in values.items())
    return tuple(Rule(name, value, tuple(found.sources.get(name, ()))) for name, value in said)


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "none"
    if isinstance(value, Mapping):
        return " ".join(map(_said, (value.get("name"), *listed(value.get("run")))))
    return f"{value:,}" if isinstance(value, int) else str(value)

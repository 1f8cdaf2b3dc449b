"""The verification record as a worker writes it, and its pull request, which says what is on record.

Invariants: a stage is on record before what comes after it begins. The pull request's text is made anew from the events each
time, so doing it twice changes nothing; one that cannot be brought up to date fails no session, is on record as such, and is
tried again with the next stages and at the end. The text is the word of the session that made the commit: one that took the same
commit for its own run says what came of it there in a comment, and never unsays what another one saw.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow_agentfix.agent.case import Case, Code, Done, NewEvent, Recorded, Use
from airflow_agentfix.core import budget, commit, output_checks, reproduction, stages, transcript, verification
from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.inert import inert
from airflow_agentfix.core.links import Links, links_of
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.core.stages import PULL_REQUEST, RERUN, Stage, StageState
from airflow_agentfix.core.transcript import RERUN_GREEN
from airflow_agentfix.errors import AgentFixError, AirflowError
from airflow_agentfix.ports import Answer, Json, OpenedFix, Rerun

log = logging.getLogger(__name__)

INSTANCES = 20
"""task instances of a rerun that are told one by one"""
DETAIL_CHARS = 2_000


def verified(
    use: Use, found: Iterable[Stage], *, ready: bool = False, because: str | None = None, shape_changes: Sequence[str] = ()
) -> NewEvent:
    """
    The event that puts stages of the newest fix on record, and its pull request up to date with it.

    :param because: why the fix goes no further.
    :param shape_changes: in what its DAG differs from the run's, for the rerun to come.
    """
    clean = [_redacted(use.case, stage) for stage in found]
    fix = transcript.newest_fix(use.events)
    assert fix is not None, "nothing is verified before there is a fix"
    ends = ready or because is not None or any(stage.name == RERUN for stage in clean)
    remark = _update(use, fix, verification.record(use.events, now=clean, because=because), ready=ready, ends=ends)
    kind, data = _event(use, fix.data["commit"], [*clean, *remark])
    return kind, {**data, "shape_changes": list(shape_changes)} if shape_changes else data


def not_rerun(use: Use, why: str) -> NewEvent:
    """The event for a rerun that was not made, or that gave no result."""
    return verified(use, [stages.not_run(stages.RERUN, why)], because=why)


def made_by(use: Use, fix: Event) -> list[Mapping[str, Any]]:
    """What this very call has put on record of this fix before."""
    made = [event.data for event in transcript.of_kind(use.events, EventKind.VERIFIED)]
    return [data for data in made if (data["call_id"], data["commit"]) == (use.call.id, fix.data["commit"])]


def is_recorded(use: Use, fix: Event, stage: str) -> bool:
    """Whether it has this stage."""
    return any(one["name"] == stage for data in made_by(use, fix) for one in data["stages"])


def _event(use: Use, of_commit: str, found: Sequence[Stage]) -> tuple[EventKind, dict[str, Any]]:
    listed = [stage.to_json() for stage in found]
    return EventKind.VERIFIED, {"commit": of_commit, "stages": listed, "call_id": use.call.id}


def _redacted(case: Case, stage: Stage) -> Stage:
    detail = case.redact(stage.detail)
    return replace(stage, detail=detail if len(detail) <= DETAIL_CHARS else f"{detail[: DETAIL_CHARS - 1]}…")


# --- when a fix is opened --------------------------------------------------------------------------------------------


def at_open(use: Use, code: Code, findings: Sequence[Finding]) -> tuple[Stage, ...]:
    """What was looked at before anything left the process; nothing of the fix was executed for it."""
    found = (_reproduced(use), _gates(findings), *code.parsed(code.copy))
    return tuple(_redacted(use.case, stage) for stage in found)


def opened(use: Use, of_commit: str, found: Sequence[Stage]) -> NewEvent:
    """The event for them, once there is a commit they are of; its pull request was opened with them."""
    return _event(use, of_commit, found)


def _gates(findings: Sequence[Finding]) -> Stage:
    looked = "paths, size, secrets, what hides a failure, new dependencies"
    if not findings:
        return stages.passed(stages.GATES, f"{looked}: nothing was found")
    rules = stages.some(list(dict.fromkeys(finding.rule for finding in findings)))
    return stages.passed(stages.GATES, f"{looked}: {len(findings)} for a person's eye ({rules})")


def _reproduced(use: Use) -> Stage:
    case, ref = use.case, use.case.incident.ref
    seen = {number: _cause_of(case, replace(ref, try_number=number)) for number in reproduction.earlier_tries(ref.try_number)}
    joined = transcript.of_kind(use.events, EventKind.OCCURRENCE)
    elsewhere = sum(bool(event.data.get("session_id")) for event in joined)  # they ended as duplicates: by their fingerprint
    return reproduction.reproduced(case.incident.fingerprint, ref.try_number, seen, elsewhere=elsewhere)


def _cause_of(case: Case, ref: TaskRef) -> str | None:
    """A fix does not wait for this: what could not be read is told as that."""
    try:
        return case.cause_of(ref)
    except AirflowError as error:
        log.info("Whether %s failed of the same cause is not known: %s", ref, case.redact(str(error)))
        return None


# --- after a rerun ---------------------------------------------------------------------------------------------------


def judged(use: Use, started: Rerun, tasks: Sequence[TaskFacts], given: Done) -> Done:
    """The rerun's result with its stages, and with what is on record of the fix now. Green, its pull request is ready."""
    green = given.text.startswith(RERUN_GREEN)
    found = [_rerun(use, started, tasks, green=green), _output_checks(use.case, started)]
    event = verified(use, found, ready=green)
    said = verification.told(verification.record(use.events, now=map(Stage.from_json, event[1]["stages"])))
    head, line, rest = given.text.partition("\n")
    return replace(given, text=f"{head} {said}{line}{rest}", events=(*given.events, event))


def _rerun(use: Use, started: Rerun, tasks: Sequence[TaskFacts], *, green: bool) -> Stage:
    """Which tasks ran, how long, and against their usual."""
    told = [_told(use.case, task) for task in tasks[:INSTANCES]]
    more = [f"{len(tasks) - INSTANCES} further instances"] if len(tasks) > INSTANCES else []
    run = f"run {started.run_id} of {started.dag_id} ({started.way})"
    detail = f"{'; '.join([*told, *more]) or 'no task instance was found'}; {run}"
    return (stages.passed if green else stages.failed)(stages.RERUN, detail)


def _told(case: Case, task: TaskFacts) -> str:
    name = f"{task.task_id}[{task.map_index}]" if task.map_index >= 0 else task.task_id
    if task.duration is None:
        return f"{name} {task.state}"
    usual = _usual(case, task) if task.state == "success" else ""
    return f"{name} {task.state} in {task.duration:.1f} s{f', {usual}' if usual else ''}"


def _usual(case: Case, task: TaskFacts) -> str:
    try:
        return case.usual(task)
    except AirflowError as error:
        log.info("How long %s takes usually is not known: %s", task.task_id, case.redact(str(error)))
        return "its usual duration is not known"


def _output_checks(case: Case, started: Rerun) -> Stage:
    try:
        tasks = case.airflow.task_instances(started.dag_id, started.run_id)
    except AirflowError as error:
        return stages.not_run(stages.OUTPUT_CHECKS, f"the run's tasks could not be read: {error}")
    return output_checks.output_checks(tasks, started.task_ids)


# --- the pull request ------------------------------------------------------------------------------------------------


def not_approved(use: Use, answer: Answer) -> None:
    """Tell on the pull request why nothing of the commit was executed."""
    fix = transcript.newest_fix(use.events)
    if fix is None:
        return
    rejected = f"{answer.actor} rejected running the commit" + (f": {answer.message}" if answer.message else "")
    why = verification.NOBODY if answer.decision == "nobody" else rejected
    _update(use, fix, verification.record(use.events, because=use.case.redact(why)))


def caught_up(use: Use) -> Recorded | None:
    """At the end, once: where the pull request does not say what is on record, or why there was no rerun."""
    fix = transcript.newest_fix(use.events)
    if fix is None or use.case.code is None or made_by(use, fix):
        return None
    behind = verification.on_record(use.events, fix.data["commit"]).get(PULL_REQUEST)
    if (behind is None or behind.state is StageState.PASSED) and not _rerun_was_refused(use.events, fix):
        return None
    green = transcript.is_green(use.events)
    remark = _update(use, fix, verification.record(use.events), ready=green)
    return Recorded((_event(use, fix.data["commit"], remark),)) if remark else None


def _rerun_was_refused(events: Sequence[Event], fix: Event) -> bool:
    given = [e for e in transcript.of_kind(events, EventKind.RESULT) if e.number > fix.number and e.data["tool"] == "rerun"]
    return bool(given) and transcript.rerun_result(events) is None


def _update(use: Use, fix: Event, record: Sequence[Stage], *, ready: bool = False, ends: bool = True) -> list[Stage]:
    """Bring the pull request up to date, and say in a stage whether that went well; nothing where there is none. `ends`: there
    is a result to tell."""
    code, data = use.case.tree(), fix.data
    if not data.get("pull_request") or (data.get("made_by") and not ends):
        return []
    known = [stage for stage in record if stage.name != PULL_REQUEST]
    opened = OpenedFix(data["branch"], data["commit"], data["pull_request"])
    try:
        if data.get("made_by"):
            code.host.comment(opened, _remark(use, known))
            if ready:
                code.host.update_request(opened, ready=True)
        else:
            code.host.update_request(opened, body=body(use, data, known, green=ready), ready=ready)
    except AgentFixError as error:
        why = use.case.redact(str(error))
        log.warning("Session %s: %s is not up to date: %s", use.case.session_id, data["pull_request"], why)
        return [stages.not_run(PULL_REQUEST, f"it could not be brought up to date: {why[:DETAIL_CHARS]}")]
    return [stages.passed(PULL_REQUEST, "it says what is on record, and is ready for review" if ready else _SAYS)]


_SAYS = "it says what is on record"


def _remark(use: Use, record: Sequence[Stage]) -> str:
    """What came of an earlier session's commit in this session's run."""
    why = next((stage.detail for stage in record if stage.name == RERUN and stage.state is StageState.NOT_RUN), "")
    said = f"{verification.told(record)}{f' No rerun: {why}.' if why else ''}"
    where = f"session `{use.case.session_id}` took this fix for {use.case.incident.ref}"
    return inert(use.case.redact(f"AgentFix {where}, which failed of the same cause. {said}"))


def superseded(use: Use, by: OpenedFix) -> None:
    """Say on the earlier fix's pull request that it is not the one to merge: its rerun or its checks failed."""
    earlier = transcript.newest_fix(use.events)
    if earlier is None or earlier.data.get("pull_request") in (None, by.pull_request):
        return
    fix = OpenedFix(earlier.data["branch"], earlier.data["commit"], earlier.data["pull_request"])
    amended = f"{by.pull_request or by.branch} is the amended fix."
    words = f"Not the one to merge: its rerun or its checks failed. {amended}"
    if earlier.data.get("made_by"):  # it may have held elsewhere
        words = f"AgentFix session `{use.case.session_id}` goes on without this fix: its rerun or its checks failed. {amended}"
    try:
        use.case.tree().host.comment(fix, words)
    except AgentFixError as error:  # the amended fix is there, and its session goes on
        log.warning("Session %s: %s is not told: %s", use.case.session_id, fix.pull_request, use.case.redact(str(error)))


def body(use: Use, fix: Mapping[str, Any], record: Sequence[Stage], *, green: bool = False) -> str:
    """The pull request's text as it may leave the process. `fix`: data of a fix event, with or without a commit."""
    text = commit.pull_request_body(
        use.case.incident,
        session_id=use.case.session_id,
        summary=fix["summary"],
        paths=fix.get("paths") or sorted(transcript.working_files(use.events)),
        findings=[_finding(one) for one in fix["findings"]],
        stages=record,
        cost=budget.told(budget.usage_of(use.events)),
        links=links(use),
        green=green,
    )
    return inert(use.case.redact(text))


def links(use: Use) -> Links:
    page_of = use.case.session_id if use.case.has_page else None
    return links_of(use.case.incident.ref, use.events, base_url=use.case.base_url, page_of=page_of)


def _finding(data: Json | Mapping[str, Any]) -> Finding:
    return Finding(**data)

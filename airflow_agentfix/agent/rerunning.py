"""The rerun tool: approval, then checks that execute the fix, then the rerun, then its judgement.

The whole tool runs again each time the session wakes: the server's answers are the same for the same call, and what was
started is known from the events. Unreviewed code is imported only after the approval.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from airflow_agentfix.agent import recording
from airflow_agentfix.agent.case import Case, Code, Done, Ending, Given, Recorded, Use
from airflow_agentfix.agent.verifying import check_failed, checks, shape_changes
from airflow_agentfix.core import transcript
from airflow_agentfix.core.incident import TaskFacts, TaskRef
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import Event, EventKind, Outcome, WaitFor
from airflow_agentfix.core.stages import RERUN
from airflow_agentfix.core.transcript import RERUN_FAILED, RERUN_GREEN
from airflow_agentfix.core.ways import Way
from airflow_agentfix.errors import PreviewBroken, RerunImpossible, ToolRefused
from airflow_agentfix.ports import Answer, Approved, Rerun, WaitRun

PREVIEW_LOOKS, PREVIEW_SECONDS = 20, 1.0
"""looks for a preview's DAG before the session sleeps, and seconds before each"""

_TERMINAL_RUN = frozenset({"success", "failed"})
_FINE = frozenset({"success", "skipped", "removed"})
_IMAGE_FILES = (
    "requirements*",
    "requirements/*",
    "constraints*",
    "pyproject.toml",
    "setup.cfg",
    "*.lock",
    "Dockerfile*",
    "packages.txt",
)


def rerun(use: Use) -> Given:
    """Rerun the failed tasks on the newest fix commit; its result once the run has ended."""
    fix = _fix_to_run(use)
    if _started(use.events, fix.data["commit"]) is not None:
        return _watch(use, _asked_for(use, ()), fix)
    approved = use.case.client.approval(use.case.session_id, lease=use.case.lease, call_id=use.call.id, commit=fix.data["commit"])
    if isinstance(approved, WaitRun):
        return approved
    if isinstance(approved, Answer):
        recording.not_approved(use, approved)
        return _not_approved(approved, fix, str(use.case.incident.judgement.verdict))
    return checks(use, fix) or _gone(use.case.tree(), fix) or _start(use, fix, approved)


def _gone(code: Code, fix: Event) -> Done | None:
    """A worker fetches branch heads: a commit that is on none of them may be found on one worker and not on the next."""
    branch, commit = fix.data["branch"], fix.data["commit"]
    if code.host.head(branch) == commit:
        return None
    return check_failed(f"branch {branch} is gone or is not at {commit[:10]} any more, so not every worker could run it.")


def _fix_to_run(use: Use) -> Event:
    case, fix = use.case, transcript.newest_fix(use.events)
    if not case.policy.autonomy.allows(Autonomy.RERUN):
        raise ToolRefused(
            f"This session's autonomy is {case.policy.autonomy!s}: nothing may be rerun. "
            "End with submit_report, outcome proposed if a fix is open."
        )
    if fix is None:
        raise ToolRefused("There is no fix to rerun on; use open_fix before.")
    if any(event.number > fix.number for event in transcript.of_kind(use.events, EventKind.PATCH)):
        raise ToolRefused(f"The working copy was changed after the fix on {fix.data['branch']}; use open_fix first.")
    paths = [change.path for change in case.tree().copy.changes()]
    if paths and all(_belongs_to_image(path) for path in paths):
        raise ToolRefused(
            f"The fix changes {', '.join(paths)} only: the workers' image must be rebuilt before a rerun can prove it. "
            "End with submit_report, outcome proposed, and name who rebuilds it in owner_action."
        )
    return fix


def _belongs_to_image(path: str) -> bool:
    return any(PurePosixPath(path).match(pattern) for pattern in _IMAGE_FILES)


def _started(events: Sequence[Event], commit: str) -> Event | None:
    return next((e for e in reversed(events) if e.kind is EventKind.RERUN and e.data["commit"] == commit), None)


def _not_approved(answer: Answer, fix: Event, verdict: str) -> Ending:
    """Who said no rejected it; where nobody said anything the fix is still proposed, and nothing of it ran."""
    if answer.decision == "nobody":
        commit, branch = fix.data["commit"][:10], fix.data["branch"]
        told = f"{answer.message} Nothing was rerun; {commit} on {branch} stays proposed. A message to the session asks anew."
        return Ending(Outcome.PROPOSED, told, verdict)
    said = f": {answer.message.rstrip().removesuffix('.')}" if answer.message else ""
    return Ending(
        Outcome.REJECTED,
        f"{answer.actor} rejected running {fix.data['commit'][:10]} on {fix.data['branch']}{said}. Nothing was rerun.",
        verdict,
    )


def _start(use: Use, fix: Event, approved: Approved) -> Given:
    changes = shape_changes(use, fix)
    try:
        started = _asked_for(use, changes)
        if isinstance(started, WaitRun) and started.waiting_for is WaitFor.PREVIEW:
            started = _once_served(use, fix, approved, changes)
    except RerunImpossible as why_not:  # what a further fix could mend counts as a check that failed: it may be amended
        if changes or isinstance(why_not, PreviewBroken):
            why = use.case.redact(str(why_not))
            return check_failed(why, recording.not_rerun(use, why))
        raise
    return _watch(use, started, fix)


def _asked_for(use: Use, shape_changes: Sequence[str]) -> Rerun | WaitRun:
    case = use.case
    return case.client.rerun(case.session_id, lease=case.lease, call_id=use.call.id, shape_changes=shape_changes)


def _once_served(use: Use, fix: Event, approved: Approved, shape_changes: Sequence[str]) -> Rerun | WaitRun:
    """Give the word that previews wait for, and look for the DAG for a while: a parse away, it is not worth a sleep."""
    if not _said_before(use):
        use.case.tree().host.approve(fix.data["commit"], approved.signature)
    for _ in range(PREVIEW_LOOKS):
        use.case.sleep(PREVIEW_SECONDS)
        started = _asked_for(use, shape_changes)
        if isinstance(started, Rerun):
            break
    return started


def _said_before(use: Use) -> bool:
    """Whether this call has waited for its preview before."""
    parked = transcript.of_kind(use.events, EventKind.PARKED)
    return any((e.data["waiting_for"], e.data.get("call_id")) == (WaitFor.PREVIEW, use.call.id) for e in parked)


# --- after it was started --------------------------------------------------------------------------------------------


def _watch(use: Use, started: Rerun | WaitRun, fix: Event) -> Given:
    """The rerun's result; what to wait for until there is one; the end where it will give none."""
    if isinstance(started, WaitRun):
        return started
    if started.ended_by_hand:
        return _left_open(use, fix, f"The rerun was ended by hand, by {started.ended_by_hand}: it proves nothing about the fix.")
    run = use.case.airflow.run(started.dag_id, started.run_id)
    where = f"{started.dag_id}/{started.run_id} on {fix.data['branch']} ({fix.data['commit'][:10]}), {started.way}"
    if run.state not in _TERMINAL_RUN:
        if started.is_overdue:
            return _left_open(use, fix, f"The rerun {where}, is still {run.state} and is not watched any longer.")
        return WaitRun(started.dag_id, started.run_id, WaitFor.RERUN, use.call.id, until=started.until)
    return _judged(use, started, fix, where=f"Run {where}, now {run.state}.", is_green=run.state == "success")


def _judged(use: Use, started: Rerun, fix: Event, *, where: str, is_green: bool) -> Done:
    """By the tasks that failed of the cause and what is below them; by the whole run where the fix has none of them left."""
    if started.way == Way.CONF and (moved := _gone(use.case.tree(), fix)):
        return moved
    tasks = _rerun_tasks(use.case, started)
    described = "; ".join(_described(task) for task in tasks)
    own = [task for task in tasks if task.task_id == use.case.incident.ref.task_id]
    is_fine = _did_run(own) if own else (is_green and started.way == Way.PREVIEW)
    if is_fine and not any(task.state == "failed" for task in tasks):
        return recording.judged(use, started, tasks, Done(f"{RERUN_GREEN}: {described}. {where}{_blocked(tasks)}"))
    failed = _failed(use, started, tasks, f"{described or 'no task instance was found'}. {where}")
    return recording.judged(use, started, tasks, failed)


def _did_run(own: Sequence[TaskFacts]) -> bool:
    """Whether what failed succeeds now. Skipped alone it proves nothing: its code did not run, or ended itself early."""
    states = {task.state for task in own}
    return "success" in states and states <= _FINE


def _left_open(use: Use, fix: Event, why: str) -> Ending | Recorded:
    """Nothing is concluded from such a rerun: the fix stays proposed, for people to go on with."""
    if not recording.is_recorded(use, fix, RERUN):
        return Recorded((recording.not_rerun(use, why),))
    summary = f"{why} {fix.data['commit'][:10]} on {fix.data['branch']} stays proposed."
    return Ending(Outcome.PROPOSED, use.case.redact(summary), str(use.case.incident.judgement.verdict))


def _blocked(tasks: Sequence[TaskFacts]) -> str:
    """Of the cleared tasks those that a failure of another cause keeps from running."""
    names = sorted({task.task_id for task in tasks if task.state == "upstream_failed"})
    return f" Still waiting for a task that failed of another cause: {', '.join(names)}." if names else ""


def _rerun_tasks(case: Case, started: Rerun) -> list[TaskFacts]:
    """The instances of the tasks that were cleared; of the failed task the index that was, or all where all that failed were."""
    ref = case.incident.ref
    cleared = ref.map_index if started.map_index is None else started.map_index
    return [
        task
        for task in case.airflow.task_instances(started.dag_id, started.run_id)
        if task.task_id in started.task_ids and (task.task_id != ref.task_id or cleared in (-1, task.map_index))
    ]


def _described(task: TaskFacts) -> str:
    mapped = f"[{task.map_index}]" if task.map_index >= 0 else ""
    took = f" in {task.duration:.1f} s" if task.duration is not None else ""
    return f"{task.task_id}{mapped} {task.state} (try {task.try_number}){took}"


def _failed(use: Use, started: Rerun, tasks: Sequence[TaskFacts], described: str) -> Done:
    """Say whether it is the same cause again, with the new evidence."""
    failed = [task for task in tasks if task.state == "failed"]
    if not failed:
        return Done(f"{RERUN_FAILED}: {described} No task failed, and what failed before did not succeed.", is_error=True)
    own = use.case.incident.ref.task_id
    first = min(failed, key=lambda task: (task.task_id != own, task.end_date or ""))
    new = use.case.diagnose(TaskRef(started.dag_id, started.run_id, first.task_id, first.try_number, first.map_index))
    same = new.fingerprint == use.case.incident.fingerprint
    verdict = "the same cause again" if same else "another cause"
    more = use.case.policy.max_fixes - len(transcript.of_kind(use.events, EventKind.FIX))
    left = f"Amendments left: {more}. change_files, open_fix, rerun." if more > 0 else "No amendment is left: submit_report."
    head = f"{RERUN_FAILED}: {described}\n{first.task_id} failed with {verdict} (fingerprint {new.fingerprint}). {left}"
    return Done(use.case.redact(f"{head}\n\n{new.text}"), is_error=True)

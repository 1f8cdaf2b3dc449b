"""What executes a fix before its rerun: importing its DAG, and the repository's own checks. Called after the approval only.

What they gave is on record before anything is rerun, so that no crash and no wait loses it, and none makes it anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix.agent import recording
from airflow_agentfix.agent.case import Case, Code, Done, NewEvent, Recorded, Use
from airflow_agentfix.core import stages
from airflow_agentfix.core.policy import RepoCheck
from airflow_agentfix.core.session import Event
from airflow_agentfix.core.shape import shape_diff
from airflow_agentfix.core.stages import IMPORTS, REPOSITORY_CHECKS, SHAPE, Stage
from airflow_agentfix.core.transcript import CHECK_FAILED
from airflow_agentfix.core.verification import CHECK_BEFORE

_NO_SHAPE = "the DAG file does not import outside its workers, so its shape is not known"


@dataclass(frozen=True)
class Checked:
    """What was executed of a fix. `refused`: why it may not be rerun. `shape_changes`: in what its DAG differs from the run's."""

    stages: tuple[Stage, ...]
    refused: str | None = None
    shape_changes: tuple[str, ...] = ()


def checks(use: Use, fix: Event) -> Done | Recorded | None:
    """Check the fix and put that on record; None once it is there, and nothing was refused."""
    if recording.is_recorded(use, fix, IMPORTS):
        return None
    found = checked(use.case, use.case.tree())
    because = CHECK_BEFORE if found.refused else None
    event = recording.verified(use, found.stages, because=because, shape_changes=found.shape_changes)
    return check_failed(found.refused, event) if found.refused else Recorded((event,))


def shape_changes(use: Use, fix: Event) -> tuple[str, ...]:
    """What is on record of the checks of this call."""
    return tuple(change for data in recording.made_by(use, fix) for change in data.get("shape_changes", ()))


def checked(case: Case, code: Code) -> Checked:
    """Import the fix and run the repository's checks. Refused is what is new alone: an error that the base has not."""
    imported = _imported(case, code)
    if imported.refused:
        return imported
    of_checks = _repository_checks(case, code)
    return Checked((*imported.stages, *of_checks.stages), of_checks.refused, imported.shape_changes)


def _imported(case: Case, code: Code) -> Checked:
    fixed, dag_id = code.import_fix(), case.incident.ref.dag_id
    if fixed.shape is None:
        if code.import_base().shape is None:
            why = "the DAG file imports neither on the base nor on the fix outside its workers"
            return Checked((stages.not_run(IMPORTS, why), stages.not_run(SHAPE, _NO_SHAPE)))
        refused = f"the DAG file does not import on the fix, but does on its base:\n{fixed.error}"
        return Checked((stages.failed(IMPORTS, refused), stages.not_run(SHAPE, _NO_SHAPE)), refused)
    imports = stages.passed(IMPORTS, f"the DAG file imports on the fix, in a process of its own, and has {dag_id}")
    changes = tuple(shape_diff(case.client.shape(case.session_id, lease=case.lease), fixed.shape))
    if changes:
        return Checked((imports, stages.failed(SHAPE, f"the fix changes it: {' '.join(changes)}")), shape_changes=changes)
    return Checked((imports, stages.passed(SHAPE, "tasks, edges, groups and settings are those the failed run was made with")))


def _repository_checks(case: Case, code: Code) -> Checked:
    """Those that fail on the fix are run on its base too: what was broken before is no fault of the fix."""
    policy = case.policy
    names = ", ".join(check.name for check in policy.checks)
    if not policy.checks:
        return Checked((stages.not_run(REPOSITORY_CHECKS, "the repository names none"),))
    if not policy.run_checks:
        return Checked((stages.not_run(REPOSITORY_CHECKS, f"this deployment forbids them: {names}"),))
    passed: list[RepoCheck] = []
    broken: list[RepoCheck] = []
    for check in policy.checks:
        fixed = code.check_fix(check)
        if not fixed.ok and code.check_base(check).ok:
            refused = f"the repository's check {check.name!r} passes on the base and fails on the fix: {fixed.detail}"
            return Checked((stages.failed(REPOSITORY_CHECKS, refused),), refused)
        (passed if fixed.ok else broken).append(check)
    return Checked((_summed_up(passed, broken),))


def _summed_up(passed: list[RepoCheck], broken: list[RepoCheck]) -> Stage:
    """One that fails on both trees says nothing of the fix; it is no pass all the same."""
    parts = [f"passed: {', '.join(check.name for check in passed)}"] if passed else []
    parts += [f"fails on the base as on the fix: {', '.join(check.name for check in broken)}"] if broken else []
    return (stages.failed if broken else stages.passed)(REPOSITORY_CHECKS, "; ".join(parts))


def check_failed(reason: str, *events: NewEvent) -> Done:
    return Done(f"{CHECK_FAILED}: {reason}", is_error=True, events=events)

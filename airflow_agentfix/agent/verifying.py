"""What executes a fix before its rerun: importing its DAG, and the repository's own checks. Called after the approval only."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_agentfix.agent.case import Case, Code, Done
from airflow_agentfix.core.shape import shape_diff
from airflow_agentfix.core.transcript import CHECK_FAILED


@dataclass(frozen=True)
class Checked:
    """What came of it: the refusal, or what there is to say. `shape_changes`: in what the fix's DAG differs from the run's."""

    refused: Done | None = None
    notes: tuple[str, ...] = ()
    shape_changes: tuple[str, ...] = ()


def checked(case: Case, code: Code) -> Checked:
    """Import the fix and run the repository's checks. Refused is what is new alone: an error that the base has not."""
    imported = _imported(case, code)
    if imported.refused:
        return imported
    refused, notes = _repository_checks(case, code)
    return Checked(refused, (*imported.notes, *notes), imported.shape_changes)


def _imported(case: Case, code: Code) -> Checked:
    fixed = code.import_fix()
    if fixed.shape is None:
        if code.import_base().shape is None:
            return Checked(
                notes=("import not verified: the DAG file imports neither on the base nor on the fix outside its workers",)
            )
        return Checked(check_failed(f"the DAG file does not import on the fix, but does on its base:\n{fixed.error}"))
    return Checked(shape_changes=shape_diff(case.client.shape(case.session_id, lease=case.lease), fixed.shape))


def _repository_checks(case: Case, code: Code) -> tuple[Done | None, list[str]]:
    """Those that fail on the fix are run on its base too: what was broken before is no fault of the fix."""
    policy = case.policy
    if policy.checks and not policy.run_checks:
        return None, [f"not run, as this deployment forbids it: checks {', '.join(check.name for check in policy.checks)}"]
    passed: list[str] = []
    broken: list[str] = []
    for check in policy.checks:
        fixed = code.check_fix(check)
        if not fixed.ok and code.check_base(check).ok:
            return check_failed(
                f"the repository's check {check.name!r} passes on the base and fails on the fix: {fixed.detail}"
            ), []
        (passed if fixed.ok else broken).append(check.name)
    notes = [f"the repository's checks passed: {', '.join(passed)}"] if passed else []
    return None, [*notes, *(f"check {name!r} fails on the base as on the fix" for name in broken)]


def check_failed(reason: str) -> Done:
    return Done(f"{CHECK_FAILED}: {reason}", is_error=True)

"""What executes a fix before its rerun: importing its DAG, and the repository's own checks. Called after the approval only."""

from __future__ import annotations

from airflow_agentfix.agent.case import Case, Code, Done
from airflow_agentfix.core.shape import shape_diff
from airflow_agentfix.core.transcript import CHECK_FAILED


def checked(case: Case, code: Code) -> tuple[Done | None, list[str]]:
    """Import the fix and run the repository's checks; the refusal, or what there is to say of them.

    Refused is what is new alone: an error the base has not, or another shape than the run was made with.
    """
    refused, notes = _imported(case, code)
    if refused:
        return refused, notes
    refused, of_checks = _repository_checks(case, code)
    return refused, notes + of_checks


def _imported(case: Case, code: Code) -> tuple[Done | None, list[str]]:
    fixed = code.import_fix()
    if fixed.shape is None:
        if code.import_base().shape is None:
            return None, ["import not verified: the DAG file imports neither on the base nor on the fix outside its workers"]
        return check_failed(f"the DAG file does not import on the fix, but does on its base:\n{fixed.error}"), []
    if differs := shape_diff(case.client.shape(case.session_id, lease=case.lease), fixed.shape):
        return check_failed(f"the fix changes the DAG's shape: {' '.join(differs)} pin cannot rerun it. Keep the shape."), []
    return None, []


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

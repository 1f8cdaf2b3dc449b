"""The gates a change passes before it is committed, in order: paths, size, secrets, diff gate, static checks.

Refusals of an earlier gate end the row: there is no point in judging the content of a file that may not be touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pathspec import GitIgnoreSpec

from airflow_agentfix.code.dbt_gate import dbt_gate
from airflow_agentfix.code.dependency_gate import dependency_gate
from airflow_agentfix.code.static_checks import static_checks
from airflow_agentfix.code.text_edit import added_lines, changed_lines
from airflow_agentfix.code.working_copy import Patch, WorkingCopy
from airflow_agentfix.core import diffgate, paths
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.redact import MASK
from airflow_agentfix.redaction import redact_code

LINE_CHARS = 2_000
"""of a new line: a few lines without an end would be a change of any size"""

Gate = Callable[[list[Patch], Policy], Iterator[Finding]]


def check(copy: WorkingCopy, policy: Policy) -> tuple[Finding, ...]:
    """Every objection to the working copy's changes; empty means they may be committed and rerun as policy allows."""
    return check_patch(copy.patch(), policy)


def check_patch(patch: list[Patch], policy: Policy) -> tuple[Finding, ...]:
    """The same, of changes that were written down."""
    findings: list[Finding] = []
    for gate in GATES:
        findings += gate(patch, policy)
        if any(finding.severity is Severity.REFUSE for finding in findings):
            break
    return tuple(findings)


def path_gate(patch: list[Patch], policy: Policy) -> Iterator[Finding]:
    """Built-in denials, LFS pointers, then the policy's globs."""
    denied = [GitIgnoreSpec.from_lines(globs) for globs in policy.denied_paths]
    allowed = [(globs, GitIgnoreSpec.from_lines(globs)) for globs in policy.allowed_paths]
    for file in patch:
        path = file["path"]
        if reason := paths.denial(path):
            yield _refuse(
                "path-denied", path, f"{path} may not be changed: {reason}. Leave it as it is and report what should change."
            )
        elif paths.is_lfs_pointer(file["before"]) or paths.is_lfs_pointer(file["after"]):
            yield _refuse(
                "lfs-pointer", path, f"{path} is kept in Git LFS; its content is not in the repository and cannot be fixed."
            )
        elif any(spec.match_file(path) for spec in denied):
            yield _refuse("path-denied", path, f"{path} may not be changed: denied_paths name it.")
        else:
            for globs, spec in allowed:
                if not spec.match_file(path):
                    only = ", ".join(globs)
                    yield _refuse("path-not-allowed", path, f"{path} may not be changed: only {only} may (allowed_paths).")


def size_gate(patch: list[Patch], policy: Policy) -> Iterator[Finding]:
    """Files and changed lines."""
    if len(patch) > policy.max_files:
        yield _refuse(
            "too-many-files",
            patch[0]["path"],
            f"The fix changes {len(patch)} files; at most {policy.max_files} may. Make it smaller.",
        )
    for file in patch:
        if long := [line for line in added_lines(file["before"], file["after"]) if len(line) > LINE_CHARS]:
            what = f"{file['path']} has a new line of {len(max(long, key=len))} characters; at most {LINE_CHARS} may be."
            yield _refuse("line-too-long", file["path"], f"{what} Nobody could review it; break it up.")
    lines = sum(changed_lines(file["before"], file["after"]) for file in patch)
    if lines > policy.max_lines:
        yield _refuse(
            "too-many-lines",
            patch[0]["path"],
            f"The fix adds and removes {lines} lines; at most {policy.max_lines} may. Make it smaller.",
        )


def secret_gate(patch: list[Patch], _policy: Policy) -> Iterator[Finding]:
    """What would be masked wherever it is shown must not be pushed, where it stays for good."""
    for file in patch:
        if _secrets(added_lines(file["before"], file["after"])) > _secrets(added_lines(file["after"], file["before"])):
            path = file["path"]
            reason = f"{path} would hold what looks like a secret. Read it from a Connection, a Variable or the environment."
            yield _refuse("secret-written", path, reason)


def _secrets(lines: list[str]) -> int:
    text = "\n".join(lines)
    return redact_code(text).count(MASK) - text.count(MASK)


def diff_gate(patch: list[Patch], _policy: Policy) -> Iterator[Finding]:
    """What hides a failure instead of fixing it, in Python and in dbt's YAML, and what brings in code of others."""
    yield from diffgate.inspect({file["path"]: file["before"] for file in patch}, {file["path"]: file["after"] for file in patch})
    yield from dbt_gate(patch)
    yield from dependency_gate(patch)


def parse_gate(patch: list[Patch], _policy: Policy) -> Iterator[Finding]:
    """Static checks."""
    yield from static_checks(patch)


def _refuse(rule: str, path: str, reason: str) -> Finding:
    return Finding(rule, Severity.REFUSE, path, reason)


GATES: tuple[Gate, ...] = (path_gate, size_gate, secret_gate, diff_gate, parse_gate)

"""The tools that change code: edits in the working copy, and the fix branch.

Invariants: a call of change_files is made whole or not at all; a fix is opened once, and once more after a rerun or its checks
failed on it; everything that reaches the code host is redacted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from airflow_agentfix.agent import recording
from airflow_agentfix.agent.case import Case, Code, Done, Use
from airflow_agentfix.agent.reading import CAP
from airflow_agentfix.core import commit, transcript, verification
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.inert import inert
from airflow_agentfix.core.policy import Autonomy
from airflow_agentfix.core.session import EventKind
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.errors import BranchExists, EditRefused, NothingToCommit, ToolRefused
from airflow_agentfix.ports import FixRequest, OpenedFix

# --- change_files ----------------------------------------------------------------------------------------------------


def change_files(use: Use) -> Done:
    """Apply all edits and new files, run the gates, and record the patch; nothing of it stays where anything is refused."""
    code = use.case.tree()
    edits, new_files = use.input.get("edits", []), use.input.get("new_files", [])
    if not edits and not new_files:
        raise ToolRefused("change_files got neither edits nor new_files; expected at least one of them.")
    snapshot = code.copy.snapshot()
    before: dict[str, str | None] = {}
    try:
        for edit in edits:
            before.setdefault(edit["path"], code.copy.read(edit["path"]))
        for edit in edits:
            code.copy.edit(edit["path"], edit["old"], edit["new"])
        for file in new_files:
            code.copy.create(file["path"], file["content"])
            before[file["path"]] = None
        findings = _gated(use.case, code)
        files = [{"path": path, "before": text, "after": code.copy.read(path)} for path, text in before.items()]
    except EditRefused:
        code.copy.restore(snapshot)
        raise
    patch = {"files": files, "findings": [asdict(finding) for finding in findings], "call_id": use.call.id}
    return Done(_diff_shown(use.case, code, findings), events=((EventKind.PATCH, patch),))


def _gated(case: Case, code: Code) -> Sequence[Finding]:
    """What needs a person; EditRefused with every reason where a gate refuses."""
    findings = code.gates(code.copy, case.policy)
    refused = [finding for finding in findings if finding.severity is Severity.REFUSE]
    if refused:
        raise EditRefused("Refused, nothing was changed:\n" + "\n".join(_gate_line(finding) for finding in refused))
    return findings


def _gate_line(finding: Finding) -> str:
    return f"gate: {finding.rule}: {' '.join(finding.reason.split())}"


def _diff_shown(case: Case, code: Code, findings: Iterable[Finding]) -> str:
    diff = case.redact_code(code.copy.diff())
    if len(diff) > CAP:
        paths = ", ".join(change.path for change in code.copy.changes())
        diff = f"(changed; the diff has {len(diff)} characters and is not shown: read_file shows {paths})\n"
    lines = [diff.rstrip("\n") or "(the working copy equals its base again)", *map(_gate_line, findings)]
    return "\n".join(lines)


# --- open_fix --------------------------------------------------------------------------------------------------------


def open_fix(use: Use) -> Done:
    """Commit the working copy on a new branch; the same branch again if this session made it before."""
    case, code = use.case, use.case.tree()
    if not case.policy.autonomy.allows(Autonomy.PROPOSE):
        raise ToolRefused(
            f"This session's autonomy is {case.policy.autonomy!s}: no branch may be opened. Describe the fix in submit_report."
        )
    _refuse_second_fix(use)
    if not code.copy.changes():
        raise NothingToCommit("The working copy equals its base; use change_files before open_fix.")
    findings = _gated(case, code)
    stages = recording.at_open(use, code, findings)
    fix = _fix(use, code, findings)
    opened = _open(use, code, fix, stages)
    recording.superseded(use, opened)
    made = {
        **fix,
        "branch": opened.branch,
        "commit": opened.commit,
        "pull_request": opened.pull_request,
        "made_by": opened.made_by,
    }
    return Done(
        _opened_text(opened, code, findings), events=((EventKind.FIX, made), recording.opened(use, opened.commit, stages))
    )


def _refuse_second_fix(use: Use) -> None:
    """One fix, and one amendment once a rerun or its checks failed and something was changed since."""
    fixes = transcript.of_kind(use.events, EventKind.FIX)
    if not fixes:
        return
    branch, judged = fixes[-1].data["branch"], transcript.rerun_result(use.events)
    if judged is None or transcript.is_green(use.events):
        raise ToolRefused(f"The fix is open already on {branch}. Use rerun, or end with submit_report.")
    if len(fixes) >= use.case.policy.max_fixes:
        raise ToolRefused(f"{len(fixes)} fixes were opened, the newest on {branch}; there is no further one. Use submit_report.")
    if not any(event.number > fixes[-1].number for event in transcript.of_kind(use.events, EventKind.PATCH)):
        raise ToolRefused(f"Nothing was changed since the fix on {branch}. Use change_files first, or submit_report.")


def _open(use: Use, code: Code, fix: Mapping[str, Any], stages: Sequence[Stage]) -> OpenedFix:
    """Where a branch of that name is someone else's, one other name is tried."""
    before = len(transcript.of_kind(use.events, EventKind.FIX))
    amended = f"-a{before + 1}" if before else ""
    try:
        return code.host.open_fix(_request(use, code, fix, stages, suffix=amended))
    except BranchExists:
        return code.host.open_fix(_request(use, code, fix, stages, suffix=f"{amended}-{use.case.session_id[:8]}"))


def _request(use: Use, code: Code, fix: Mapping[str, Any], stages: Sequence[Stage], *, suffix: str) -> FixRequest:
    case, incident, title = use.case, use.case.incident, fix["title"]
    file = code.repository.path_of(incident.dag.file)
    trailers = commit.trailers(incident, session_id=case.session_id, file=file, audit=_chain_head(use))
    return FixRequest(
        session_id=case.session_id,
        branch=commit.branch_name(incident.ref.dag_id, title, incident.fingerprint, suffix=suffix),
        base_branch=code.repository.base_branch,
        base_commit=code.base_commit,
        message=commit.commit_message(title, fix["summary"], trailers),
        changes=code.copy.changes(),
        title=inert(commit.one_line(title)),
        body=recording.body(use, fix, verification.record_at_open(use.events, stages)),
        sign=partial(_signature, case, file),
        labels=code.labels,
        reviewers=case.policy.reviewers or code.owners(fix["paths"]),
    )


def _signature(case: Case, file: str, new_tree: str) -> str:
    return case.client.sign(case.session_id, lease=case.lease, tree=new_tree, file=file)


def _chain_head(use: Use) -> str | None:
    """The audit chain as it was when this call was begun: the same however often the call is made again."""
    begun = [e for e in transcript.of_kind(use.events, EventKind.INTENT) if e.data["call_id"] == use.call.id]
    return begun[0].hash if begun else None


def _said(use: Use) -> tuple[str, str]:
    """Title and summary, as they may leave the process."""
    return commit.one_line(use.case.redact(use.input["title"])), use.case.redact(use.input["summary"])


def _fix(use: Use, code: Code, findings: Sequence[Finding]) -> Mapping[str, Any]:
    """What is known of it before it is opened."""
    title, summary = _said(use)
    return {
        "base_commit": code.base_commit,
        "title": title,
        "summary": summary,
        "diff": use.case.redact_code(code.copy.diff()),
        "paths": [change.path for change in code.copy.changes()],
        "findings": [asdict(finding) for finding in findings],
        "call_id": use.call.id,
    }


def _opened_text(opened: OpenedFix, code: Code, findings: Sequence[Finding]) -> str:
    where = f"{opened.branch} at {opened.commit}"
    request = f", draft pull request {opened.pull_request}" if opened.pull_request else ""
    lines = [f"Fix opened: {where}{request}. {code.repository.base_branch} is untouched."]
    if opened.made_by:
        lines.append(f"It is the very commit that session {opened.made_by} made for the same cause; nothing was pushed.")
    if findings:
        lines.append("A person must approve it, whatever is waived, because of:")
    return "\n".join([*lines, *map(_gate_line, findings)])

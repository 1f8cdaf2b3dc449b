"""The server's own look at a fix, before anyone is asked or nobody is: what a worker says about its change is not taken on trust.

Invariant: pure over the session's events. That the commit on the code host holds exactly these patches is `code.commit_check`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_agentfix.code import gates
from airflow_agentfix.code.text_edit import unified_diff
from airflow_agentfix.code.working_copy import Patch
from airflow_agentfix.core.findings import Finding, Severity
from airflow_agentfix.core.policy import Policy
from airflow_agentfix.core.session import Event, EventKind
from airflow_agentfix.redaction import redact_code


def objections(events: Sequence[Event], policy: Policy) -> tuple[Finding, ...]:
    """What the gates say to the patches the newest fix was made of, and every finding for a person the worker told of."""
    patches = recorded_patches(events)
    if not patches:
        return (Finding("nothing-to-review", Severity.PERSON, "", "No change of this fix is on record; look at its commit."),)
    found = gates.check_patch(patches, policy)
    return (*found, *(one for one in _told(events) if (one.rule, one.path) not in {(f.rule, f.path) for f in found}))


def recorded_diff(events: Sequence[Event]) -> str | None:
    """The newest fix as the recorded changes have it, redacted: what the gates judged is what a person is shown. None where
    no change is on record."""
    patches = recorded_patches(events)
    return redact_code("".join(unified_diff(**patch) for patch in patches)) if patches else None


def recorded_patches(events: Sequence[Event]) -> list[Patch]:
    """The net change of every file up to the newest fix: what it was before the first patch and after the last."""
    fixes = [event.number for event in events if event.kind is EventKind.FIX]
    before: dict[str, str | None] = {}
    after: dict[str, str | None] = {}
    for event in events:
        if event.kind is EventKind.PATCH and fixes and event.number < fixes[-1]:
            for file in event.data["files"]:
                before.setdefault(file["path"], file["before"])
                after[file["path"]] = file["after"]
    return [Patch(path=path, before=text, after=after[path]) for path, text in sorted(before.items()) if text != after[path]]


def _told(events: Sequence[Event]) -> list[Finding]:
    """The findings for a person that the worker wrote down."""
    told = [one for event in events if event.kind in (EventKind.PATCH, EventKind.FIX) for one in event.data.get("findings") or ()]
    return list({(f.rule, f.path): f for f in map(_finding, told) if f.severity is Severity.PERSON}.values())


def _finding(data: Mapping[str, Any]) -> Finding:
    rule, path, reason = (str(data.get(name) or "") for name in ("rule", "path", "reason"))
    refused = data.get("severity") == Severity.REFUSE
    return Finding(rule, Severity.REFUSE if refused else Severity.PERSON, path, reason)

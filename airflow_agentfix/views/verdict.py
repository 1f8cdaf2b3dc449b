"""What happened and whose it is, for a person who sees this page for the first time. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from airflow_agentfix.core.circumstances import Precedent
from airflow_agentfix.core.incident import Frame, Incident, Verdict
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.core.triage_rules import RULES
from airflow_agentfix.inspections import Inspection
from airflow_agentfix.redaction import redact

FRAMES = 6
"""the innermost ones"""
BEFORE = 3
"""lines of the log that are shown before the first that counts"""
_RULE = re.compile(rf"^(?:{'|'.join(re.escape(rule.name) for rule in RULES)}): ")
_OPERATOR = re.compile(r" \(\w+\)$")
_VERSION = re.compile(r"^/.*/bundles/[^/]+/versions/[^/]+/")
"""where a worker has the version of a bundle that ran"""


@dataclass(frozen=True)
class Place:
    """A frame of the traceback, the file as it is called in the DAG's bundle."""

    file: str
    line: int
    function: str
    code: str | None


@dataclass(frozen=True)
class Line:
    """A line of the log. `label`: its number, negative from the end where the middle was not read."""

    label: str
    text: str
    rests: bool
    """the verdict rests on it"""


@dataclass(frozen=True)
class Told:
    """`sure`: confidence in words; `blame`: tasks that failed before this one."""

    cause: str
    title: str
    sure: str
    why: str
    whose: str
    action: str | None
    places: tuple[Place, ...]
    more_places: int
    lines: tuple[Line, ...]
    log: str | None
    """what of the log was not read"""
    blame: tuple[str, ...]
    mapped: str | None
    before: tuple[Precedent, ...]


TITLES = {
    Verdict.CODE: "A fault in the code",
    Verdict.DATA: "The data is not what the code expects",
    Verdict.CONFIG: "A setting is missing or wrong",
    Verdict.DEPENDENCY: "A package is missing or does not fit",
    Verdict.INFRA: "Something outside the code is not there",
    Verdict.UNKNOWN: "The rules do not know this failure",
}
WHOSE = {
    Verdict.CODE: "The DAG's authors",
    Verdict.DATA: "Whoever delivers the data, or the DAG's authors if the data is right",
    Verdict.CONFIG: "Whoever keeps Airflow's connections, variables and settings",
    Verdict.DEPENDENCY: "Whoever builds the image or the environment the task runs in",
    Verdict.INFRA: "The platform team, or whoever runs the service the task needs",
    Verdict.UNKNOWN: "The DAG's authors first",
}
_SURE = ((0.9, "almost certain"), (0.75, "likely"), (0.5, "perhaps"), (0.0, "a guess"))


def told(found: Inspection, before: Sequence[Precedent]) -> Told:
    incident = found.incident
    judgement, frames = incident.judgement, incident.cause.user_frames
    return Told(
        cause=incident.cause.line or "The log names no cause.",
        title=TITLES[judgement.verdict],
        sure=next(word for least, word in _SURE if judgement.confidence >= least),
        why=plainly(judgement.reason),
        whose=_whose(incident),
        action=judgement.owner_action,
        places=tuple(_place(frame, incident) for frame in reversed(frames[-FRAMES:])),
        more_places=max(0, len(frames) - FRAMES),
        lines=_lines(incident, found.log),
        log=_unread(found.log),
        blame=() if incident.ref.task_id in incident.first_failed else tuple(map(redact, incident.first_failed)),
        mapped=_mapped(incident),
        before=tuple(before),
    )


def plainly(reason: str) -> str:
    """A verdict's reason without the rule's name and the operator's class, which are for those who keep the rules."""
    text = _OPERATOR.sub("", _RULE.sub("", reason))
    return f"{text[:1].upper()}{text[1:]}"


def _whose(incident: Incident) -> str:
    """With the owners that the DAG names; `airflow` is what it is called where nobody was named."""
    owners = ", ".join(redact(owner) for owner in incident.dag.owners if owner != "airflow")
    return WHOSE[incident.judgement.verdict] + (f" (the DAG's owner: {owners})" if owners else "")


def _place(frame: Frame, incident: Incident) -> Place:
    root = (incident.dag.fileloc or "").removesuffix(incident.dag.file)
    inside = _VERSION.sub("", frame.file)
    file = inside.removeprefix(root) if root else inside
    return Place(redact(file), frame.line, redact(frame.function), frame.code)


def _lines(incident: Incident, look: LogLook) -> tuple[Line, ...]:
    """From a few before the first that the verdict rests on; without such a line, all that were kept."""
    rests = set(incident.judgement.evidence)
    lines = [Line(str(look.place(number)), text, f"L{number}" in rests) for number, text in incident.cause.context]
    first = next((place for place, line in enumerate(lines) if line.rests), 0)
    return tuple(lines[max(0, first - BEFORE) :])


def _unread(look: LogLook) -> str | None:
    if look.is_whole:
        return None
    if look.before_gap is None:
        return "The log did not come in time; this rests on what did come of it. A report reads it whole."
    size = f"Of {_size(look.size)} of log the first and last 2 MB were read" if look.size else "Of a long log its ends were read"
    late = ", as far as they came in time" if look.out_of_time else ""
    return f"{size}{late}; lines numbered below zero count from its end. A report reads it whole."


def _size(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _mapped(incident: Incident) -> str | None:
    earlier = incident.circumstances.earlier
    if earlier.mapped is None:
        return None
    return f"{earlier.mapped_failed} of {earlier.mapped} instances of this mapped task failed in this run."

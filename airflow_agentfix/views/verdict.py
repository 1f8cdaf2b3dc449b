"""What happened and whose it is, for a person who sees this page for the first time. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from airflow_agentfix.core.circumstances import Precedent
from airflow_agentfix.core.incident import Frame, Incident, Verdict
from airflow_agentfix.core.log_look import LogLook
from airflow_agentfix.core.prose import whole
from airflow_agentfix.core.triage import in_words
from airflow_agentfix.inspections import Inspection
from airflow_agentfix.redaction import redact
from airflow_agentfix.views.certainty import Certainty, certainty

FRAMES = 6
"""the innermost ones"""
BEFORE = 3
"""lines of the log that are shown before the first that counts"""
_VERSION = re.compile(r"^/.*/bundles/[^/]+/versions/[^/]+/")
"""where a worker has the version of a bundle that ran"""
_VERSION_IN_TEXT = re.compile(r"/[^\s\"']*/bundles/[^/\s\"']+/versions/[^/\s\"']+/")
_FOLDED = "::endgroup::"
"""ends what Airflow's own page of a log folds away: how the task was started"""


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
    """`blame`: tasks that failed before this one."""

    cause: str
    title: str
    sure: Certainty | None
    why: str
    whose: str
    action: str
    places: tuple[Place, ...]
    more_places: int
    lines: tuple[Line, ...]
    log: str | None
    """what of the log was not read"""
    blame: tuple[str, ...]
    mapped: str | None
    before: tuple[Precedent, ...]


TITLES = {
    Verdict.CODE: "Code: there is a fault in it",
    Verdict.DATA: "Data: it is not what the code expects",
    Verdict.CONFIG: "Configuration: a setting is missing or wrong",
    Verdict.DEPENDENCY: "Dependency: a package is missing or does not fit",
    Verdict.INFRA: "Infrastructure: something outside the code is not there",
    Verdict.UNKNOWN: "Unknown: nothing says what kind of failure this is",
}
WHOSE = {
    Verdict.CODE: "The DAG's authors",
    Verdict.DATA: "Whoever delivers the data, or the DAG's authors if the data is right",
    Verdict.CONFIG: "Whoever keeps Airflow's connections, variables and settings",
    Verdict.DEPENDENCY: "Whoever builds the image or the environment the task runs in",
    Verdict.INFRA: "The platform team, or whoever runs the service the task needs",
    Verdict.UNKNOWN: "The DAG's authors first",
}
TO_DO: Mapping[Verdict, str] = {
    Verdict.CODE: "Correct the code, or let Agent Fix write the fix.",
    Verdict.DATA: "Look at what the task was given, with whoever delivers it. Clear the failed task once it is right.",
    Verdict.CONFIG: "Set what is missing or wrong. Clear the failed task then; the code needs no change.",
    Verdict.DEPENDENCY: "Bring the package into the image or environment. Clear the failed task then.",
    Verdict.INFRA: "Bring back what is missing. Clear the failed task then; the code needs no change.",
    Verdict.UNKNOWN: "Read the log around the failure; a report looks closer.",
}
"""where the rule that matched has nothing more exact to say"""


def told(found: Inspection, before: Sequence[Precedent]) -> Told:
    incident = found.incident
    judgement, frames = incident.judgement, incident.cause.user_frames
    return Told(
        cause=incident.cause.line or "The log names no cause.",
        title=TITLES[judgement.verdict],
        sure=certainty(judgement.confidence),
        why=whole(in_words(judgement.reason)),
        whose=whose(judgement.verdict, incident.dag.owners),
        action=judgement.owner_action or TO_DO[judgement.verdict],
        places=tuple(_place(frame, incident) for frame in reversed(frames[-FRAMES:])),
        more_places=max(0, len(frames) - FRAMES),
        lines=_lines(incident, found.log),
        log=_unread(found.log),
        blame=() if incident.ref.task_id in incident.first_failed else tuple(map(redact, incident.first_failed)),
        mapped=_mapped(incident),
        before=tuple(before),
    )


def whose(verdict: Verdict, owners: Sequence[str]) -> str:
    """With the owners that the DAG names; `airflow` is what it is called where nobody was named."""
    named = ", ".join(redact(owner) for owner in owners if owner != "airflow")
    if not named:
        return WHOSE[verdict]
    is_theirs = verdict in (Verdict.CODE, Verdict.DATA, Verdict.UNKNOWN)
    return WHOSE[verdict] + (f" (the DAG's owner: {named})" if is_theirs else f". The DAG's owner, who waits for it: {named}")


def _place(frame: Frame, incident: Incident) -> Place:
    root = (incident.dag.fileloc or "").removesuffix(incident.dag.file)
    inside = _VERSION.sub("", frame.file)
    file = inside.removeprefix(root) if root else inside
    return Place(redact(file), frame.line, redact(frame.function), frame.code)


def _lines(incident: Incident, look: LogLook) -> tuple[Line, ...]:
    """From a few before the first that the verdict rests on; without such a line, all that were kept. Files are called as in the
    bundle."""
    rests = set(incident.judgement.evidence)
    lines = [
        Line(str(look.place(number)), _VERSION_IN_TEXT.sub("", text), f"L{number}" in rests)
        for number, text in incident.cause.context
    ]
    first = next((place for place, line in enumerate(lines) if line.rests), 0)
    folded = (place + 1 for place, line in enumerate(lines[:first]) if line.text.strip() == _FOLDED)
    return tuple(lines[max(0, first - BEFORE, *folded) :])


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

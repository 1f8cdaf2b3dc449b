"""What a fix is called: branch name, commit message with trailers, pull request body. Pure text.

Invariants: trailers are ours alone; a line of a title or summary that looks like one of them is taken out. In a pull request the
agent's words are a quotation: no heading, open fence or comment in them can pass for our sections, or hide one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from airflow_agentfix.core.findings import Finding
from airflow_agentfix.core.incident import Incident
from airflow_agentfix.core.inert import inert
from airflow_agentfix.core.links import Links
from airflow_agentfix.core.stages import Stage
from airflow_agentfix.core.urls import web_address

_NOT_SAFE = re.compile(r"[^a-z0-9]+")
_OWN_TRAILER = re.compile(
    r"^\s*(?:Agentfix-[\w-]*|(?:Co-authored|Signed-off|Reviewed|Acked|Tested)-by|Skip-checks|Change-Id)\s*:.*$",
    re.IGNORECASE | re.MULTILINE,
)
"""ours, and those that name a person or speak to a machine: none of them is a text's to give"""
_PICTURE = re.compile(r"!(?=\[)|<(?=[a-zA-Z/!?])")
_SLUG = 40
_TITLE = 72
_DETAIL = 600
_SUMMARY = 12_000
_LISTED = 40
"""lines of a list: with the other bounds a pull request stays below the 65,536 characters that GitHub takes"""


def branch_name(dag_id: str, title: str, fingerprint: str, *, suffix: str = "") -> str:
    """`fix/<dag>-<slug>-<short fingerprint><suffix>`: a name git and every code host accept."""
    parts = [slug(dag_id) or "dag", slug(title) or "fix", slug(fingerprint.rpartition(":")[2])[:8] or "unknown"]
    return f"fix/{'-'.join(parts)}{suffix}"


def slug(text: str) -> str:
    """Lower-case letters, digits and single hyphens, at most 40 characters, cut between words where there is one."""
    words = _NOT_SAFE.sub("-", text.lower()).strip("-")
    if len(words) <= _SLUG:
        return words
    return (words[: _SLUG + 1].rpartition("-")[0] or words[:_SLUG]).strip("-")


def one_line(text: str, limit: int = _TITLE) -> str:
    """The text as one line of at most `limit` characters."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def commit_message(title: str, summary: str, trailers: Mapping[str, str]) -> str:
    """Subject, body, trailers, as `git interpret-trailers` reads them."""
    lines = [f"{name}: {' '.join(value.split())}" for name, value in trailers.items()]
    said = [inert(one_line(_own(title))) or "Fix a failed task", inert(_own(summary))]
    paragraphs = [*said, "\n".join(lines)]
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph) + "\n"


def trailers(incident: Incident, *, session_id: str, file: str, audit: str | None = None) -> dict[str, str]:
    """The trailers every commit of ours carries; `Agentfix-Session` is how a branch is known again."""
    named = {
        "Agentfix-Session": session_id,
        "Agentfix-Dag": incident.ref.dag_id,
        "Agentfix-File": file,
        "Agentfix-Fingerprint": incident.fingerprint,
    }
    return {**named, "Agentfix-Audit": audit} if audit else named


def pull_request_body(
    incident: Incident,
    *,
    session_id: str,
    summary: str,
    paths: Sequence[str],
    findings: Iterable[Finding],
    stages: Iterable[Stage],
    cost: str,
    links: Links,
    green: bool = False,
) -> str:
    """What a reviewer reads first: cause, change, what needs their eye, what was and was not verified, cost, where from. It is
    made `inert` where it leaves, after its redaction."""
    draft = "Ready for review: its rerun is green" if green else "A draft until its rerun is green"
    judged = incident.judgement
    sections = [
        _quoted(_cut(_without_pictures(_own(summary)))),
        f"### What failed\n{_code(str(incident.ref))}, judged {judged.verdict} ({judged.confidence:.0%}): {_line(judged.reason)}"
        f"\n\n{_fenced(incident.cause.line)}",
        "### Changed\n" + _list([f"- {one_line(_code(path), _DETAIL)}" for path in paths]),
        _findings(findings),
        "### Verified\n" + "\n".join(map(_stage, stages)),
        "\n".join(_links(links)),
        f"AgentFix session `{session_id}`; {cost}. {draft}; nothing here was merged by a machine.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _stage(stage: Stage) -> str:
    """One line; a detail may quote what a check printed, so it is cut."""
    detail = _line(stage.detail)
    return f"- **{stage.name}**: {stage.state.value.replace('_', ' ')}{f': {detail}' if detail else ''}"


def _links(links: Links) -> Iterator[str]:
    """Those of Airflow's pages that have an address people can open."""
    named = {"session": links.session, "failed run": links.failed_run, "session's run": links.fix_run, "rerun": links.rerun}
    there = [f"[{name}]({url})" for name, url in named.items() if web_address(url)]
    if there:
        yield f"In Airflow: {', '.join(there)}"


def _findings(findings: Iterable[Finding]) -> str:
    lines = [f"- {_code(finding.path)}: {_line(finding.reason)} ({finding.rule})" for finding in findings]
    return "### Needs a person's eye\n" + _list(lines) if lines else ""


def _without_pictures(text: str) -> str:
    """Markdown that fetches nothing when it is looked at: a picture's address could carry out whatever a model has read."""
    return _PICTURE.sub(r"\\\g<0>", text)


def _line(text: str) -> str:
    return one_line(_without_pictures(text), _DETAIL)


def _list(lines: Sequence[str]) -> str:
    more = [f"- and {len(lines) - _LISTED} more"] if len(lines) > _LISTED else []
    return "\n".join([*lines[:_LISTED], *more])


def _cut(text: str) -> str:
    return text if len(text) <= _SUMMARY else f"{text[:_SUMMARY]}\n[cut: the commit's message has all of it]"


def _code(text: str) -> str:
    words = " ".join(text.replace("`", "'").split())
    return f"`{words}`"


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _fenced(text: str) -> str:
    return "```text\n" + text.replace("```", "'''") + "\n```"


def _own(text: str) -> str:
    return _OWN_TRAILER.sub("", text).strip()

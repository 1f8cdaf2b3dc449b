"""The evidence's values without secrets: what others wrote is redacted, ids and hashes are not touched."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow_agentfix.core.circumstances import AssetFacts, Changes, Circumstances, Excerpt, Lineage, XCom
from airflow_agentfix.core.incident import Frame, RootCause

Redact = Callable[[str], str]

VALUE_CHARS = 4_000
XCOM_CHARS = 800
DEPTH = 20
"""of a value that is kept as it is: deeper ones become text, which every reader can take"""


def redacted_cause(cause: RootCause, redact: Redact) -> RootCause:
    """Line, message and context redacted together, for a secret may span the context's lines."""
    texts = redact("\n".join(text.replace("\n", " ") for _, text in cause.context)).split("\n") if cause.context else []
    return RootCause(
        line=redact(cause.line),
        message=redact(cause.message),
        exception=cause.exception,
        frames=tuple(_redacted_frame(frame, redact) for frame in cause.frames),
        notes=tuple(redact(note) for note in cause.notes),
        context=tuple((number, text) for (number, _), text in zip(cause.context, texts, strict=True)),
    )


def redacted_circumstances(found: Circumstances, redact: Redact) -> Circumstances:
    """Everything a person, a program or a data set put there."""
    return replace(
        found,
        changes=_changes(found.changes, redact) if found.changes else None,
        lineage=_lineage(found.lineage, redact),
        params=redacted_values(found.params, redact),
        xcoms=tuple(_xcom(one, redact) for one in found.xcoms),
        source=tuple(_excerpt(one, redact) for one in found.source),
        precedents=tuple(
            replace(one, cause=_text(one.cause, redact), summary=_text(one.summary, redact)) for one in found.precedents
        ),
        gaps=tuple(redact(gap) for gap in found.gaps),
    )


def redacted_values(values: Mapping[str, Any], redact: Redact) -> dict[str, Any]:
    """Rendered fields or a conf, redacted as text so that a key gives its value away; cut where it is too long."""
    try:
        text = redact(json.dumps(values, default=str, ensure_ascii=False))
    except RecursionError:
        return {"cut": "nested too deep to be shown; look in Airflow"}
    if len(text) > VALUE_CHARS:
        return {"cut": f"{text[:VALUE_CHARS]} …{len(text) - VALUE_CHARS} more characters in Airflow"}
    try:
        found = json.loads(text)
    except ValueError:
        return {"redacted": text}
    return found if isinstance(found, dict) and not _is_deep(found) else {"redacted": text}


def _is_deep(value: Any, left: int = DEPTH) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left == 0 or any(_is_deep(part, left - 1) for part in parts)


def _redacted_frame(frame: Frame, redact: Redact) -> Frame:
    return Frame(frame.file, frame.line, frame.function, frame.user, redact(frame.code) if frame.code else frame.code)


def _text(text: str | None, redact: Redact) -> str | None:
    return redact(text) if text else text


def _xcom(found: XCom, redact: Redact) -> XCom:
    value = redact(found.value)
    return replace(found, value=value[:XCOM_CHARS], cut=found.cut + max(0, len(value) - XCOM_CHARS))


def _changes(found: Changes, redact: Redact) -> Changes:
    commits = (replace(one, author=redact(one.author), subject=redact(one.subject)) for one in found.commits)
    return replace(found, commits=tuple(commits))


def _lineage(found: Lineage, redact: Redact) -> Lineage:
    """An asset's name and URI may hold a login."""

    def clean(assets: tuple[AssetFacts, ...]) -> tuple[AssetFacts, ...]:
        return tuple(replace(asset, name=redact(asset.name), uri=redact(asset.uri)) for asset in assets)

    return replace(
        found,
        inlets=clean(found.inlets),
        outlets=clean(found.outlets),
        dag_schedule=clean(found.dag_schedule),
        dag_outlets=clean(found.dag_outlets),
        fed_by=tuple(replace(event, asset=redact(event.asset)) for event in found.fed_by),
    )


def _excerpt(found: Excerpt, redact: Redact) -> Excerpt:
    """The lines as one text, for a secret may span them; redaction keeps their number."""
    return replace(found, lines=tuple(redact("\n".join(found.lines)).split("\n"))) if found.lines else found

"""Addresses of Airflow's pages: made of ids, and taken for the ids in them; they are never fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, quote, unquote, urlsplit

from airflow_agentfix.errors import InvalidRequest

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PORTS = {"http": 80, "https": 443}
_WEB_ADDRESS = re.compile(r"https?://[\w.\-\[\]:]+(?:/[\w.~%!$&'*+,;=:@/?#\-]*)?", re.ASCII)
_ADDRESS_CHARS = 500


@dataclass(frozen=True)
class UiPage:
    """What a page of Airflow's UI is about; None for what its address does not say."""

    dag_id: str
    run_id: str | None = None
    task_id: str | None = None
    map_index: int | None = None
    try_number: int | None = None


def parse_ui_url(url: str, *, base_url: str) -> UiPage:
    """The ids of `/dags/D/runs/R/tasks/T/mapped/M?try_number=N`, as far as they are there.

    Raises InvalidRequest for a page of another Airflow than the one at `base_url`, or that is about no DAG.
    """
    page, base = urlsplit(url.strip()), urlsplit(base_url)
    base_path = base.path.rstrip("/")
    if _place(page) != _place(base) or not page.path.startswith(f"{base_path}/"):
        raise InvalidRequest(f"{url!r} is not a page of the Airflow at {base_url}; expected an address that starts with it.")
    parts = [unquote(part) for part in page.path.removeprefix(base_path).strip("/").split("/")]
    dag_id = _after("dags", parts)
    if dag_id is None:
        raise InvalidRequest(f"{url!r} is about no DAG; expected {base_url}/dags/DAG/runs/RUN/tasks/TASK.")
    inside = parts[2:]
    task_id = _after("tasks", inside)
    return UiPage(
        dag_id=dag_id,
        run_id=_after("runs", inside),
        task_id=None if task_id == "group" and _after("group", inside) else task_id,
        map_index=_number(_after("mapped", inside)),
        try_number=_number(next(iter(parse_qs(page.query).get("try_number", [])), None)),
    )


def ui_url(
    base_url: str, dag_id: str, run_id: str, task_id: str | None = None, *, map_index: int = -1, try_number: int | None = None
) -> str:
    """The page of a run, or of a task instance in it, as `parse_ui_url` reads it; without a base its path alone."""
    parts = ["dags", dag_id, "runs", run_id, *(["tasks", task_id] if task_id else [])]
    parts += ["mapped", str(map_index)] if task_id and map_index >= 0 else []
    query = f"?try_number={try_number}" if task_id and try_number else ""
    return f"{_below(base_url)}/{'/'.join(quote(part, safe='') for part in parts)}{query}"


def session_url(base_url: str, session_id: str) -> str:
    """The session's own page; without a base its path alone."""
    return f"{_below(base_url)}/agentfix/sessions/{quote(session_id, safe='')}"


def _below(base_url: str) -> str:
    return (web_address(base_url) or "").rstrip("/")


def web_address(text: object) -> str | None:
    """The text where it is one http(s) address and nothing beside, so that it may stand in a note or a link; else None."""
    is_one = isinstance(text, str) and len(text) <= _ADDRESS_CHARS and _WEB_ADDRESS.fullmatch(text) is not None
    return str(text) if is_one else None


def _place(url: SplitResult) -> tuple[str, int | None]:
    """Host and port; a loopback host by any of its names."""
    try:
        port = url.port or _PORTS.get(url.scheme)
    except ValueError:
        return "", None
    host = (url.hostname or "").lower()
    return ("localhost" if host in _LOOPBACK else host), port


def _after(name: str, parts: list[str]) -> str | None:
    """The segment behind the one that is called `name`; ids may be called the same, so only names' places count."""
    places = range(0, len(parts) - 1, 2) if name != "group" else range(len(parts) - 1)
    return next((parts[place + 1] for place in places if parts[place] == name), None)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None

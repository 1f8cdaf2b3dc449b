"""Addresses that lead from a session to what it is about: the failed run, its own run, the pull request, the rerun; and to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from airflow_agentfix.core.incident import TaskRef
from airflow_agentfix.core.plain import Json
from airflow_agentfix.core.session import Event, EventKind, run_of
from airflow_agentfix.core.urls import session_url, ui_url, web_address

KINDS = (EventKind.CLAIMED, EventKind.FIX, EventKind.RERUN)
"""The kinds of events that links are made of."""


@dataclass(frozen=True)
class Links:
    """Null for what is not there. Of Airflow's pages the path only, where `[api] base_url` is not set."""

    failed_run: str
    """the failed try of the task instance"""
    fix_run: str | None = None
    """the run of agentfix_fix that worked on the session last"""
    pull_request: str | None = None
    rerun: str | None = None
    """the run on the fix: the failed one where it was pinned"""
    session: str | None = None
    """its page; null where AgentFix's pages are switched off"""

    def to_json(self) -> Json:
        return asdict(self)


def links_of(ref: TaskRef, events: Sequence[Event], *, base_url: str, page_of: str | None = None) -> Links:
    """The links of the session on `ref`. `base_url`: Airflow's address as people have it, empty where that is not known;
    `page_of`: the session's id, None where it has no page."""
    claimed, fix, rerun = (_last(events, kind) for kind in KINDS)
    worker = run_of(str(claimed.get("worker") or ""))
    return Links(
        failed_run=ui_url(base_url, ref.dag_id, ref.run_id, ref.task_id, map_index=ref.map_index, try_number=ref.try_number),
        fix_run=ui_url(base_url, *worker) if worker else None,
        pull_request=web_address(fix.get("pull_request")),
        rerun=ui_url(base_url, rerun["dag_id"], rerun["run_id"]) if rerun.get("run_id") else None,
        session=session_url(base_url, page_of) if page_of else None,
    )


def _last(events: Sequence[Event], kind: EventKind) -> Json:
    return next((dict(event.data) for event in reversed(events) if event.kind is kind), {})

"""All pages in one router."""

from __future__ import annotations

from fastapi import APIRouter  # noqa: TID253 - the API server only

from airflow_agentfix.web.pages import inbox, record, run, session, static, steering, task

router = APIRouter()
for part in (static.router, inbox.router, task.router, run.router, session.router, record.router, steering.router):
    router.include_router(part)

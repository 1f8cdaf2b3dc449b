"""The inbox: every session that a person may read, those that wait for somebody first. What is asked for is in the address."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Header, Query, Request  # noqa: TID253 - the API server only
from fastapi.responses import Response  # noqa: TID253 - as above

from airflow_agentfix.core.groups import Group
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.errors import InvalidRequest
from airflow_agentfix.store.listing import Filter
from airflow_agentfix.views.inbox import Asked, Since, inbox, unchanged
from airflow_agentfix.web.declared import Right, page
from airflow_agentfix.web.given import Service
from airflow_agentfix.web.pages import shell
from airflow_agentfix.web.pages.states import badge_of

router = APIRouter()

Text = Annotated[str, Query(max_length=250, pattern=r"^[^\x00]*$")]
Known = Annotated[str | None, Header(alias="If-None-Match")]
Word = TypeVar("Word", bound=StrEnum)

GROUPS = {
    Group.WAITS: "Waiting for a person",
    Group.WORKS: "At work",
    Group.FIXED: "Fixed",
    Group.PROPOSED: "Fix proposed",
    Group.REPORTED: "Reported",
    Group.UNSOLVED: "Not solved",
    Group.DUPLICATE: "Duplicates",
}
SINCE = {Since.TODAY: "Today", Since.WEEK: "Last 7 days"}


@router.get("/", **page(Right.READ, reads="sessions of the DAGs that it may read", changes="nothing"))
def index(
    request: Request,
    user: GetUserDep,
    service: Service,
    group: Text = "",
    verdict: Text = "",
    dag_id: Text = "",
    since: Text = "",
    q: Text = "",
    after: Text = "",
    before: Text = "",
    known: Known = None,
) -> Response:
    """A fragment for whoever has the page; its address is the page's own."""
    wanted = Filter(_one(Group, "group", group), _one(Verdict, "verdict", verdict), dag_id or None, search=q.strip())
    asked = Asked(wanted, _one(Since, "since", since), after, before)
    if unchanged(service.desk, user, asked, known):
        return shell.unchanged()
    shown, root = inbox(service, user, asked), shell.root_of(request)
    values: dict[str, Any] = {
        "inbox": shown,
        "asked": asked,
        "rows": [(row, badge_of(row.session)) for row in shown.rows],
        "groups": GROUPS,
        "since": SINCE,
        "verdicts": [*Verdict],
        "here": f"{root}/{_query(asked)}",
        "next": f"{root}/{_query(replace(asked, after=shown.after, before=''))}" if shown.after else None,
        "previous": f"{root}/{_query(replace(asked, after='', before=shown.before))}" if shown.before else None,
        "top": f"{root}/{_query(replace(asked, after='', before=''))}" if shown.before else None,
        "clear": f"{root}/",
    }
    if not shell.is_fragment(request):
        return shell.page(request, "inbox.html.j2", **values)
    told = shell.fragment(request, "inbox_live.html.j2", **values)
    is_news = not request.headers.get("HX-Current-URL", "").endswith(values["here"])
    if known is None and is_news:  # a person changed what is shown; a poll changes no address
        told.headers["HX-Push-Url"] = values["here"]
    return told


def _one(kind: type[Word], name: str, text: str) -> Word | None:
    if not text:
        return None
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest(f"{name} is {text!r}; expected one of {', '.join(kind)}, or nothing.") from None


def _query(asked: Asked) -> str:
    """What is asked for, as the part of an address behind the path."""
    wanted = asked.wanted
    named = {
        "group": wanted.group,
        "verdict": wanted.verdict,
        "dag_id": wanted.dag_id,
        "since": asked.since,
        "q": wanted.search,
        "after": asked.after,
        "before": asked.before,
    }
    given = {name: str(value) for name, value in named.items() if value}
    return f"?{urlencode(given)}" if given else ""

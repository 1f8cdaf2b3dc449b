"""What reviewers write to the agent on its pull requests, brought to the sessions that opened them.

Invariants: only what somebody with write access wrote reaches a session; a comment that could not be brought is tried again by
the next triage; one pull request that cannot be read does not hold up the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Protocol

from airflow_agentfix.core import mentions
from airflow_agentfix.core.mentions import Remark
from airflow_agentfix.core.session import Event, EventKind, Session
from airflow_agentfix.errors import AgentFixError
from airflow_agentfix.markdown import prose
from airflow_agentfix.ports import Comment, OpenedFix
from airflow_agentfix.redaction import redact

MOST_REQUESTS = 30
"""pull requests that one triage asks about, the newest sessions' first"""
MOST_COMMENTS = 20
"""of one pull request that one triage brings; the next one goes on"""
FORGOTTEN = timedelta(days=30)
"""a session that nothing happened to for so long is asked about no more"""

NO_RIGHT = "its author has no write access to the repository"
SAYS_NOTHING = "it says nothing beside the mention"
CLOSED = "the pull request is merged or closed"
TOO_MANY = (
    f"a triage reads the {MOST_REQUESTS} newest pull requests; this one and older ones wait until some of those are settled"
)

_AUTHOR = re.compile(mentions.AUTHOR)


@dataclass(frozen=True)
class Heard:
    """What became of a comment, or of a pull request's comments (`remark` None): told to the session, or `left` says why not."""

    session: Session
    remark: Remark | None = None
    left: str | None = None


class Requests(Protocol):
    """Pull requests and their sessions, as whoever reads their comments sees them."""

    def in_review(self) -> Iterable[Session]:
        """Sessions that opened a pull request, newest first."""

    def events(self, session: Session) -> Sequence[Event]: ...

    def comments(self, session: Session, fix: OpenedFix, *, since: str | None) -> list[Comment]: ...

    def is_open(self, session: Session, fix: OpenedFix) -> bool: ...

    def tell(self, session: Session, message: str, remark: Remark) -> None:
        """Raises BudgetExceeded where the day has no dollars for it."""


def hear(requests: Requests, *, mention: str, now: datetime, since: datetime) -> tuple[Heard, ...]:
    """Bring each session what is addressed to it. `since` is when the last triage began: what is left for good is told once."""
    heard, asked = [], 0
    for session in _newest(requests, now) if mention else ():
        if asked == MOST_REQUESTS:
            heard.append(Heard(session, left=TOO_MANY))
            break
        found = _of_session(session, requests, mention)
        asked += found is not None
        heard += found or []
    return tuple(one for one in heard if not _is_known(one, since))


def _newest(requests: Requests, now: datetime) -> Iterator[Session]:
    """One session a pull request, the newest one: a later one for the same cause takes its request over."""
    known: set[str | None] = {None}
    for session in requests.in_review():
        if now - datetime.fromisoformat(session.updated_at) < FORGOTTEN and session.pull_request not in known:
            known.add(session.pull_request)
            yield session


def _of_session(session: Session, requests: Requests, mention: str) -> list[Heard] | None:
    """None where nobody was asked: its pull request is known to be settled."""
    heard: list[Heard] = []
    try:
        events = requests.events(session)
        if mentions.is_settled(events):
            return None
        since = mentions.seen_until(events)
        read = [(one, fix) for fix in _opened(session, events) for one in requests.comments(session, fix, since=since)]
        new = {one: fix for one, fix in sorted(read, key=_written) if not mentions.knows(events, one.id)}
        is_open = cache(partial(requests.is_open, session))
        heard.extend(_brought(_addressed(new, mention), session, lambda comment: is_open(new[comment]), requests))
    except AgentFixError as error:  # the next triage looks again; the other pull requests are not held up
        heard.append(Heard(session, left=str(error)))
    return heard


def _opened(session: Session, events: Sequence[Event]) -> Iterable[OpenedFix]:
    """One fix a pull request: an amendment may have one of its own, and who comments on the first one is heard all the same."""
    opened = [event.data for event in events if event.kind is EventKind.FIX and event.data.get("pull_request")]
    fixes = [OpenedFix(str(one["branch"]), str(one["commit"]), one["pull_request"]) for one in opened]
    newest = OpenedFix(str(session.fix_branch), str(session.fix_commit), session.pull_request)
    return {fix.pull_request: fix for fix in (*fixes, newest)}.values()


def _written(read: tuple[Comment, OpenedFix]) -> tuple[str, str]:
    return read[0].at, read[0].id


def _addressed(comments: Iterable[Comment], mention: str) -> Iterator[tuple[Comment, str]]:
    """Comments that are meant for the agent, with what they say to it. No program's: two of them would talk for ever."""
    for comment in comments:
        text = redact(comment.text.replace("\r\n", "\n").replace("\r", "\n"))
        said = mentions.said(text, prose(text), mention=mention)
        if said is not None and _AUTHOR.fullmatch(comment.author) and not mentions.is_bot(comment.author):
            where = redact(comment.where) if comment.where else None
            yield comment, mentions.message(said, where=where, url=comment.url) if said else ""


def _brought(
    addressed: Iterable[tuple[Comment, str]], session: Session, is_open: Callable[[Comment], bool], requests: Requests
) -> Iterator[Heard]:
    """Oldest first. The first one that cannot be told ends it: a later one would hide it from the next triage."""
    brought = 0
    for comment, text in addressed:
        remark = Remark(comment.id, comment.url, comment.author, comment.at)
        if left := _left(comment, text, is_open):
            yield Heard(session, remark, left)
            continue
        try:
            requests.tell(session, text, remark)
        except AgentFixError as error:
            yield Heard(session, remark, f"{error} The next triage tries again.")
            return
        yield Heard(session, remark)
        brought += 1
        if brought == MOST_COMMENTS:
            return


def _left(comment: Comment, text: str, is_open: Callable[[Comment], bool]) -> str | None:
    if not comment.may_write:
        return NO_RIGHT
    if not text:
        return SAYS_NOTHING
    return None if is_open(comment) else CLOSED


def _is_known(one: Heard, since: datetime) -> bool:
    """Whether an earlier triage has told of it: it is left for good, and was written before that one began."""
    for_good = one.left in (NO_RIGHT, SAYS_NOTHING, CLOSED)
    return for_good and one.remark is not None and datetime.fromisoformat(one.remark.at) < since


def lines(heard: Sequence[Heard]) -> Sequence[str]:
    """What the triage report says of them: who and where, never what."""
    head = [f"Comments for the agent: {len(heard)}"] if heard else []
    return [*head, *(f"  {one.session.dag_id} / {one.session.run_id} (session {one.session.id}): {_told(one)}" for one in heard)]


def _told(one: Heard) -> str:
    if one.remark is None:
        return f"not read: {one.left}"
    what = f"not told: {one.left}" if one.left else "told to the session"
    return f"{one.remark.author} in {one.remark.url}: {what}"

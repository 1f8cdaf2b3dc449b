"""A session for a person: the story in about ten lines, one line per event, one line per session."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_agentfix.cli.story import pending_question
from airflow_agentfix.core import budget
from airflow_agentfix.core.session import Event, EventKind, Session
from airflow_agentfix.core.urls import web_address

if TYPE_CHECKING:
    from rich.console import Console

    from airflow_agentfix.store.wire import Recovery

LABEL = 9
ID_LENGTH = 32
CAUSE, GIST, DETAIL = 100, 140, 200
"""characters of a cause in a list, of an event on its line, of a stage of the verification"""


def print_story(console: Console, story: dict[str, Any]) -> None:
    """Cause, verdict, diff, branch, rerun, time, tokens, dollars."""
    from rich.syntax import Syntax
    from rich.text import Text

    for label, text in _lines(story):
        console.print(Text.assemble((label.ljust(LABEL), "bold"), text))
    if diff := (story["fix"] or {}).get("diff"):
        console.print(Syntax(diff.rstrip(), "diff", background_color="default", word_wrap=not console.soft_wrap))
    if question := pending_question(story):
        console.print(Text.assemble(("Waits".ljust(LABEL), "bold"), _next(story, question)))


def _lines(story: dict[str, Any]) -> Iterator[tuple[str, str]]:
    session, fix, rerun = story["session"], story["fix"], story["rerun"]
    yield "Session", f"{session['id']}: {_state(session)}"
    if web_address(story["page"]):
        yield "Page", story["page"]
    yield "Failed", f"{session['dag_id']} / {session['run_id']} / {_task(session)}"
    if story["occurrences"]:
        yield "Also", ", ".join(story["occurrences"])
    yield "Cause", session["cause"] or "not known yet"
    yield "Verdict", session["verdict"] or "none yet"
    if policy := story["policy"]:
        yield "Policy", _policy(policy)
    if fix:
        yield "Fix", f"{fix['title']} ({_changed(fix['diff'])})"
        yield "Branch", " ".join(part for part in (fix["branch"], f"at {fix['commit'][:12]}", fix.get("pull_request")) if part)
    yield from _verified(story["verification"])
    for approval in story["approvals"]:
        yield "Approval", f"{approval['decision']} of {str(approval['commit'])[:12]} by {approval['actor']} ({approval['via']})"
    if rerun:
        yield "Rerun", f"{rerun['way']}: {rerun['dag_id']} / {rerun['run_id']}: {', '.join(rerun['task_ids'])}{_pin(story)}"
    if story["recovery"]:
        yield "Recovery", ", ".join(f"{one['run_id']} {one['state']}" for one in story["recovery"])
    if session["summary"] or story["error"]:
        yield "Result", story["error"] or session["summary"]
    yield "Cost", _cost(story["cost"])
    yield "Budget", _budget(story["budget"], dag=session["dag_id"])


def _verified(stages: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """A line for each state and detail, with the stages it is said of; what was not run last, the label on the first."""
    said: dict[tuple[str, str], list[str]] = {}
    for stage in sorted(stages, key=lambda stage: stage["state"] == "not_run"):
        said.setdefault((stage["state"].replace("_", " "), stage["detail"]), []).append(stage["name"])
    for number, ((state, detail), names) in enumerate(said.items()):
        about = f": {_cut(' '.join(detail.split()), DETAIL)}" if detail else ""
        yield "" if number else "Verified", f"{state}: {', '.join(names)}{about}"


def _pin(story: dict[str, Any]) -> str:
    """What the run is on since it left the fix commit."""
    ended = story["pin_ended"]
    return f"; off the fix commit since, on {str(ended['version'])[:12]} ({ended['reason']})" if ended else ""


def _policy(found: dict[str, Any]) -> str:
    """What decides most about a session, with its source, and whatever is wrong with a source."""
    policy, sources = found["policy"], found["sources"]
    who = f"approvers {', '.join(policy['approvers'])}" if policy["approvers"] else "anyone who may edit the DAG's runs"
    asked = who if "rerun" in policy["approve_before"] and not policy["allow_unreviewed_reruns"] else "nobody asked"
    parts = [f"autonomy {policy['autonomy']} ({', '.join(sources['autonomy'])})", f"rerun: {asked}", *found["problems"]]
    return "; ".join(parts)


def _state(session: dict[str, Any]) -> str:
    if session["outcome"]:
        return str(session["outcome"])
    return f"{session['state']} for {session['waiting_for']}" if session["waiting_for"] else str(session["state"])


def _task(session: dict[str, Any]) -> str:
    mapped = f"[{session['map_index']}]" if session["map_index"] >= 0 else ""
    return f"{session['task_id']}{mapped}" + (f" try {session['try_number']}" if session["try_number"] else "")


def _changed(diff: str) -> str:
    lines = diff.splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++") for line in lines)
    removed = sum(line.startswith("-") and not line.startswith("---") for line in lines)
    return f"+{added} -{removed}"


def _cost(cost: dict[str, Any]) -> str:
    tokens = cost["input_tokens"] + cost["output_tokens"] + cost["cache_read_tokens"] + cost["cache_write_tokens"]
    turns = f"{cost['turns']} turn{'' if cost['turns'] == 1 else 's'}"
    spent = f"{cost['seconds']:.0f} s, {turns}, {tokens:,} tokens, ${cost['dollars']:.2f}"
    return f"{spent}, {cost['model']}" if cost["model"] else spent


def _budget(given: dict[str, Any], *, dag: str) -> str:
    turns, tokens, dollars, minutes = (given[name] for name in ("turns", "tokens", "dollars", "minutes"))
    return (
        f"{turns['used']} of {turns['limit']} turns, {tokens['used']:,} of {tokens['limit']:,} tokens, "
        f"${dollars['used']:.2f} of ${dollars['limit']:.2f}, {minutes['used']:.1f} of {minutes['limit']} minutes at work. "
        + day_line(given["day"], dag=dag)
    )


def day_line(day: dict[str, float], *, dag: str | None) -> str:
    """Where the day (UTC) stands, of one DAG and of all."""
    of_dag = f"${day['used']:.2f} and ${day['reserved']:.2f} reserved of ${day['limit']:.2f} for {dag}, " if dag else ""
    return f"Today: {of_dag}${day['total_used']:.2f} of ${day['total_limit']:.2f} for all DAGs"


def _next(story: dict[str, Any], question: dict[str, Any]) -> str:
    how = "--approve | --reject" if question["about"] == "approval" else f"--answer TEXT ({' | '.join(question['options'])})"
    return f"{question['subject']}\n{' ' * LABEL}agentfix continue {story['session']['id']} {how}"


def recovery_lines(found: Recovery) -> Iterator[str]:
    """What the runs go on with, and a line for each run."""
    yield f"{found.session_id}  on {found.version[:12] if found.version else 'the latest code: its bundle has no versions'}"
    if found.warning:
        yield f"Warning: {found.warning}"
    if found.needs_person:
        yield f"Nothing is started: {found.needs_person}"
    for run in found.runs:
        tasks = f"  {', '.join(run.task_ids)}" if run.task_ids else ""
        yield f"{run.state:<8}  {run.run_id}{tasks}{f'  ({run.reason})' if run.reason else ''}"


def print_sessions(console: Console, sessions: Sequence[Session]) -> None:
    """A table, newest first as served."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("session", no_wrap=True, min_width=ID_LENGTH)  # to be copied whole
    for name in (
        "state",
        "verdict",
        "failed",
        "cause",
        "turns",
        "tokens",
        "dollars",
    ):  # before there is a cause: why nobody works on it
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for one in sessions:
        failed = f"{one.dag_id} / {one.run_id} / {one.task_id}"
        state = str(one.outcome or one.state)
        cause = " ".join((one.cause or one.summary or "").split())
        cost = (str(one.usage.turns), f"{budget.tokens(one.usage):,}", f"{one.usage.dollars:.2f}")
        table.add_row(one.id, state, one.verdict or "", failed, _cut(cause, CAUSE), *cost)
    console.print(table)


def event_line(event: Event) -> str:
    """`12  10:31:07  worker  result open_fix: …`, at most one line."""
    return f"{event.number:>4}  {event.at[11:19]}  {event.actor:<8}  {event.kind} {_gist(event)}".rstrip()


def _gist(event: Event) -> str:
    data = event.data
    parts: dict[str, str] = {
        "created": f"by {data.get('source')}, autonomy {data.get('autonomy')}",
        "policy": f"autonomy {(data.get('policy') or {}).get('autonomy')} {'; '.join(data.get('problems') or ())}",
        "incident": str((data.get("cause") or {}).get("line", "")) if event.kind == "incident" else "",
        "new_transcript": f"from a summary; changed: {', '.join(data.get('because') or ())}{_models(data)}",
        "model": f"{data.get('model')}: {_said(data.get('content') or ())}",
        "spent": f"{data.get('model')}, no turn: {data.get('reason')}",
        "intent": f"{data.get('tool')}",
        "result": f"{data.get('tool')}: {data.get('text')}",
        "fix": f"{data.get('branch')} at {str(data.get('commit'))[:12]}",
        "verified": ", ".join(f"{one['name']} {one['state'].replace('_', ' ')}" for one in data.get("stages") or ()),
        "note": f"{data.get('message')}",
        "question": f"{data.get('subject')}",
        "answer": f"{data.get('decision')} {data.get('message') or ''}",
        "approval": f"{data.get('decision')} {str(data.get('commit'))[:12]} ({data.get('via')})",
        "rerun": f"{data.get('way')}: {', '.join(data.get('task_ids') or ())}",
        "parked": f"until {data.get('waiting_for')}",
        "pin_ended": f"{data.get('run_id')} on {data.get('version')} ({data.get('reason')})",
        "recovery": f"{data.get('run_id') or 'all'} {data.get('state')} {data.get('reason') or ''}",
        "stop": f"{data.get('reason')}",
        "finished": f"{data.get('outcome')}: {data.get('summary') or data.get('error') or ''}",
    }
    if not data and event.kind is not EventKind.ERASED:
        return "(erased)"
    text = parts.get(str(event.kind), "")
    return _cut(" ".join(text.split()), GIST)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _models(data: Mapping[str, Any]) -> str:
    before, now = ((data.get(name) or {}).get("model") for name in ("before", "basis"))
    return "" if before == now else f" ({before}, now {now})"


def _said(content: Sequence[dict[str, Any]]) -> str:
    return ", ".join(block["name"] if block["type"] == "tool_use" else block["type"] for block in content)

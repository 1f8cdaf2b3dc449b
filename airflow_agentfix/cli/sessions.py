"""Verbs on sessions: fix, sessions, show, continue, stop, unpin, recover."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer  # noqa: TID253 - see app.py

from airflow_agentfix.cli import here, render
from airflow_agentfix.cli.output import NOT_GREEN, OK, WAITS_FOR_PERSON, AsJson, console, print_json
from airflow_agentfix.cli.policy_table import print_policy
from airflow_agentfix.cli.story import pending_question, story_of
from airflow_agentfix.core.incident import Verdict
from airflow_agentfix.core.policy import Autonomy, Effective
from airflow_agentfix.core.session import EventKind, Outcome, Session, State, WaitFor

if TYPE_CHECKING:
    from airflow_agentfix.store.client import SessionsApi
    from airflow_agentfix.store.wire import Taken

POLL_SECONDS = 2.0

Dag = Annotated[str, typer.Argument(metavar="DAG|URL", help="DAG id, or the address of the task instance's page.")]
Run = Annotated[str | None, typer.Argument(metavar="RUN", help="Run id.", show_default=False)]
Task = Annotated[str | None, typer.Argument(metavar="TASK", help="Task id.", show_default=False)]
MapIndex = Annotated[int, typer.Option("--map-index", help="Index of a mapped task instance; -1 is not mapped.")]
Try = Annotated[int | None, typer.Option("--try", min=1, help="Which try; the newest unless given.")]
SessionId = Annotated[str, typer.Argument(metavar="SESSION", help="Session id.")]
Wanted = Annotated[Autonomy | None, typer.Option("--autonomy", help="How far it may go at most.", show_default=False)]
Follow = Annotated[
    bool, typer.Option("--follow", help="Show what happens until it ends (0 fixed, 3 not) or waits for a person (4).")
]


def add_to(app: typer.Typer) -> None:
    """Register the verbs, in the order --help shows them."""
    app.command("fix")(fix)
    app.command("sessions")(sessions)
    app.command("show")(show)
    app.command("continue")(continue_)
    app.command("stop")(stop)
    app.command("unpin")(unpin)
    app.command("recover")(recover)


def fix(
    dag: Dag,
    run: Run = None,
    task: Task = None,
    map_index: MapIndex = -1,
    try_: Try = None,
    autonomy: Wanted = None,
    follow: Follow = False,
    as_json: AsJson = False,
) -> None:
    """Start a session on a failed task; prints the session's id."""
    wanted = here.named(dag, run, task, map_index=map_index, try_number=try_)
    api = here.sessions_api()
    taken = api.create(
        dag_id=wanted.dag_id,
        run_id=wanted.run_id,
        task_id=wanted.task_id,
        map_index=wanted.map_index,
        try_number=wanted.try_number,
        autonomy=autonomy and str(autonomy),
        source="cli",
    )
    if not follow or taken.stalled:  # nobody works on it yet: there is nothing to follow
        _print_taken(taken, as_json=as_json)
        raise typer.Exit(NOT_GREEN if follow else OK)
    if taken.warning:
        typer.echo(f"Warning: {taken.warning}", err=True)
    session = _followed(api, taken.id, quiet=as_json)
    _print(api, taken.id, as_json=as_json)
    raise typer.Exit(_code(session))


def sessions(
    dag: Annotated[str | None, typer.Option("--dag", help="Only sessions of this DAG.")] = None,
    run: Annotated[str | None, typer.Option("--run", help="Only sessions on failures of this run.")] = None,
    task: Annotated[str | None, typer.Option("--task", help="Only sessions on failures of this task.")] = None,
    state: Annotated[State | None, typer.Option("--state", help="Only sessions in this state.")] = None,
    outcome: Annotated[Outcome | None, typer.Option("--outcome", help="Only sessions that ended so.")] = None,
    waiting: Annotated[WaitFor | None, typer.Option("--waiting", help="Only sessions that wait for this.")] = None,
    verdict: Annotated[Verdict | None, typer.Option("--verdict", help="Only sessions with this verdict.")] = None,
    as_json: AsJson = False,
) -> None:
    """List sessions, newest first; with several options those that all of them fit."""
    api = here.sessions_api()
    page = api.page(dag_id=dag, run_id=run, task_id=task, state=state, outcome=outcome, waiting_for=waiting, verdict=verdict)
    if as_json:
        print_json([one.to_json() for one in page.sessions])
    elif page.sessions:
        render.print_sessions(console(), page.sessions)
        typer.echo(render.day_line(api.budget(page.sessions[0].id)["day"], dag=dag))
    else:
        typer.echo("No sessions.")
    if page.total > len(page.sessions):
        typer.echo(f"The newest {len(page.sessions)} of {page.total}; options narrow the list.", err=True)


def show(
    session: SessionId,
    events: Annotated[bool, typer.Option("--events", help="Every event too, one line each.")] = False,
    policy: Annotated[bool, typer.Option("--policy", help="Each value of its policy too, with its source.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell a session's story: cause, verdict, diff, branch, rerun, time, tokens, dollars, and what of its budget is used."""
    api = here.sessions_api()
    _print(api, session, as_json=as_json)
    if policy and not as_json:
        _print_policy(api, session)
    if events and not as_json:
        for event in api.events(session):
            typer.echo(render.event_line(event))


def continue_(
    session: SessionId,
    approve: Annotated[bool, typer.Option("--approve", help="Yes: the fix commit may be run.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="No.")] = False,
    answer: Annotated[str | None, typer.Option("--answer", help="Answer a question.")] = None,
    message: Annotated[str | None, typer.Option("--message", help="Something to add; alone, a note to the session.")] = None,
    question: Annotated[str | None, typer.Option("--question", help="Which question; needed if several wait.")] = None,
    as_json: AsJson = False,
) -> None:
    """Answer, approve, reject, or leave a note."""
    if sum((approve, reject, answer is not None)) > 1:
        raise typer.BadParameter("--approve, --reject and --answer exclude each other")
    decision = "approve" if approve else "reject" if reject else "answer" if answer is not None else None
    if decision is None and message is None:
        raise typer.BadParameter("say --approve, --reject, --answer TEXT or --message TEXT")
    api = here.sessions_api()
    if decision is None:
        _print_taken(api.message(session, message or ""), as_json=as_json, note="(told)")
        return
    text = "\n".join(part for part in (answer, message) if part)
    _print_session(api.reply(session, decision=decision, message=text, question_id=question), as_json=as_json)


def stop(session: SessionId, as_json: AsJson = False) -> None:
    """Stop a session; its branch stays, its record too."""
    _print_session(here.sessions_api().stop(session), as_json=as_json)


def unpin(session: SessionId, as_json: AsJson = False) -> None:
    """Set a session's run back to its own version, before its fix branch is deleted. The triage DAG does it by itself."""
    _print_session(here.sessions_api().end_pin(session), as_json=as_json)


def recover(
    session: SessionId,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be done, and do nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Also runs that failed again or were left alone.")] = False,
    as_json: AsJson = False,
) -> None:
    """Once the fix is merged: let the failed runs of its cause go on with it. Where nobody can look, that is your word."""
    found = here.sessions_api().recover(session, dry_run=dry_run, again=again)
    if as_json:
        print_json(found.to_json())
    else:
        for line in render.recovery_lines(found):
            typer.echo(line)


def _followed(api: SessionsApi, session_id: str, *, quiet: bool) -> Session:
    """Print events as they come until the session is done or a person is needed."""
    seen = 0
    while True:
        session = api.get(session_id)  # before its events, or the last ones could be missed
        for event in api.events(session_id, after=seen):
            seen = event.number
            if not quiet:
                typer.echo(render.event_line(event))
        if session.state is State.DONE or session.waiting_for is WaitFor.PERSON:
            return session
        time.sleep(POLL_SECONDS)


def _print(api: SessionsApi, session_id: str, *, as_json: bool) -> None:
    story = story_of(api.get(session_id), api.events(session_id), api.budget(session_id), page=api.address(session_id))
    if as_json:
        print_json({**story, "waits_for": pending_question(story)})
    else:
        render.print_story(console(), story)


def _print_policy(api: SessionsApi, session_id: str) -> None:
    written = [event for event in api.events(session_id) if event.kind is EventKind.POLICY]
    if written:
        print_policy(console(), Effective.from_json(written[-1].data))
    else:
        typer.echo("No worker has taken the session yet; agentfix policy show tells what would hold now.")


def _print_taken(taken: Taken, *, as_json: bool, note: str = "(was there already)") -> None:
    """`note`: what is said of a session that was not made by this call."""
    if as_json:
        print_json(taken.to_json())
        return
    typer.echo(f"{taken.id}  {taken.state}{'' if taken.created else f'  {note}'}")
    if taken.warning:
        typer.echo(f"Warning: {taken.warning}", err=True)


def _print_session(session: Session, *, as_json: bool) -> None:
    if as_json:
        print_json(session.to_json())
    else:
        typer.echo(f"{session.id}  {session.outcome or session.state}  {session.dag_id} / {session.run_id} / {session.task_id}")


def _code(session: Session) -> int:
    if session.state is State.DONE:
        return OK if session.outcome is Outcome.FIXED else NOT_GREEN
    return WAITS_FOR_PERSON
